//! Tokens, tickets and privileges.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::reply::Refusal;

/// Which privileges a token or user has on which paths.
#[derive(Debug, Clone)]
pub struct Acl(BTreeMap<String, BTreeMap<String, bool>>);

/// The privileges of an administrator, as far as calls of the mock ask for them.
const ALL: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Pool.Allocate",
    "Pool.Audit",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.Migrate",
    "VM.Monitor",
    "VM.PowerMgmt",
    "VM.Snapshot",
];

impl Acl {
    /// No privilege at all.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Every privilege on every path.
    #[must_use]
    pub fn administrator() -> Self {
        Self::none().grant("/", ALL)
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

    fn has(&self, path: &str, privilege: &str) -> bool {
        let mut current = path.trim_end_matches('/');
        loop {
            let key = if current.is_empty() { "/" } else { current };
            if let Some(granted) = self.0.get(key) {
                return granted.contains_key(privilege);
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
        if self.may(path, privileges) {
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
                let privileges: Vec<&str> = rest
                    .get(1)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
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
            Some("or") => {
                let mut last = Ok(());
                for rule in rest {
                    last = self.check_rule(rule, params);
                    if last.is_ok() {
                        return Ok(());
                    }
                }
                last
            }
            _ => Ok(()),
        }
    }

    pub(super) fn permissions(&self) -> Value {
        let paths = self.acl.0.iter().map(|(path, granted)| {
            let granted: BTreeMap<&str, u8> = granted
                .iter()
                .map(|(name, propagate)| (name.as_str(), u8::from(*propagate)))
                .collect();
            (path.clone(), json!(granted))
        });
        Value::Object(paths.collect())
    }
}

fn fill(path: &str, params: &[(String, String)]) -> String {
    params.iter().fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value)
    })
}

/// All accounts and the tickets that were given out.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) tokens: HashMap<String, (String, Acl)>,
    pub(super) users: HashMap<String, (String, Acl)>,
    tickets: HashMap<String, String>,
    logins: u32,
}

impl Accounts {
    /// Finds out who calls.
    pub(super) fn authenticate(
        &self,
        method: &Method,
        headers: &HeaderMap,
        upload: bool,
    ) -> Result<Caller, Refusal> {
        if let Some(ticket) = ticket_of(headers) {
            return self.by_ticket(&ticket, method, headers, upload);
        }
        let text = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("PVEAPIToken"))
            .map(|value| value.trim_start_matches([' ', '=']));
        let Some((id, secret)) = text.and_then(|text| text.rsplit_once('=')) else {
            return Err(Refusal::new(401, "No ticket"));
        };
        match self.tokens.get(id) {
            Some((known, acl)) if known == secret => Ok(Caller {
                id: id.to_owned(),
                acl: acl.clone(),
            }),
            _ => Err(Refusal::new(401, "Authentication failed!")),
        }
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
        let Some((id, (_, acl))) = known else {
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
            acl: acl.clone(),
        })
    }

    /// A login with a password, or a renewal with a ticket in its place.
    pub(super) fn log_in(&mut self, user: &str, password: &str) -> Result<Value, Refusal> {
        let renews = self
            .tickets
            .get(password)
            .is_some_and(|owner| owner == user);
        let known = self
            .users
            .get(user)
            .is_some_and(|(known, _)| known == password);
        if !known && !renews {
            return Err(Refusal::new(401, "authentication failure"));
        }
        self.logins += 1;
        let ticket = format!("PVE:{user}:{:08X}::c2ln+/=", 0x66A1_B2C3 + self.logins);
        self.tickets.insert(ticket.clone(), user.to_owned());
        Ok(json!({
            "username": user,
            "CSRFPreventionToken": csrf_of(&ticket),
            "ticket": ticket,
            "cap": {},
        }))
    }

    pub(super) fn expire_tickets(&mut self) {
        self.tickets.clear();
    }
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
