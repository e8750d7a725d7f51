//! Setting up a mock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::auth::{Account, Accounts, Acl};
use super::cluster::Datacenter;
use super::contract::Contract;
use super::directory::Directory;
use super::event::Events;
use super::ha::HighAvailability;
use super::pool::Pools;
use super::state::{MockBridge, MockNode, MockStorage, State};
use super::task::Timing;
use super::{PveMock, Shared, server};
use crate::id::NodeName;
use crate::tls::{Fingerprint, TlsTrust};

/// Builder for [`PveMock`], made by [`PveMock::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct PveMockBuilder {
    version: String,
    nodes: Vec<MockNode>,
    cpus: u32,
    clock_behind: Duration,
    storages: Vec<MockStorage>,
    bridges: Vec<MockBridge>,
    cards: Vec<String>,
    accounts: Accounts,
    pools: Vec<String>,
    client_token: Option<(String, SecretString)>,
    timing: Timing,
    tls: bool,
    download_trust: TlsTrust,
}

impl PveMockBuilder {
    pub(super) fn new() -> Self {
        Self {
            version: "9.2.11".to_owned(),
            nodes: Vec::new(),
            cpus: 16,
            clock_behind: Duration::ZERO,
            storages: Vec::new(),
            bridges: Vec::new(),
            cards: Vec::new(),
            accounts: Accounts::default(),
            pools: Vec::new(),
            client_token: None,
            timing: Timing::Polls(1),
            tls: false,
            download_trust: TlsTrust::SystemRoots,
        }
    }

    /// Sets the version. Before 9 the mock follows the contract of PVE 8.4. The default is 9.2.11.
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// Adds a node. The first one is the one that clients contact.
    pub fn node(mut self, name: NodeName) -> Self {
        self.nodes.push(MockNode { name, online: true });
        self
    }

    /// Adds a node that is switched off: requests to it get status 595.
    pub fn offline_node(mut self, name: NodeName) -> Self {
        self.nodes.push(MockNode {
            name,
            online: false,
        });
        self
    }

    /// Sets the number of processors of every node. The default is 16.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Sets the clocks of the nodes behind that of this process; they agree by default.
    pub fn clock_behind(mut self, difference: Duration) -> Self {
        self.clock_behind = difference;
        self
    }

    /// Adds an empty pool.
    pub fn pool(mut self, id: &str) -> Self {
        self.pools.push(id.to_owned());
        self
    }

    /// Adds a storage that every node has.
    pub fn storage(mut self, storage: MockStorage) -> Self {
        self.storages.push(storage);
        self
    }

    /// Adds a VLAN-aware bridge that every node has.
    pub fn bridge(mut self, name: &str) -> Self {
        self.bridges.push(MockBridge {
            name: name.to_owned(),
            vlan_aware: true,
            port: Some("eno1".to_owned()),
            address: None,
        });
        self
    }

    /// Adds a VLAN-aware bridge with the node's address, `10.0.0.1/24`.
    pub fn bridge_with_address(mut self, name: &str, address: &str) -> Self {
        self.bridges.push(MockBridge {
            name: name.to_owned(),
            vlan_aware: true,
            port: Some("eno1".to_owned()),
            address: Some(address.to_owned()),
        });
        self
    }

    /// Adds a classic bridge without a port: it carries no VLAN.
    pub fn internal_bridge(mut self, name: &str) -> Self {
        self.bridges.push(MockBridge {
            name: name.to_owned(),
            vlan_aware: false,
            port: None,
            address: None,
        });
        self
    }

    /// Adds a network card that is there and in no configuration, beside the `eno1` of the bridges.
    pub fn network_card(mut self, name: &str) -> Self {
        self.cards.push(name.to_owned());
        self
    }

    /// Adds an API token, `user@realm!name`. The first one is what [`PveMock::client`] uses.
    pub fn token(mut self, id: &str, secret: &str, acl: Acl) -> Self {
        self.client_token
            .get_or_insert_with(|| (id.to_owned(), secret.to_owned().into()));
        self.accounts
            .tokens
            .insert(id.to_owned(), (secret.to_owned(), acl));
        self
    }

    /// Adds a user with a password.
    pub fn user(self, id: &str, password: &str, acl: Acl) -> Self {
        self.add_user(id, password, acl, None)
    }

    /// Adds a user with a password and a second factor that accepts this code.
    pub fn user_with_totp(self, id: &str, password: &str, code: &str, acl: Acl) -> Self {
        self.add_user(id, password, acl, Some(code.to_owned()))
    }

    fn add_user(mut self, id: &str, password: &str, acl: Acl, totp: Option<String>) -> Self {
        let account = Account {
            password: password.to_owned(),
            acl,
            totp,
        };
        self.accounts.users.insert(id.to_owned(), account);
        self
    }

