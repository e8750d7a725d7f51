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
