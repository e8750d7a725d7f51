//! The identity provider: its description, and the exchange of codes and refresh tokens.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::OPERATION;
use crate::answer::kind_of;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;
use crate::tls::TlsTrust;

/// Time for one request to the provider.
const TIMEOUT: Duration = Duration::from_secs(30);
const SCOPES: [&str; 4] = ["openid", "profile", "email", "groups"];

#[derive(Deserialize)]
struct Description {
    authorization_endpoint: Url,
    token_endpoint: Url,
    #[serde(default)]
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    response_types_supported: Vec<String>,
}

/// What the provider gives for a code or a refresh token.
#[derive(Deserialize)]
pub(crate) struct TokenResponse {
    pub(crate) id_token: SecretString,
    #[serde(default)]
    pub(crate) refresh_token: Option<SecretString>,
}

#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// An identity provider with the public client that is known there.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    http: reqwest::Client,
    authorization_endpoint: Url,
    token_endpoint: Url,
    client_id: String,
    scopes: String,
}

impl Provider {
    /// Chooses the provider as the `argocd` command line does: the configured one before Dex.
    pub(super) async fn discover(settings: &Settings, trust: &TlsTrust) -> Result<Self> {
        let (issuer, client_id, mut scopes) = choose(settings)?;
        let address = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let url = Url::parse(&address).map_err(|error| {
            Error::new(ErrorKind::Configuration, OPERATION)
                .with_target(&issuer)
                .with_message(format!("the issuer is not a URL: {error}"))
        })?;
        let http = client(trust, url.scheme())?;
        let description: Description = send(http.get(url), &issuer).await?;
        let types = &description.response_types_supported;
        if !types.is_empty() && !types.iter().any(|kind| kind == "code") {
            return Err(Error::new(ErrorKind::Unsupported, OPERATION)
                .with_target(issuer)
                .with_message("the identity provider offers no authorization codes"));
        }
        let offline = "offline_access".to_owned();
        if description
            .scopes_supported
            .as_ref()
            .is_none_or(|known| known.contains(&offline))
        {
            scopes.push(offline);
        }
        Ok(Self {
            http,
            authorization_endpoint: description.authorization_endpoint,
            token_endpoint: description.token_endpoint,
            client_id,
            scopes: scopes.join(" "),
        })
    }

    pub(super) fn authorization_endpoint(&self) -> &Url {
        &self.authorization_endpoint
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(super) fn scopes(&self) -> &str {
        &self.scopes
    }

    /// Exchanges an authorization code. There is no client secret: the client must be public.
    pub(super) async fn exchange(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        redirect: &str,
    ) -> Result<TokenResponse> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect),
            ("client_id", &self.client_id),
            ("code_verifier", verifier.expose_secret()),
        ];
        self.token(&form).await
    }

    /// Exchanges a refresh token.
    pub(crate) async fn refresh(&self, refresh_token: &SecretString) -> Result<TokenResponse> {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
            ("client_id", &self.client_id),
        ];
        self.token(&form).await
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<TokenResponse> {
        let request = self.http.post(self.token_endpoint.clone()).form(form);
        send(request, self.token_endpoint.as_str()).await
    }
}

/// Issuer, client and scopes.
fn choose(settings: &Settings) -> Result<(String, String, Vec<String>)> {
    let default = || SCOPES.map(str::to_owned).to_vec();
    if let Some(oidc) = settings
        .oidc_config
        .as_ref()
        .filter(|oidc| !oidc.issuer.is_empty())
    {
        let client = if oidc.cli_client_id.is_empty() {
            &oidc.client_id
        } else {
            &oidc.cli_client_id
        };
        let scopes = if oidc.scopes.is_empty() {
            default()
        } else {
            oidc.scopes.clone()
        };
        return Ok((oidc.issuer.clone(), client.clone(), scopes));
    }
    if settings
        .dex_config
        .as_ref()
        .is_some_and(|dex| !dex.connectors.is_empty())
    {
        let issuer = format!("{}/api/dex", settings.url.trim_end_matches('/'));
        let mut scopes = default();
        // Without it the user of the provider is not named from Argo CD 3.0 on.
        scopes.push("federated:id".to_owned());
        return Ok((issuer, "argo-cd-cli".to_owned(), scopes));
    }
    Err(Error::new(ErrorKind::Unsupported, OPERATION)
        .with_message("the server has no single sign-on: neither oidcConfig nor dexConfig is set"))
}

fn client(trust: &TlsTrust, scheme: &str) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(trust.client_config(scheme)?)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| Error::configuration("the HTTP client cannot be built").with_source(error))
}

async fn send<T: DeserializeOwned>(request: reqwest::RequestBuilder, target: &str) -> Result<T> {
    let lost = |error: reqwest::Error| {
        Error::new(kind_of(&error), OPERATION)
            .with_target(target)
            .with_message("the identity provider did not answer")
            .with_source(error.without_url())
    };
    let response = request.send().await.map_err(lost)?;
    let status = response.status();
    let body = response.bytes().await.map_err(lost)?;
    if !status.is_success() {
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        return Err(refused(target, status, &refusal));
    }
    serde_json::from_slice(&body).map_err(|error| {
        Error::new(ErrorKind::Decode, OPERATION)
            .with_target(target)
            .with_status(status)
            .with_message(format!(
                "unexpected response of the identity provider: {:?} error",
                error.classify()
            ))
    })
}

fn refused(target: &str, status: http::StatusCode, refusal: &Refusal) -> Error {
    let hint = match refusal.error.as_str() {
        "invalid_client" | "unauthorized_client" => {
            "; the client must be registered as public at the identity provider (cliClientID)"
        }
        "invalid_grant" => "; log in again",
        _ => "",
    };
    let kind = match status.as_u16() {
        400 | 401 | 403 => ErrorKind::Unauthenticated,
        404 => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, OPERATION)
        .with_target(target)
        .with_status(status)
        .with_message(format!(
            "the identity provider answered {status}: {} {}{hint}",
            refusal.error, refusal.error_description
        ))
}
