//! The resources the mock knows, and which of them a path means.

/// A kind of object and where its paths begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
}

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) const RESOURCES: [Resource; 13] = [
    core("namespaces", "Namespace", false),
    core("nodes", "Node", false),
    core("pods", "Pod", true),
    core("services", "Service", true),
    core("configmaps", "ConfigMap", true),
    core("secrets", "Secret", true),
    core("serviceaccounts", "ServiceAccount", true),
    core("events", "Event", true),
    grouped("apps", "deployments", "Deployment", true),
    grouped("apps", "daemonsets", "DaemonSet", true),
    grouped("coordination.k8s.io", "leases", "Lease", true),
    grouped(RBAC, "clusterroles", "ClusterRole", false),
    grouped(RBAC, "clusterrolebindings", "ClusterRoleBinding", false),
];

const fn core(plural: &'static str, kind: &'static str, namespaced: bool) -> Resource {
    grouped("", plural, kind, namespaced)
}

const fn grouped(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Resource {
    Resource {
        group,
        version: "v1",
        plural,
        kind,
        namespaced,
    }
}

impl Resource {
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The plural as error messages write it, for example `clusterroles.rbac.authorization.k8s.io`.
    pub(super) fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

pub(super) fn by_plural(plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.plural == plural)
}

pub(super) fn by_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|resource| resource.kind == kind && resource.api_version() == api_version)
}

/// What a path addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/version`
    Version,
    /// `/readyz`, `/livez`, `/healthz`
    Health,
    /// A list, or the collection to create in.
    Collection {
        resource: &'static Resource,
        namespace: Option<String>,
    },
    /// One object.
    Object {
        resource: &'static Resource,
        namespace: String,
        name: String,
    },
    /// `serviceaccounts/NAME/token`
    TokenRequest { namespace: String, name: String },
    /// `selfsubjectaccessreviews`
    AccessReview,
    /// Anything else.
    Unknown,
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/version" => return Self::Version,
            "/readyz" | "/livez" | "/healthz" => return Self::Health,
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => return Self::AccessReview,
            _ => {}
        }
        let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] => (*group, rest),
            _ => return Self::Unknown,
        };
        let find = |plural: &str| by_plural(plural).filter(|resource| resource.group == group);
        Self::within(rest, find).unwrap_or(Self::Unknown)
    }

    fn within(rest: &[&str], find: impl Fn(&str) -> Option<&'static Resource>) -> Option<Self> {
        Some(match *rest {
            ["namespaces", namespace, "serviceaccounts", name, "token"] => Self::TokenRequest {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            ["namespaces", namespace, plural] => Self::Collection {
                resource: find(plural).filter(|resource| resource.namespaced)?,
                namespace: Some(namespace.to_owned()),
            },
            ["namespaces", namespace, plural, name] => Self::Object {
                resource: find(plural).filter(|resource| resource.namespaced)?,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            [plural] => Self::Collection {
                resource: find(plural)?,
                namespace: None,
            },
            [plural, name] => Self::Object {
                resource: find(plural).filter(|resource| !resource.namespaced)?,
                namespace: String::new(),
                name: name.to_owned(),
            },
            _ => return None,
        })
    }
}

fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_core_group_and_of_named_groups_are_told_apart() {
        let secret = Target::of("/api/v1/namespaces/kube-system/secrets/x");
        assert!(
            matches!(secret, Target::Object { ref namespace, .. } if namespace == "kube-system")
        );
        assert!(matches!(
            Target::of("/apis/rbac.authorization.k8s.io/v1/clusterroles/x"),
            Target::Object { .. }
        ));
        assert!(matches!(
            Target::of("/api/v1/pods"),
            Target::Collection {
                namespace: None,
                ..
            }
        ));
    }

    #[test]
    fn paths_a_server_would_not_know_are_unknown() {
        for path in [
            "/apis/apps/v1/pods",
            "/api/v1/pods/x",
            "/api/v1/namespaces/a/nodes/b",
            "/api/v2/pods",
            "/metrics",
            "/",
        ] {
            assert_eq!(Target::of(path), Target::Unknown, "{path}");
        }
    }
}
