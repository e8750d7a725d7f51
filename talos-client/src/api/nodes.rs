//! One call to many nodes.

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::{Client, Result};

/// How many nodes are called at once unless set otherwise.
const CONCURRENCY: usize = 16;

/// Several nodes behind one endpoint. Made by [`Client::nodes`].
///
/// Each node gets a call of its own, forwarded by the endpoint, so that every node has its own result and its own error:
/// a call for many nodes at once (`nodes` metadata) reports success when all of them failed, and is deprecated in v1.14.
///
/// ```no_run
/// # async fn versions(client: talos_client::Client) -> talos_client::Result<()> {
/// let nodes = client.nodes(["10.0.2.10", "10.0.2.11"])?;
/// for answer in nodes.each(async |client| client.machine().version().await).await {
///     match answer.result {
///         Ok(version) => println!("{}: {}", answer.node, version.tag),
///         Err(error) => println!("{}: {error}", answer.node),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Nodes {
    clients: Vec<(String, Client)>,
    concurrency: usize,
}

/// What one of several nodes answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct NodeResult<T> {
    /// The node, as it was named.
    pub node: String,
    /// Its result.
    pub result: Result<T>,
}

impl Client {
    /// Addresses several nodes, by address or host name without port, through the endpoint of this client.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Configuration`] for a name that is no header value.
    pub fn nodes<N: Into<String>>(&self, nodes: impl IntoIterator<Item = N>) -> Result<Nodes> {
        let clients = nodes
            .into_iter()
            .map(|node| {
                let node = node.into();
                let client = self.to_node(&node)?;
                Ok((node, client))
            })
            .collect::<Result<_>>()?;
        Ok(Nodes {
            clients,
            concurrency: CONCURRENCY,
        })
    }
}

impl Nodes {
    /// Sets how many nodes are called at the same time. Defaults to 16.
    pub fn concurrency(mut self, nodes: usize) -> Self {
        self.concurrency = nodes.max(1);
        self
    }

    /// Makes a call to each node. The results have the order of the nodes.
    pub async fn each<T>(&self, call: impl AsyncFn(Client) -> Result<T>) -> Vec<NodeResult<T>> {
        let call = &call;
        stream::iter(self.clients.clone())
            .map(|(node, client)| async move {
                NodeResult {
                    result: call(client).await,
                    node,
                }
            })
            .buffered(self.concurrency)
            .collect()
            .await
    }
}
