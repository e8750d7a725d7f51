//! Settings of a mock OpenBao server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use url::Url;

use super::policy::Rule;
use super::state::{Account, OpenBaoState, Token};
use super::{OpenBaoMock, OpenBaoServer};
use crate::mock::serve::serve;
use crate::services::{Error, ErrorKind, Result, TlsTrust, private_key, provider};

/// Builder for an [`OpenBaoMock`].
#[derive(Debug)]
#[must_use = "a builder does nothing before `start`"]
pub struct OpenBaoMockBuilder {
    state: OpenBaoState,
    root: SecretString,
    listen: SocketAddr,
    tls: bool,
}

impl OpenBaoMockBuilder {
    pub(super) fn new() -> Self {
        let mut state = OpenBaoState::default();
        state.mounts.insert("secret".to_owned(), 2);
        Self {
            state,
            root: SecretString::from("root"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: false,
        }
    }

    /// Sets the token that permits everything; `root` by default.
    pub fn root_token(mut self, token: SecretString) -> Self {
        self.root = token;
        self
    }

    /// Mounts another KV version 2 engine.
    pub fn mount(mut self, path: impl Into<String>) -> Self {
        self.state.mounts.insert(path.into(), 2);
        self
    }

    /// Mounts a KV version 1 engine, which the client must recognise and reject.
    pub fn mount_v1(mut self, path: impl Into<String>) -> Self {
        self.state.mounts.insert(path.into(), 1);
        self
    }

    /// Creates a namespace; each has the same mounts with its own secrets.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.state.namespaces.insert(name.into());
        self
    }

    /// Grants `capabilities` on `pattern` to tokens with policy `name`. Repeatable.
    pub fn policy(mut self, name: impl Into<String>, pattern: &str, capabilities: &[&str]) -> Self {
        let rules = self.state.policies.entry(name.into()).or_default();
        rules.push(Rule::new(pattern, capabilities));
        self
    }

    /// Adds a token with one policy.
    pub fn token(mut self, token: &SecretString, policy: impl Into<String>) -> Self {
        let record = Token {
            owner: "token".to_owned(),
            policies: vec![policy.into()],
            root: false,
            session: false,
        };
        self.state
            .tokens
            .insert(token.expose_secret().to_owned(), record);
        self
    }

    /// Adds an AppRole at `auth/approle` with one policy.
    pub fn app_role(
        self,
        role_id: &str,
        secret_id: &SecretString,
        policy: impl Into<String>,
    ) -> Self {
        self.account(Account {
            path: "auth/approle/login".to_owned(),
            fields: vec![
                ("role_id", role_id.to_owned()),
                ("secret_id", secret_id.expose_secret().to_owned()),
            ],
            owner: "approle".to_owned(),
            policies: vec![policy.into()],
            rejection: (400, "invalid role or secret ID"),
        })
    }

    /// Adds a user at `auth/userpass` with one policy.
    pub fn user(self, name: &str, password: &SecretString, policy: impl Into<String>) -> Self {
        self.account(Account {
            path: format!("auth/userpass/login/{name}"),
            fields: vec![("password", password.expose_secret().to_owned())],
            owner: format!("userpass-{name}"),
            policies: vec![policy.into()],
            rejection: (400, "invalid username or password"),
        })
    }

    /// Adds a role at `auth/jwt` that accepts exactly this token.
    pub fn jwt(self, role: &str, jwt: &SecretString, policy: impl Into<String>) -> Self {
        self.account(Account {
            path: "auth/jwt/login".to_owned(),
            fields: vec![("role", role.to_owned()), ("jwt", jwt.expose_secret().to_owned())],
            owner: format!("jwt-{role}"),
            policies: vec![policy.into()],
            rejection: (
                400,
                "error validating token: error verifying token signature: no known key successfully validated the token \
                 signature",
            ),
        })
    }

    /// Adds a role at `auth/kubernetes` that accepts exactly this ServiceAccount token.
    pub fn kubernetes(self, role: &str, jwt: &SecretString, policy: impl Into<String>) -> Self {
        self.account(Account {
            path: "auth/kubernetes/login".to_owned(),
            fields: vec![
                ("role", role.to_owned()),
                ("jwt", jwt.expose_secret().to_owned()),
            ],
            owner: format!("kubernetes-{role}"),
            policies: vec![policy.into()],
            rejection: (403, "permission denied"),
        })
    }

    /// Uses raft storage: writes return their index, entries over 1 MiB are rejected.
    pub fn raft(mut self) -> Self {
        self.state.index = Some(0);
        self
    }

    /// Serves TLS with a self-signed certificate; see [`OpenBaoMock::trust`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Sets the address to listen on; a free loopback port by default.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Starts the server.
    ///
    /// # Panics
    ///
    /// When the address is not available.
    pub async fn start(self) -> OpenBaoMock {
        self.try_start()
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_start(mut self) -> Result<OpenBaoMock> {
        let root = Token {
            owner: "token".to_owned(),
            policies: Vec::new(),
            root: true,
            session: false,
        };
        self.state
            .tokens
            .insert(self.root.expose_secret().to_owned(), root);
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| bad(&error))?;
        let address = listener.local_addr().map_err(|error| bad(&error))?;
        let (scheme, tls, trust) = if self.tls {
            let (config, certificate) = certificate(address)?;
            let trust = TlsTrust::authority(certificate);
            ("https", Some(Arc::new(config)), trust)
        } else {
            ("http", None, TlsTrust::default())
        };
        let endpoint = Url::parse(&format!("{scheme}://{address}")).map_err(|error| bad(&error))?;
        let server = Arc::new(OpenBaoServer {
            state: self.state.into(),
            ..OpenBaoServer::default()
        });
        let serving = serve(listener, tls, Arc::clone(&server)).boxed();
        Ok(OpenBaoMock::launch(
            server,
            (endpoint, trust),
            self.root,
            serving,
        ))
    }

    fn account(mut self, account: Account) -> Self {
        self.state.accounts.push(account);
        self
    }
}

/// A self-signed certificate for the address.
fn certificate(address: SocketAddr) -> Result<(rustls::ServerConfig, CertificateDer<'static>)> {
    let key = KeyPair::generate().map_err(|error| bad(&error))?;
    let mut params = CertificateParams::default();
    params
        .subject_alt_names
        .push(SanType::IpAddress(address.ip()));
    let certificate = params.self_signed(&key).map_err(|error| bad(&error))?;
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            private_key(&SecretString::from(key.serialize_pem()))?,
        )
        .map_err(|error| bad(&error))?;
    Ok((config, certificate.der().clone()))
}

fn bad(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Configuration, "start OpenBao mock").with_message(error.to_string())
}
