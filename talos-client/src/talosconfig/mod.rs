//! The client configuration of `talosctl`: contexts with endpoints, nodes and a client certificate.
//!
//! ```
//! use talos_client::config::VersionContract;
//! use talos_client::secrets::{Role, SecretsBundle};
//! use talos_client::talosconfig::Talosconfig;
//!
//! # fn main() -> Result<(), talos_client::Error> {
//! let bundle = SecretsBundle::generate_blocking(VersionContract::new(1, 6))?;
//! let admin = bundle.client_certificate(Role::Admin).issue()?;
//!
//! let mut talosconfig = Talosconfig::for_cluster("lungmen.akn", &admin);
//! talosconfig.set_endpoints(None, ["10.0.2.10"])?;
//!
//! assert_eq!(talosconfig.current(), "lungmen.akn");
//! assert_eq!(talosconfig.current_context()?.not_after()?, Some(admin.not_after()));
//! # Ok(())
//! # }
//! ```

mod context;
mod document;
mod file;
mod info;
mod order;

use std::collections::BTreeMap;

pub use context::Context;
pub use file::TalosconfigFile;
pub use info::ContextInfo;

use crate::error::{Error, ErrorKind, Result};
use crate::go::glob::Pattern;
use crate::secrets::ClientCertificate;
use order::ContextName;

const OPERATION: &str = "change talosconfig";

/// A talosconfig: named contexts, one of them current.
///
/// It is a value: only [`TalosconfigFile`] touches a file. `Debug` shows no key.
#[derive(Debug, Clone, Default)]
pub struct Talosconfig {
    current: String,
    contexts: BTreeMap<ContextName, Context>,
}

/// A context that got another name because its own was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rename {
    /// The name in the configuration that was merged in.
    pub from: String,
    /// The name it has now.
    pub to: String,
}

/// What [`Talosconfig::remove`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// The contexts that are gone.
    pub removed: Vec<String>,
    /// Whether the pattern matched the current context, which is never removed.
    pub kept_current: bool,
}

impl Talosconfig {
    /// A configuration without contexts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `gen config` writes: one current context named after the cluster, without endpoints.
    #[must_use]
    pub fn for_cluster(cluster_name: impl Into<String>, certificate: &ClientCertificate) -> Self {
        let mut talosconfig = Self::new();
        talosconfig.current = cluster_name.into();
        talosconfig.add(
            talosconfig.current.clone(),
            Context::from_certificate(certificate),
        );
        talosconfig
    }

    /// The name of the current context; empty when there is none.
    #[must_use]
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The current context.
    ///
    /// # Errors
    /// `NotFound` when the current context is not among the contexts.
    pub fn current_context(&self) -> Result<&Context> {
        self.context(&self.current)
            .ok_or_else(|| undefined(&self.current))
    }

    /// The context of this name.
    #[must_use]
    pub fn context(&self, name: &str) -> Option<&Context> {
        self.contexts.get(&ContextName::from(name))
    }

    /// The context of this name, to change.
    pub fn context_mut(&mut self, name: &str) -> Option<&mut Context> {
        self.contexts.get_mut(&ContextName::from(name))
    }

    /// All contexts in the order they are written.
    pub fn contexts(&self) -> impl Iterator<Item = (&str, &Context)> {
        self.contexts
            .iter()
            .map(|(name, context)| (name.as_str(), context))
    }

    /// Adds a context, or replaces the one of this name. The current context stays what it was.
    pub fn add(&mut self, name: impl Into<String>, context: Context) {
        self.contexts
            .insert(ContextName::from(name.into()), context);
    }

    /// Makes a context the current one.
    ///
    /// # Errors
    /// `NotFound` when there is no context of this name.
    pub fn use_context(&mut self, name: &str) -> Result<()> {
        self.context(name).ok_or_else(|| undefined(name))?;
        name.clone_into(&mut self.current);
        Ok(())
    }

    /// Adds all contexts of another configuration and takes over its current context.
    ///
    /// A name that is taken gets the first free suffix `-1`, `-2`, …; contexts are never merged field by field, and the same
    /// context merged twice is there twice. When the other's current context is not among its contexts, none is current
    /// afterwards; when it names none, the current context stays.
    pub fn merge(&mut self, other: &Self) -> Vec<Rename> {
        let mut renames = Vec::new();
        let mut current = None;
        for (name, context) in other.contexts() {
            let free = self.free_name(name);
            if name == other.current {
                current = Some(free.clone());
            }
            if free != name {
                renames.push(Rename {
                    from: name.to_owned(),
                    to: free.clone(),
                });
            }
            self.add(free, context.clone());
        }
        if !other.current.is_empty() {
            self.current = current.unwrap_or_default();
        }
        renames
    }

    fn free_name(&self, name: &str) -> String {
        let suffixed = (1..).map(|number: u64| format!("{name}-{number}"));
        std::iter::once(name.to_owned())
            .chain(suffixed)
            .find(|candidate| self.context(candidate).is_none())
            .unwrap_or_default()
    }

