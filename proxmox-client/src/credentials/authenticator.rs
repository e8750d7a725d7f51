//! The headers of a request, and the ticket of a password login.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::utf8_percent_encode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{Credentials, Password, configuration};
use crate::error::{Error, ErrorKind, Result};
use crate::request::{Request, SEGMENT};
use crate::wire;

pub(super) fn sensitive(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| configuration("the credentials have characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How long a ticket is used before it is renewed; it is valid for two hours.
const RENEW_AFTER: Duration = Duration::from_secs(90 * 60);

/// Makes the authentication headers; holds the ticket of a password login.
pub(crate) enum Authenticator {
    Token {
        id: String,
        header: HeaderValue,
    },
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
            Credentials::ApiToken(token) => Self::Token {
                id: token.id().to_owned(),
                header: token.header()?,
            },
            Credentials::Password(login) => Self::Session {
                login: login.clone(),
                ticket: Mutex::new(None),
            },
        })
    }

    /// The id of the API token; `None` for a user with a password.
    pub(crate) fn token_id(&self) -> Option<&str> {
        match self {
            Self::Token { id, .. } => Some(id),
            Self::Session { .. } => None,
        }
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
            Self::Token { header: value, .. } => {
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
