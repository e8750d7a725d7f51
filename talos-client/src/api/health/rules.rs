//! What each check asserts (talosctl, `pkg/cluster/check` of v1.10.7 to v1.14.0-rc.1).

use std::collections::BTreeSet;

use url::Url;

use super::{ClusterHealth, HealthCheckId, Verdict};
use crate::cosi::{MachineStatus, NodeDiagnostic, NodeStatus, Stage, StaticPodStatus};
use crate::{Client, Error, ErrorKind, Result};

/// Memory in MiB that a node needs, less what the kernel keeps for itself.
const CONTROL_PLANE_MEMORY_MIB: u64 = 1848 - 150;
const WORKER_MEMORY_MIB: u64 = 1024 - 150;
/// Size of the data partition in MiB that a node needs, less the other partitions.
const DATA_MIB: u64 = 6 * 1024 - 1400;
const DATA: &str = "/var";

const COMPONENTS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

const ONLY_KUBERNETES: &str = "only the Kubernetes API knows";

pub(super) async fn verdict(health: &ClusterHealth, check: HealthCheckId) -> Result<Verdict> {
    match check {
        HealthCheckId::Etcd => service(health, "etcd").await,
        HealthCheckId::EtcdMembersConsistent => members_consistent(health).await,
        HealthCheckId::EtcdMembersControlPlane => members_control_plane(health).await,
        HealthCheckId::Apid => apid(health).await,
        HealthCheckId::MemorySizes => memory(health).await,
        HealthCheckId::DiskSizes => disks(health).await,
        HealthCheckId::Diagnostics => diagnostics(health).await,
        HealthCheckId::Kubelet => service(health, "kubelet").await,
        HealthCheckId::BootSequence => booted(health).await,
        HealthCheckId::NodesReport => nodes(health, |_| None).await,
        HealthCheckId::StaticPods => pods(health, |_| true, "no static pod").await,
        HealthCheckId::ControlPlaneComponents => {
            pods(health, |pod| pod.is_ready, "no ready pod").await
        }
        HealthCheckId::NodesReady => {
            nodes(health, |node| (!node.is_ready).then_some("is not ready")).await
        }
        HealthCheckId::KubeProxy | HealthCheckId::CoreDns => Ok(Verdict::Skipped(ONLY_KUBERNETES)),
        HealthCheckId::NodesSchedulable => {
            nodes(health, |node| {
                node.is_unschedulable.then_some("takes no new pods")
            })
            .await
        }
    }
}

/// Whether a repetition may help: etcd answers with server errors while it starts, and files appear later.
pub(super) fn may_pass_later(error: &Error) -> bool {
    error.is_retryable() || matches!(error.kind(), ErrorKind::Server | ErrorKind::NotFound)
}

async fn service(health: &ClusterHealth, id: &str) -> Result<Verdict> {
    for (node, client) in &health.control_planes {
        let services = client.machine().services().await?;
        match services.iter().find(|service| service.id == id) {
            None => return Ok(Verdict::Missing(format!("{node}: no service {id}"))),
            Some(found) if found.is_running_and_healthy() => {}
            Some(found) => {
                return Ok(Verdict::Missing(format!(
                    "{node}: service {id} is not healthy, state {:?}",
                    found.state
                )));
            }
        }
    }
    Ok(Verdict::Passed)
}

