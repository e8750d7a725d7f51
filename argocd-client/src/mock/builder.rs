//! How a mock is set up.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::application::ApplicationSeed;
use super::git::GitRepository;
use super::server::{Identity, listen, serve};
use super::state::{MockServer, ServerState, Settings, TargetCheck, TargetProbe, TokenRotation};
use super::stored_cluster::StoredCluster;
use super::{ArgoCdMock, projects, sets, trust};
use crate::version;

/// Sets up an [`ArgoCdMock`].
#[must_use = "a builder does nothing until start is called"]
pub struct ArgoCdMockBuilder {
    settings: Settings,
    /// On the heap: futures that build a mock would be large otherwise.
    state: Box<ServerState>,
    kubernetes: String,
    in_cluster: bool,
    tls: bool,
}

impl Default for ArgoCdMockBuilder {
    fn default() -> Self {
        let mut state = ServerState::default();
        state.accounts.add("ci", None);
        state.policy.add("g, ci, role:admin");
        state
            .namespaces
            .extend(["default", "kube-system", "argocd"].map(str::to_owned));
        projects::default_project(&mut state);
        trust::known_hosts(&mut state);
        Self {
            settings: Settings {
                version: "v3.5.1".to_owned(),
                number: (3, 5, 1),
                root_path: String::new(),
                url: "https://argocd.example.com".to_owned(),
                anonymous: false,
                monitor_delay: Duration::from_secs(10),
                controller_delay: Duration::from_millis(5),
                set_retry: Duration::ZERO,
                target_check: TargetCheck(Arc::new(|_| {
                    Box::pin(std::future::ready(Ok(KUBERNETES.to_owned())))
                })),
                rotation: TokenRotation(Arc::new(|probe| {
                    Box::pin(std::future::ready(next_token(probe)))
                })),
                templates: Vec::new(),
                repositories: Vec::new(),
                application_namespaces: vec!["*".to_owned()],
                oidc: None,
            },
            state: Box::new(state),
            kubernetes: KUBERNETES.to_owned(),
            in_cluster: true,
            tls: false,
        }
    }
}

/// The version that every cluster reports by default.
const KUBERNETES: &str = "v1.33.4";

/// A token that differs from the one before, as after a rotation.
fn next_token(probe: TargetProbe) -> Result<String, String> {
    let old = probe
        .bearer_token
        .map(|token| token.expose_secret().to_owned())
        .unwrap_or_default();
    Ok(format!("{old}-rotated"))
}

impl ArgoCdMockBuilder {
    /// Sets the version of the server, such as `v2.14.21`; responses follow it. Defaults to `v3.5.1`.
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
        let username = username.into();
        self.state.accounts.add(&username, Some(password.into()));
        self.state.policy.add(&format!("g, {username}, role:admin"));
        self
    }

    /// Adds a local account without any right but those of the [policy](Self::policy).
    pub fn restricted_account(mut self, username: impl Into<String>) -> Self {
        self.state.accounts.add(&username.into(), None);
        self
    }

    /// Adds lines of RBAC in the server's language: `p, limited, applications, get, default/*, allow`
    /// or `g, limited, role:readonly`.
    ///
    /// # Panics
    /// For a line that is neither a rule nor a role.
    pub fn policy(mut self, csv: &str) -> Self {
        self.state.policy.add(csv);
        self
    }

    /// Sets the role that every account has; none by default.
    pub fn default_role(mut self, role: impl Into<String>) -> Self {
        self.state.policy.set_default_role(role.into());
        self
    }

    /// Adds a Git repository that the mock can read.
    pub fn git(mut self, repository: GitRepository) -> Self {
        self.settings.repositories.push(repository);
        self
    }

    /// Sets the namespaces outside Argo CD's own that may hold applications, as patterns. Defaults to
    /// `*`; the default of a real installation is none.
    pub fn application_namespaces<T: Into<String>>(
        mut self,
        namespaces: impl IntoIterator<Item = T>,
    ) -> Self {
        self.settings.application_namespaces = namespaces.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the address that the settings show.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.settings.url = url.into();
        self
    }

    /// Sets the OIDC provider that the settings show, in the form of the API.
    pub fn oidc(mut self, config: serde_json::Value) -> Self {
        self.settings.oidc = Some(config);
        self
    }

    /// Sets the version of Kubernetes that every cluster reports. Defaults to `v1.33.4`.
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        let version = version.into();
        self.kubernetes.clone_from(&version);
        self.target_check(move |_| std::future::ready(Ok(version.clone())))
    }

    /// Sets how long each turn of the controllers takes. Defaults to 5 ms.
    pub fn controller_delay(mut self, delay: Duration) -> Self {
        self.settings.controller_delay = delay;
        self
    }

    /// Lets application sets meet every new cluster too early, so that they come back only after
    /// this time, unless a change of the cluster's labels wakes them up. A real server takes 180 s.
    pub fn late_application_sets(mut self, retry: Duration) -> Self {
        self.settings.set_retry = retry;
        self
    }

    /// Makes the next token of a cluster when its credentials are rotated. By default the old one
    /// with a suffix.
    pub fn token_rotation<F, R>(mut self, rotation: F) -> Self
    where
        F: Fn(TargetProbe) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.settings.rotation = TokenRotation(Arc::new(move |probe| Box::pin(rotation(probe))));
        self
    }

    /// Sets how long a session lasts. Defaults to 24 hours; below five minutes every response renews it.
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
        self.state.policy.deny(&resource.into(), &action.into());
        self
    }

    /// Has no entry for its own cluster.
    pub fn without_in_cluster(mut self) -> Self {
        self.in_cluster = false;
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
    /// client of Go would put it. By default every cluster reports `v1.33.4`.
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
        if self.in_cluster {
            self.state
                .clusters
                .push(StoredCluster::in_cluster(&self.kubernetes));
        }
        sets::of_templates(&self.settings.templates, &mut self.state);
        let identity = self.tls.then(|| {
            Identity::generate()
                .unwrap_or_else(|error| panic!("certificate of the Argo CD mock: {error}"))
        });
        let (listener, address) = listen()
            .await
            .unwrap_or_else(|error| panic!("port of the Argo CD mock: {error}"));
        let server = Arc::new(MockServer::new(self.settings, *self.state));
        let tls = identity
            .as_ref()
            .map(|identity| Arc::clone(&identity.config));
        let task = tokio::spawn(serve(listener, Arc::clone(&server), tls));
        ArgoCdMock::new(
            server,
            task,
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
