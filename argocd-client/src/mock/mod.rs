//! A stateful Argo CD in this process, for tests of programs that talk to one.
//!
//! It responds as the real server does, rejections included: redacted reads, 403 for missing clusters,
//! 415 for a wrong content type, ignored query parameters, streams without headers before the first
//! event. Every response of 3.5.1 that was recorded is replayed against it by a test.
//!
//! The `argocd` command line works against it, by gRPC-web and by gRPC: each call is the REST request that means the same.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> argocd_client::Result<()> {
//! use argocd_client::ErrorKind;
//! use argocd_client::mock::{ArgoCdMock, Route, faults};
//!
//! let argocd = ArgoCdMock::start().await;
//! argocd.fail_next(Route::ClusterList, faults::forbidden("clusters", "get", "*"));
//!
//! let error = argocd.client().clusters().list().await.unwrap_err();
//!
//! assert_eq!(error.kind(), ErrorKind::Forbidden);
//! assert_eq!(argocd.client().clusters().list().await?.len(), 1);
//! argocd.assert_called(Route::ClusterList, 2);
//! # Ok(())
//! # }
//! ```

mod accounts;
mod accounts_routes;
mod application;
mod application_routes;
mod application_writes;
mod asked;
mod builder;
mod call;
mod cluster;
mod cluster_body;
mod controller;
mod details;
mod event;
mod fault;
pub mod faults;
mod git;
mod grpc;
mod handler;
mod lifecycle;
mod local_manifests;
mod object;
mod operation;
mod pod_logs;
mod policy;
mod projection;
mod projects;
mod record;
mod repositories;
mod request;
mod resource_routes;
mod response;
mod role_tokens;
mod route;
mod selector;
mod server;
mod server_side_diff;
mod sets;
mod state;
mod stored_cluster;
mod trust;
mod validation;
mod watch;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use url::Url;

pub use application::ApplicationSeed;
pub use builder::ArgoCdMockBuilder;
pub use call::Call;
pub use event::MockEvent;
pub use fault::Fault;
pub use git::GitRepository;
pub use route::Route;
pub use state::TargetProbe;
pub use stored_cluster::ClusterRecord;

use crate::application::Application;
use crate::{Client, Credentials, RetryPolicy, TlsTrust};
use state::MockServer;

/// A running mock. It ends when it is dropped.
pub struct ArgoCdMock {
    server: Arc<MockServer>,
    task: JoinHandle<()>,
    address: SocketAddr,
    token: SecretString,
    ca_pem: Option<String>,
}

impl ArgoCdMock {
    fn new(
        server: Arc<MockServer>,
        task: JoinHandle<()>,
        address: SocketAddr,
        token: SecretString,
        ca_pem: Option<String>,
    ) -> Self {
        Self {
            server,
            task,
            address,
            token,
            ca_pem,
        }
    }

    /// Starts a mock with the defaults: plain HTTP, version 3.5.1, every cluster reachable.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts building a mock.
    pub fn builder() -> ArgoCdMockBuilder {
        ArgoCdMockBuilder::default()
    }

