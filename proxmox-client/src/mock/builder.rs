//! Setting up the world of a mock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::auth::{Accounts, Acl};
use super::contract::Contract;
use super::event::Events;
use super::state::{MockBridge, MockStorage, State};
use super::task::Timing;
use super::{PveMock, Shared, server};
use crate::id::NodeName;
use crate::tls::{Fingerprint, TlsTrust};

/// Collects the world of a [`PveMock`]; made by [`PveMock::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `start`"]
pub struct PveMockBuilder {
    version: String,
    nodes: Vec<NodeName>,
    storages: Vec<MockStorage>,
    bridges: Vec<MockBridge>,
    accounts: Accounts,
    client_token: Option<(String, SecretString)>,
    timing: Timing,
    tls: bool,
    download_trust: TlsTrust,
}

impl PveMockBuilder {
    pub(super) fn new() -> Self {
        Self {
            version: "9.1.2".to_owned(),
            nodes: Vec::new(),
            storages: Vec::new(),
            bridges: Vec::new(),
            accounts: Accounts::default(),
            client_token: None,
            timing: Timing::Polls(1),
            tls: false,
            download_trust: TlsTrust::SystemRoots,
        }
    }

    /// The version it claims to be; before 9 it answers by the contract of PVE 8.4. By default
    /// 9.1.2.
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// Adds a node. The first one is the one that clients contact.
    pub fn node(mut self, name: NodeName) -> Self {
        self.nodes.push(name);
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
        });
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
    pub fn user(mut self, id: &str, password: &str, acl: Acl) -> Self {
        self.accounts
            .users
            .insert(id.to_owned(), (password.to_owned(), acl));
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
    /// A node `pve-01`, storages `local` (ISO images) and `nvme-lvm` (disks), the bridges `vmbr0`
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
            self.nodes.push("pve-01".parse().expect("a node name"));
        }
        if self.storages.is_empty() {
            self.storages
                .push(MockStorage::directory(storage("local"), &["iso", "vztmpl"]));
            self.storages
                .push(MockStorage::lvm_thin(storage("nvme-lvm")));
        }
        if self.bridges.is_empty() {
            for name in ["vmbr0", "vmbr1"] {
                self.bridges.push(MockBridge {
                    name: name.to_owned(),
                    vlan_aware: true,
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
        State {
            contract: if old {
                Contract::pve_8()
            } else {
                Contract::pve_9()
            },
            version: self.version,
            nodes: self.nodes,
            storages: self.storages,
            bridges: self.bridges,
            accounts: self.accounts,
            volumes: BTreeMap::new(),
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
