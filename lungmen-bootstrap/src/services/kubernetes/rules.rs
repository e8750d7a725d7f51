//! The rules of the checks, as functions of the view of the cluster. Modelled on `talosctl health` v1.10.7.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::check::{CheckName, CheckState};
use super::spec::{Cni, Component, VerifySpec};
use super::view::View;
use super::{node, pod};

/// Why a check does not hold.
enum Unmet {
    Waiting(String),
    Skipped(String),
}

type Verdict = Result<(), Unmet>;

/// The state of `check` in `view`. The two checks of the API server pass: a view exists.
pub(super) fn judge(check: CheckName, view: &View, spec: &VerifySpec) -> CheckState {
    let verdict = match check {
        CheckName::ApiReachable | CheckName::ApiReady => Ok(()),
        CheckName::NodesRegistered => nodes_registered(view, spec),
        CheckName::NodeNames => node_names(view, spec),
        CheckName::ControlPlaneRole => control_plane_role(view, spec),
        CheckName::StaticPods => static_pods(view, spec),
        CheckName::Cni => cni(view, spec),
        CheckName::NodesReady => nodes_ready(view, spec),
        CheckName::KubeProxy => kube_proxy(view, spec),
        CheckName::CoreDns => coredns(view, spec),
        CheckName::NodesSchedulable => nodes_schedulable(view, spec),
        CheckName::SystemPods => system_pods(view, spec),
        // Judged by a connection, by the warnings, or by a survey: the view alone says nothing about them.
        CheckName::ClusterDns
        | CheckName::SystemRestarts
        | CheckName::Versions
        | CheckName::AllPods
        | CheckName::Services
        | CheckName::Ingresses => waiting("not asked yet"),
    };
    match verdict {
        Ok(()) => CheckState::Passed,
        Err(Unmet::Waiting(cause)) => CheckState::Waiting(cause),
        Err(Unmet::Skipped(reason)) => CheckState::Skipped(reason),
    }
}

fn nodes_registered(view: &View, spec: &VerifySpec) -> Verdict {
    let nodes: Vec<&Node> = nodes(view, spec)?.collect();
    if nodes.is_empty() {
        return waiting("no node has registered");
    }
    match_addresses(&nodes, &spec.nodes(), "has not registered")
}

fn node_names(view: &View, spec: &VerifySpec) -> Verdict {
    for machine in nodes(view, spec)? {
        let Some(found) = node::host_name(machine) else {
            return waiting(format!("{} reports no host name", node::name(machine)));
        };
        let addresses = node::addresses(machine);
        let expected = spec
            .host_names
            .iter()
            .find(|(address, _)| addresses.contains(address));
        if let Some((address, expected)) = expected
            && node::short_name(expected) != node::short_name(found)
        {
            return waiting(format!(
                "{address} reports the host name {found:?}, expected {expected:?}"
            ));
        }
    }
    Ok(())
}

fn control_plane_role(view: &View, spec: &VerifySpec) -> Verdict {
    let nodes: Vec<&Node> = nodes(view, spec)?
        .filter(|node| node::is_control_plane(node))
        .collect();
    if nodes.is_empty() {
        return waiting("no node has the control-plane role");
    }
    match_addresses(&nodes, &spec.control_planes, "has no control-plane role")
}

/// Every expected address belongs to a node, and every node has an expected address. Without expected addresses every
/// node is accepted.
fn match_addresses(nodes: &[&Node], expected: &BTreeSet<IpAddr>, lacking: &str) -> Verdict {
    if expected.is_empty() {
        return Ok(());
    }
    let found: BTreeSet<IpAddr> = nodes
        .iter()
        .flat_map(|node| node::addresses(node))
        .collect();
    let missing: Vec<String> = expected.difference(&found).map(IpAddr::to_string).collect();
    if !missing.is_empty() {
        return waiting(format!("{} {lacking}", missing.join(", ")));
    }
    let unexpected: Vec<&str> = nodes
        .iter()
        .filter(|node| node::addresses(node).is_disjoint(expected))
        .map(|node| node::name(node))
        .collect();
    if !unexpected.is_empty() {
        return waiting(format!("unexpected nodes: {}", unexpected.join(", ")));
    }
    Ok(())
}

