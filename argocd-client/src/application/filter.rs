//! Which applications a list, a stream or a wait is about.

use std::fmt;

use super::model::Application;

const REPOSITORY: &str = "repo";

/// Which applications to list. Defaults to all that the account may see.
#[derive(Debug, Clone, Default)]
#[must_use = "a filter does nothing until it is used"]
pub struct ApplicationFilter {
    pub(crate) query: Vec<(&'static str, String)>,
}

impl ApplicationFilter {
    /// All applications.
    pub fn all() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Only this project. May be given several times.
    pub fn project(self, project: impl Into<String>) -> Self {
        self.with("projects", project)
    }

    /// Only with these labels, in the syntax of Kubernetes.
    pub fn selector(self, selector: impl Into<String>) -> Self {
        self.with("selector", selector)
    }

    /// Only objects in this namespace.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.with("appNamespace", namespace)
    }

    /// Only this name; the server returns the first match.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with("name", name)
    }

    /// Only from this repository.
    pub fn repository(self, url: impl Into<String>) -> Self {
        self.with(REPOSITORY, url)
    }

    pub(super) fn selector_text(&self) -> Option<&str> {
        let mut query = self.query.iter();
        let found = query.find(|(name, _)| *name == "selector")?;
        Some(&found.1)
    }

    /// Whether an application passes what the server filters in lists, but not in streams.
    pub(super) fn admits(&self, application: &Application) -> bool {
        let mut wanted = self.query.iter().filter(|(name, _)| *name == REPOSITORY);
        let sources = application.spec.source.iter();
        let sources: Vec<_> = sources.chain(&application.spec.sources).collect();
        wanted.all(|(_, url)| sources.iter().any(|source| source.repo_url == *url))
    }
}

/// The filter as a person reads it: `projects=team, selector=app=web`.
impl fmt::Display for ApplicationFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.query.is_empty() {
            return f.write_str("every project");
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reads_as_its_parameters_and_knows_what_streams_do_not_filter() {
        let filter = ApplicationFilter::all()
            .project("team")
            .repository("https://a");
        let application = |url: &str| -> Application {
            serde_json::from_value(serde_json::json!({"spec": {"source": {"repoURL": url}}}))
                .unwrap()
        };

        assert_eq!(filter.to_string(), "projects=team, repo=https://a");
        assert!(filter.admits(&application("https://a")));
        assert!(!filter.admits(&application("https://b")));
        assert!(ApplicationFilter::all().admits(&application("https://b")));
    }
}
