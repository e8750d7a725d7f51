//! The client, from which all handles are made.

use std::sync::Arc;

use http::Method;
use serde::de::DeserializeOwned;
use url::Url;

use crate::access::{Permissions, Requirement};
use crate::builder::ClientBuilder;
use crate::cluster::Cluster;
use crate::credentials::Credentials;
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind, Result};
use crate::id::NodeName;
use crate::node::{Node, NodeInfo};
use crate::request::Request;
use crate::task::Task;
use crate::transport::Transport;
use crate::upid::TaskId;
use crate::version::Version;

/// A connection to one Proxmox VE cluster. Clones share connections and credentials.
///
/// Making a handle sends nothing. A call on a handle is one request unless its documentation says otherwise. Long work
/// is returned as a [`Task`], which the caller waits for.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// A builder for a client of the node at `endpoint`, for example `https://pve-01.example.org:8006`.
    pub fn builder(endpoint: Url, credentials: impl Into<Credentials>) -> ClientBuilder {
        ClientBuilder::new(endpoint, credentials.into())
    }

    /// The id of the API token that the client has, `user@realm!name`; `None` for a user with a password.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.transport.authenticator.token_id()
    }

    /// The address of the node that the client calls, without credentials and without `/api2/json`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.transport.server()
    }

    pub(crate) fn from_transport(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        self.transport.call(request).await
    }

    /// Sends a request whose response has no value.
    pub(crate) async fn run(&self, request: Request) -> Result<()> {
        self.transport.send(&request).await.map(|_| ())
    }

    /// Sends a request that starts a task.
    pub(crate) async fn start_task(&self, request: Request) -> Result<Task> {
        let id = self.transport.call(request).await?;
        Ok(self.task(id))
    }

    /// Sends a request that starts a task, or has nothing to do.
    pub(crate) async fn start_optional_task(&self, request: Request) -> Result<Option<Task>> {
        let id: Option<TaskId> = self.transport.call(request).await?;
        Ok(id.map(|id| self.task(id)))
    }

    /// A handle for a node. Nothing is sent; the name is not checked against the cluster.
    #[must_use]
    pub fn node(&self, name: NodeName) -> Node {
        Node::new(self.clone(), name)
    }

    /// What concerns the whole cluster.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.clone())
    }

    /// A task by its id, to go on waiting for it after a restart.
    pub fn task(&self, id: TaskId) -> Task {
        Task::new(self.clone(), id)
    }

    /// The version of the contacted node. This is the cheapest check of address, trust and credentials.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::mock::PveMock;
    ///
    /// let mock = PveMock::start().await;
    /// assert!(mock.client().version().await?.major >= 8);
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn version(&self) -> Result<Version> {
        self.transport
            .call(Request::get("read version", "/version", &[]))
            .await
    }

    /// The nodes of the cluster, offline ones included.
    ///
    /// # Errors
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>> {
        self.transport
            .call(Request::get("list nodes", "/nodes", &[]))
            .await
    }

    /// The privileges of the caller, by path. Needs no privilege.
    ///
    /// # Errors
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn permissions(&self) -> Result<Permissions> {
        self.transport
            .call(Request::get("read permissions", "/access/permissions", &[]))
            .await
    }

    /// Checks that the caller has all required privileges. Changes nothing.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::access::Requirement;
    /// use proxmox_client::mock::PveMock;
    ///
    /// let mock = PveMock::start().await;
    /// let required = [Requirement::new("/storage/local", "Datastore.AllocateTemplate")];
    /// mock.client().preflight(&required).await?;
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Forbidden` with every unmet requirement in [`Error::missing_permissions`];
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn preflight(&self, required: &[Requirement]) -> Result<()> {
        let missing = self.permissions().await?.missing(required);
        if missing.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(Error::new(ErrorKind::Forbidden, "check permissions")
            .with_message(format!("missing privileges: {}", list.join(", ")))
            .with_missing_permissions(missing))
    }

    /// Any other call of the API. `path` is the path without `/api2/json`; `params` are form fields, or the query of GET
    /// and DELETE. Only GET is repeated after a failure.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use http::Method;
    /// use proxmox_client::mock::PveMock;
    ///
    /// let mock = PveMock::start().await;
    /// let response = mock.client().raw(Method::GET, "/cluster/nextid", &[]).await?;
    /// assert_eq!(response.data, "100");
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a path or parameter that cannot be sent; every kind that a response can have, from `Connect`
    /// to `Decode`.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<Envelope> {
        let owned = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.transport
            .send(&Request::raw(method, path).params(owned))
            .await
    }
}
