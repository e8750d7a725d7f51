//! Who may do what in the mock: a policy in the server's own language, and what a test denies.

use super::response::Rejection;
use super::state::{ServerState, now};
use crate::rbac::{self, MatchMode, glob};

/// The resources that `can-i` knows, in the order in which its error lists them.
const RESOURCES: [&str; 12] = [
    "clusters",
    "projects",
    "applications",
    "applicationsets",
    "repositories",
    "write-repositories",
    "certificates",
    "accounts",
    "gpgkeys",
    "logs",
    "exec",
    "extensions",
];

/// The actions that `can-i` knows, in the order in which its error lists them.
const ACTIONS: [&str; 8] = [
    "get", "create", "update", "delete", "sync", "override", "action", "invoke",
];

/// Who may do what.
#[derive(Debug)]
pub(super) struct Policy {
    rules: Box<rbac::Policy>,
    /// Actions on resources that a test denies to everybody.
    denied: Vec<(String, String)>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rules: Box::new(rbac::Policy::built_in(MatchMode::Glob)),
            denied: Vec::new(),
        }
    }
}

impl Policy {
    /// Adds lines of a policy.
    ///
    /// # Panics
    /// For a line that is neither a rule nor a role: a test cannot go on with half a policy.
    #[allow(clippy::panic)]
    pub(super) fn add(&mut self, csv: &str) {
        match (*self.rules).clone().with_csv(csv) {
            Ok(rules) => *self.rules = rules,
            Err(error) => panic!("policy of Argo CD: {error}"),
        }
    }

    pub(super) fn set_default_role(&mut self, role: String) {
        *self.rules = (*self.rules).clone().with_default_role(role);
    }

    /// Denies an action on a resource to everybody.
    pub(super) fn deny(&mut self, resource: &str, action: &str) {
        self.denied.push((resource.to_owned(), action.to_owned()));
    }

    /// Takes such a denial back.
    pub(super) fn allow(&mut self, resource: &str, action: &str) {
        self.denied
            .retain(|(denied, of)| (denied.as_str(), of.as_str()) != (resource, action));
    }

    /// Whether an account may do `action` on `object` of `resource`.
    pub(super) fn permits(
        &self,
        account: &str,
        resource: &str,
        action: &str,
        object: &str,
    ) -> bool {
        let mut denied = self.denied.iter();
        !denied.any(|(denied, of)| glob(denied, resource) && glob(of, action))
            && self.rules.allows(&account.into(), resource, action, object)
    }
}

/// The account that sends a request.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// None for anonymous.
    pub(super) account: Option<String>,
    /// A new token for a session that is about to end.
    pub(super) renewed: Option<String>,
}

impl Caller {
    pub(super) fn name(&self) -> &str {
        self.account.as_deref().unwrap_or_default()
    }
}

impl ServerState {
    /// Whether the caller may do `action` on an object.
    pub(super) fn allows(
        &self,
        caller: &Caller,
        resource: &str,
        action: &str,
        object: &str,
    ) -> bool {
        match &caller.account {
            Some(account) => self.policy.permits(account, resource, action, object),
            None => false,
        }
    }

    /// Rejects with the text of the server, which names the object.
    pub(super) fn enforce(
        &self,
        caller: &Caller,
        resource: &str,
        action: &str,
        object: &str,
    ) -> Result<(), Rejection> {
        if self.allows(caller, resource, action, object) {
            return Ok(());
        }
        let subject = caller.name();
        Err(Rejection::new(
            7,
            format!(
                "permission denied: {resource}, {action}, {object}, sub: {subject}, iat: {}",
                now()
            ),
        ))
    }

    /// Rejects with the text that hides whether the object exists.
    pub(super) fn enforce_hidden(
        &self,
        caller: &Caller,
        resource: &str,
        action: &str,
        object: &str,
    ) -> Result<(), Rejection> {
        if self.allows(caller, resource, action, object) {
            Ok(())
        } else {
            Err(Rejection::hidden())
        }
    }
}

/// The check of `can-i`, which knows its actions and resources.
pub(super) fn check_words(resource: &str, action: &str) -> Result<(), Rejection> {
    let known = |words: &[&str], word: &str| match words.contains(&word) {
        true => Ok(()),
        false => Err(Rejection::invalid(format!(
            "[{}] does not contain {word}",
            words.join(" ")
        ))),
    };
    known(&ACTIONS, action)?;
    known(&RESOURCES, resource)
}
