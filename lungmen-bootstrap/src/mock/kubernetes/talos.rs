//! The objects of a Talos cluster, with the names, labels and texts Talos gives them (v1.10.7).

use serde_json::{Value, json};

use super::builder::{MockNode, Settings};

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// The three components Talos runs as static pods on every control plane.
pub(super) const STATIC_PODS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

pub(super) fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

pub(super) fn cluster_admin() -> [Value; 2] {
    [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "rules": [
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:masters"}],
        }),
    ]
}

pub(super) fn lease(name: &str, now: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"holderIdentity": format!("{name}_mock"), "leaseDurationSeconds": 15,
            "renewTime": now.replace('Z', ".000000Z"), "leaseTransitions": 0},
    })
}

pub(super) fn node(machine: &MockNode, config: &Settings, ready: bool) -> Value {
    let mut labels = json!({
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": machine.name,
        "kubernetes.io/os": "linux",
    });
    let mut taints = Vec::new();
    if machine.control_plane {
        labels[CONTROL_PLANE] = "".into();
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "".into();
        if !config.workloads_on_control_planes {
            taints.push(json!({"key": CONTROL_PLANE, "effect": "NoSchedule"}));
        }
    }
    if !ready {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
    let mut spec = json!({"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24"]});
    if !taints.is_empty() {
        spec["taints"] = taints.into();
    }
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": machine.name, "labels": labels},
        "spec": spec,
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": machine.address.to_string()},
                {"type": "Hostname", "address": machine.name},
            ],
            "conditions": conditions(ready),
            "nodeInfo": node_info(machine, config),
        },
    })
}

fn conditions(ready: bool) -> Value {
    let calm = |kind: &str, reason: &str| json!({"type": kind, "status": "False", "reason": reason, "message": ""});
    let state = if ready {
        json!({"type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "kubelet is posting ready status"})
    } else {
        json!({"type": "Ready", "status": "False", "reason": "KubeletNotReady",
            "message": "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                message:Network plugin returns error: cni plugin not initialized"})
    };
    json!([
        calm("MemoryPressure", "KubeletHasSufficientMemory"),
        calm("DiskPressure", "KubeletHasNoDiskPressure"),
        calm("PIDPressure", "KubeletHasSufficientPID"),
        state,
    ])
}

fn node_info(machine: &MockNode, config: &Settings) -> Value {
    let talos = machine.talos_version.as_ref();
    let talos = talos.unwrap_or(&config.talos_version);
    json!({
        "architecture": "amd64",
        "bootID": "00000000-0000-4000-8000-000000000001",
        "containerRuntimeVersion": "containerd://2.0.5",
        "kernelVersion": "6.12.35-talos",
        "kubeProxyVersion": "",
        "kubeletVersion": format!("v{}", config.kubernetes_version),
        "machineID": "00000000000000000000000000000001",
        "operatingSystem": "linux",
        "osImage": format!("Talos (v{talos})"),
        "systemUUID": "00000000-0000-4000-8000-000000000002",
    })
}

/// A pod and what it belongs to.
pub(super) struct PodSpec<'a> {
    pub(super) name: String,
    pub(super) app: &'a str,
    pub(super) node: Option<&'a str>,
    pub(super) static_pod: bool,
}

/// The pod, running and Ready, or waiting to be.
pub(super) fn pod(spec: &PodSpec<'_>, ready: bool) -> Value {
    let mut labels = json!({"k8s-app": spec.app});
    let mut annotations = json!({});
    if spec.static_pod {
        labels["tier"] = "control-plane".into();
        labels["component"] = spec.app.into();
        labels["app.kubernetes.io/managed-by"] = "Talos".into();
        annotations["kubernetes.io/config.source"] = "file".into();
    }
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": spec.name, "namespace": "kube-system", "labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": spec.app, "image": format!("{}:mock", spec.app)}]},
        "status": status(spec, ready),
    });
    if let Some(node) = spec.node {
        pod["spec"]["nodeName"] = node.into();
    }
    pod
}

fn status(spec: &PodSpec<'_>, ready: bool) -> Value {
    if spec.node.is_none() {
        return json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available: 1 node(s) had untolerated taint"}]});
    }
    let flag = if ready { "True" } else { "False" };
    let state = if ready {
        json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    } else {
        json!({"waiting": {"reason": "ContainerCreating"}})
    };
    json!({
        "phase": if ready { "Running" } else { "Pending" },
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": flag},
            {"type": "ContainersReady", "status": flag},
        ],
        "containerStatuses": [{"name": spec.app, "image": format!("{}:mock", spec.app), "imageID": "",
            "ready": ready, "restartCount": 0, "state": state}],
    })
}

/// A DaemonSet of `kube-system`, on every one of `nodes` nodes.
pub(super) fn daemon_set(name: &str, app: &str, (nodes, ready): (usize, bool)) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system", "labels": {"k8s-app": app, "tier": "node"}},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": app}},
            "template": {"metadata": {"labels": {"k8s-app": app}}, "spec": {"containers": [{"name": app}]}},
        },
        "status": {
            "currentNumberScheduled": nodes, "desiredNumberScheduled": nodes, "numberMisscheduled": 0,
            "numberReady": if ready { nodes } else { 0 }, "observedGeneration": 1,
        },
    })
}

/// The Service of the API server, at the first address of the service network.
pub(super) fn kubernetes_service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"],
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
        "status": {"loadBalancer": {}},
    })
}

/// The Service of coredns, at the tenth address.
pub(super) fn dns_service() -> Value {
    let port = |name: &str, port: u16, protocol: &str| json!({"name": name, "port": port, "protocol": protocol, "targetPort": port});
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"],
            "selector": {"k8s-app": "kube-dns"},
            "ports": [port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")]},
        "status": {"loadBalancer": {}},
    })
}

/// The Deployment coredns with its two replicas.
pub(super) fn coredns(available: bool) -> Value {
    let replicas = if available { 2 } else { 0 };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {"metadata": {"labels": {"k8s-app": "kube-dns"}}, "spec": {"containers": [{"name": "coredns"}]}},
        },
        "status": {
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
            "readyReplicas": replicas, "availableReplicas": replicas, "unavailableReplicas": 2 - replicas,
            "conditions": [{"type": "Available", "status": if available { "True" } else { "False" }}],
        },
    })
}