    /// Removes all contexts that match a shell pattern (`*`, `?`, `[a-z]`, `\`), except the current one.
    ///
    /// # Errors
    /// `InvalidInput` with the reference's text when the pattern is malformed.
    pub fn remove(&mut self, pattern: &str) -> Result<Removed> {
        let pattern = Pattern::parse(pattern).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, OPERATION)
                .with_target(pattern)
                .with_message("syntax error in pattern")
        })?;
        let mut outcome = Removed::default();
        let current = &self.current;
        self.contexts.retain(|name, _| {
            if !pattern.matches(name.as_str()) {
                return true;
            }
            if name.as_str() == current {
                outcome.kept_current = true;
                return true;
            }
            outcome.removed.push(name.as_str().to_owned());
            false
        });
        Ok(outcome)
    }

    /// Replaces the endpoints of a context, or of the current one; blanks around them are dropped.
    ///
    /// # Errors
    /// `NotFound` when there is no such context.
    pub fn set_endpoints<S: AsRef<str>>(
        &mut self,
        context: Option<&str>,
        endpoints: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        self.named_or_current(context)?.set_endpoints(endpoints);
        Ok(())
    }

    /// Replaces the nodes of a context, or of the current one; blanks around them are dropped, and none clears the list.
    ///
    /// # Errors
    /// `NotFound` when there is no such context.
    pub fn set_nodes<S: AsRef<str>>(
        &mut self,
        context: Option<&str>,
        nodes: impl IntoIterator<Item = S>,
    ) -> Result<()> {
        self.named_or_current(context)?.set_nodes(nodes);
        Ok(())
    }

    fn named_or_current(&mut self, name: Option<&str>) -> Result<&mut Context> {
        let name = name.unwrap_or(&self.current).to_owned();
        self.context_mut(&name).ok_or_else(|| undefined(&name))
    }
}

fn undefined(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, OPERATION)
        .with_target(name)
        .with_message(format!("context {name:?} is not defined"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(current: &str, names: &[&str]) -> Talosconfig {
        let mut talosconfig = Talosconfig::new();
        for name in names {
            talosconfig.add(*name, Context::new());
        }
        current.clone_into(&mut talosconfig.current);
        talosconfig
    }

    fn names(talosconfig: &Talosconfig) -> Vec<&str> {
        talosconfig.contexts().map(|(name, _)| name).collect()
    }

    #[test]
    fn merging_renames_contexts_whose_name_is_taken() {
        let mut target = with("a", &["a", "a-1", "b"]);

        let renames = target.merge(&with("a", &["a", "c"]));

        assert_eq!(
            renames,
            [Rename {
                from: "a".into(),
                to: "a-2".into()
            }]
        );
        assert_eq!(names(&target), ["a", "a-1", "a-2", "b", "c"]);
        assert_eq!(target.current(), "a-2");
    }

    #[test]
    fn merging_the_same_configuration_twice_gives_it_twice() {
        let mut target = Talosconfig::new();
        let other = with("x", &["x"]);

        target.merge(&other);
        target.merge(&other);

        assert_eq!(names(&target), ["x", "x-1"]);
    }

    #[test]
    fn the_current_context_after_a_merge_follows_the_other_configuration() {
        let mut kept = with("a", &["a"]);
        kept.merge(&with("", &["b"]));
        assert_eq!(kept.current(), "a");

        let mut lost = with("a", &["a"]);
        lost.merge(&with("missing", &["b"]));
        assert_eq!(lost.current(), "");
        assert_eq!(
            lost.current_context().unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn removing_keeps_the_current_context() {
        let mut talosconfig = with("lab-1", &["lab-1", "lab-2", "prod"]);

        let outcome = talosconfig.remove("lab-*").unwrap();

        assert_eq!(outcome.removed, ["lab-2"]);
        assert!(outcome.kept_current);
        assert_eq!(names(&talosconfig), ["lab-1", "prod"]);
        assert_eq!(
            talosconfig.remove("[").unwrap_err().message(),
            "syntax error in pattern"
        );
    }

    #[test]
    fn endpoints_and_nodes_are_replaced_and_trimmed() {
        let mut talosconfig = with("a", &["a", "b"]);

        talosconfig
            .set_endpoints(None, [" 10.0.0.1 ", "10.0.0.2"])
            .unwrap();
        talosconfig.set_nodes(Some("b"), ["n"]).unwrap();
        talosconfig.set_nodes(Some("b"), [""; 0]).unwrap();

        assert_eq!(
            talosconfig.current_context().unwrap().endpoints(),
            ["10.0.0.1", "10.0.0.2"]
        );
        assert!(talosconfig.context("b").unwrap().nodes().is_empty());
        assert!(talosconfig.set_nodes(Some("c"), ["n"]).is_err());
    }

    #[test]
    fn a_context_must_exist_to_become_current() {
        let mut talosconfig = with("a", &["a", "b"]);

        talosconfig.use_context("b").unwrap();

        assert_eq!(talosconfig.current(), "b");
        assert_eq!(
            talosconfig.use_context("z").unwrap_err().message(),
            r#"context "z" is not defined"#
        );
    }
}
