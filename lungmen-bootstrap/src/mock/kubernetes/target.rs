//! What a path addresses.

use super::resource::{RESOURCES, Resource};

/// What a path addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/version`
    Version,
    /// `/readyz`, `/livez`, `/healthz`, or one of their checks.
    Health { check: Option<String> },
    /// `/`
    Root,
    /// `/api`
    Api,
    /// `/apis`
    Apis,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    GroupVersion(String, String),
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
    /// The status of one object.
    Status {
        resource: &'static Resource,
        namespace: String,
        name: String,
    },
    /// The number of replicas of one object.
    Scale {
        resource: &'static Resource,
        namespace: String,
        name: String,
    },
    /// `pods/NAME/portforward`
    PortForward { namespace: String, name: String },
    /// A subresource that the definition of a custom resource does not have.
    NoSubresource {
        resource: &'static Resource,
        name: String,
    },
    /// `serviceaccounts/NAME/token`
    TokenRequest { namespace: String, name: String },
    /// `selfsubjectaccessreviews`
    AccessReview,
    /// `selfsubjectrulesreviews`
    RulesReview,
    /// `selfsubjectreviews`
    SelfReview,
    /// `tokenreviews`
    TokenReview,
    /// A path below a group version that exists.
    UnknownResource,
    /// Any other path.
    Unknown,
}

impl Target {
    /// The target of a path on a server with the built-in and these other resources.
    pub(super) fn of(path: &str, custom: &[&'static Resource]) -> Self {
        match path {
            "/" => return Self::Root,
            "/api" => return Self::Api,
            "/apis" | "/apis/" => return Self::Apis,
            "/version" => return Self::Version,
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => return Self::AccessReview,
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" => return Self::RulesReview,
            "/apis/authentication.k8s.io/v1/selfsubjectreviews" => return Self::SelfReview,
            "/apis/authentication.k8s.io/v1/tokenreviews" => return Self::TokenReview,
            _ => {}
        }
        let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["readyz" | "livez" | "healthz"] => return Self::Health { check: None },
            ["readyz" | "livez" | "healthz", check @ ..] => {
                return Self::Health {
                    check: Some(check.join("/")),
                };
            }
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group] => return Self::group(group, custom),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Self::Unknown,
        };
        let all = || RESOURCES.iter().chain(custom.iter().copied());
        let served = |one: &&Resource| one.group == group && one.version == version;
        if !all().any(|one| served(&one)) {
            return Self::Unknown;
        }
        if rest.is_empty() {
            return Self::GroupVersion(group.to_owned(), version.to_owned());
        }
        let find = |plural: &str| all().find(|one| served(one) && one.plural == plural);
        Self::within(rest, find).unwrap_or(Self::UnknownResource)
    }

    fn group(name: &str, custom: &[&'static Resource]) -> Self {
        let mut all = RESOURCES.iter().chain(custom.iter().copied());
        if all.any(|resource| resource.group == name && !name.is_empty()) {
            Self::Group(name.to_owned())
        } else {
            Self::Unknown
        }
    }

    fn within(rest: &[&str], find: impl Fn(&str) -> Option<&'static Resource>) -> Option<Self> {
        let namespaced = |plural: &str| find(plural).filter(|resource| resource.namespaced);
        let cluster_wide = |plural: &str| find(plural).filter(|resource| !resource.namespaced);
        let object = |resource, namespace: &str, name: &str| Self::Object {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let status = |resource: &'static Resource, namespace: &str, name: &str| {
            resource.has_status.then(|| Self::Status {
                resource,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
        };
        Some(match *rest {
            ["namespaces", namespace, "serviceaccounts", name, "token"] => Self::TokenRequest {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            ["namespaces", namespace, plural] => Self::Collection {
                resource: namespaced(plural)?,
                namespace: Some(namespace.to_owned()),
            },
            ["namespaces", namespace, plural, name] => object(namespaced(plural)?, namespace, name),
            ["namespaces", namespace, plural, name, "status"] if namespaced(plural)?.has_status => {
                status(namespaced(plural)?, namespace, name)?
            }
            ["namespaces", namespace, "pods", name, "portforward"] => Self::PortForward {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            ["namespaces", namespace, plural, name, "scale"] if namespaced(plural)?.has_scale() => {
                Self::Scale {
                    resource: namespaced(plural)?,
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                }
            }
            ["namespaces", _, plural, name, _] if namespaced(plural)?.is_custom => {
                Self::NoSubresource {
                    resource: namespaced(plural)?,
                    name: name.to_owned(),
                }
            }
            [plural] => Self::Collection {
                resource: find(plural)?,
                namespace: None,
            },
            [plural, name] => object(cluster_wide(plural)?, "", name),
            [plural, name, "status"] => status(cluster_wide(plural)?, "", name)?,
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
    use serde_json::json;

    #[test]
    fn paths_of_the_core_group_and_of_named_groups_are_distinguished() {
        let secret = Target::of("/api/v1/namespaces/kube-system/secrets/x", &[]);
        assert!(
            matches!(secret, Target::Object { ref namespace, .. } if namespace == "kube-system")
        );
        assert!(matches!(
            Target::of("/apis/rbac.authorization.k8s.io/v1/clusterroles/x", &[]),
            Target::Object { .. }
        ));
        assert!(matches!(
            Target::of("/api/v1/pods", &[]),
            Target::Collection {
                namespace: None,
                ..
            }
        ));
    }

    #[test]
    fn unknown_resources_of_a_group_and_unknown_paths_are_distinguished() {
        for path in [
            "/apis/apps/v1/pods",
            "/api/v1/pods/x",
            "/api/v1/namespaces/a/nodes/b",
        ] {
            assert_eq!(Target::of(path, &[]), Target::UnknownResource, "{path}");
        }
        for path in ["/api/v2/pods", "/metrics", "/apis/example.org/v1"] {
            assert_eq!(Target::of(path, &[]), Target::Unknown, "{path}");
        }
    }

    #[test]
    fn a_definition_adds_the_paths_of_its_served_versions() {
        let definition = json!({"spec": {"group": "example.org", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"}, "versions": [
                {"name": "v1", "served": true, "subresources": {"status": {}}},
                {"name": "v0", "served": false}]}});
        let custom = Resource::defined_by(&definition);
        let target = |path: &str| Target::of(path, &custom);

        assert_eq!(custom.len(), 1);
        assert!(std::ptr::eq(
            custom[0],
            Resource::defined_by(&definition)[0]
        ));
        let path = "/apis/example.org/v1/namespaces/a/widgets/w";
        assert!(matches!(target(path), Target::Object { .. }));
        assert!(matches!(
            target(&format!("{path}/status")),
            Target::Status { .. }
        ));
        assert_eq!(target("/apis/example.org/v0/widgets"), Target::Unknown);
    }
}
