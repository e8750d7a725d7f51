//! How a client identifies itself to Argo CD.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::error::{Error, Result};
use crate::oidc::OidcTokens;

/// How the client authenticates.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// No session: enough for [`Client::version`](crate::Client::version) and little else.
    Anonymous,
    /// An API token, a session token, or an id token of the configured identity provider.
    Token(SecretString),
    /// A local account. The client logs in on the first request and again when the session ends.
    ///
    /// The server counts failures: five wrong passwords within 300 s lock the account for a while
    /// with the same text as a wrong password. A rejected login is therefore never repeated.
    Password {
        /// Name of the account, at most 32 bytes.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// A login by single sign-on. The client refreshes it when it expires.
    Oidc(Box<OidcTokens>),
}

impl Credentials {
    /// An API token (`argocd account generate-token`).
    pub fn token(token: impl Into<String>) -> Self {
        Self::Token(SecretString::from(token.into()))
    }

    /// A local account with the `login` capability.
    pub fn password(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password {
            username: username.into(),
            password: SecretString::from(password.into()),
        }
    }

    /// No session.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::Anonymous
    }

    /// A login by single sign-on, from [`OidcLogin`](crate::oidc::OidcLogin).
    #[must_use]
    pub fn oidc(tokens: OidcTokens) -> Self {
        Self::Oidc(Box::new(tokens))
    }

    /// When the token expires, if it says so; none for passwords and for tokens without an end.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Token(token) => expiry_of(token),
            Self::Oidc(tokens) => tokens.expires_at(),
            Self::Anonymous | Self::Password { .. } => None,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Anonymous | Self::Oidc(_) => Ok(()),
            // The server ignores a bearer that does not look like a JSON web token and answers
            // "no session information", which hides the cause.
            Self::Token(token) if !looks_like_jwt(token.expose_secret()) => {
                Err(Error::configuration(
                    "the token is not a JSON web token (three parts separated by dots)",
                ))
            }
            Self::Password { username, password }
                if username.is_empty() || password.expose_secret().is_empty() =>
            {
                Err(Error::configuration(
                    "user name and password must not be empty",
                ))
            }
            Self::Password { username, .. } if username.len() > 32 => Err(Error::configuration(
                "the user name is longer than 32 bytes",
            )),
            Self::Token(_) | Self::Password { .. } => Ok(()),
        }
    }
}

/// The expiry in the payload of a JSON web token.
pub(crate) fn expiry_of(token: &SecretString) -> Option<Timestamp> {
    let payload = token.expose_secret().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Timestamp::from_second(claims.exp?).ok()
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

fn looks_like_jwt(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_=".contains(&byte))
        })
}

/// The token in use. It changes by login and when the server renews it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) credentials: Credentials,
    pub(crate) token: Mutex<Option<SecretString>>,
}

impl Session {
    pub(crate) fn new(credentials: Credentials) -> Self {
        let token = match &credentials {
            Credentials::Token(token) => Some(token.clone()),
            Credentials::Oidc(tokens) => Some(tokens.id_token().clone()),
            Credentials::Anonymous | Credentials::Password { .. } => None,
        };
        Self {
            credentials,
            token: Mutex::new(token),
        }
    }

    /// Whether a lost session can be replaced by a new one.
    pub(crate) fn is_renewable(&self) -> bool {
        match &self.credentials {
            Credentials::Password { .. } => true,
            Credentials::Oidc(tokens) => tokens.can_refresh(),
            Credentials::Anonymous | Credentials::Token(_) => false,
        }
    }

    pub(crate) async fn adopt(&self, token: &str) {
        if looks_like_jwt(token) {
            *self.token.lock().await = Some(SecretString::from(token.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_must_look_like_a_json_web_token() {
        assert!(Credentials::token("eyJh.eyJz.c2ln").check().is_ok());
        for token in ["", "secret", "a.b", "a..c", "a.b.c.d", "a b.c.d", "a.b.c\n"] {
            assert!(Credentials::token(token).check().is_err(), "{token:?}");
        }
    }

    #[test]
    fn a_password_login_needs_both_and_a_short_name() {
        assert!(Credentials::password("admin", "x").check().is_ok());
        assert!(Credentials::password("", "x").check().is_err());
        assert!(Credentials::password("admin", "").check().is_err());
        assert!(Credentials::password("a".repeat(33), "x").check().is_err());
    }

    #[test]
    fn the_expiry_of_a_token_is_readable() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"exp":1795650018}"#);
        let token = Credentials::token(format!("eyJh.{payload}.c2ln"));

        assert_eq!(token.expires_at().unwrap().as_second(), 1_795_650_018);
        assert_eq!(Credentials::token("eyJh.eyJz.c2ln").expires_at(), None);
        assert_eq!(Credentials::anonymous().expires_at(), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let session = Session::new(Credentials::token("eyJh.canary.c2ln"));

        assert!(!format!("{session:?}").contains("canary"));
        assert!(!format!("{:?}", Credentials::password("admin", "canary")).contains("canary"));
    }
}