fn static_pods(view: &View, spec: &VerifySpec) -> Verdict {
    let labelled = nodes(view, spec)?
        .filter(|node| node::is_control_plane(node))
        .count();
    let desired = match spec.control_planes.len() {
        0 => labelled,
        expected => expected,
    };
    let strangers = strangers(view, spec);
    let apps = [
        ("kube-apiserver", None),
        (
            "kube-controller-manager",
            Some(Component::ControllerManager),
        ),
        ("kube-scheduler", Some(Component::Scheduler)),
    ];
    for (app, component) in apps {
        if component.is_some_and(|component| spec.is_disabled(component)) {
            continue;
        }
        let pods: Vec<&Pod> = pods(view, spec)?
            .filter(|pod| pod::has_label(pod, "k8s-app", app) && !is_on(pod, &strangers))
            .collect();
        if pods.len() != desired {
            return waiting(format!("{} of {desired} {app} pods exist", pods.len()));
        }
        unready(pods.into_iter().filter(|pod| !pod::is_ready(pod)))?;
    }
    Ok(())
}

fn cni(view: &View, spec: &VerifySpec) -> Verdict {
    let name = match &spec.cni {
        Cni::Flannel => "kube-flannel",
        Cni::DaemonSet(name) => name,
        Cni::Custom => return skipped("cni is custom"),
        Cni::None => return skipped("cni is none"),
    };
    daemon_set(view, spec, name, |meta| meta.name.as_deref() == Some(name))
}

fn nodes_ready(view: &View, spec: &VerifySpec) -> Verdict {
    if spec.cni == Cni::None {
        return skipped("cni is none");
    }
    let causes: Vec<String> = nodes(view, spec)?
        .filter(|node| !node::is_ready(node))
        .map(node::not_ready_cause)
        .collect();
    if causes.is_empty() {
        Ok(())
    } else {
        waiting(causes.join("; "))
    }
}

fn kube_proxy(view: &View, spec: &VerifySpec) -> Verdict {
    if spec.is_disabled(Component::KubeProxy) {
        return skipped("kube-proxy is disabled");
    }
    daemon_set(view, spec, "kube-proxy", |meta| {
        labelled(meta, "kube-proxy")
    })
}

fn daemon_set(
    view: &View,
    spec: &VerifySpec,
    name: &str,
    matches: impl Fn(&ObjectMeta) -> bool,
) -> Verdict {
    let mut all = view
        .daemon_sets
        .items()
        .ok_or_else(|| not_listed("daemonsets"))?;
    let Some(found) = all.find(|set| matches(&set.metadata)) else {
        return waiting(format!("daemonset {name} does not exist"));
    };
    let desired = found
        .status
        .as_ref()
        .map_or(0, |status| status.desired_number_scheduled);
    let selector = found.spec.as_ref().map(|spec| &spec.selector);
    replicas(view, spec, name, selector, desired)
}

fn coredns(view: &View, spec: &VerifySpec) -> Verdict {
    if spec.is_disabled(Component::CoreDns) {
        return skipped("coredns is disabled");
    }
    if spec.cni == Cni::None {
        return skipped("cni is none");
    }
    let mut all = view
        .deployments
        .items()
        .ok_or_else(|| not_listed("deployments"))?;
    let Some(found) = all.find(|deployment| labelled(&deployment.metadata, "kube-dns")) else {
        return waiting("deployment coredns does not exist");
    };
    let desired = found
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let selector = found.spec.as_ref().map(|spec| &spec.selector);
    replicas(view, spec, "coredns", selector, desired)?;
    let status = found.status.as_ref();
    let available = status
        .and_then(|status| status.available_replicas)
        .unwrap_or(0);
    if available < desired {
        return waiting(format!(
            "{available} of {desired} coredns replicas are available"
        ));
    }
    Ok(())
}

fn nodes_schedulable(view: &View, spec: &VerifySpec) -> Verdict {
    let cordoned: Vec<&str> = nodes(view, spec)?
        .filter(|node| !node::is_schedulable(node))
        .map(node::name)
        .collect();
    if cordoned.is_empty() {
        return Ok(());
    }
    waiting(format!("unschedulable: {}", cordoned.join(", ")))
}

