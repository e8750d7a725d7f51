//! A Proxmox VE in the process, for tests of this crate and of programs that use it.
//!
//! The mock keeps nodes, storages, files and VMs, and changes them as the real server does: long work is a task, error
//! responses have the server's text in the status line, unknown or wrong parameters are rejected by an excerpt of the
//! server's own description of its calls, and a token can do what its privileges allow. A call that the mock does not
//! know gets status 501.
//!
//! What differs from the real server: no response is delayed unless a [`Fault`] says so (a wrong password takes 3 s
//! there), and no VM boots: a program that plays the guest listens to [`PveMock::events`].

mod agent;
mod auth;
mod backup;
mod body;
mod builder;
mod call;
mod check;
mod cloud_init;
mod cluster;
pub mod contract;
mod directory;
mod event;
mod fault;
mod faults;
mod fetch;
mod firewall;
mod ha;
mod handler;
mod json;
mod lifecycle;
mod multipart;
mod node;
mod pool;
mod power;
mod privileges;
mod redirect;
mod reply;
mod request;
mod restore;
mod route;
mod server;
mod shared;
mod snippets;
mod state;
mod storage;
mod task;
mod vm;
mod vm_config;
mod world;

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use url::Url;

use crate::client::Client;
use crate::credentials::{ApiToken, Credentials};
use crate::retry::RetryPolicy;
use crate::tls::{Fingerprint, TlsTrust};
use shared::Shared;

pub use auth::Acl;
pub use builder::PveMockBuilder;
pub use call::Call;
pub use contract::Contract;
pub use event::MockEvent;
pub use fault::Fault;
pub use route::Route;
pub use state::{MockStorage, VmRecord, VolumeRecord};
pub use world::Quorum;

/// The server. Clones are handles to the same one; it stops with the last of them.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use proxmox_client::mock::{Fault, PveMock, Route};
///
/// let mock = PveMock::start().await;
/// mock.fail_next(Route::Version, Fault::Disconnect);
///
/// // Reading is repeated after a broken connection.
/// assert_eq!(mock.client().version().await?.major, 9);
/// mock.assert_called(Route::Version, 2);
/// # Ok::<(), proxmox_client::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct PveMock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Shared,
    endpoint: Url,
    certificate: Option<CertificateDer<'static>>,
    token: (String, SecretString),
    server: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl PveMock {
    /// A server with one node `pve-01`, storages `local` and `nvme-lvm`, bridges `vmbr0` and
    /// `vmbr1`, and an administrator's token.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A builder for a server with other nodes, storages, versions or accounts.
    pub fn builder() -> PveMockBuilder {
        PveMockBuilder::new()
    }

    fn new(
        shared: Shared,
        endpoint: Url,
        certificate: Option<CertificateDer<'static>>,
        token: (String, SecretString),
        server: JoinHandle<()>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                shared,
                endpoint,
                certificate,
                token,
                server,
            }),
        }
    }

    /// The address: `http://127.0.0.1:PORT`, or `https` when it was built with TLS.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.inner.endpoint.clone()
    }

    /// The certificate; `None` without TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.inner.certificate.clone()
    }

    /// The fingerprint of the certificate; `None` without TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.inner.certificate.as_ref().map(builder::fingerprint)
    }

    /// A client with the first token that trusts the mock and repeats failed requests within milliseconds.
    ///
    /// # Panics
    /// When the token given to the builder is not of the form `user@realm!name`.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a mock that cannot be used ends the test"
    )]
    pub fn client(&self) -> Client {
        self.client_builder(self.credentials())
            .build()
            .expect("a client of the mock")
    }

    /// A trust that accepts the mock's certificate.
    #[must_use]
    pub fn trust(&self) -> TlsTrust {
        self.fingerprint()
            .map_or(TlsTrust::SystemRoots, TlsTrust::pinned)
    }

    /// The credentials of the first token, which [`client`](Self::client) uses.
    ///
    /// # Panics
    /// When the token given to the builder does not have the form `user@realm!name`.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a mock that cannot be used ends the test"
    )]
    pub fn credentials(&self) -> Credentials {
        let (id, secret) = &self.inner.token;
        ApiToken::new(id, secret.clone())
            .expect("a well-formed token")
            .into()
    }

    /// A builder for a client that trusts the mock, for other credentials or timeouts.
    pub fn client_builder(&self, credentials: impl Into<Credentials>) -> crate::ClientBuilder {
        use std::time::Duration;
        let retry =
            RetryPolicy::default().delays(Duration::from_millis(1), Duration::from_millis(5));
        let builder = Client::builder(self.endpoint(), credentials)
            .trust(self.trust())
            .retry(retry);
        match self.fingerprint() {
            Some(_) => builder,
            None => builder.danger_allow_plain_http(),
        }
    }

    /// The id of the token that [`client`](Self::client) uses.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.inner.token.0
    }

    /// The secret of the token that [`client`](Self::client) uses.
    #[must_use]
    pub fn token_secret(&self) -> &SecretString {
        &self.inner.token.1
    }

    /// Makes the next request to `route` fail with `fault`. Calls are queued in order.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.inner.shared.faults().fail_next(route, fault);
    }

    /// Makes every request to `route` fail with `fault` until [`clear_faults`](Self::clear_faults).
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.inner.shared.faults().fail_always(route, fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.inner.shared.faults().clear();
    }

    /// Makes the next task that is started end with this exit status and without an effect.
    pub fn fail_next_task(&self, exit_text: &str) {
        let mut state = self.inner.shared.state();
        state.failing_tasks.push_back(exit_text.to_owned());
    }

    /// Invalidates all tickets, so that users with a password have to log in again.
    pub fn expire_tickets(&self) {
        self.inner.shared.state().accounts.expire_tickets();
    }

    /// All requests received so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.inner.shared.calls().clone()
    }

    /// Checks the number of requests to `route`.
    ///
    /// # Panics
    /// When the number differs. The message lists all calls.
    #[track_caller]
    pub fn assert_called(&self, route: Route, times: usize) {
        let calls = self.calls();
        let found = calls.iter().filter(|call| call.route == route).count();
        let list: Vec<String> = calls
            .iter()
            .map(|call| format!("  {} {}", call.method, call.path))
            .collect();
        assert_eq!(
            found,
            times,
            "calls of {route:?}; all calls:\n{}",
            list.join("\n")
        );
    }
}
