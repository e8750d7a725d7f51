//! Which application, and which cluster, is meant.

use super::model::{Application, Destination};
use crate::cluster::{Cluster, ServerUrl};

/// A cluster with both its identities, to recognise the applications that target it.
///
/// The server has no filter for this; applications are compared here, by address and by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    server: ServerUrl,
    name: String,
}

impl Target {
    /// The cluster with this address and name.
    #[must_use]
    pub fn new(server: ServerUrl, name: impl Into<String>) -> Self {
        Self {
            server,
            name: name.into(),
        }
    }

    /// The address.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a destination means this cluster.
    #[must_use]
    pub fn is(&self, destination: &Destination) -> bool {
        if destination.server.is_empty() {
            !destination.name.is_empty() && destination.name == self.name
        } else {
            self.server.matches(&destination.server)
        }
    }
}

impl TryFrom<&Cluster> for Target {
    type Error = crate::Error;

    fn try_from(cluster: &Cluster) -> Result<Self, crate::Error> {
        Ok(Self::new(
            ServerUrl::parse(&cluster.server)?,
            cluster.name.clone(),
        ))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.server)
    }
}

/// Which application is meant: name, and the namespace of the object when it is not Argo CD's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppRef {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) project: Option<String>,
}

impl AppRef {
    /// An application in the namespace of Argo CD.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: None,
            project: None,
        }
    }

    /// The namespace of the application object; needed with "applications in any namespace".
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The project it belongs to. Only with it does the server answer "not found" rather than
    /// "permission denied" for a missing application.
    #[must_use]
    pub fn in_project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of the application object, when it is not Argo CD's own.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

impl From<&Application> for AppRef {
    fn from(application: &Application) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            name: application.metadata.name.clone(),
            namespace: given(&application.metadata.namespace),
            project: given(&application.spec.project),
        }
    }
}

impl std::fmt::Display for AppRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_matched_by_address_or_by_name() {
        let target = Target::new(
            ServerUrl::parse("https://10.5.0.2:6443").unwrap(),
            "lungmen",
        );

        assert!(target.is(&Destination {
            server: "https://10.5.0.2:6443/".into(),
            ..Destination::default()
        }));
        assert!(target.is(&Destination::name("lungmen").namespace("kube-system")));
        assert!(!target.is(&Destination::name("other")));
        assert!(!target.is(&Destination {
            server: "https://10.5.0.3:6443".into(),
            ..Destination::default()
        }));
        assert!(!target.is(&Destination::default()));
    }
}
