//! The clusters that Argo CD deploys to.
//!
//! Three things about the server surprise: a missing cluster is a 403, reads come without
//! credentials so that writing back what was read destroys them, and neither name nor address is
//! guarded against duplicates. The methods here read first and update field by field.

mod auth;
mod body;
mod credential_test;
mod delete;
mod on_existing;
mod register;
mod rule;
mod secret;
mod server_url;
mod spec;
mod status;
mod update;
mod wait;

use std::sync::Arc;

use http::Method;
use serde_json::Value;

pub use auth::{AwsAuth, ExecProvider};
pub use credential_test::CredentialTest;
pub use on_existing::OnExisting;
pub use register::{Registration, RegistrationOutcome};
pub use rule::{RuleBroken, check_label, check_name};
pub use server_url::ServerUrl;
pub use spec::{CREDENTIALS_ANNOTATION, ClusterSpec};
pub use status::{
    CacheInfo, Cluster, ClusterConfig, ClusterTls, ConnectionState, ConnectionStatus,
};
pub use update::ClusterUpdate;

use crate::account;
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::List;

/// Label that [`Clusters::nudge`] changes.
pub const NUDGE_LABEL: &str = "lungmen.chezmoi.sh/nudge";

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

    /// Lists the clusters that the account may see, the in-cluster entry included. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session. Missing rights are not an
    /// error: the list is shorter.
    pub async fn list(&self) -> Result<Vec<Cluster>> {
        self.filtered("list clusters", None).await
    }

    /// Looks for the cluster with this address. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn find(&self, server: &ServerUrl) -> Result<Option<Cluster>> {
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

    /// Reads the cluster with this address. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it does not exist and the account may see every
    /// cluster; [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when no such cluster is
    /// visible to the account; [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn cluster(&self, server: &ServerUrl) -> Result<Cluster> {
        match self.find(server).await? {
            Some(cluster) => Ok(cluster),
            None => Err(self.missing("read cluster", server).await),
        }
    }

    /// Registers a cluster, or brings its entry up to date. May be repeated: a second call finds
    /// the entry and changes what differs.
    ///
    /// Argo CD itself calls `/version` of the cluster before it stores anything, which takes up to
    /// about 30 s. That proves the address, the CA and that the token is accepted; it does not prove
    /// that the token may do anything.
    ///
    /// After a lost response the outcome is looked up, not guessed.
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
    /// [`InvalidInput`](ErrorKind::InvalidInput) from [`ClusterSpec::check`];
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
    /// `Target…` kinds as in [`register`](Self::register); [`InvalidInput`](ErrorKind::InvalidInput)
    /// for an empty update.
    pub async fn update(&self, server: &ServerUrl, update: &ClusterUpdate) -> Result<Cluster> {
        if !update.changes_credentials() {
            return self.put(server.as_str(), update).await;
        }
        // The annotation must not claim credentials that are replaced.
        let remembered = self.find(server).await?.map(|cluster| cluster.annotations);
        let update = update.clone().remembering(remembered.unwrap_or_default());
        self.put(server.as_str(), &update).await
    }

    /// Makes Argo CD call the cluster with the credentials it has stored. Changes nothing; may be
    /// repeated.
    ///
    /// The server calls `/version` of the cluster before it stores a change, so this sends the name
    /// that the entry has already. The connection state that a list shows can be ten minutes old and
    /// says nothing about an idle cluster.
    ///
    /// # Errors
    /// [`TargetUnauthenticated`](ErrorKind::TargetUnauthenticated) when the cluster rejects the
    /// stored credentials; [`TargetUnreachable`](ErrorKind::TargetUnreachable),
    /// [`TargetCertificate`](ErrorKind::TargetCertificate);
    /// [`NotFound`](ErrorKind::NotFound) and
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) as in [`cluster`](Self::cluster), the
    /// latter also without the right `clusters, update`.
    pub async fn check(&self, server: &ServerUrl) -> Result<Cluster> {
        let cluster = self.cluster(server).await?;
        self.try_credentials(&cluster).await
    }

    /// Finds out whether the cluster accepts what Argo CD has stored for it: its connection state, then
    /// a call as in [`check`](Self::check). Changes nothing; may be repeated.
    ///
    /// Rejected credentials are a result here, not an error. An account that may not update the cluster
    /// cannot have them tried; the connection state is all there is then.
    ///
    /// # Errors
    /// [`TargetUnreachable`](ErrorKind::TargetUnreachable) when Argo CD cannot reach the cluster, which
    /// says nothing about the credentials; [`NotFound`](ErrorKind::NotFound) and
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) as in [`cluster`](Self::cluster).
    pub async fn test_credentials(&self, server: &ServerUrl) -> Result<CredentialTest> {
        let cluster = self.cluster(server).await?;
        credential_test::run(self, cluster).await
    }

    async fn try_credentials(&self, cluster: &Cluster) -> Result<Cluster> {
        let same = ClusterUpdate::new().name(&cluster.name);
        self.put(&cluster.server, &same).await
    }

    /// Makes all application sets with a cluster generator reconcile now, by a new value of the
    /// label [`NUDGE_LABEL`] of the cluster. May be repeated.
    ///
    /// A set that met a cluster before the controller knew it tries again only after 180 s; a change
    /// of a label wakes it up at once, a registration without a change does not (measured on 3.5.1).
    ///
    /// # Errors
    /// The kinds of [`check`](Self::check).
    pub async fn nudge(&self, server: &ServerUrl) -> Result<Cluster> {
        let cluster = self.cluster(server).await?;
        let mut labels = cluster.labels.clone();
        let stamp = jiff::Timestamp::now().as_millisecond().to_string();
        labels.insert(NUDGE_LABEL.to_owned(), stamp);
        self.put(&cluster.server, &ClusterUpdate::new().labels(labels))
            .await
    }

    /// Removes a cluster. May be repeated. Returns `false` when no such cluster is registered, which
    /// is proved by the right to see every cluster.
    ///
    /// All applications that the account can see are listed first, because the application count of
    /// a cluster is about ten seconds old.
    ///
    /// # Errors
    /// [`NotReady`](ErrorKind::NotReady) while applications target the cluster: Argo CD would drop
    /// their finalizers and leave everything they deployed behind. Delete them first, or use
    /// [`delete_with_applications`](Self::delete_with_applications).
    /// [`Forbidden`](ErrorKind::Forbidden) when the account may not see all applications, so that
    /// none can be excluded, or may not delete the cluster.
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when no such cluster is visible to the
    /// account.
    pub async fn delete(&self, server: &ServerUrl) -> Result<bool> {
        let Some(cluster) = self.existing(server).await? else {
            return Ok(false);
        };
        delete::refuse_while_targeted(self, &cluster).await?;
        self.remove(&cluster.server).await
    }

    /// Removes a cluster even though applications target it; what they deployed stays there. Returns
    /// `false` when no such cluster is registered.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) when the account may not delete the cluster;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) when no such cluster is visible to the
    /// account.
    pub async fn delete_with_applications(&self, server: &ServerUrl) -> Result<bool> {
        match self.existing(server).await? {
            None => Ok(false),
            Some(cluster) => self.remove(&cluster.server).await,
        }
    }

    /// The cluster, or none when its absence is proved.
    async fn existing(&self, server: &ServerUrl) -> Result<Option<Cluster>> {
        match self.find(server).await? {
            Some(cluster) => Ok(Some(cluster)),
            None => match self.missing("delete cluster", server).await {
                error if error.is_not_found() => Ok(None),
                error => Err(error),
            },
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
    /// call creates a token and deletes the previous one. The annotation [`CREDENTIALS_ANNOTATION`]
    /// is removed, because the server keeps it although the token is another one.
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
        self.transport.send::<Value>(&call).await?;
        self.forget_credentials(server).await
    }

    /// Removes the annotation of credentials that are not stored any more.
    async fn forget_credentials(&self, server: &ServerUrl) -> Result<()> {
        let Some(cluster) = self.find(server).await? else {
            return Ok(());
        };
        let mut annotations = cluster.annotations;
        if annotations.remove(CREDENTIALS_ANNOTATION).is_some() {
            let update = ClusterUpdate::new().annotations(annotations);
            self.put(&cluster.server, &update).await?;
        }
        Ok(())
    }

    /// The error for a cluster that no list shows: missing, or hidden.
    async fn missing(&self, operation: &'static str, server: &ServerUrl) -> Error {
        let error = Error::new(ErrorKind::NotFoundOrForbidden, operation)
            .with_target(server.as_str())
            .with_server(self.transport.base.as_str())
            .with_message("no such cluster is visible to the account");
        match account::allowed(&self.transport, "clusters", "get", "*").await {
            Ok(true) => error
                .with_kind(ErrorKind::NotFound)
                .with_message("the cluster is not registered"),
            Ok(false) => error,
            Err(cause) => error.with_source(cause),
        }
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
                .error(ErrorKind::InvalidInput)
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
