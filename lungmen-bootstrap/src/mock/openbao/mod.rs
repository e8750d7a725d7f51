//! An OpenBao in the process: KV version 2, logins, policies, health.
//!
//! It answers as OpenBao 2.7.2 was seen to: the envelopes, the four kinds of 404, check-and-set that also counts deleted
//! versions, 403 for what a token may not do and for unknown tokens alike. It can be sealed, be a standby, lag behind, or
//! lose its active node ([`OpenBaoMock::set_mode`], [`OpenBaoMock::lag`]).
//!
//! It is strict: what it does not model is answered with 501 and named. Not modelled are other engines than KV 2,
//! administration over the API (mounts, policies and accounts are given to the builder), renewal limits, wrapping, leases.

mod auth;
mod builder;
mod envelope;
mod handler;
mod kv;
mod policy;
mod record;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;
use tokio::task::JoinSet;
use url::Url;

use handler::Asked;
use state::{Place, State};

pub use builder::OpenBaoMockBuilder;
pub use state::OpenBaoMode;

use super::serve::{Call, CallLog, Fault, FaultQueue};
use crate::services::Result;
use crate::services::openbao::{Client, Credentials, TlsTrust};

/// A group of requests, for faults and assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenBaoRoute {
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

impl OpenBaoRoute {
    fn of(asked: &Asked) -> Self {
        let path = asked.path.as_str();
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
        if holds("data") && asked.method == http::Method::GET {
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

/// What the connections share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    faults: FaultQueue<OpenBaoRoute>,
    calls: CallLog<OpenBaoRoute>,
}

/// A faked OpenBao; a cheap handle. It stops when [`OpenBaoMock::stop`] is called or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct OpenBaoMock {
    shared: Arc<Shared>,
    endpoint: Url,
    trust: TlsTrust,
    root: SecretString,
    running: Arc<tokio::sync::Mutex<JoinSet<()>>>,
}

impl OpenBaoMock {
    /// Starts a server as `bao server -dev` would be: plain HTTP, root token `root`, KV version 2 at `secret`.
    ///
    /// # Errors
    ///
    /// `Configuration` when no port can be had.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Starts with other settings.
    pub fn builder() -> OpenBaoMockBuilder {
        OpenBaoMockBuilder::new()
    }

    fn launch(
        shared: Arc<Shared>,
        (endpoint, trust): (Url, TlsTrust),
        root: SecretString,
        serving: BoxFuture<'static, ()>,
    ) -> Self {
        let mut running = JoinSet::new();
        running.spawn(serving);
        Self {
            shared,
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

    /// What a client has to trust: the certificate of a server started with TLS.
    #[must_use]
    pub fn trust(&self) -> TlsTrust {
        self.trust.clone()
    }

    /// The token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> SecretString {
        self.root.clone()
    }

    /// A client that may do everything.
    ///
    /// # Errors
    ///
    /// `Configuration` when it cannot be built.
    pub fn client(&self) -> Result<Client> {
        self.client_as(Credentials::Token(self.root_token()))
    }

    /// A client with other credentials.
    ///
    /// # Errors
    ///
    /// `Configuration` when it cannot be built.
    pub fn client_as(&self, credentials: Credentials) -> Result<Client> {
        Client::builder(self.endpoint(), credentials)
            .tls(self.trust())
            .build()
    }

    /// Answers the next request of `route` with `fault`.
    pub fn fail_next(&self, route: OpenBaoRoute, fault: Fault) {
        self.shared.faults.next(route, fault);
    }

    /// Answers every request of `route` with `fault`.
    pub fn fail_always(&self, route: OpenBaoRoute, fault: Fault) {
        self.shared.faults.always(route, fault);
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// Every request so far, values and credentials masked.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.all()
    }

    /// Asserts how often `route` was called.
    ///
    /// # Panics
    ///
    /// When it was called more or less often; the message lists all calls.
    #[track_caller]
    pub fn assert_called(&self, route: OpenBaoRoute, times: usize) {
        self.shared.calls.assert(route, times);
    }

    /// Seals the server, makes it a standby, and so on.
    pub fn set_mode(&self, mode: OpenBaoMode) {
        self.lock().mode = mode;
    }

    /// Lets this node lag behind for the next `reads` reads of values: those that name a newer write (raft storage) are
    /// refused with 429, the others do not find it.
    pub fn lag(&self, reads: u32) {
        self.lock().lagging = reads;
    }

    /// Revokes every token a login made, as if their time were over.
    pub fn expire_sessions(&self) {
        self.lock().tokens.retain(|_, token| !token.session);
    }

    /// The values of the newest version in the root namespace, unless it is deleted.
    #[must_use]
    pub fn secret(&self, mount: &str, path: &str) -> Option<Value> {
        let place = Place {
            namespace: String::new(),
            mount: mount.to_owned(),
            path: path.to_owned(),
        };
        let state = self.lock();
        let record = state.secrets.get(&place)?;
        record.values(record.current()).cloned().map(Value::Object)
    }

    /// Closes the port and every connection. May be repeated.
    pub async fn stop(&self) {
        self.running.lock().await.shutdown().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
