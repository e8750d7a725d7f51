//! A mock OpenBao server in the process: KV version 2, logins, policies, health.
//!
//! The responses are those of OpenBao 2.7.2: the envelopes, the four kinds of 404, check-and-set that also counts deleted
//! versions, 403 for missing permissions and for unknown tokens alike. The server can be sealed, be a standby, lag behind,
//! or lose its active node ([`OpenBaoMock::set_mode`], [`OpenBaoMock::lag`]).
//!
//! Requests that it does not model get 501 and are named: engines other than KV 2, administration over the API (mounts,
//! policies and accounts are settings of the builder), limits of renewal, wrapping, leases.

#![allow(
    clippy::expect_used,
    reason = "a mock that cannot be used ends the test"
)]

mod auth;
mod builder;
mod envelope;
mod handler;
mod kv;
mod policy;
mod record;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;
use tokio::task::JoinSet;
use url::Url;

use handler::ApiRequest;
use state::{OpenBaoState, SecretPath};

pub use builder::OpenBaoMockBuilder;
pub use state::OpenBaoMode;

use super::serve::{Call, CallLog, Fault, FaultQueue};
use crate::services::TlsTrust;
use crate::services::openbao::{Client, Credentials};

/// A group of requests, for faults and assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `sys/health` and `sys/seal-status`
    Health,
    /// Every login.
    Login,
    /// `auth/token/…-self` and `sys/capabilities-self`
    Token,
    /// Reading values.
    Read,
    /// Writing and deleting values.
    Write,
    /// Everything about metadata, lists included.
    Metadata,
    /// `sys/internal/ui/mounts`
    Mounts,
    /// Everything else.
    Unknown,
}

impl Route {
    /// All routes.
    pub const ALL: &[Self] = &[
        Self::Health,
        Self::Login,
        Self::Token,
        Self::Read,
        Self::Write,
        Self::Metadata,
        Self::Mounts,
        Self::Unknown,
    ];

    fn of(request: &ApiRequest) -> Self {
        let path = request.path.as_str();
        match path {
            "sys/health" | "sys/seal-status" => return Self::Health,
            "sys/capabilities-self" => return Self::Token,
            _ => {}
        }
        if path.starts_with("auth/token/") {
            return Self::Token;
        }
        if path.starts_with("auth/") && path.contains("/login") {
            return Self::Login;
        }
        if path.starts_with("sys/internal/ui/mounts/") {
            return Self::Mounts;
        }
        let holds = |kind: &str| path.contains(&format!("/{kind}/"));
        if holds("data") && request.method == http::Method::GET {
            return Self::Read;
        }
        if ["data", "delete", "undelete", "destroy"]
            .into_iter()
            .any(holds)
        {
            return Self::Write;
        }
        if holds("metadata") || path.ends_with("/metadata") {
            return Self::Metadata;
        }
        Self::Unknown
    }
}

/// Something that happened in the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenBaoEvent {
    /// A login created a token.
    LoggedIn {
        /// Name of its owner, for example `approle`.
        owner: String,
    },
    /// A version of a secret was written.
    SecretWritten {
        /// Path of the mount.
        mount: String,
        /// Path of the secret.
        path: String,
        /// Number of the version.
        version: u64,
    },
    /// A version was deleted or destroyed, or a secret removed.
    SecretDeleted {
        /// Path of the mount.
        mount: String,
        /// Path of the secret.
        path: String,
    },
}

/// The server that all connections share.
#[derive(Debug, Default)]
struct OpenBaoServer {
    state: Mutex<OpenBaoState>,
    faults: FaultQueue<Route>,
    calls: CallLog<Route>,
}

/// A mock OpenBao server; a cheap handle. It stops when [`OpenBaoMock::stop`] is called or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct OpenBaoMock {
    server: Arc<OpenBaoServer>,
    endpoint: Url,
    trust: TlsTrust,
    root: SecretString,
    running: Arc<tokio::sync::Mutex<JoinSet<()>>>,
}

impl OpenBaoMock {
    /// Starts a server like `bao server -dev`: plain HTTP, root token `root`, KV version 2 at `secret`.
    ///
    /// # Panics
    ///
    /// When no port is available on the loopback interface.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with other settings.
    pub fn builder() -> OpenBaoMockBuilder {
        OpenBaoMockBuilder::new()
    }

    fn launch(
        server: Arc<OpenBaoServer>,
        (endpoint, trust): (Url, TlsTrust),
        root: SecretString,
        serving: BoxFuture<'static, ()>,
    ) -> Self {
        let mut running = JoinSet::new();
        running.spawn(serving);
        Self {
            server,
            endpoint,
            trust,
            root,
            running: Arc::new(tokio::sync::Mutex::new(running)),
        }
    }

    /// Address of the server.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.endpoint.clone()
    }

    /// The trust that a client needs: the certificate of a server with TLS.
    #[must_use]
    pub fn trust(&self) -> TlsTrust {
        self.trust.clone()
    }

    /// The token that permits everything.
    #[must_use]
    pub fn root_token(&self) -> SecretString {
        self.root.clone()
    }

    /// A client that is permitted everything.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_with(Credentials::token(self.root_token()))
    }

    /// A client with other credentials.
    ///
    /// # Panics
    ///
    /// When the credentials cannot be used.
    #[must_use]
    pub fn client_with(&self, credentials: Credentials) -> Client {
        Client::builder(self.endpoint(), credentials)
            .trust(self.trust())
            .build()
            .expect("the address and trust of the mock are valid")
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

    /// All requests received so far, in order, with values and credentials masked.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.server.calls.all()
    }

    /// The route of each request in [`calls`](Self::calls).
    #[must_use]
    pub fn called_routes(&self) -> Vec<Route> {
        self.server.calls.routes()
    }

    /// Asserts how many times `route` was called.
    ///
    /// # Panics
    ///
    /// When it was called more or less often; the message lists all calls.
    #[track_caller]
    pub fn assert_called(&self, route: Route, times: usize) {
        self.server.calls.assert(route, times);
    }

    /// What happens from now on.
    pub fn events(&self) -> impl Stream<Item = OpenBaoEvent> + Send + use<> {
        self.lock().events.stream()
    }

    /// Seals the server, makes it a standby, and so on.
    pub fn set_mode(&self, mode: OpenBaoMode) {
        self.lock().mode = mode;
    }

    /// Makes the next `reads` reads of values stale: those that name a newer write (raft storage) are rejected with 429,
    /// the others do not find it.
    pub fn lag(&self, reads: u32) {
        self.lock().lagging = reads;
    }

    /// Revokes every token that a login created, as if it had expired.
    pub fn expire_sessions(&self) {
        self.lock().tokens.retain(|_, token| !token.session);
    }

    /// The values of the newest version in the root namespace, unless it is deleted.
    #[must_use]
    pub fn secret(&self, mount: &str, path: &str) -> Option<Value> {
        let key = SecretPath {
            namespace: String::new(),
            mount: mount.to_owned(),
            path: path.to_owned(),
        };
        let state = self.lock();
        let record = state.secrets.get(&key)?;
        record.values(record.current()).cloned().map(Value::Object)
    }

    /// Closes the port and every connection. May be repeated.
    pub async fn stop(&self) {
        self.running.lock().await.shutdown().await;
    }

    fn lock(&self) -> MutexGuard<'_, OpenBaoState> {
        self.server
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
