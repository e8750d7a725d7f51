//! Connections to ports of pods, through the API server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Portforwarder};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, copy_bidirectional};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::client::Client;
use super::pod;
use super::request::from_kube;
use crate::services::{Error, ErrorKind, Result};

const OPERATION: &str = "forward a port";

/// A connection to a port of a pod. Dropping it closes the connection.
pub struct PodConnection {
    stream: DuplexStream,
    forwarder: Portforwarder,
}

impl std::fmt::Debug for PodConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PodConnection").finish_non_exhaustive()
    }
}

impl Drop for PodConnection {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

impl AsyncRead for PodConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for PodConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A local port whose connections go to a pod. It closes when this value is dropped.
#[derive(Debug)]
#[must_use = "the port closes when the value is dropped"]
pub struct LocalForward {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl LocalForward {
    /// Where to connect: a free port of the loopback interface.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Client {
    /// Connects to a port of a pod, as `kubectl port-forward` does. Changes nothing; may be repeated.
    ///
    /// A port that nobody listens on is found out only when the connection is used: it ends.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such pod, `Forbidden` without the right on `pods/portforward`, `Unauthenticated`,
    /// `Connect`, `Certificate`, `NotReady`, `Timeout`, `Interrupted`.
    pub async fn connect_pod(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<PodConnection> {
        let target = || format!("{namespace}/{pod}:{port}");
        let pods: Api<Pod> = Api::namespaced(self.kube().clone(), namespace);
        let ports = [port];
        let attempt = tokio::time::timeout(self.request_timeout(), pods.portforward(pod, &ports));
        let mut forwarder = match attempt.await {
            Ok(Ok(forwarder)) => forwarder,
            Ok(Err(error)) => return Err(from_kube(OPERATION, error).with_target(target())),
            Err(_) => {
                return Err(Error::new(ErrorKind::Timeout, OPERATION).with_target(target()));
            }
        };
        match forwarder.take_stream(port) {
            Some(stream) => Ok(PodConnection { stream, forwarder }),
            None => Err(Error::new(ErrorKind::Interrupted, OPERATION).with_target(target())),
        }
    }

    /// Opens a local port whose connections go to a port of a Ready pod that `labels` selects; the pod is chosen again for
    /// every connection, so that one that is replaced does no harm.
    ///
    /// Argo CD without an address of its own is reached in this way: port 8080 of the pods with the label
    /// `app.kubernetes.io/name=argocd-server` in the namespace `argocd`, as `argocd --port-forward` does.
    ///
    /// # Errors
    ///
    /// `NotReady` when no selected pod is Ready; `Forbidden` without the right to list pods or on `pods/portforward`;
    /// `Connect` when no local port can be opened; `Unauthenticated`, `Certificate`, `Timeout`, `Interrupted`.
    pub async fn forward(&self, namespace: &str, labels: &str, port: u16) -> Result<LocalForward> {
        // The first connection tells at once what every later one would run into.
        drop(self.connect_selected(namespace, labels, port).await?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let unavailable = |error| Error::new(ErrorKind::Connect, OPERATION).with_source(error);
        let listener = listener.map_err(unavailable)?;
        let address = listener.local_addr().map_err(unavailable)?;
        let mut serving = JoinSet::new();
        serving.spawn(serve(
            self.clone(),
            listener,
            (namespace.to_owned(), labels.to_owned(), port),
        ));
        Ok(LocalForward {
            address,
            _serving: serving,
        })
    }

    /// Connects to a port of the first Ready pod that `labels` selects.
    pub(super) async fn connect_selected(
        &self,
        namespace: &str,
        labels: &str,
        port: u16,
    ) -> Result<PodConnection> {
        let pods: Api<Pod> = Api::namespaced(self.kube().clone(), namespace);
        let selected = ListParams::default().labels(labels);
        let listed = tokio::time::timeout(self.request_timeout(), pods.list(&selected))
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, OPERATION).with_target(labels))?
            .map_err(|error| from_kube(OPERATION, error).with_target(labels))?;
        let Some(ready) = listed.items.iter().find(|pod| pod::is_ready(pod)) else {
            return Err(Error::new(ErrorKind::NotReady, OPERATION)
                .with_target(labels)
                .with_message(format!("no pod in {namespace} with {labels} is ready")));
        };
        self.connect_pod(namespace, pod::name(ready), port).await
    }
}

/// Accepts connections until it is dropped; the connections end with it.
async fn serve(client: Client, listener: TcpListener, target: (String, String, u16)) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((mut local, _)) = listener.accept().await else {
            continue;
        };
        let (client, (namespace, labels, port)) = (client.clone(), target.clone());
        connections.spawn(async move {
            match client.connect_selected(&namespace, &labels, port).await {
                Ok(mut remote) => {
                    // However a connection ends, its client sees the end.
                    drop(copy_bidirectional(&mut local, &mut remote).await);
                }
                Err(error) => tracing::warn!(%error, "port-forward failed"),
            }
        });
    }
}
