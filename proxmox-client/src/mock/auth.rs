//! Tokens, tickets and privileges.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::check::Release;
use super::directory::Directory;
use super::privileges::{PRIVILEGES, is_privilege};
use super::reply::Refusal;

/// Which privileges a token or user has on which paths.
#[derive(Debug, Clone)]
pub struct Acl(BTreeMap<String, BTreeMap<String, bool>>);

impl Acl {
    pub(super) fn from_entries<'a>(
        entries: impl Iterator<Item = (&'a str, &'a [String], bool)>,
    ) -> Self {
        let mut acl = Self::none();
        for (path, privileges, propagate) in entries {
            let granted = acl.0.entry(path.to_owned()).or_default();
            for privilege in privileges {
                granted.insert(privilege.clone(), propagate);
            }
        }
        acl
    }

    /// What both have.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::none();
        for path in self.0.keys().chain(other.0.keys()) {
            let common = PRIVILEGES
                .iter()
                .filter(|privilege| self.has(path, privilege) && other.has(path, privilege));
            let common = common.map(|privilege| ((*privilege).to_owned(), true));
            both.0.insert(path.clone(), common.collect());
        }
        both
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Acl {
    /// No privilege at all.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Every privilege on every path.
    #[must_use]
    pub fn administrator() -> Self {
        Self::none().grant("/", PRIVILEGES)
    }

    /// Adds privileges on a path and everything below it. As on the server, an entry on a path
    /// replaces what would be inherited from above.
    #[must_use]
    pub fn grant(mut self, path: &str, privileges: &[&str]) -> Self {
        let entry = self.0.entry(path.to_owned()).or_default();
        entry.extend(
            privileges
                .iter()
                .map(|privilege| ((*privilege).to_owned(), true)),
        );
        self
    }

    /// Takes one privilege away wherever it is granted.
    #[must_use]
    pub fn without(mut self, privilege: &str) -> Self {
        for granted in self.0.values_mut() {
            granted.remove(privilege);
        }
        self
    }

    fn propagates(&self, path: &str, privilege: &str) -> bool {
        let own = self.0.get(path).and_then(|granted| granted.get(privilege));
        own.copied().unwrap_or(true)
    }

    fn has(&self, path: &str, privilege: &str) -> bool {
        let mut current = path.trim_end_matches('/');
        loop {
            let key = if current.is_empty() { "/" } else { current };
            if let Some(granted) = self.0.get(key) {
                let propagate = granted.get(privilege).copied();
                return propagate.is_some_and(|propagate| propagate || key == path);
            }
            match current.rsplit_once('/') {
                Some((parent, _)) => current = parent,
                None => return false,
            }
        }
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// `user@realm` or `user@realm!token`.
    pub(super) id: String,
    pub(super) acl: Acl,
}

impl Caller {
    pub(super) fn is_root_with_password(&self) -> bool {
        self.id == "root@pam"
    }

    /// Requires any of the privileges.
    pub(super) fn require(&self, path: &str, privileges: &[&str]) -> Result<(), Refusal> {
        if !path.is_empty() && self.may(path, privileges) {
            Ok(())
        } else {
            Err(Refusal::permission(path, privileges))
        }
    }

    pub(super) fn may(&self, path: &str, privileges: &[&str]) -> bool {
        privileges
            .iter()
            .any(|privilege| self.acl.has(path, privilege))
    }

    /// Evaluates the rule of a call: `["perm", path, privileges]`, `["and", …]`, `["or", …]`.
    pub(super) fn check_rule(
        &self,
        rule: &Value,
        params: &[(String, String)],
    ) -> Result<(), Refusal> {
        let Some(rule) = rule.as_array() else {
            return Ok(());
        };
        let rest = rule.get(1..).unwrap_or_default();
        match rule.first().and_then(Value::as_str) {
            Some("perm") => {
                let path = fill(rest.first().and_then(Value::as_str).unwrap_or("/"), params);
                // A path that cannot be is printed as an empty one.
                let path = match path.contains(char::is_whitespace) {
                    true => String::new(),
                    false => path,
                };
                let privileges: Vec<&str> = rest
                    .get(1)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                // A rule for a parameter that is not given does not apply.
                if let Some(needed) = option(rest, "require_param")
                    && !params.iter().any(|(name, _)| name == needed)
                {
                    return Err(Refusal::permission(&path, &privileges));
                }
                let any = rest.iter().any(|item| item.as_str() == Some("any"));
                if any {
                    return self.require(&path, &privileges);
                }
                privileges
                    .iter()
                    .try_for_each(|privilege| self.require(&path, &[privilege]))
            }
            Some("and") => rest
                .iter()
                .try_for_each(|rule| self.check_rule(rule, params)),
            // When no alternative holds, the rejection names none of them.
            Some("or") => {
                let any = rest
                    .iter()
                    .any(|rule| self.check_rule(rule, params).is_ok());
                match any {
                    true => Ok(()),
                    false => Err(Refusal::forbidden()),
                }
            }
            _ => Ok(()),
        }
    }

    /// The privileges by path: of one path, or of the top paths and those with an entry.
    pub(super) fn permissions(&self, release: Release, path: Option<&str>) -> Value {
        let one = path.is_some();
        let paths: Vec<&str> = match path {
            Some(path) => vec![path],
            None => TOP_PATHS.iter().copied().chain(self.acl.paths()).collect(),
        };
        let mut listed = serde_json::Map::new();
        for path in paths {
            let held = PRIVILEGES.iter().filter(|privilege| {
                is_privilege(release, privilege) && self.acl.has(path, privilege)
            });
            let held: BTreeMap<&str, u8> = held
                .map(|privilege| (*privilege, u8::from(self.acl.propagates(path, privilege))))
                .collect();
            if one || !held.is_empty() {
                listed.insert(path.to_owned(), json!(held));
            }
        }
        Value::Object(listed)
    }

    /// The user without the name of a token.
    pub(super) fn user(&self) -> &str {
        self.id.split('!').next().unwrap_or_default()
    }
}

/// Paths that the server lists although they have no entry.
const TOP_PATHS: &[&str] = &[
    "/",
    "/access",
    "/access/groups",
    "/nodes",
    "/pool",
    "/sdn",
    "/storage",
    "/vms",
];

/// The value behind a word in a rule.
fn option<'a>(rule: &'a [Value], name: &str) -> Option<&'a str> {
    let at = rule.iter().position(|item| item.as_str() == Some(name))?;
    rule.get(at + 1)?.as_str()
}