fn system_pods(view: &View, spec: &VerifySpec) -> Verdict {
    let without_network = spec.cni == Cni::None;
    unready(pods(view, spec)?.filter(|pod| {
        let needs_network = pod::has_label(pod, "k8s-app", "kube-dns");
        pod::is_unready(pod) && !(without_network && needs_network)
    }))
}

/// talosctl's replica rule: of the pods that count at least one exists, all are Ready, and there are `desired` of them.
fn replicas(
    view: &View,
    spec: &VerifySpec,
    name: &str,
    selector: Option<&LabelSelector>,
    desired: i32,
) -> Verdict {
    let empty = BTreeMap::new();
    let labels = selector
        .and_then(|selector| selector.match_labels.as_ref())
        .unwrap_or(&empty);
    let strangers = strangers(view, spec);
    // A pod that a node on its way out takes down is not missing.
    let (leaving, pods): (Vec<&Pod>, Vec<&Pod>) = all_pods(view)?
        .filter(|pod| {
            labels
                .iter()
                .all(|(key, value)| pod::has_label(pod, key, value))
        })
        .filter(|pod| pod::counts(pod))
        .partition(|pod| is_on(pod, &strangers) && !pod::is_ready(pod));
    if pods.is_empty() {
        return waiting(format!("no {name} pod is running"));
    }
    unready(pods.iter().copied().filter(|pod| !pod::is_ready(pod)))?;
    if i32::try_from(pods.len() + leaving.len()) != Ok(desired) {
        return waiting(format!("{} of {desired} {name} pods are ready", pods.len()));
    }
    Ok(())
}

fn unready<'a>(pods: impl Iterator<Item = &'a Pod>) -> Verdict {
    let described: Vec<String> = pods.map(pod::describe).collect();
    if described.is_empty() {
        return Ok(());
    }
    waiting(format!("not ready: {}", described.join(", ")))
}

fn labelled(meta: &ObjectMeta, app: &str) -> bool {
    let labels = meta.labels.as_ref();
    labels
        .and_then(|labels| labels.get("k8s-app"))
        .map(String::as_str)
        == Some(app)
}

/// The nodes that are judged.
fn nodes<'a>(view: &'a View, spec: &VerifySpec) -> Result<impl Iterator<Item = &'a Node>, Unmet> {
    let all = view.nodes.items().ok_or_else(|| not_listed("nodes"))?;
    let strangers = strangers(view, spec);
    Ok(all.filter(move |machine| !strangers.contains(node::name(machine))))
}

/// The pods that are judged: all but those that do not work on nodes that are not judged.
fn pods<'a>(view: &'a View, spec: &VerifySpec) -> Result<impl Iterator<Item = &'a Pod>, Unmet> {
    let strangers = strangers(view, spec);
    Ok(all_pods(view)?.filter(move |found| pod::is_ready(found) || !is_on(found, &strangers)))
}

fn all_pods(view: &View) -> Result<impl Iterator<Item = &Pod>, Unmet> {
    view.pods.items().ok_or_else(|| not_listed("pods"))
}

fn is_on(found: &Pod, nodes: &BTreeSet<&str>) -> bool {
    pod::node(found).is_some_and(|node| nodes.contains(node))
}

/// The names of the nodes that were not expected and are admitted all the same. They are not judged: they may be leaving.
pub(super) fn strangers<'a>(view: &'a View, spec: &VerifySpec) -> BTreeSet<&'a str> {
    let expected = spec.nodes();
    if !spec.admits_strangers || expected.is_empty() {
        return BTreeSet::new();
    }
    let all = view.nodes.items().into_iter().flatten();
    all.filter(|machine| node::addresses(machine).is_disjoint(&expected))
        .map(node::name)
        .collect()
}

fn not_listed(what: &str) -> Unmet {
    Unmet::Waiting(format!("the {what} have not been listed yet"))
}

fn waiting<T>(cause: impl Into<String>) -> Result<T, Unmet> {
    Err(Unmet::Waiting(cause.into()))
}

fn skipped<T>(reason: &str) -> Result<T, Unmet> {
    Err(Unmet::Skipped(reason.to_owned()))
}

#[cfg(test)]
mod tests;
