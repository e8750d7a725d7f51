//! RBAC in the server's own language: lines `p, subject, resource, action, object, effect` and
//! `g, subject, role`, with patterns.
//!
//! The rules are those of `assets/builtin-policy.csv` and `util/rbac/rbac.go`: a request is allowed
//! when one rule allows it and none denies it; `*` matches any text, slashes included.

use super::response::Rejection;
use super::state::{ServerState, now};

/// The roles that every installation has.
const BUILT_IN: &str = "\
p, role:readonly, applications, get, */*, allow
p, role:readonly, applicationsets, get, */*, allow
p, role:readonly, certificates, get, *, allow
p, role:readonly, clusters, get, *, allow
p, role:readonly, repositories, get, *, allow
p, role:readonly, write-repositories, get, *, allow
p, role:readonly, projects, get, *, allow
p, role:readonly, accounts, get, *, allow
p, role:readonly, gpgkeys, get, *, allow
p, role:readonly, logs, get, */*, allow
p, role:admin, applications, *, */*, allow
p, role:admin, applicationsets, *, */*, allow
p, role:admin, certificates, *, *, allow
p, role:admin, clusters, *, *, allow
p, role:admin, repositories, *, *, allow
p, role:admin, write-repositories, *, *, allow
p, role:admin, projects, *, *, allow
p, role:admin, accounts, *, *, allow
p, role:admin, gpgkeys, *, *, allow
p, role:admin, exec, create, */*, allow
g, role:admin, role:readonly
g, admin, role:admin
";

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

#[derive(Debug, Clone)]
struct Rule {
    subject: String,
    resource: String,
    action: String,
    object: String,
    allow: bool,
}

/// Who may do what.
#[derive(Debug)]
pub(super) struct Policy {
    rules: Vec<Rule>,
    roles: Vec<(String, String)>,
    default_role: String,
}

impl Default for Policy {
    fn default() -> Self {
        let mut policy = Self {
            rules: Vec::new(),
            roles: Vec::new(),
            default_role: String::new(),
        };
        policy.add(BUILT_IN);
        policy
    }
}

impl Policy {
    /// Adds lines of a policy.
    ///
    /// # Panics
    /// For a line that is neither a rule nor a role: a test cannot go on with half a policy.
    #[allow(clippy::panic)]
    pub(super) fn add(&mut self, csv: &str) {
        for line in csv.lines().map(str::trim) {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            match fields.as_slice() {
                [] | [""] => {}
                [comment, ..] if comment.starts_with('#') => {}
                [
                    "p",
                    subject,
                    resource,
                    action,
                    object,
                    effect @ ("allow" | "deny"),
                ] => {
                    self.rules.push(Rule {
                        subject: (*subject).to_owned(),
                        resource: (*resource).to_owned(),
                        action: (*action).to_owned(),
                        object: (*object).to_owned(),
                        allow: *effect == "allow",
                    });
                }
                ["g", subject, role] => {
                    self.roles.push(((*subject).to_owned(), (*role).to_owned()))
                }
                _ => panic!("line of an Argo CD policy: {line:?}"),
            }
        }
    }

    pub(super) fn set_default_role(&mut self, role: String) {
        self.default_role = role;
    }

    /// Denies an action on a resource to everybody.
    pub(super) fn deny(&mut self, resource: &str, action: &str) {
        self.rules.push(denial(resource, action));
    }

    /// Takes such a denial back.
    pub(super) fn allow(&mut self, resource: &str, action: &str) {
        let wanted = denial(resource, action);
        self.rules.retain(|rule| {
            rule.allow
                || (&rule.subject, &rule.resource, &rule.action)
                    != (&wanted.subject, &wanted.resource, &wanted.action)
        });
    }

    /// Whether an account may do `action` on `object` of `resource`.
    pub(super) fn permits(
        &self,
        account: &str,
        resource: &str,
        action: &str,
        object: &str,
    ) -> bool {
        let subjects = self.subjects(account);
        let mut applying = self.rules.iter().filter(|rule| {
            subjects.iter().any(|subject| glob(&rule.subject, subject))
                && glob(&rule.resource, resource)
                && glob(&rule.action, action)
                && glob(&rule.object, object)
        });
        let mut allowed = false;
        applying.all(|rule| {
            allowed |= rule.allow;
            rule.allow
        }) && allowed
    }

    /// The account, its roles, and the roles of those.
    fn subjects<'a>(&'a self, account: &'a str) -> Vec<&'a str> {
        let mut subjects = vec![account];
        if !self.default_role.is_empty() {
            subjects.push(&self.default_role);
        }
        let mut next = 0;
        while let Some(subject) = subjects.get(next).copied() {
            for (member, role) in &self.roles {
                if member == subject && !subjects.contains(&role.as_str()) {
                    subjects.push(role);
                }
            }
            next += 1;
        }
        subjects
    }
}

fn denial(resource: &str, action: &str) -> Rule {
    Rule {
        subject: "*".to_owned(),
        resource: resource.to_owned(),
        action: action.to_owned(),
        object: "*".to_owned(),
        allow: false,
    }
}

/// `*` stands for any text, `?` for one character.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // The classic two-pointer match: go back to the last star when a character does not fit.
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(character) if *character == '?' || *character == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                None => return false,
                Some((position, matched)) => {
                    *matched += 1;
                    (p, t) = (*position + 1, *matched);
                }
            },
        }
    }
    pattern[p..].iter().all(|character| *character == '*')
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

/// The check of `can-i`, which knows its resources.
pub(super) fn known_resource(resource: &str) -> Result<(), Rejection> {
    if RESOURCES.contains(&resource) {
        return Ok(());
    }
    Err(Rejection::invalid(format!(
        "[{}] does not contain {resource}",
        RESOURCES.join(" ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_any_text_and_slashes_too() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("*/*", "*", false),
            ("*/*", "default/one", true),
            ("default/*", "default/argocd/one", true),
            ("default/*", "team/one", false),
            ("https://10.*", "https://10.5.0.2:6443", true),
            ("a?c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn one_denial_wins_over_every_permission() {
        let mut policy = Policy::default();
        policy.add("g, ci, role:admin\np, limited, applications, get, default/*, allow\n# note");

        assert!(policy.permits("ci", "clusters", "create", "https://h"));
        assert!(policy.permits("limited", "applications", "get", "default/one"));
        assert!(!policy.permits("limited", "applications", "get", "*/one"));
        assert!(!policy.permits("limited", "clusters", "get", "https://h"));

        policy.deny("clusters", "*");
        assert!(!policy.permits("ci", "clusters", "create", "https://h"));
        policy.allow("clusters", "*");
        assert!(policy.permits("ci", "clusters", "create", "https://h"));
    }

    #[test]
    fn the_default_role_is_everybodys() {
        let mut policy = Policy::default();
        assert!(!policy.permits("nobody", "clusters", "get", "x"));

        policy.set_default_role("role:readonly".to_owned());

        assert!(policy.permits("nobody", "clusters", "get", "x"));
        assert!(!policy.permits("nobody", "clusters", "delete", "x"));
    }
}