    /// Tasks end after they were reported as running this many times; the default is once.
    pub fn task_polls(mut self, polls: u32) -> Self {
        self.timing = Timing::Polls(polls);
        self
    }

    /// Tasks end after this time, whether anybody asks or not.
    pub fn task_delay(mut self, delay: Duration) -> Self {
        self.timing = Timing::Delay(delay);
        self
    }

    /// Speaks TLS with a fresh certificate for 127.0.0.1 and localhost.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Sets the authority that the node trusts when it downloads a URL. The default is the system trust store.
    pub fn download_authority(mut self, certificate: CertificateDer<'static>) -> Self {
        self.download_trust = TlsTrust::authority(certificate);
        self
    }

    /// Listens on a free port of the loopback interface.
    ///
    /// A node `pve-01`, storages `local` (ISO images, backups) and `nvme-lvm` (disks), the bridges `vmbr0`
    /// and `vmbr1` and an administrator's token are there unless something of their kind was given.
    ///
    /// # Panics
    /// When no port can be opened or no certificate made; a test cannot go on then.
    #[expect(clippy::expect_used, reason = "a mock that cannot start ends the test")]
    pub async fn start(mut self) -> PveMock {
        self.fill_in();
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("the address of the listener");
        let identity = self
            .tls
            .then(|| Identity::generate().expect("a certificate"));
        let scheme = if self.tls { "https" } else { "http" };
        let endpoint = Url::parse(&format!("{scheme}://{address}")).expect("a URL of an address");
        let trust = self.download_trust.clone();
        let token = self.client_token.take().expect("filled in above");
        let shared = Shared::new(self.into_state(), trust);
        let acceptor = identity.as_ref().map(|identity| identity.acceptor.clone());
        let server = tokio::spawn(server::serve(listener, acceptor, shared.clone()));
        PveMock::new(
            shared,
            endpoint,
            identity.map(|identity| identity.certificate),
            token,
            server,
        )
    }

    #[expect(clippy::expect_used, reason = "constants")]
    fn fill_in(&mut self) {
        let storage = |name: &str| name.parse().expect("a storage name");
        if self.nodes.is_empty() {
            self.nodes.push(MockNode {
                name: "pve-01".parse().expect("a node name"),
                online: true,
            });
        }
        if self.storages.is_empty() {
            self.storages.push(MockStorage::directory(
                storage("local"),
                &["iso", "vztmpl", "backup"],
            ));
            self.storages
                .push(MockStorage::lvm_thin(storage("nvme-lvm")));
        }
        if self.bridges.is_empty() {
            for name in ["vmbr0", "vmbr1"] {
                self.bridges.push(MockBridge {
                    name: name.to_owned(),
                    vlan_aware: true,
                    port: Some("eno1".to_owned()),
                    address: None,
                });
            }
        }
        if self.client_token.is_none() {
            let (id, secret) = ("lungmen@pve!mock", "11111111-2222-3333-4444-555555555555");
            self.accounts
                .tokens
                .insert(id.to_owned(), (secret.to_owned(), Acl::administrator()));
            self.client_token = Some((id.to_owned(), secret.to_owned().into()));
        }
    }

    fn into_state(self) -> State {
        let old = self.version.starts_with("8.") || self.version.starts_with("7.");
        let contract = if old {
            Contract::pve_8()
        } else {
            Contract::pve_9()
        };
        State {
            contract,
            version: self.version,
            nodes: self.nodes,
            cpus: self.cpus,
            clock_behind: self.clock_behind,
            directory: Directory::new(contract.release()),
            pools: Pools::new(self.pools),
            datacenter: Datacenter::default(),
            ha: HighAvailability::default(),
            backups: BTreeMap::new(),
            quorate: true,
            storages: self.storages,
            bridges: self.bridges,
            cards: self.cards,
            accounts: self.accounts,
            volumes: BTreeMap::new(),
            files_elsewhere: BTreeMap::new(),
            vms: BTreeMap::new(),
            tasks: BTreeMap::new(),
            failing_tasks: VecDeque::new(),
            timing: self.timing,
            events: Arc::new(Events::default()),
            started_tasks: 0,
        }
    }
}

struct Identity {
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

impl Identity {
    fn generate() -> Result<Self, Box<dyn std::error::Error>> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let generated = rcgen::generate_simple_self_signed(names)?;
        let certificate = generated.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(generated.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key))?;
        Ok(Self {
            certificate,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

/// The fingerprint of a generated certificate.
pub(super) fn fingerprint(certificate: &CertificateDer<'static>) -> Fingerprint {
    Fingerprint::of(certificate)
}
