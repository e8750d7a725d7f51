//! The handle to a mock node.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use secrecy::SecretString;
use tokio::task::JoinHandle;

use super::builder::{BootOrder, TalosMockBuilder};
use super::call::Call;
use super::event::MockEvent;
use super::fault::Fault;
use super::node::{self, Mode, Node};
use super::route::Route;
use super::{etcd, life};
use crate::api::cosi::Stage;
use crate::api::machine::EtcdAlarmKind;
use crate::secrets::{CertificateAndKey, Role};
use crate::{Client, Credentials, DEFAULT_PORT, Endpoint, MaintenanceClient};

/// A mock node. A handle: clones are the same node, and the last one takes it down.
#[derive(Debug, Clone)]
pub struct TalosMock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Arc<Node>,
    life: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    /// Ends the node's life without a word, as a power failure does.
    fn stop(&self) -> bool {
        let life = self
            .life
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let was_on = life.as_ref().is_some_and(|life| !life.is_finished());
        if let Some(life) = life {
            life.abort();
        }
        self.node.port.cut();
        was_on
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
        // The others do not forget its member of etcd.
        etcd::lose(&self.node);
    }
}

/// Making and powering a node.
impl TalosMock {
    /// Starts a node with the defaults: v1.10.7, an empty disk, no Secure Boot, switched on, milliseconds for everything.
    ///
    /// # Panics
    /// As [`TalosMockBuilder::start`].
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Sets up a node.
    pub fn builder() -> TalosMockBuilder {
        TalosMockBuilder::default()
    }

    pub(super) fn new(node: Node) -> Self {
        let node = Arc::new(node);
        node.setup.network.add(&node);
        Self {
            inner: Arc::new(Inner {
                node,
                life: Mutex::new(None),
            }),
        }
    }

    pub(super) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.inner.node)
    }

    /// Switches the node on; does nothing when it is on.
    pub fn power_on(&self) {
        let mut life = self
            .inner
            .life
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if life.as_ref().is_some_and(|life| !life.is_finished()) {
            return;
        }
        self.inner.node.events.push(MockEvent::PoweredOn);
        *life = Some(tokio::spawn(life::live(self.node())));
    }

    /// Switches the node off at once. What is on its disk stays.
    pub fn power_off(&self) {
        if self.inner.stop() {
            self.inner.node.update(node::power_off);
            self.inner.node.events.push(MockEvent::PoweredOff);
        }
    }

    /// What the firmware tries first, from the next boot on.
    pub fn set_boot_order(&self, order: BootOrder) {
        self.inner.node.update(|state| state.boot_order = order);
    }

    /// What the platform gives the node as user data, from the next boot on. The node reads it at every boot for which its
    /// disk has no configuration; one that cannot be used keeps its port closed.
    pub fn set_user_data(&self, user_data: Option<SecretString>) {
        self.inner.node.update(|state| state.user_data = user_data);
    }

    /// Lets the node tell a time that is ahead of that of this host.
    pub fn set_clock_ahead(&self, ahead: Duration) {
        self.inner.node.update(|state| state.clock_ahead = ahead);
    }

    /// Kubernetes regards the node as ready.
    pub fn set_node_ready(&self) {
        self.inner.node.update(|state| state.is_node_ready = true);
    }

    /// Kubernetes does not regard the node as ready any more, until [`set_node_ready`](Self::set_node_ready) or a reboot.
    pub fn set_node_not_ready(&self) {
        self.inner.node.update(|state| state.is_node_ready = false);
    }

    /// Makes the next installation fail: the node boots into maintenance mode again.
    pub fn fail_next_installation(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.inner
            .node
            .update(|state| state.next_install_failure = Some(reason));
    }
}

impl TalosMock {
    /// Makes the next upgrade fail: the node boots its old release again.
    pub fn fail_next_upgrade(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.inner
            .node
            .update(|state| state.next_upgrade_failure = Some(reason));
    }

    /// Makes the release of the next upgrade not come up: the node boots its old one again, without a word.
    pub fn roll_back_next_upgrade(&self) {
        self.inner
            .node
            .update(|state| state.is_next_release_broken = true);
    }

    /// Cuts the etcd member of this node off from the others: its own list of the members stays as it is now. What needs a
    /// leader is not affected.
    pub fn cut_off_etcd(&self) {
        let kept = etcd::member_list(&self.inner.node, true).unwrap_or_default();
        self.inner
            .node
            .update(|state| state.kept_members = Some(kept));
    }

    /// Ends what [`cut_off_etcd`](Self::cut_off_etcd) began.
    pub fn reconnect_etcd(&self) {
        self.inner.node.update(|state| state.kept_members = None);
    }

    /// Raises an alarm of etcd on this node.
    pub fn raise_etcd_alarm(&self, kind: EtcdAlarmKind) {
        use crate::api::pb::machine::etcd_member_alarm::AlarmType;
        let alarm = match kind {
            EtcdAlarmKind::NoSpace => AlarmType::Nospace,
            EtcdAlarmKind::Corrupt => AlarmType::Corrupt,
            EtcdAlarmKind::None => AlarmType::None,
        };
        let member_id = etcd::member_id(&self.inner.node);
        self.inner.node.update(|state| {
            state
                .etcd_alarms
                .push(crate::api::pb::machine::EtcdMemberAlarm {
                    member_id,
                    alarm: alarm.into(),
                });
        });
    }
}

