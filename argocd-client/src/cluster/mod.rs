//! The clusters that Argo CD deploys to.
//!
//! Three things about the server surprise: a missing cluster is a 403, reads come without
//! credentials so that writing back what was read destroys them, and neither name nor address is
//! guarded against duplicates. The methods here look first and update field by field.

mod register;
mod server_url;
mod spec;
mod status;
mod update;

use std::sync::Arc;

use http::Method;
use serde_json::Value;

pub use register::{Registration, RegistrationOutcome};
pub use server_url::ServerUrl;
pub use spec::{CREDENTIALS_ANNOTATION, ClusterSpec, OnExisting};
pub use status::{
    CacheInfo, Cluster, ClusterConfig, ClusterTls, ConnectionState, ConnectionStatus,
};
pub use update::ClusterUpdate;

use crate::answer::kind_of_target_text;
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::Poll;
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::List;

const CLUSTERS: &str = "/api/v1/clusters";
const CLUSTER: &str = "/api/v1/clusters/{}";

/// The clusters of one server.
#[derive(Debug, Clone)]
pub struct Clusters {
    transport: Arc<Transport>,
}

impl Clusters {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the clusters that we may see, the in-cluster entry included. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated), the kinds of the connection. Missing rights
    /// are not an error: the list is shorter.
    pub async fn list(&self) -> Result<Vec<Cluster>> {
        self.filtered("list clusters", None).await
    }

    /// Looks for the cluster with this address. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn find_by_server(&self, server: &ServerUrl) -> Result<Option<Cluster>> {
        let found = self
            .filtered("find cluster by server", Some(("server", server.as_str())))
            .await?;
        Ok(found.into_iter().find(|cluster| cluster.is_at(server)))
    }

    /// Looks for a cluster with this name. Names are not unique: the server returns the first one.
    /// May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn find_by_name(&self, name: &str) -> Result<Option<Cluster>> {
        let found = self
            .filtered("find cluster by name", Some(("name", name)))
            .await?;
        Ok(found.into_iter().find(|cluster| cluster.name == name))
    }

    /// The cluster with this address. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when no such cluster is visible to us, and those of
    /// [`list`](Self::list).
    pub async fn get(&self, server: &ServerUrl) -> Result<Cluster> {
        self.find_by_server(server)
            .await?
            .ok_or_else(|| missing("get cluster", server))
    }

    /// Registers a cluster, or brings its entry up to date. May be repeated: a second call finds
    /// the entry and changes what differs.
    ///
    /// Argo CD itself calls `/version` of the cluster before it stores anything, which takes up to
    /// about 30 s. That proves the address, the CA and that the token is accepted; it does not prove
    /// that the token may do anything.
    ///
    /// After a lost answer the outcome is looked up, not guessed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> argocd_client::Result<()> {
    /// # use argocd_client::cluster::{ClusterSpec, RegistrationOutcome, ServerUrl};
    /// # let argocd = argocd_client::mock::ArgoCdMock::start().await;
    /// # let (client, ca_pem) = (argocd.client(), include_str!("../../testdata/ca.pem"));
    /// let server = ServerUrl::parse("https://kubernetes.example.com:6443")?;
    /// let spec = ClusterSpec::new("lungmen", server, "token".into(), ca_pem)
    ///     .label("environment", "production")
    ///     .remember_credentials();
    ///
    /// let first = client.clusters().register(&spec).await?;
    /// let second = client.clusters().register(&spec).await?;
    ///
    /// assert_eq!(first.outcome, RegistrationOutcome::Created);
    /// assert_eq!(second.outcome, RegistrationOutcome::Unchanged);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InvalidRequest`](ErrorKind::InvalidRequest) from [`ClusterSpec::check`];
    /// [`Conflict`](ErrorKind::Conflict) when the name belongs to another address, or the address to
    /// another name; [`AlreadyExists`](ErrorKind::AlreadyExists) with [`OnExisting::Fail`];
    /// [`TargetUnreachable`](ErrorKind::TargetUnreachable),
    /// [`TargetCertificate`](ErrorKind::TargetCertificate),
    /// [`TargetUnauthenticated`](ErrorKind::TargetUnauthenticated) from the check of the cluster;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `clusters, create|update` on the address.
    pub async fn register(&self, spec: &ClusterSpec) -> Result<Registration> {
        register::register(self, spec).await
    }

    /// Changes fields of a registered cluster. May be repeated.
    ///
    /// Also here Argo CD talks to the cluster first, with the settings that result.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when there is no such cluster; the
    /// `Target…` kinds as in [`register`](Self::register); [`InvalidRequest`](ErrorKind::InvalidRequest)
    /// for an empty update.
    pub async fn update(&self, server: &ServerUrl, update: &ClusterUpdate) -> Result<Cluster> {
        self.put(server.as_str(), update).await
    }

    /// Removes a cluster. Removing one that is not there succeeds and answers `false`.
    ///
    /// # Errors
    /// [`FailedPrecondition`](ErrorKind::FailedPrecondition) while applications target it: Argo CD
    /// would drop their finalizers and leave everything they deployed behind. Delete them first,
    /// or use [`delete_with_applications`](Self::delete_with_applications).
    /// [`Forbidden`](ErrorKind::Forbidden) without the right.
    pub async fn delete(&self, server: &ServerUrl) -> Result<bool> {
        match self.find_by_server(server).await? {
            None => Ok(false),
            Some(cluster) if cluster.applications_count() > 0 => {
                Err(Error::new(ErrorKind::FailedPrecondition, "delete cluster")
                    .with_target(server.as_str())
                    .with_message(format!(
                        "{} applications still target it",
                        cluster.applications_count()
                    )))
            }
            Some(cluster) => self.remove(&cluster.server).await,
        }
    }

    /// Removes a cluster even though applications target it; what they deployed stays there.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right.
    pub async fn delete_with_applications(&self, server: &ServerUrl) -> Result<bool> {
        match self.find_by_server(server).await? {
            None => Ok(false),
            Some(cluster) => self.remove(&cluster.server).await,
        }
    }

    /// Makes the controller rebuild its cache of the cluster. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when there is no such cluster.
    pub async fn invalidate_cache(&self, server: &ServerUrl) -> Result<Cluster> {
        let call = Call::new(
            "invalidate cluster cache",
            Method::POST,
            "/api/v1/clusters/{}/invalidate-cache",
            &[server.as_str()],
        )
        .target(server.as_str())
        .idempotency(Idempotency::Safe);
        self.transport.send(&call).await
    }

    /// Makes Argo CD replace the service account token it uses. Must not be repeated blindly: every
    /// call creates a token and deletes the one before.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when the stored token is no token of a Secret;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when there is no such cluster; the
    /// `Target…` kinds as in [`register`](Self::register).
    pub async fn rotate_auth(&self, server: &ServerUrl) -> Result<()> {
        let call = Call::new(
            "rotate cluster credentials",
            Method::POST,
            "/api/v1/clusters/{}/rotate-auth",
            &[server.as_str()],
        )
        .target(server.as_str())
        .talks_to_cluster();
        self.transport.send::<Value>(&call).await.map(drop)
    }

    /// Waits until the cluster is listed and its connection has not failed.
    ///
    /// This is what to wait for after a registration: a cluster without applications is never
    /// monitored.
    ///
    /// # Errors
    /// A `Target…` kind as soon as the server reports a failed connection;
    /// [`Deadline`](ErrorKind::Deadline) with the last cause; those of [`list`](Self::list).
    pub async fn wait_until_registered(&self, server: &ServerUrl, poll: &Poll) -> Result<Cluster> {
        self.wait("wait for cluster registration", server, poll, |_| Ok(()))
            .await
    }

    /// Waits until the controller watches the cluster. Happens only once an application targets it.
    ///
    /// # Errors
    /// As [`wait_until_registered`](Self::wait_until_registered).
    pub async fn wait_until_monitored(&self, server: &ServerUrl, poll: &Poll) -> Result<Cluster> {
        self.wait("wait for cluster monitoring", server, poll, |cluster| {
            if cluster.is_monitored() {
                return Ok(());
            }
            let state = cluster.connection();
            Err(match (state.status(), state.message.as_str()) {
                (ConnectionStatus::NotMonitored, _) => {
                    "no application targets the cluster yet".to_owned()
                }
                (status, "") => format!("connection {status}, cache not synchronised yet"),
                (status, message) => format!("connection {status}: {message}"),
            })
        })
        .await
    }

    async fn wait(
        &self,
        operation: &'static str,
        server: &ServerUrl,
        poll: &Poll,
        accept: impl Fn(&Cluster) -> Result<(), String>,
    ) -> Result<Cluster> {
        poll.until(operation, server.as_str(), async || {
            let Some(cluster) = self.find_by_server(server).await? else {
                return Ok(Err("the cluster is not listed".to_owned()));
            };
            let state = cluster.connection();
            if state.status() == ConnectionStatus::Failed {
                let kind = kind_of_target_text(&state.message, None)
                    .unwrap_or(ErrorKind::TargetUnreachable);
                return Err(Error::new(kind, operation)
                    .with_target(server.as_str())
                    .with_message(state.message.clone()));
            }
            Ok(accept(&cluster).map(|()| cluster))
        })
        .await
    }

    async fn filtered(
        &self,
        operation: &'static str,
        filter: Option<(&str, &str)>,
    ) -> Result<Vec<Cluster>> {
        let mut call = Call::get(operation, CLUSTERS, &[]);
        if let Some((name, value)) = filter {
            call = call.query(name, value).target(value);
        }
        Ok(self.transport.send::<List<Cluster>>(&call).await?.items)
    }

    async fn put(&self, server: &str, update: &ClusterUpdate) -> Result<Cluster> {
        let mut call = Call::new("update cluster", Method::PUT, CLUSTER, &[server])
            .target(server)
            .talks_to_cluster();
        if update.is_empty() {
            // Without any field the server would replace the whole entry.
            return Err(call
                .error(ErrorKind::InvalidRequest)
                .with_message("the update changes nothing"));
        }
        for field in update.fields() {
            call = call.query("updatedFields", field);
        }
        self.transport.send(&call.body(&update.body(server))?).await
    }

    async fn remove(&self, server: &str) -> Result<bool> {
        let call = Call::new("delete cluster", Method::DELETE, CLUSTER, &[server]).target(server);
        match self.transport.send::<Value>(&call).await {
            Ok(_) => Ok(true),
            // Gone by another hand, or by our own first attempt whose answer was lost.
            Err(error) if error.kind() == ErrorKind::NotFoundOrForbidden => {
                let left = self
                    .filtered("find cluster by server", Some(("server", server)))
                    .await?;
                if left.is_empty() {
                    Ok(true)
                } else {
                    Err(error.with_kind(ErrorKind::Forbidden))
                }
            }
            Err(error) => Err(error),
        }
    }
}

fn missing(operation: &'static str, server: &ServerUrl) -> Error {
    Error::new(ErrorKind::NotFound, operation)
        .with_target(server.as_str())
        .with_message("no such cluster is visible to this account")
}
