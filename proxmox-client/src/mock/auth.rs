//! Tokens, tickets and logins.

mod acl;

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::check::Release;
use super::directory::Directory;
use super::privileges::{PRIVILEGES, is_privilege};
use super::reply::Refusal;

pub use acl::Acl;
pub(super) use acl::Caller;

/// A user with a password.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) password: String,
    pub(super) acl: Acl,
    /// The code of the second factor that is accepted.
    pub(super) totp: Option<String>,
}

/// All accounts and the tickets that were given out.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) tokens: HashMap<String, (String, Acl)>,
    pub(super) users: HashMap<String, Account>,
    tickets: HashMap<String, String>,
    challenges: HashMap<String, String>,
    logins: u32,
}

/// The fields of a login.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) realm: Option<&'a str>,
    pub(super) password: &'a str,
    pub(super) otp: Option<&'a str>,
    pub(super) challenge: Option<&'a str>,
}

impl Accounts {
    /// Finds out who calls.
    pub(super) fn authenticate(
        &self,
        directory: &Directory,
        method: &Method,
        headers: &HeaderMap,
        upload: bool,
    ) -> Result<Caller, Refusal> {
        if let Some(ticket) = ticket_of(headers) {
            return self.by_ticket(&ticket, method, headers, upload);
        }
        let Some(text) = token_text(headers) else {
            return Err(Refusal::new(401, "No ticket"));
        };
        let failed = || Refusal::new(401, "Authentication failed!");
        let (id, secret) = text.rsplit_once('=').ok_or_else(failed)?;
        let acl = match self.tokens.get(id) {
            Some((known, acl)) if known == secret => Some(acl.clone()),
            Some(_) => None,
            None => directory.token_acl(id, secret),
        };
        let acl = acl.ok_or_else(failed)?;
        Ok(Caller {
            id: id.to_owned(),
            acl,
        })
    }

    fn by_ticket(
        &self,
        ticket: &str,
        method: &Method,
        headers: &HeaderMap,
        upload: bool,
    ) -> Result<Caller, Refusal> {
        let known = self
            .tickets
            .get(ticket)
            .and_then(|id| Some((id, self.users.get(id)?)));
        let Some((id, account)) = known else {
            return Err(Refusal::new(401, "Authentication failed!"));
        };
        let csrf = headers
            .get("csrfpreventiontoken")
            .and_then(|value| value.to_str().ok());
        if method != Method::GET && !upload && csrf != Some(csrf_of(ticket).as_str()) {
            return Err(Refusal::new(401, "Permission denied - invalid csrf token"));
        }
        Ok(Caller {
            id: id.clone(),
            acl: account.acl.clone(),
        })
    }

    /// A login with a password, a renewal with a ticket in its place, or the response to a challenge.
    pub(super) fn log_in(&mut self, release: Release, login: &Login<'_>) -> Result<Value, Refusal> {
        let failure = || Refusal::new(401, "authentication failure");
        let user = match login.realm {
            Some(realm) if !login.user.contains('@') => format!("{}@{realm}", login.user),
            _ => login.user.to_owned(),
        };
        if let Some(challenge) = login.challenge {
            return self.answer_challenge(release, &user, challenge, login);
        }
        if self.tickets.get(login.password) == Some(&user) {
            return Ok(self.ticket(release, &user));
        }
        let account = self.users.get(&user).ok_or_else(failure)?;
        if account.password != login.password {
            return Err(failure());
        }
        match &account.totp {
            None => Ok(self.ticket(release, &user)),
            Some(_) => Ok(self.challenge(&user)),
        }
    }

    fn answer_challenge(
        &mut self,
        release: Release,
        user: &str,
        challenge: &str,
        login: &Login<'_>,
    ) -> Result<Value, Refusal> {
        let code = login.password.strip_prefix("totp:");
        let known = self
            .challenges
            .get(challenge)
            .is_some_and(|owner| owner == user);
        let expected = self
            .users
            .get(user)
            .and_then(|account| account.totp.as_deref());
        if !known || code.is_none() || code != expected || login.otp.is_some() {
            return Err(Refusal::new(401, "authentication failure"));
        }
        Ok(self.ticket(release, user))
    }

    fn stamp(&mut self) -> String {
        self.logins += 1;
        format!("{:08X}", 0x66A1_B2C3 + self.logins)
    }

    fn ticket(&mut self, release: Release, user: &str) -> Value {
        let ticket = format!("PVE:{user}:{}::c2ln+/=", self.stamp());
        self.tickets.insert(ticket.clone(), user.to_owned());
        let acl = self.users.get(user).map(|account| &account.acl);
        json!({
            "username": user,
            "CSRFPreventionToken": csrf_of(&ticket),
            "ticket": ticket,
            "clustername": "lab",
            "cap": acl.map_or_else(|| json!({}), |acl| capabilities(release, acl)),
        })
    }

    fn challenge(&mut self, user: &str) -> Value {
        let kinds = "%7B%22totp%22%3Atrue%2C%22recovery%22%3A%5B0%2C1%2C2%5D%7D";
        let ticket = format!("PVE:!tfa!{kinds}:{}::c2ln", self.stamp());
        self.challenges.insert(ticket.clone(), user.to_owned());
        json!({
            "username": user,
            "CSRFPreventionToken": csrf_of(&ticket),
            "ticket": ticket,
            "clustername": "lab",
            "NeedTFA": 1,
        })
    }

    pub(super) fn expire_tickets(&mut self) {
        self.tickets.clear();
    }
}

/// What the server's pages show to the user, by area.
fn capabilities(release: Release, acl: &Acl) -> Value {
    let areas = [
        ("vms", "/vms", "VM."),
        ("storage", "/storage", "Datastore."),
        ("nodes", "/nodes", "Sys."),
        ("dc", "/", "Sys."),
        ("access", "/access", "User."),
        ("sdn", "/sdn", "SDN."),
        ("mapping", "/mapping", "Mapping."),
    ];
    let areas = areas.map(|(area, path, prefix)| {
        let held = PRIVILEGES.iter().filter(|privilege| {
            privilege.starts_with(prefix)
                && is_privilege(release, privilege)
                && acl.has(path, privilege)
        });
        let held: BTreeMap<&str, u8> = held.map(|privilege| (*privilege, 1)).collect();
        (area.to_owned(), json!(held))
    });
    Value::Object(areas.into_iter().collect())
}

/// Whether the request has a token, valid or not.
pub(super) fn has_token(headers: &HeaderMap) -> bool {
    ticket_of(headers).is_none() && token_text(headers).is_some()
}

/// The text behind the keyword; the server ends it at a semicolon.
fn token_text(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let text = value
        .strip_prefix("PVEAPIToken")?
        .trim_start_matches([' ', '=']);
    let text = text.split(';').next().unwrap_or_default();
    Some(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

fn csrf_of(ticket: &str) -> String {
    let stamp = ticket.split(':').nth(2).unwrap_or_default();
    format!("{stamp}:aGFzaA")
}

fn ticket_of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let cookie = cookies
        .split(';')
        .find_map(|cookie| cookie.trim().strip_prefix("PVEAuthCookie="))?;
    Some(percent_decode_str(cookie).decode_utf8_lossy().into_owned())
}
