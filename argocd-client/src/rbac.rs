//! The rights that the RBAC of Argo CD gives to a subject, computed from a policy.
//!
//! The API answers [`Client::can_i`](crate::Client::can_i) for the account that asks, and for no other. Whoever can read the
//! ConfigMap `argocd-rbac-cm` can compute the answer for every account, group and role:
//! [`CoreClient::policy`](crate::core_mode::CoreClient::policy) reads it, and [`Policy::with_csv`] takes a policy that is not
//! in force yet. The rules are those of 3.5.1 (`util/rbac`, `server/rbacpolicy`).
//!
//! ```
//! use argocd_client::rbac::{MatchMode, Policy, Subject};
//!
//! let policy = Policy::built_in(MatchMode::Glob).with_csv(
//!     "p, role:deployer, applications, sync, team/*, allow\n\
//!      p, role:deployer, applications, sync, team/db, deny\n\
//!      g, example:deployers, role:deployer",
//! )?;
//! let jane = Subject::account("jane").group("example:deployers");
//!
//! assert!(policy.allows(&jane, "applications", "sync", "team/web"));
//! assert!(!policy.allows(&jane, "applications", "sync", "team/db"));
//! assert!(policy.allows(&"admin".into(), "clusters", "create", "https://10.5.0.2:6443"));
//! # Ok::<(), argocd_client::Error>(())
//! ```

mod built_in;
mod csv;
mod pattern;

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::project::Project;

use csv::Line;
use pattern::Pattern;

/// Whether a pattern of Argo CD, such as those of namespaces, fits a text.
#[cfg(feature = "mock")]
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    pattern::glob(pattern, text)
}

/// How the patterns of a policy are written (`policy.matchMode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchMode {
    /// `*` is any text, slashes included, `?` one character, `[a-z]` one of a class, `{a,b}` one of several.
    #[default]
    Glob,
    /// Regular expressions, which match anywhere in the text.
    Regex,
}

impl MatchMode {
    /// The mode of a value of the ConfigMap; what is not `regex` is a glob.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "regex" => Self::Regex,
            _ => Self::Glob,
        }
    }
}

/// Whose rights are asked for: an account, the role of a project, and the groups that an identity provider names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a subject does nothing by itself"]
pub struct Subject {
    name: String,
    groups: Vec<String>,
}

impl Subject {
    /// A local account, a user of the identity provider as the policy names it, or a role such as `role:readonly`.
    pub fn account(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            groups: Vec::new(),
        }
    }

    /// The tokens of a role of a project.
    pub fn project_role(project: &str, role: &str) -> Self {
        Self::account(format!("proj:{project}:{role}"))
    }

    /// Adds a group that the account is a member of.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.groups.push(name.into());
        self
    }

    fn project(&self) -> Option<&str> {
        let mut parts = self.name.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("proj"), Some(project), Some(_), None) => Some(project),
            _ => None,
        }
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Self {
        Self::account(name)
    }
}

/// Rules and roles.
#[derive(Debug, Clone, Default)]
struct Rules {
    rules: Vec<Rule>,
    /// Members and their roles.
    roles: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Rule {
    subject: String,
    resource: Pattern,
    action: Pattern,
    object: Pattern,
    effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
    /// A word that the server does not know: the rule has no effect.
    Unknown,
}

impl Rules {
    fn add(&mut self, mode: MatchMode, text: &str) -> Result<()> {
        for line in text.lines() {
            match csv::read(line) {
                Ok(Line::Nothing) => {}
                Ok(Line::Role { member, role }) => self.roles.push((member, role)),
                Ok(Line::Rule([subject, resource, action, object, effect])) => {
                    self.rules.push(Rule {
                        subject,
                        resource: Pattern::new(mode, &resource),
                        action: Pattern::new(mode, &action),
                        object: Pattern::new(mode, &object),
                        effect: match effect.as_str() {
                            "allow" => Effect::Allow,
                            "deny" => Effect::Deny,
                            _ => Effect::Unknown,
                        },
                    });
                }
                Err(problem) => {
                    return Err(Error::new(ErrorKind::InvalidInput, "read RBAC policy")
                        .with_message(format!("`{}`: {problem}", line.trim())));
                }
            }
        }
        Ok(())
    }
}

/// The resources whose objects begin with a project.
const OF_PROJECTS: [&str; 6] = [
    "applicationsets",
    "applications",
    "repositories",
    "clusters",
    "logs",
    "exec",
];

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    mode: MatchMode,
    rules: Rules,
    default_role: String,
    projects: BTreeMap<String, Rules>,
}

