//! The roles that every installation has.

use super::pattern::Pattern;
use super::{Effect, MatchMode, Policy, Rule};

impl Policy {
    /// The roles that every installation has, `role:readonly` and `role:admin`, and the account `admin` in the latter.
    #[must_use]
    pub fn built_in(mode: MatchMode) -> Self {
        let mut policy = Self {
            mode,
            ..Self::default()
        };
        let rules = &mut policy.rules;
        let mut grant = |role: &str, resource: &str, action: &str| {
            let object = if matches!(
                resource,
                "applications" | "applicationsets" | "logs" | "exec"
            ) {
                "*/*"
            } else {
                "*"
            };
            rules.rules.push(Rule {
                subject: role.to_owned(),
                resource: Pattern::new(mode, resource),
                action: Pattern::new(mode, action),
                object: Pattern::new(mode, object),
                effect: Effect::Allow,
            });
        };
        for resource in READABLE {
            grant(READER, resource, "get");
        }
        for (resource, actions) in CHANGEABLE {
            for action in *actions {
                grant(ADMIN, resource, action);
            }
        }
        let member = |member: &str, role: &str| (member.to_owned(), role.to_owned());
        rules.roles = vec![member(ADMIN, READER), member("admin", ADMIN)];
        policy
    }
}

const READER: &str = "role:readonly";
const ADMIN: &str = "role:admin";

const READABLE: [&str; 10] = [
    "applications",
    "applicationsets",
    "certificates",
    "clusters",
    "repositories",
    "write-repositories",
    "projects",
    "accounts",
    "gpgkeys",
    "logs",
];

const CHANGES: &[&str] = &["create", "update", "delete"];

const CHANGEABLE: &[(&str, &[&str])] = &[
    (
        "applications",
        &[
            "create", "update", "update/*", "delete", "delete/*", "sync", "override", "action/*",
        ],
    ),
    ("applicationsets", &["get", "create", "update", "delete"]),
    ("certificates", CHANGES),
    ("clusters", CHANGES),
    ("repositories", CHANGES),
    ("write-repositories", CHANGES),
    ("projects", CHANGES),
    ("accounts", &["update"]),
    ("gpgkeys", &["create", "delete"]),
    ("exec", &["create"]),
];
