//! How a mock is set up.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::ArgoCdMock;
use super::application::ApplicationSeed;
use super::server::{Identity, listen, serve};
use super::state::{MockServer, ServerState, Settings, TargetCheck, TargetProbe};
use super::stored_cluster::StoredCluster;
use crate::version;

/// Sets up an [`ArgoCdMock`].
#[must_use = "a builder does nothing until start is called"]
pub struct ArgoCdMockBuilder {
    settings: Settings,
    state: ServerState,
    tls: bool,
}

impl Default for ArgoCdMockBuilder {
    fn default() -> Self {
        let mut state = ServerState::default();
        state.clusters.push(StoredCluster::in_cluster());
        let project = json!({
            "metadata": {"name": "default"},
            "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
            "status": {},
        });
        state.documents.insert("projects", vec![project]);
        Self {
            settings: Settings {
                version: "v3.5.1".to_owned(),
                number: (3, 5, 1),
                root_path: String::new(),
                anonymous: false,
                monitor_delay: Duration::from_secs(10),
                target_check: TargetCheck(Arc::new(|_| {
                    Box::pin(std::future::ready(Ok("v1.33.4".to_owned())))
                })),
                templates: Vec::new(),
            },
            state,
            tls: false,
        }
    }
}

impl ArgoCdMockBuilder {
    /// The version to be, such as `v2.14.21`; answers follow it. `v3.5.1` by default.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.settings.version = version.into();
        self.settings.number =
            version::number(&self.settings.version).unwrap_or(self.settings.number);
        self
    }

    /// Speaks TLS, with a CA of its own; plain requests are redirected with 307.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Serves below a root path such as `/argocd`.
    pub fn root_path(mut self, path: impl Into<String>) -> Self {
        self.settings.root_path = path.into().trim_end_matches('/').to_owned();
        self
    }

    /// Adds a local account that may log in.
    pub fn account(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.state
            .accounts
            .passwords
            .insert(username.into(), password.into());
        self
    }

    /// How long a session lasts; 24 hours by default. Below five minutes every answer renews it.
    pub fn session_duration(mut self, duration: Duration) -> Self {
        self.state.accounts.session_duration = duration;
        self
    }

    /// Lets callers without a valid session in as anonymous, without any right.
    pub fn anonymous_access(mut self) -> Self {
        self.settings.anonymous = true;
        self
    }

    /// Denies an action on a resource to everybody, as in `deny("clusters", "create")`.
    pub fn deny(mut self, resource: impl Into<String>, action: impl Into<String>) -> Self {
        self.state.denied.insert((resource.into(), action.into()));
        self
    }

    /// Has no entry for its own cluster.
    pub fn without_in_cluster(mut self) -> Self {
        self.state.clusters.clear();
        self
    }

    /// How long after a check a cluster without applications is still called `Successful`;
    /// 10 seconds by default.
    pub fn monitor_delay(mut self, delay: Duration) -> Self {
        self.settings.monitor_delay = delay;
        self
    }

    /// Talks to clusters: called where the real server calls `/version` of a cluster before it
    /// stores it. Answers the version of Kubernetes, or the text of the failure as the Kubernetes
    /// client of Go would put it. By default every cluster answers `v1.33.4`.
    pub fn target_check<F, R>(mut self, check: F) -> Self
    where
        F: Fn(TargetProbe) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.settings.target_check = TargetCheck(Arc::new(move |probe| Box::pin(check(probe))));
        self
    }

    /// Has an application set: an application appears for every registered cluster.
    pub fn application_per_cluster(self, seed: ApplicationSeed) -> Self {
        self.application_per_cluster_with(BTreeMap::new(), seed)
    }

    /// The same for clusters with these labels.
    pub fn application_per_cluster_with(
        mut self,
        labels: BTreeMap<String, String>,
        seed: ApplicationSeed,
    ) -> Self {
        self.settings.templates.push((labels, seed));
        self
    }

    /// Starts the mock on a free port of the loopback interface.
    ///
    /// # Panics
    /// When no port can be opened or no certificate be made: a test cannot go on then.
    #[allow(clippy::panic)]
    pub async fn start(mut self) -> ArgoCdMock {
        let token = SecretString::from(self.state.accounts.api_token("ci"));
        let identity = self.tls.then(|| {
            Identity::generate()
                .unwrap_or_else(|error| panic!("certificate of the Argo CD mock: {error}"))
        });
        let (listener, address) = listen()
            .await
            .unwrap_or_else(|error| panic!("port of the Argo CD mock: {error}"));
        let world = Arc::new(MockServer::new(self.settings, self.state));
        let tls = identity
            .as_ref()
            .map(|identity| Arc::clone(&identity.config));
        let server = tokio::spawn(serve(listener, Arc::clone(&world), tls));
        ArgoCdMock::new(
            world,
            server,
            address,
            token,
            identity.map(|identity| identity.ca_pem),
        )
    }
}

impl std::fmt::Debug for ArgoCdMockBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArgoCdMockBuilder")
            .field("version", &self.settings.version)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