impl Policy {
    /// Adds lines `p, SUBJECT, RESOURCE, ACTION, OBJECT, allow|deny` and `g, MEMBER, ROLE`.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) with the line that the server cannot read either.
    pub fn with_csv(mut self, text: &str) -> Result<Self> {
        self.rules.add(self.mode, text)?;
        Ok(self)
    }

    /// Sets the role that everybody has (`policy.default`). What it allows no rule can deny.
    #[must_use]
    pub fn with_default_role(mut self, role: impl Into<String>) -> Self {
        self.default_role = role.into();
        self
    }

    /// Adds the roles of a project. They hold for objects of this project only.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) with the line that the server cannot read either.
    pub fn with_project(mut self, project: &Project) -> Result<Self> {
        let name = &project.metadata.name;
        let mut rules = Rules::default();
        for role in &project.spec.roles {
            let subject = format!("proj:{name}:{}", role.name);
            // A role may always read its own project.
            rules.add(
                self.mode,
                &format!("p, {subject}, projects, get, {name}, allow"),
            )?;
            for policy in &role.policies {
                rules.add(self.mode, policy)?;
            }
            let groups = role.groups.iter();
            rules
                .roles
                .extend(groups.map(|group| (group.clone(), subject.clone())));
        }
        self.projects.insert(name.clone(), rules);
        Ok(self)
    }

    /// Whether the subject may do `action` on `object` of `resource`.
    ///
    /// Of an application the object is `PROJECT/NAME`, or `PROJECT/NAMESPACE/NAME` outside the namespace of Argo CD. Actions on
    /// single resources are `action/GROUP/KIND/NAME`, `update/…` and `delete/…`.
    #[must_use]
    pub fn allows(&self, subject: &Subject, resource: &str, action: &str, object: &str) -> bool {
        let request = [resource, action, object];
        let project = match resource {
            "projects" => Some(object),
            _ if OF_PROJECTS.contains(&resource) => {
                object.split_once('/').map(|(project, _)| project)
            }
            _ => None,
        };
        let project = project.and_then(|name| Some((name, self.projects.get(name)?)));
        // A role of a project has no rights in another one.
        let foreign =
            project.is_some_and(|(name, _)| subject.project().is_some_and(|own| own != name));
        let of_project = project.map(|(_, rules)| rules);
        if self.permits(&self.default_role, of_project, request) {
            return true;
        }
        if foreign {
            return false;
        }
        let known = |group: &&String| self.roles(of_project).any(|(member, _)| member == *group);
        self.permits(&subject.name, of_project, request)
            || subject
                .groups
                .iter()
                .filter(known)
                .any(|group| self.permits(group, of_project, request))
    }

    /// Whether one rule of the subject or its roles allows the request, and none denies it.
    fn permits(&self, subject: &str, project: Option<&Rules>, request: [&str; 3]) -> bool {
        if subject.is_empty() {
            return false;
        }
        let subjects = self.with_roles(subject, project);
        let [resource, action, object] = request;
        let rules = self.rules.rules.iter();
        let rules = rules.chain(project.into_iter().flat_map(|project| &project.rules));
        let mut allowed = false;
        for rule in rules {
            let applies = subjects.contains(&rule.subject.as_str())
                && rule.resource.matches(resource)
                && rule.action.matches(action)
                && rule.object.matches(object);
            match rule.effect {
                Effect::Deny if applies => return false,
                Effect::Allow if applies => allowed = true,
                _ => {}
            }
        }
        allowed
    }