fn fill(path: &str, params: &[(String, String)]) -> String {
    params.iter().fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value)
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(acl: Acl) -> Caller {
        Caller {
            id: "ci@pve!boot".into(),
            acl,
        }
    }

    #[test]
    fn entries_replace_what_is_inherited() {
        let caller = caller(Acl::administrator().grant("/vms/100", &["VM.Audit"]));

        assert!(caller.may("/vms/101", &["VM.PowerMgmt"]));
        assert!(caller.may("/vms/100", &["VM.Audit"]));
        assert!(!caller.may("/vms/100", &["VM.PowerMgmt"]));
    }

    #[test]
    fn a_refusal_names_path_and_privilege() {
        let rule = json!(["perm", "/vms/{vmid}", ["VM.PowerMgmt"]]);
        let params = [("vmid".to_owned(), "104".to_owned())];
        let refusal = caller(Acl::none()).check_rule(&rule, &params).unwrap_err();

        assert_eq!(
            refusal.message_text(),
            "Permission check failed (/vms/104, VM.PowerMgmt)"
        );
    }

    #[test]
    fn alternatives_are_enough() {
        let rule = json!([
            "or",
            ["perm", "/", ["Sys.Audit", "Sys.Modify"]],
            ["perm", "/nodes/{node}", ["Sys.AccessNetwork"]],
        ]);
        let params = [("node".to_owned(), "n1".to_owned())];
        let with = |privileges: &[&str]| caller(Acl::none().grant("/", privileges));

        assert!(
            with(&["Sys.AccessNetwork"])
                .check_rule(&rule, &params)
                .is_ok()
        );
        assert!(with(&["Sys.Audit"]).check_rule(&rule, &params).is_err());
        assert!(
            with(&["Sys.Audit", "Sys.Modify"])
                .check_rule(&rule, &params)
                .is_ok()
        );
    }
}
