//! Login by single sign-on: authorization code with PKCE, as `argocd login --sso` does it.

mod callback;
mod provider;
mod tokens;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use url::Url;

use callback::Listener;
use provider::Provider;
pub use tokens::OidcTokens;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::DurationText;
use crate::settings::Settings;
use crate::tls::TlsTrust;

const OPERATION: &str = "log in with OIDC";
/// The port that the providers of Argo CD installations have registered.
const PORT: u16 = 8085;

/// Sets up a login by single sign-on; see [`Client::oidc_login`].
#[derive(Debug, Clone)]
#[must_use = "a login does nothing until it is started"]
pub struct OidcLoginBuilder {
    client: Client,
    trust: TlsTrust,
    port: Option<u16>,
}

impl OidcLoginBuilder {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            trust: TlsTrust::default(),
            port: Some(PORT),
        }
    }

    /// Sets which certificates of the identity provider are trusted. Defaults to the system trust
    /// store, whatever the client of Argo CD trusts.
    pub fn trust(mut self, trust: TlsTrust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets the port of the local callback. Defaults to 8085, which is the one that identity
    /// providers know from the `argocd` command line; 0 takes any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Opens no local port: the user pastes the address that the browser ends at into
    /// [`OidcLogin::finish_with`]. For machines that the browser cannot reach.
    pub fn without_listener(mut self) -> Self {
        self.port = None;
        self
    }

    /// Reads the settings of the server and the description of the identity provider, and opens the
    /// local port on the loopback interface.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when the server has no single sign-on, or the provider
    /// no authorization codes; [`Io`](ErrorKind::Io) when the port is taken;
    /// [`Connect`](ErrorKind::Connect), [`Certificate`](ErrorKind::Certificate) and
    /// [`Timeout`](ErrorKind::Timeout) on the way to either.
    pub async fn start(self) -> Result<OidcLogin> {
        let settings = self.client.settings().await?;
        let provider = Provider::discover(&settings, &self.trust).await?;
        let listener = match self.port {
            Some(port) => Some(Listener::open(port).await?),
            None => None,
        };
        let port = listener.as_ref().map_or(PORT, Listener::port);
        let verifier = random_text();
        let state = random_text();
        let redirect = format!("http://localhost:{port}/auth/callback");
        let url = authorization_url(&settings, &provider, &redirect, &state, &verifier)?;
        Ok(OidcLogin {
            provider,
            listener,
            verifier: SecretString::from(verifier),
            state,
            redirect,
            url,
        })
    }

    /// Takes up a login of the past with its refresh token, as the `argocd` configuration file keeps
    /// it. The tokens are not checked before they are used.
    ///
    /// # Errors
    /// The kinds of [`start`](Self::start), except [`Io`](ErrorKind::Io).
    pub async fn resume(
        self,
        id_token: SecretString,
        refresh_token: Option<SecretString>,
    ) -> Result<OidcTokens> {
        let settings = self.client.settings().await?;
        let provider = Provider::discover(&settings, &self.trust).await?;
        Ok(OidcTokens::new(provider, id_token, refresh_token))
    }
}

/// A login that has begun: the user opens [`url`](Self::url) in a browser.
#[derive(Debug)]
#[must_use = "a login does nothing until it is finished"]
pub struct OidcLogin {
    provider: Provider,
    listener: Option<Listener>,
    verifier: SecretString,
    state: String,
    redirect: String,
    url: Url,
}

impl OidcLogin {
    /// The address that the user opens in a browser.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Waits until the browser comes back to the local port, at most `deadline`.
    ///
    /// # Errors
    /// [`Deadline`](ErrorKind::Deadline) when it does not come back;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) when the provider refuses the login;
    /// [`Configuration`](ErrorKind::Configuration) without a listener.
    pub async fn finish(mut self, deadline: Duration) -> Result<OidcTokens> {
        let Some(listener) = self.listener.take() else {
            return Err(
                Error::new(ErrorKind::Configuration, OPERATION).with_message(
                    "the login has no listener; give the pasted address to finish_with",
                ),
            );
        };
        let came_back = timeout(deadline, listener.callback(&self.state)).await;
        let code = came_back.map_err(|_| {
            Error::new(ErrorKind::Deadline, OPERATION).with_message(format!(
                "timed out after {} waiting for the browser to return",
                DurationText(deadline)
            ))
        })??;
        self.exchange(&code).await
    }

    /// Finishes the login with the address that the browser ended at, which the user pastes.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an address that does not belong to this login;
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) when the provider refuses the login.
    pub async fn finish_with(self, pasted: &str) -> Result<OidcTokens> {
        let query = pasted.trim().split_once('?').map_or("", |(_, query)| query);
        let code = callback::code_of(query, &self.state)?;
        self.exchange(&code).await
    }

    async fn exchange(self, code: &SecretString) -> Result<OidcTokens> {
        let response = self
            .provider
            .exchange(code, &self.verifier, &self.redirect)
            .await?;
        Ok(OidcTokens::new(
            self.provider,
            response.id_token,
            response.refresh_token,
        ))
    }
}

/// 43 characters of randomness, as RFC 7636 wants them.
fn random_text() -> String {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // The generator of the cryptographic library does not fail on any supported system; the check
    // of the state refuses a login with a guessable one.
    if provider.secure_random.fill(&mut bytes).is_err() {
        return String::new();
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn authorization_url(
    settings: &Settings,
    provider: &Provider,
    redirect: &str,
    state: &str,
    verifier: &str,
) -> Result<Url> {
    if verifier.is_empty() || state.is_empty() {
        return Err(
            Error::new(ErrorKind::Io, OPERATION).with_message("the system has no random numbers")
        );
    }
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let mut url = provider.authorization_endpoint().clone();
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", provider.client_id())
        .append_pair("redirect_uri", redirect)
        .append_pair("scope", provider.scopes())
        .append_pair("state", state)
        .append_pair("access_type", "offline")
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    if let Some(oidc) = &settings.oidc_config
        && !oidc.id_token_claims.is_empty()
    {
        let claims = json!({"id_token": oidc.id_token_claims}).to_string();
        query.append_pair("claims", &claims);
    }
    drop(query);
    Ok(url)
}