    fn roles<'a>(
        &'a self,
        project: Option<&'a Rules>,
    ) -> impl Iterator<Item = &'a (String, String)> {
        let of_project = project.into_iter().flat_map(|project| &project.roles);
        self.rules.roles.iter().chain(of_project)
    }

    /// The subject, its roles, and the roles of those.
    fn with_roles<'a>(&'a self, subject: &'a str, project: Option<&'a Rules>) -> Vec<&'a str> {
        let mut subjects = vec![subject];
        let mut next = 0;
        while let Some(subject) = subjects.get(next).copied() {
            for (member, role) in self.roles(project) {
                if member == subject && !subjects.contains(&role.as_str()) {
                    subjects.push(role);
                }
            }
            next += 1;
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::ProjectRole;

    fn policy(csv: &str) -> Policy {
        Policy::built_in(MatchMode::Glob).with_csv(csv).unwrap()
    }

    #[test]
    fn one_denial_wins_over_every_permission_of_the_same_subject() {
        let policy = policy(
            "g, ci, role:admin\np, ci, clusters, *, https://prod*, deny\ng, ops, role:admin\n# note",
        );

        assert!(policy.allows(&"ci".into(), "clusters", "create", "https://test:6443"));
        assert!(!policy.allows(&"ci".into(), "clusters", "create", "https://prod:6443"));
        // A group is a subject of its own.
        let member = Subject::account("ci").group("ops");
        assert!(policy.allows(&member, "clusters", "create", "https://prod:6443"));
    }

    #[test]
    fn the_default_role_is_everybodys_and_cannot_be_denied() {
        let before = policy("p, ci, clusters, get, *, deny");
        assert!(!before.allows(&"nobody".into(), "clusters", "get", "x"));

        let after = before.with_default_role("role:readonly");

        for subject in ["nobody", "ci"] {
            assert!(after.allows(&subject.into(), "clusters", "get", "x"));
            assert!(!after.allows(&subject.into(), "clusters", "delete", "x"));
        }
    }

    #[test]
    fn roles_of_a_project_hold_for_its_objects() {
        let mut project = Project::default();
        project.metadata.name = "team".to_owned();
        let rule = "p, proj:team:deploy, applications, sync, team/*, allow";
        let mut role = ProjectRole::new("deploy", [rule]);
        role.groups = vec!["deployers".to_owned()];
        project.spec.roles = vec![role];
        let policy = policy("").with_project(&project).unwrap();
        let deploy = Subject::project_role("team", "deploy");
        let member = Subject::account("jane").group("deployers");

        for subject in [&deploy, &member] {
            assert!(policy.allows(subject, "applications", "sync", "team/web"));
            assert!(policy.allows(subject, "projects", "get", "team"));
            assert!(!policy.allows(subject, "applications", "sync", "other/web"));
            assert!(!policy.allows(subject, "applications", "delete", "team/web"));
        }
        assert!(!policy.allows(
            &Subject::project_role("team", "x"),
            "projects",
            "get",
            "team"
        ));
        let other = Subject::project_role("other", "deploy");
        assert!(!policy.allows(&other, "projects", "get", "team"));
    }

    #[test]
    fn regular_expressions_match_anywhere() {
        let policy = Policy::built_in(MatchMode::Regex)
            .with_csv("p, ci, applications, ^(get|sync)$, ^team/, allow")
            .unwrap();

        assert!(policy.allows(&"ci".into(), "applications", "sync", "team/web"));
        assert!(!policy.allows(&"ci".into(), "applications", "sync", "x/team/web"));
        assert!(!policy.allows(&"ci".into(), "applications", "synced", "team/web"));
    }

    #[test]
    fn a_line_that_the_server_cannot_read_is_named() {
        for line in ["p, ci, clusters, get, *", "x, ci, a", "g, a, b, c", ", a"] {
            let error = Policy::default().with_csv(line).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(line.trim()), "{error}");
        }
    }
}
