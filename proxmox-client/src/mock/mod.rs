//! A Proxmox VE in the process, for tests of this crate and of programs that use it.
//!
//! It keeps a world of nodes, storages, files and VMs, and changes it as the real server would:
//! long work is a task, refusals have the server's words in the status line, unknown or wrong
//! parameters are refused by an excerpt of the server's own description of its calls, and a token
//! can do what its privileges allow. A call that it does not know is answered with 501.
//!
//! What differs from the real server: no answer is delayed unless asked for (a wrong password takes
//! 3 s there), changes of a running VM take effect at once, and nothing is ever really booted: a
//! program that wants to play the guest listens to [`PveMock::events`].

mod auth;
mod builder;
mod call;
pub mod contract;
mod event;
mod fault;
mod format;
mod handler;
mod multipart;
mod power;
mod reply;
mod route;
mod server;
mod state;
mod storage;
mod task;
mod vm;
mod vm_config;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::Stream;
use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use url::Url;

use crate::client::Client;
use crate::credentials::ApiToken;
use crate::id::{VmId, VolumeId};
use crate::retry::RetryPolicy;
use crate::tls::{Fingerprint, TlsTrust};
use crate::vm::guest::GuestInterface;
use fault::FaultQueue;
use state::State;

pub use auth::Acl;
pub use builder::PveMockBuilder;
pub use call::Call;
pub use contract::Contract;
pub use event::MockEvent;
pub use fault::Fault;
pub use route::Route;
pub use state::{MockStorage, VmRecord, VolumeRecord};

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

    /// A server with another world.
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

    /// Where it listens: `http://127.0.0.1:PORT`, or `https` when it was built with TLS.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.inner.endpoint.clone()
    }

    /// The certificate, when it speaks TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.inner.certificate.clone()
    }

    /// The fingerprint of the certificate, when it speaks TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.inner.certificate.as_ref().map(builder::fingerprint)
    }

    /// A client with the first token, trusting the certificate, that repeats within milliseconds.
    ///
    /// # Panics
    /// When the token given to the builder is not of the form `user@realm!name`.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a mock that cannot be used ends the test"
    )]
    pub fn client(&self) -> Client {
        let (id, secret) = &self.inner.token;
        let token = ApiToken::new(id, secret.clone()).expect("a well-formed token");
        self.client_builder()
            .credentials(token)
            .build()
            .expect("a client of the mock")
    }

    /// A builder of a client that trusts the mock, for other credentials or limits.
    pub fn client_builder(&self) -> crate::ClientBuilder {
        use std::time::Duration;
        let retry =
            RetryPolicy::default().pauses(Duration::from_millis(1), Duration::from_millis(5));
        let builder = Client::builder(self.endpoint()).retry(retry);
        match self.fingerprint() {
            Some(fingerprint) => builder.tls(TlsTrust::Pinned(fingerprint)),
            // No certificate is looked at; loading the public ones takes a while.
            None => builder
                .danger_allow_plain_http()
                .tls(TlsTrust::Pinned(NOBODY)),
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

    /// The next request of this kind goes wrong so. Several queue up.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.inner.shared.world.faults.once(route, fault);
    }

    /// Every request of this kind goes wrong so, until [`recover`](Self::recover).
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.inner.shared.world.faults.always(route, fault);
    }

    /// Forgets all faults of this kind of request.
    pub fn recover(&self, route: Route) {
        self.inner.shared.world.faults.clear(route);
    }

    /// The next request that starts a task succeeds, but its task ends with this text and without
    /// effect.
    pub fn fail_next_task(&self, exit_text: &str) {
        let mut state = self.inner.shared.state();
        state.failing_tasks.push_back(exit_text.to_owned());
    }

    /// Everybody who logged in with a password has to do so again.
    pub fn expire_tickets(&self) {
        self.inner.shared.state().accounts.expire_tickets();
    }

    /// Everything that was asked so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.inner.shared.calls().clone()
    }

    /// Checks how often a kind of request was made.
    ///
    /// # Panics
    /// When the number is another one; the message lists all calls.
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

    /// What happens from now on. The stream does not keep the server alive.
    pub fn events(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        self.inner.shared.state().events.subscribe()
    }

    /// A VM, finished or being created.
    #[must_use]
    pub fn vm(&self, id: VmId) -> Option<VmRecord> {
        self.inner.shared.state().record(id)
    }

    /// The ids of all VMs.
    #[must_use]
    pub fn vm_ids(&self) -> Vec<VmId> {
        self.inner.shared.state().vms.keys().copied().collect()
    }

    /// A file or disk.
    #[must_use]
    pub fn volume(&self, id: &VolumeId) -> Option<VolumeRecord> {
        self.inner.shared.state().volumes.get(id).cloned()
    }

    /// All files and disks.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeRecord> {
        self.inner
            .shared
            .state()
            .volumes
            .values()
            .cloned()
            .collect()
    }

    /// Puts a file onto a storage, as if it had been uploaded earlier.
    ///
    /// # Panics
    /// When the storage does not exist or is full.
    pub fn add_file(&self, id: VolumeId, body: impl Into<Bytes>) {
        let content = id.name().split('/').next().unwrap_or_default().to_owned();
        let record = VolumeRecord::file(id, &content, body.into(), None);
        let added = self.inner.shared.state().add_volume(record);
        assert_eq!(added, Ok(()), "a file for the mock");
    }

    /// What the guest agent of a running VM answers; `None` for no answer. Stopping forgets it.
    pub fn set_guest_interfaces(&self, id: VmId, interfaces: Option<Vec<GuestInterface>>) {
        if let Some(vm) = self.inner.shared.state().vms.get_mut(&id) {
            vm.interfaces = interfaces;
        }
    }

    /// The guest switches itself off.
    pub fn stop_vm(&self, id: VmId) {
        let mut state = self.inner.shared.state();
        // Stopping has no way to fail.
        let stopped = power::stop(&mut state, id);
        debug_assert!(stopped.is_ok());
    }

    /// Somebody else creates a VM with these options, finished and stopped.
    ///
    /// # Panics
    /// When a drive cannot be allocated.
    pub fn add_vm(&self, id: VmId, options: &[(&str, &str)]) {
        let added = self.inner.shared.state().add_vm(id, options);
        assert_eq!(added, Ok(()), "a VM for the mock");
    }
}

