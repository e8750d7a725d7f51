//! Privileges: those the caller has, needs and lacks.

mod manage;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::wire;

pub use manage::{
    Access, AclEntry, AclUpdate, NewToken, RealmInfo, RoleInfo, TokenInfo, TokenRequest, UserInfo,
    UserRequest,
};

/// A privilege that a call needs on a path. Any of the alternatives is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    path: String,
    privileges: Vec<String>,
}

impl Requirement {
    /// For example `/storage/local` and `Datastore.AllocateTemplate`.
    pub fn new(path: impl Into<String>, privilege: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            privileges: vec![privilege.into()],
        }
    }

    /// Another privilege that is enough as well.
    #[must_use]
    pub fn or(mut self, privilege: impl Into<String>) -> Self {
        self.privileges.push(privilege.into());
        self
    }
}

/// A privilege that the caller does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MissingPermission {
    /// The object, for example `/vms/100`.
    pub path: String,
    /// The privilege; several when any of them would do.
    pub privileges: Vec<String>,
}

impl MissingPermission {
    /// Reads `Permission check failed (/vms/100, VM.Config.Disk|VM.Config.CDROM)`.
    pub(crate) fn in_text(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("Permission check failed (/")?;
        let (inside, _) = rest.split_once(')')?;
        let (path, privileges) = inside.split_once(", ")?;
        Some(Self {
            path: format!("/{path}"),
            privileges: privileges.split('|').map(str::to_owned).collect(),
        })
    }
}

impl fmt::Display for MissingPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.privileges.join(" or "), self.path)
    }
}

/// The caller's effective privileges.
///
/// The server lists the paths that have their own entry; every path below inherits what
/// propagates from its nearest listed ancestor, unless it is listed itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Permissions {
    paths: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Permissions {
    /// Whether the caller has `privilege` on `path`.
    #[must_use]
    pub fn has(&self, path: &str, privilege: &str) -> bool {
        if let Some(listed) = self.paths.get(path) {
            return listed.contains_key(privilege);
        }
        let mut ancestor = path;
        while let Some((parent, _)) = ancestor.rsplit_once('/') {
            let key = if parent.is_empty() { "/" } else { parent };
            if let Some(listed) = self.paths.get(key) {
                return listed.get(privilege).copied().unwrap_or(false);
            }
            ancestor = parent;
        }
        false
    }

    /// The requirements that are not met, in the given order.
    #[must_use]
    pub fn missing(&self, required: &[Requirement]) -> Vec<MissingPermission> {
        required
            .iter()
            .filter(|needed| {
                !needed
                    .privileges
                    .iter()
                    .any(|privilege| self.has(&needed.path, privilege))
            })
            .map(|needed| MissingPermission {
                path: needed.path.clone(),
                privileges: needed.privileges.clone(),
            })
            .collect()
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut paths = BTreeMap::new();
        // An empty Perl hash can arrive as an empty list or null.
        if let Value::Object(listed) = Value::deserialize(deserializer)? {
            for (path, privileges) in listed {
                let Value::Object(privileges) = privileges else {
                    continue;
                };
                let privileges = privileges
                    .into_iter()
                    .map(|(name, propagate)| (name, wire::truth(&propagate).unwrap_or(false)))
                    .collect();
                paths.insert(path, privileges);
            }
        }
        Ok(Self { paths })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn permissions() -> Permissions {
        serde_json::from_value(json!({
            "/": { "Sys.Audit": 1 },
            "/vms": { "VM.Audit": 1, "VM.Allocate": "0" },
            "/storage/local": { "Datastore.AllocateTemplate": 1 },
        }))
        .unwrap()
    }

    #[test]
    fn privileges_are_inherited_only_when_they_propagate() {
        let permissions = permissions();

        assert!(permissions.has("/vms", "VM.Allocate"));
        assert!(permissions.has("/vms/100", "VM.Audit"));
        assert!(!permissions.has("/vms/100", "VM.Allocate"));
        assert!(permissions.has("/nodes/pve-01", "Sys.Audit"));
    }

    #[test]
    fn the_nearest_entry_replaces_those_above_it() {
        assert!(!permissions().has("/vms/100", "Sys.Audit"));
    }

    #[test]
    fn all_unmet_requirements_are_listed_together() {
        let missing = permissions().missing(&[
            Requirement::new("/vms/100", "VM.Audit"),
            Requirement::new("/vms/100", "VM.PowerMgmt"),
            Requirement::new("/vms/100", "VM.GuestAgent.Audit").or("VM.Monitor"),
            Requirement::new("/storage/local", "Datastore.Audit").or("Datastore.AllocateTemplate"),
        ]);

        let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "VM.PowerMgmt on /vms/100",
                "VM.GuestAgent.Audit or VM.Monitor on /vms/100"
            ]
        );
    }

    #[test]
    fn refusals_without_a_path_name_no_privilege() {
        assert!(MissingPermission::in_text("Permission check failed (user != root@pam)").is_none());
        assert!(MissingPermission::in_text("Permission check failed").is_none());
    }

    #[test]
    fn nothing_at_all_may_come_as_an_empty_list() {
        let none: Permissions = serde_json::from_value(json!([])).unwrap();

        assert!(!none.has("/", "Sys.Audit"));
    }
}
