//! Credentials: an API token, or a user with a password, whose ticket the client renews.

use std::fmt;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::request::{Request, SEGMENT};
use crate::wire;

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

fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| configuration("the credentials have characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long a ticket is used before it is renewed; it is valid for two hours.
const RENEW_AFTER: Duration = Duration::from_secs(90 * 60);

/// Makes the authentication headers; holds the ticket of a password login.
pub(crate) enum Authenticator {
    Token(HeaderValue),
    Session {
        login: Password,
        ticket: Mutex<Option<Ticket>>,
    },
}

pub(crate) struct Ticket {
    ticket: SecretString,
    csrf: SecretString,
    obtained: Instant,
    serial: u64,
}

/// Headers, and which ticket they are of (0 for a token).
pub(crate) struct Authentication {
    pub(crate) headers: HeaderMap,
    pub(crate) serial: u64,
}

#[derive(Deserialize)]
struct TicketResponse {
    ticket: SecretString,
    #[serde(rename = "CSRFPreventionToken", default)]
    csrf: SecretString,
    #[serde(rename = "NeedTFA", default, deserialize_with = "wire::bool")]
    need_tfa: bool,
}

impl Authenticator {
    pub(crate) fn new(credentials: &Credentials) -> Result<Self> {
        Ok(match credentials {
            Credentials::ApiToken(token) => Self::Token(token.header()?),
            Credentials::Password(login) => Self::Session {
                login: login.clone(),
                ticket: Mutex::new(None),
            },
        })
    }

    /// The headers for one request; logs in or renews first when needed. `send` makes a request
    /// without authentication.
    pub(crate) async fn authenticate<F>(
        &self,
        method: &Method,
        send: impl Fn(Request) -> F,
    ) -> Result<Authentication>
    where
        F: Future<Output = Result<serde_json::Value>>,
    {
        let (login, slot) = match self {
            Self::Token(value) => {
                let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
                return Ok(Authentication { headers, serial: 0 });
            }
            Self::Session { login, ticket } => (login, ticket),
        };
        // Held over the login: concurrent callers wait for one login instead of making several.
        let mut slot = slot.lock().await;
        let current = match slot.take() {
            Some(ticket) if ticket.obtained.elapsed() < RENEW_AFTER => ticket,
            Some(old) => match log_in(login, &old.ticket, old.serial, &send).await {
                Ok(renewed) => renewed,
                Err(_) => log_in(login, &login.password, old.serial, &send).await?,
            },
            None => log_in(login, &login.password, 0, &send).await?,
        };
        let authentication = current.authentication(method);
        *slot = Some(current);
        authentication
    }

    /// Forgets the ticket with this serial number after a 401; true when a new login makes sense.
    pub(crate) async fn forget(&self, serial: u64) -> bool {
        let Self::Session { ticket, .. } = self else {
            return false;
        };
        let mut slot = ticket.lock().await;
        if slot
            .as_ref()
            .is_some_and(|current| current.serial == serial)
        {
            *slot = None;
        }
        true
    }
}

impl Ticket {
    fn authentication(&self, method: &Method) -> Result<Authentication> {
        let encoded = utf8_percent_encode(self.ticket.expose_secret(), SEGMENT);
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            sensitive(&format!("PVEAuthCookie={encoded}"))?,
        );
        if method != Method::GET {
            headers.insert(
                HeaderName::from_static("csrfpreventiontoken"),
                sensitive(self.csrf.expose_secret())?,
            );
        }
        Ok(Authentication {
            headers,
            serial: self.serial,
        })
    }
}

async fn log_in<F>(
    login: &Password,
    secret: &SecretString,
    previous: u64,
    send: impl Fn(Request) -> F,
) -> Result<Ticket>
where
    F: Future<Output = Result<serde_json::Value>>,
{
    let request = || {
        Request::post("log in", "/access/ticket", &[])
            .target(format!("user {}", login.username))
            .param("username", &login.username)
    };
    let first = send(request().param("password", secret.expose_secret())).await?;
    let mut response = read_ticket(login, first)?;
    if response.need_tfa {
        let Some(code) = &login.totp else {
            return Err(Error::new(ErrorKind::Unauthenticated, "log in")
                .with_target(format!("user {}", login.username))
                .with_message("the user has a second factor, and no one-time password was given"));
        };
        let second = request()
            .param("tfa-challenge", response.ticket.expose_secret())
            .param("password", format!("totp:{}", code.expose_secret()));
        response = read_ticket(login, send(second).await?)?;
    }
    Ok(Ticket {
        ticket: response.ticket,
        csrf: response.csrf,
        obtained: Instant::now(),
        serial: previous + 1,
    })
}

fn read_ticket(login: &Password, data: serde_json::Value) -> Result<TicketResponse> {
    serde_json::from_value(data).map_err(|_| {
        Error::new(ErrorKind::Decode, "log in")
            .with_target(format!("user {}", login.username))
            .with_message("the response has no ticket")
    })
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