/// The pin that fits no certificate, for connections without any.
const NOBODY: Fingerprint = Fingerprint::from_bytes([0; 32]);

/// What the server, its tasks and the handle share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    world: Arc<World>,
}

#[derive(Debug)]
struct World {
    state: Mutex<State>,
    faults: FaultQueue,
    calls: Mutex<Vec<Call>>,
    /// Whom the node trusts when it fetches a URL.
    download_trust: TlsTrust,
}

impl Shared {
    fn new(state: State, download_trust: TlsTrust) -> Self {
        Self {
            world: Arc::new(World {
                state: Mutex::new(state),
                faults: FaultQueue::default(),
                calls: Mutex::default(),
                download_trust,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.world
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.world
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, call: Call) {
        self.calls().push(call);
    }

    fn take_fault(&self, route: Route) -> Option<Fault> {
        self.world.faults.take(route)
    }

    /// Fetches a URL as the node's wget does; the error is wget's exit code.
    async fn fetch(&self, url: &Url) -> Result<Bytes, u8> {
        let trust = match url.scheme() {
            "https" => &self.world.download_trust,
            _ => &TlsTrust::Pinned(NOBODY),
        };
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust.client_config().map_err(|_| 5)?)
            .no_proxy()
            .build()
            .map_err(|_| 5)?;
        let answer = client.get(url.clone()).send().await;
        let answer = answer.map_err(|error| match crate::tls::find_tls_error(&error) {
            Some(_) => 5,
            None => 4,
        })?;
        if !answer.status().is_success() {
            return Err(8);
        }
        answer.bytes().await.map_err(|_| 4)
    }
}
