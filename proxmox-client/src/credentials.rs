//! Credentials: an API token, or a user with a password, whose ticket the client renews.

mod authenticator;

use std::fmt;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, Result};

use authenticator::sensitive;
pub(crate) use authenticator::{Authentication, Authenticator};

/// The credentials of a client. API tokens are preferred: they need no login and can be limited.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// An API token: no login, no renewal.
    ApiToken(ApiToken),
    /// A user with a password: the client logs in, renews the ticket every 90 minutes and once
    /// after a 401, and sends the CSRF token with everything that changes something.
    Password(Password),
}

impl Credentials {
    /// An API token in the one-line form `user@realm!name=secret`.
    ///
    /// # Errors
    /// `Configuration` when the text does not have that form. The text is not repeated in the error.
    pub fn token(text: &SecretString) -> Result<Self> {
        ApiToken::parse(text).map(Self::ApiToken)
    }

    /// A user of the form `name@realm`, with a password.
    ///
    /// # Errors
    /// `Configuration` when the realm is missing.
    pub fn password(username: &str, password: SecretString) -> Result<Self> {
        Password::new(username, password).map(Self::Password)
    }
}

impl From<ApiToken> for Credentials {
    fn from(token: ApiToken) -> Self {
        Self::ApiToken(token)
    }
}

impl From<Password> for Credentials {
    fn from(password: Password) -> Self {
        Self::Password(password)
    }
}

/// An API token, `user@realm!name` and its secret.
///
/// ```
/// use proxmox_client::credentials::ApiToken;
///
/// let text = "lungmen@pve!boot=3c0f1c5e-9f0f-4e57-a0c5-6c1c5f3f2a11".to_owned().into();
/// let token = ApiToken::parse(&text)?;
/// assert_eq!(token.id(), "lungmen@pve!boot");
/// assert!(!format!("{token:?}").contains("3c0f"));
/// # Ok::<(), proxmox_client::Error>(())
/// ```
#[derive(Clone)]
pub struct ApiToken {
    id: String,
    secret: SecretString,
}

impl ApiToken {
    /// A token from its ID and its secret.
    ///
    /// # Errors
    /// `Configuration` when the ID does not have the form `user@realm!name`, or when the secret is empty or cannot be
    /// sent in a header.
    pub fn new(id: &str, secret: SecretString) -> Result<Self> {
        if !is_token_id(id) {
            return Err(configuration(
                "the API token ID does not have the form user@realm!name",
            ));
        }
        let text = secret.expose_secret();
        if text.is_empty()
            || !text
                .chars()
                .all(|c| c.is_ascii_graphic() && !";=%".contains(c))
        {
            return Err(configuration(
                "the API token secret is empty or has characters that no header can carry",
            ));
        }
        Ok(Self {
            id: id.to_owned(),
            secret,
        })
    }

    /// A token in the one-line form `user@realm!name=secret`.
    ///
    /// # Errors
    /// `Configuration` when the text does not have that form. The text is not repeated in the error.
    pub fn parse(text: &SecretString) -> Result<Self> {
        match text.expose_secret().trim().rsplit_once('=') {
            Some((id, secret)) => Self::new(id, secret.to_owned().into()),
            None => Err(configuration(
                "the API token does not have the form user@realm!name=secret",
            )),
        }
    }

    /// The public part, `user@realm!name`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn header(&self) -> Result<HeaderValue> {
        sensitive(&format!(
            "PVEAPIToken={}={}",
            self.id,
            self.secret.expose_secret()
        ))
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A user name with realm, a password, and a one-time password where a second factor is set up.
#[derive(Clone)]
pub struct Password {
    username: String,
    password: SecretString,
    totp: Option<SecretString>,
}

impl Password {
    /// `username` has the form `name@realm`, for example `root@pam`.
    ///
    /// # Errors
    /// `Configuration` when the realm is missing.
    pub fn new(username: &str, password: SecretString) -> Result<Self> {
        if is_user_id(username) {
            Ok(Self {
                username: username.to_owned(),
                password,
                totp: None,
            })
        } else {
            Err(configuration(
                "the username does not have the form name@realm",
            ))
        }
    }

    /// The current code of the authenticator app, for users with a second factor. It is used for
    /// the first login only; tickets are renewed without a second factor.
    #[must_use]
    pub fn totp(mut self, code: SecretString) -> Self {
        self.totp = Some(code);
        self
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

fn configuration(message: &str) -> Error {
    Error::new(ErrorKind::Configuration, "check credentials").with_message(message)
}

/// Realm and token name: a letter, then letters, digits, `.`, `-`, `_`; two characters or more.
fn is_realm_or_name(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

fn is_user_id(text: &str) -> bool {
    text.len() <= 64
        && text.rsplit_once('@').is_some_and(|(name, realm)| {
            !name.is_empty()
                && !name.contains(|c: char| c.is_whitespace() || c == ':' || c == '/')
                && is_realm_or_name(realm)
        })
}

fn is_token_id(text: &str) -> bool {
    text.rsplit_once('!')
        .is_some_and(|(user, name)| is_user_id(user) && is_realm_or_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_ids_have_user_realm_and_name() {
        for id in ["root@pam!ci", "first.last@corp-ad!boot_1", "a@b@pve!tok"] {
            assert!(is_token_id(id), "{id}");
        }
        for id in [
            "root!ci",
            "root@pam",
            "@pam!ci",
            "ro ot@pam!ci",
            "root@pam!c",
            "root@pam!1x",
            "",
        ] {
            assert!(!is_token_id(id), "{id}");
        }
    }

    #[test]
    fn a_malformed_token_does_not_show_up_in_its_error() {
        for text in [
            "canary-secret",
            "root@pam=canary-secret",
            "root@pam!ci=canary secret",
        ] {
            let error = ApiToken::parse(&SecretString::from(text)).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!format!("{error} {error:?}").contains("canary"), "{text}");
        }
    }

    #[test]
    fn debug_shows_who_but_no_secret() {
        let password = Password::new("root@pam", "canary".into())
            .unwrap()
            .totp("canary".into());
        let shown = format!("{:?}", Credentials::from(password));

        assert!(shown.contains("root@pam"));
        assert!(!shown.contains("canary"));
    }
}
