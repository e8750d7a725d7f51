//! The resources that the server has, and what a path addresses.

use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

/// A kind of object and where its paths begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    /// Whether its status has a path of its own.
    pub(super) has_status: bool,
    /// Whether a CustomResourceDefinition made it.
    pub(super) is_custom: bool,
}

const RBAC: &str = "rbac.authorization.k8s.io";
pub(super) const DEFINITIONS: &str = "customresourcedefinitions";

/// The built-in resources that are modelled, in the order of the groups in discovery.
pub(super) const RESOURCES: [Resource; 25] = [
    core("configmaps", "ConfigMap", true),
    core("endpoints", "Endpoints", true),
    core("events", "Event", true),
    with_status(core("namespaces", "Namespace", false)),
    with_status(core("nodes", "Node", false)),
    with_status(core(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        true,
    )),
    with_status(core("persistentvolumes", "PersistentVolume", false)),
    with_status(core("pods", "Pod", true)),
    core("secrets", "Secret", true),
    core("serviceaccounts", "ServiceAccount", true),
    with_status(core("services", "Service", true)),
    with_status(grouped(
        "apiregistration.k8s.io",
        "apiservices",
        "APIService",
        false,
    )),
    grouped("apps", "controllerrevisions", "ControllerRevision", true),
    with_status(grouped("apps", "daemonsets", "DaemonSet", true)),
    with_status(grouped("apps", "deployments", "Deployment", true)),
    with_status(grouped("apps", "replicasets", "ReplicaSet", true)),
    with_status(grouped("apps", "statefulsets", "StatefulSet", true)),
    with_status(grouped("networking.k8s.io", "ingresses", "Ingress", true)),
    grouped(RBAC, "clusterrolebindings", "ClusterRoleBinding", false),
    grouped(RBAC, "clusterroles", "ClusterRole", false),
    grouped(RBAC, "rolebindings", "RoleBinding", true),
    grouped(RBAC, "roles", "Role", true),
    grouped("storage.k8s.io", "storageclasses", "StorageClass", false),
    with_status(grouped(
        "apiextensions.k8s.io",
        DEFINITIONS,
        "CustomResourceDefinition",
        false,
    )),
    grouped("coordination.k8s.io", "leases", "Lease", true),
];

/// Short names, as `kubectl` uses them.
pub(super) const SHORT_NAMES: [(&str, &str); 14] = [
    ("configmaps", "cm"),
    ("customresourcedefinitions", "crd"),
    ("daemonsets", "ds"),
    ("deployments", "deploy"),
    ("endpoints", "ep"),
    ("events", "ev"),
    ("ingresses", "ing"),
    ("namespaces", "ns"),
    ("nodes", "no"),
    ("persistentvolumeclaims", "pvc"),
    ("persistentvolumes", "pv"),
    ("pods", "po"),
    ("serviceaccounts", "sa"),
    ("services", "svc"),
];

/// The fields of an object beside its identity, where they are not `spec` and `status`.
pub(super) fn fields(resource: &Resource) -> &'static [&'static str] {
    match resource.kind {
        "ConfigMap" => &["data", "binaryData", "immutable"],
        "Secret" => &["data", "stringData", "type", "immutable"],
        "ServiceAccount" => &[
            "secrets",
            "imagePullSecrets",
            "automountServiceAccountToken",
        ],
        "Endpoints" => &["subsets"],
        "ClusterRole" => &["rules", "aggregationRule"],
        "Role" => &["rules"],
        "ClusterRoleBinding" | "RoleBinding" => &["subjects", "roleRef"],
        "ControllerRevision" => &["data", "revision"],
        "StorageClass" => &[
            "provisioner",
            "parameters",
            "reclaimPolicy",
            "mountOptions",
            "allowVolumeExpansion",
            "volumeBindingMode",
            "allowedTopologies",
        ],
        "Event" => &[
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "type",
            "eventTime",
            "series",
            "action",
            "related",
            "reportingComponent",
            "reportingInstance",
        ],
        _ => &["spec", "status"],
    }
}

const fn with_status(resource: Resource) -> Resource {
    Resource {
        has_status: true,
        ..resource
    }
}

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
        has_status: false,
        is_custom: false,
    }
}

impl Resource {
    pub(super) fn api_version(&self) -> String {
        group_version(self.group, self.version)
    }

    /// The plural as error messages write it, for example `clusterroles.rbac.authorization.k8s.io`.
    pub(super) fn qualified(&self) -> String {
        with_group(self.plural, self.group)
    }

    /// The kind as error messages write it.
    pub(super) fn qualified_kind(&self) -> String {
        with_group(self.kind, self.group)
    }

    /// Whether its number of replicas has a path of its own.
    pub(super) fn has_scale(&self) -> bool {
        self.group == "apps"
            && matches!(self.plural, "deployments" | "replicasets" | "statefulsets")
    }

    /// The group of resources that `kubectl get` knows by one word.
    pub(super) fn category(&self) -> Option<&'static str> {
        match (self.group, self.plural) {
            ("", "pods" | "services")
            | ("apps", "daemonsets" | "deployments" | "replicasets" | "statefulsets") => {
                Some("all")
            }
            ("apiregistration.k8s.io" | "apiextensions.k8s.io", _) => Some("api-extensions"),
            _ => None,
        }
    }

    /// The resources of a CustomResourceDefinition, one a served version. They live as long as the process: a definition is
    /// small, and an equal one is found again.
    pub(super) fn defined_by(definition: &Value) -> Vec<&'static Self> {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let names = &spec["names"];
        let (group, plural, kind) = (
            text(&spec["group"]),
            text(&names["plural"]),
            text(&names["kind"]),
        );
        let versions = spec["versions"].as_array().into_iter().flatten();
        versions
            .filter(|version| version["served"] == true)
            .map(|version| {
                intern(
                    (&group, &text(&version["name"])),
                    (&plural, &kind),
                    spec["scope"] == "Namespaced",
                    !version["subresources"]["status"].is_null(),
                )
            })
            .collect()
    }
}

fn intern(
    (group, version): (&str, &str),
    (plural, kind): (&str, &str),
    namespaced: bool,
    has_status: bool,
) -> &'static Resource {
    static KNOWN: OnceLock<Mutex<Vec<&'static Resource>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let same = known.iter().find(|one| {
        (one.group, one.version, one.plural, one.kind) == (group, version, plural, kind)
            && (one.namespaced, one.has_status) == (namespaced, has_status)
    });
    if let Some(same) = same {
        return same;
    }
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let resource: &'static Resource = Box::leak(Box::new(Resource {
        group: leak(group),
        version: leak(version),
        plural: leak(plural),
        kind: leak(kind),
        namespaced,
        has_status,
        is_custom: true,
    }));
    known.push(resource);
    resource
}

pub(super) fn group_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

pub(super) fn with_group(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}

/// A built-in resource.
pub(super) fn by_plural(plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.plural == plural)
}

/// A built-in resource.
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