async fn members_consistent(health: &ClusterHealth) -> Result<Verdict> {
    let mut first: Option<(&str, BTreeSet<_>)> = None;
    for (node, client) in &health.control_planes {
        let members = client.machine().etcd_members().await?;
        let members = members
            .into_iter()
            .map(|member| (member.hostname, member.id, member.is_learner))
            .collect();
        match &first {
            None => first = Some((node, members)),
            Some((other, expected)) if *expected != members => {
                return Ok(Verdict::Missing(format!(
                    "{node} and {other} see different members of etcd"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(Verdict::Passed)
}

async fn members_control_plane(health: &ClusterHealth) -> Result<Verdict> {
    let Some((_, client)) = health.control_planes.first() else {
        return Ok(Verdict::Passed);
    };
    let is_known = |url: &str| {
        let host = Url::parse(url).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
        let host = host.trim_matches(['[', ']']);
        health.control_planes.iter().any(|(node, _)| node == host)
    };
    for member in client.machine().etcd_members().await? {
        if !member.peer_urls.iter().any(|url| is_known(url)) {
            return Ok(Verdict::Missing(format!(
                "etcd member {} ({}) is no control plane node of the list",
                member.hostname,
                member.peer_urls.join(", ")
            )));
        }
    }
    Ok(Verdict::Passed)
}

async fn apid(health: &ClusterHealth) -> Result<Verdict> {
    for (_, client) in health.nodes() {
        client.machine().version().await?;
    }
    Ok(Verdict::Passed)
}

async fn memory(health: &ClusterHealth) -> Result<Verdict> {
    let nodes = (health
        .control_planes
        .iter()
        .map(|node| (node, CONTROL_PLANE_MEMORY_MIB)))
    .chain(health.workers.iter().map(|node| (node, WORKER_MEMORY_MIB)));
    for ((node, client), least) in nodes {
        let has = client.machine().memory_kib().await? / 1024;
        if has < least {
            return Ok(Verdict::Missing(format!(
                "{node}: {has} MiB of memory, at least {least} MiB are needed"
            )));
        }
    }
    Ok(Verdict::Passed)
}

async fn disks(health: &ClusterHealth) -> Result<Verdict> {
    for (node, client) in health.nodes() {
        let mounts = client.machine().mounts().await?;
        let Some(data) = mounts.iter().find(|mount| mount.mounted_on == DATA) else {
            return Ok(Verdict::Missing(format!("{node}: {DATA} is not mounted")));
        };
        let has = data.size / (1024 * 1024);
        if has < DATA_MIB {
            return Ok(Verdict::Missing(format!(
                "{node}: {has} MiB for data, at least {DATA_MIB} MiB are needed"
            )));
        }
    }
    Ok(Verdict::Passed)
}

async fn diagnostics(health: &ClusterHealth) -> Result<Verdict> {
    for (node, client) in health.nodes() {
        let found = match client.resources().list::<NodeDiagnostic>().await {
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                return Ok(Verdict::Skipped("no permission to read diagnostics"));
            }
            found => found?,
        };
        if let Some(diagnostic) = found.first() {
            return Ok(Verdict::Missing(format!(
                "{node}: {}: {}",
                diagnostic.metadata.id, diagnostic.spec.message
            )));
        }
    }
    Ok(Verdict::Passed)
}

async fn booted(health: &ClusterHealth) -> Result<Verdict> {
    for (node, client) in health.nodes() {
        let status = client.resources().singleton::<MachineStatus>().await?;
        if status.spec.stage != Stage::Running {
            return Ok(Verdict::Missing(format!("{node}: {}", status.spec)));
        }
    }
    Ok(Verdict::Passed)
}

/// What each node knows of itself in Kubernetes.
async fn nodes(
    health: &ClusterHealth,
    wrong: impl Fn(&NodeStatus) -> Option<&'static str>,
) -> Result<Verdict> {
    for (node, client) in health.nodes() {
        let status = client.resources().list::<NodeStatus>().await?;
        let Some(status) = status.first() else {
            return Ok(Verdict::Missing(format!(
                "{node}: not registered with Kubernetes"
            )));
        };
        if let Some(wrong) = wrong(&status.spec) {
            return Ok(Verdict::Missing(format!(
                "{node}: {} {wrong}",
                status.spec.name
            )));
        }
    }
    Ok(Verdict::Passed)
}

async fn pods(
    health: &ClusterHealth,
    counts: impl Fn(&StaticPodStatus) -> bool,
    missing: &str,
) -> Result<Verdict> {
    for (node, client) in &health.control_planes {
        let pods = static_pods(client).await?;
        for component in COMPONENTS {
            let prefix = format!("kube-system/{component}");
            if !pods
                .iter()
                .any(|(id, pod)| id.starts_with(&prefix) && counts(pod))
            {
                return Ok(Verdict::Missing(format!(
                    "{node}: {missing} of {component}"
                )));
            }
        }
    }
    Ok(Verdict::Passed)
}

async fn static_pods(client: &Client) -> Result<Vec<(String, StaticPodStatus)>> {
    let pods = client.resources().list::<StaticPodStatus>().await?;
    let pods = pods.into_iter();
    Ok(pods.map(|pod| (pod.metadata.id, pod.spec)).collect())
}
