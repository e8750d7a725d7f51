//! Who has which privileges where.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::mock::check::Release;
use crate::mock::privileges::{PRIVILEGES, is_privilege};
use crate::mock::reply::Refusal;

/// Which privileges a token or user has on which paths.
#[derive(Debug, Clone)]
pub struct Acl(BTreeMap<String, BTreeMap<String, bool>>);

impl Acl {
    pub(in crate::mock) fn from_entries<'a>(
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
    pub(in crate::mock) fn intersection(&self, other: &Self) -> Self {
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

    pub(super) fn has(&self, path: &str, privilege: &str) -> bool {
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
pub(in crate::mock) struct Caller {
    /// `user@realm` or `user@realm!token`.
    pub(in crate::mock) id: String,
    pub(in crate::mock) acl: Acl,
}

impl Caller {
    pub(in crate::mock) fn is_root_with_password(&self) -> bool {
        self.id == "root@pam"
    }

    /// Requires any of the privileges.
    pub(in crate::mock) fn require(&self, path: &str, privileges: &[&str]) -> Result<(), Refusal> {
        if !path.is_empty() && self.may(path, privileges) {
            Ok(())
        } else {
            Err(Refusal::permission(path, privileges))
        }
    }

    pub(in crate::mock) fn may(&self, path: &str, privileges: &[&str]) -> bool {
        privileges
            .iter()
            .any(|privilege| self.acl.has(path, privilege))
    }

    /// Evaluates the rule of a call: `["perm", path, privileges]`, `["and", …]`, `["or", …]`.
    pub(in crate::mock) fn check_rule(
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
    pub(in crate::mock) fn permissions(&self, release: Release, path: Option<&str>) -> Value {
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
    pub(in crate::mock) fn user(&self) -> &str {
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