/// Reaching a node.
impl TalosMock {
    /// The node's own address, dialled at the mock's port.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        let address = self.inner.node.setup.addresses.first().copied();
        let address = address.unwrap_or_else(|| self.address().ip());
        Endpoint::from(SocketAddr::new(address, DEFAULT_PORT)).dial(self.address())
    }

    /// The socket of the mock; it stays the same over all boots.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.node.port.address()
    }

    /// A client for maintenance mode, which accepts any certificate.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the endpoint of a mock is an address")]
    #[allow(
        clippy::missing_panics_doc,
        reason = "the endpoint of a mock is an address"
    )]
    pub fn maintenance_client(&self) -> MaintenanceClient {
        MaintenanceClient::builder(self.endpoint())
            .build()
            .expect("a client for the address of the mock")
    }

    /// A client with the role `os:admin` of the cluster that the node was configured for.
    ///
    /// # Panics
    /// As [`TalosMock::credentials`].
    #[must_use]
    #[track_caller]
    #[allow(clippy::panic, reason = "a test cannot go on")]
    pub fn client(&self) -> Client {
        Client::builder(self.endpoint(), self.credentials(Role::Admin))
            .build()
            .unwrap_or_else(|error| panic!("client of the Talos mock: {error}"))
    }

    /// Credentials with one role of the cluster that the node was configured for.
    ///
    /// # Panics
    /// While the node has no configuration with the key of a Talos CA: without it a mock can issue no credentials.
    #[must_use]
    #[track_caller]
    #[allow(clippy::panic, reason = "a test cannot go on")]
    pub fn credentials(&self, role: Role) -> Credentials {
        self.try_credentials(role)
            .unwrap_or_else(|reason| panic!("credentials of the Talos mock: {reason}"))
    }

    fn try_credentials(&self, role: Role) -> Result<Credentials, String> {
        let config = self.inner.node.state().config.clone();
        let config = config.ok_or("the node has no configuration")?;
        let signer = config
            .talos_ca
            .signer()
            .ok_or("the configuration has no Talos CA key")?;
        let (certificate, key) = signer
            .talos_client(role.as_str())
            .map_err(|error| format!("the Talos CA cannot sign: {error}"))?;
        let authority = config.talos_ca.certificate.clone();
        Ok(Credentials::new(authority, certificate, key))
    }
}

/// Faults.
impl TalosMock {
    /// Makes the next call of `route` fail with `fault`; several are used up in order.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.inner.node.faults.fail_next(route, fault);
    }

    /// Makes every call of `route` fail with `fault`, once those of [`TalosMock::fail_next`] are used up.
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.inner.node.faults.fail_always(route, fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.inner.node.faults.clear();
    }
}

/// Looking at a node from outside the network.
impl TalosMock {
    /// The calls it has received, in order. They hold no content.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.inner.node.calls.received()
    }

    /// Checks how often a method was called.
    ///
    /// # Panics
    /// When it was called more or less often, with the list of calls.
    #[track_caller]
    pub fn assert_called(&self, route: Route, times: usize) {
        let calls = self.calls();
        let found = calls
            .iter()
            .filter(|call| call.route == Some(route))
            .count();
        assert!(
            found == times,
            "expected {times} calls of {route}, found {found} in {calls:#?}"
        );
    }

    /// The messages of each call of `route` that the node has begun to answer, as protobuf; empty unless the mock was built with
    /// [`TalosMockBuilder::record_requests`]. A call with a stream of requests has several.
    #[must_use]
    pub fn requests(&self, route: Route) -> Vec<Vec<Bytes>> {
        self.inner.node.requests.of(route)
    }

    /// What happens to the node, from its creation on; every stream sees everything.
    pub fn events(&self) -> impl Stream<Item = MockEvent> + Send + Unpin + use<> {
        self.inner.node.events.follow(0)
    }

    /// Waits for an event, past or future. A deadline is the caller's business.
    pub async fn wait_for(&self, is_meant: impl Fn(&MockEvent) -> bool) -> Option<MockEvent> {
        let mut events = self.events();
        while let Some(event) = events.next().await {
            if is_meant(&event) {
                return Some(event);
            }
        }
        None
    }

    /// What the machine is doing.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.inner.node.state().stage
    }

    /// Whether it waits for a configuration.
    #[must_use]
    pub fn is_in_maintenance(&self) -> bool {
        self.inner.node.mode() == Mode::Maintenance
    }

    /// Whether its etcd was ever started.
    #[must_use]
    pub fn is_bootstrapped(&self) -> bool {
        self.inner.node.state().has_etcd_data
    }

    /// The configuration it has.
    #[must_use]
    pub fn config(&self) -> Option<SecretString> {
        self.inner.node.config_text()
    }

    /// The Kubernetes authority of its configuration: what a mock of its Kubernetes API has to be signed by.
    #[must_use]
    pub fn kubernetes_authority(&self) -> Option<CertificateAndKey> {
        let config = self.inner.node.state().config.clone()?;
        let authority = config.kubernetes_ca.as_ref()?;
        Some(CertificateAndKey::new(
            authority.certificate.clone(),
            authority.key.clone()?,
        ))
    }
}