    /// Its address, with the root path.
    ///
    /// # Panics
    /// Never: the address was made from a socket.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn endpoint(&self) -> Url {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        let text = format!(
            "{scheme}://{}{}",
            self.address, self.server.settings.root_path
        );
        Url::parse(&text).expect("a socket address makes a URL")
    }

    /// An API token that it accepts.
    #[must_use]
    pub fn token(&self) -> SecretString {
        self.token.clone()
    }

    /// A new API token of an account, with the rights that the policy gives it.
    #[must_use]
    pub fn token_of(&self, account: &str) -> SecretString {
        SecretString::from(self.server.state().accounts.api_token(account))
    }

    /// A client of an account, like [`client`](Self::client) in everything else.
    #[must_use]
    pub fn client_of(&self, account: &str) -> Client {
        self.client_with(Credentials::Token(self.token_of(account)))
    }

    /// The CA of its certificate, when it speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The trust that a client of the mock needs.
    ///
    /// # Panics
    /// Never: the CA was generated here.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn trust(&self) -> TlsTrust {
        self.ca_pem().map_or(TlsTrust::SystemRoots, |pem| {
            TlsTrust::from_pem(pem).expect("a generated CA is a certificate")
        })
    }

    /// An authenticated client that trusts the mock and repeats requests with delays of milliseconds.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_with(Credentials::Token(self.token.clone()))
    }

    #[allow(clippy::expect_used)]
    fn client_with(&self, credentials: Credentials) -> Client {
        let fast =
            RetryPolicy::default().delays(Duration::from_millis(1), Duration::from_millis(5));
        Client::builder(self.endpoint(), credentials)
            .trust(self.trust())
            .retry(fast)
            .build()
            .expect("the mock's own settings make a client")
    }

    /// Stops both controllers: applications and application sets do not change any more, and a
    /// refresh is not answered.
    pub fn stop_controller(&self) {
        self.server.stop_controller(true);
    }

    /// Lets the controllers run again; they do what they have missed.
    pub fn start_controller(&self) {
        self.server.stop_controller(false);
    }

    /// Adds a line to the log of a pod of an application.
    pub fn add_log(&self, application: &str, pod: &str, line: &str) {
        let entry = (application.to_owned(), pod.to_owned(), line.to_owned());
        self.server.state().logs.push(entry);
    }

    /// Makes the next request to `route` fail with `fault`. Calls are queued in order.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.server.faults.fail_next(route, fault);
    }

    /// Makes every request to `route` fail with `fault`, once the queued faults are used up.
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.server.faults.fail_always(route, fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.server.faults.clear();
    }

    /// Denies an action on a resource to every account from now on.
    pub fn deny(&self, resource: &str, action: &str) {
        self.server.state().policy.deny(resource, action);
    }

    /// Removes a denial.
    pub fn allow(&self, resource: &str, action: &str) {
        self.server.state().policy.allow(resource, action);
    }

    /// Ends all sessions; API tokens stay valid.
    pub fn expire_sessions(&self) {
        self.server.state().accounts.expire_sessions();
    }

    /// Makes every token invalid.
    pub fn revoke_all_tokens(&self) {
        self.server.state().accounts.revoke_all();
    }

    /// The registered clusters, without the server's own.
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterRecord> {
        let state = self.server.state();
        state
            .clusters
            .iter()
            .filter(|cluster| cluster.has_secret())
            .map(stored_cluster::StoredCluster::record)
            .collect()
    }

    /// The cluster registered under this address.
    #[must_use]
    pub fn cluster(&self, server: &str) -> Option<ClusterRecord> {
        self.clusters()
            .into_iter()
            .find(|cluster| cluster.server == server)
    }

    /// Makes the connection to a cluster fail with a message, or work again with `None`.
    pub fn set_connection_failure(&self, server: &str, message: Option<&str>) {
        let mut state = self.server.state();
        for cluster in state
            .clusters
            .iter_mut()
            .filter(|cluster| cluster.server() == server)
        {
            cluster.fail(message.map(str::to_owned));
        }
    }

    /// Replaces the token that is stored for a cluster, as somebody who edits its Secret does: nothing is checked, and labels
    /// and annotations stay.
    pub fn set_stored_token(&self, server: &str, token: impl Into<String>) {
        let token = token.into();
        let mut state = self.server.state();
        for cluster in state
            .clusters
            .iter_mut()
            .filter(|cluster| cluster.server() == server)
        {
            cluster.body.config.bearer_token.clone_from(&token);
        }
    }

    /// Adds an application and starts its life cycle.
    pub fn add_application(&self, seed: ApplicationSeed) {
        application::add(&self.server, &seed);
    }

    /// Removes an application, as another client would.
    pub fn remove_application(&self, namespace: &str, name: &str) {
        application::remove(&self.server, &(namespace.to_owned(), name.to_owned()));
    }

    /// The applications as a client would see them.
    #[must_use]
    pub fn applications(&self) -> Vec<Application> {
        let state = self.server.state();
        state
            .applications
            .iter()
            .filter_map(|application| serde_json::from_value(application.clone()).ok())
            .collect()
    }

    /// All requests received so far, in order, without secrets.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.server.state().calls.clone()
    }

    /// Asserts how often a route was requested.
    ///
    /// # Panics
    /// When the number differs; prints all requests.
    #[track_caller]
    pub fn assert_called(&self, route: Route, times: usize) {
        let calls = self.calls();
        let seen = calls
            .iter()
            .filter(|call| call.route == Some(route))
            .count();
        assert!(
            seen == times,
            "{route:?} was called {seen} times, not {times}; all calls: {calls:#?}"
        );
    }

    /// The events since the start of the mock.
    pub fn events(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        self.server.journal.stream()
    }
}

impl fmt::Debug for ArgoCdMock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgoCdMock")
            .field("address", &self.address)
            .field("version", &self.server.settings.version)
            .finish_non_exhaustive()
    }
}

impl Drop for ArgoCdMock {
    fn drop(&mut self) {
        self.task.abort();
        self.server
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}
