//! The containers of a mock node: its services, and the static pods of the control plane.

use tonic::Status;

use crate::api::pb::machine as pb;
use crate::mock::node::Node;
use crate::mock::resources::COMPONENTS;
use crate::mock::services;
use crate::mock::statistics::hex_digest;

const MIB: u64 = 1024 * 1024;

pub(super) fn list(node: &Node, asked: &pb::ContainersRequest) -> Result<pb::Container, Status> {
    Ok(pb::Container {
        metadata: None,
        containers: containers(node, &asked.namespace)?,
    })
}

pub(super) fn usage(node: &Node, asked: &pb::StatsRequest) -> Result<pb::Stats, Status> {
    let containers = containers(node, &asked.namespace)?.into_iter();
    let stats = containers.map(|container| pb::Stat {
        namespace: container.namespace,
        id: container.id,
        memory_usage: 64 * MIB,
        cpu_usage: 1_500_000_000,
        pod_id: container.pod_id,
        name: container.name,
    });
    Ok(pb::Stats {
        metadata: None,
        stats: stats.collect(),
    })
}

pub(super) fn restart(node: &Node, asked: &pb::RestartRequest) -> Result<pb::Restart, Status> {
    let containers = containers(node, &asked.namespace)?;
    if containers.iter().any(|container| container.id == asked.id) {
        return Ok(pb::Restart::default());
    }
    Err(Status::unknown(format!(
        "container {:?} not found",
        asked.id
    )))
}

fn containers(node: &Node, namespace: &str) -> Result<Vec<pb::ContainerInfo>, Status> {
    match namespace {
        "" => Err(Status::invalid_argument("namespace can't be empty")),
        "system" => Ok(of_services(node)),
        _ => Ok(of_static_pods(node, namespace)),
    }
}

fn of_services(node: &Node) -> Vec<pb::ContainerInfo> {
    let services = services::list(node)
        .into_iter()
        .filter(|service| service.state == "Running");
    services
        .map(|service| pb::ContainerInfo {
            namespace: "system".to_owned(),
            internal_id: hex_digest(&service.id),
            pid: 1000,
            status: "RUNNING".to_owned(),
            pod_id: service.id.clone(),
            name: service.id.clone(),
            id: service.id,
            ..Default::default()
        })
        .collect()
}

fn of_static_pods(node: &Node, namespace: &str) -> Vec<pb::ContainerInfo> {
    let has_pods = {
        let state = node.state();
        let config = state.config.as_ref();
        state.has_static_pods && config.is_some_and(|config| config.is_control_plane)
    };
    let hostname = node.hostname();
    let components = COMPONENTS.into_iter().filter(|_| has_pods);
    components
        .map(|component| {
            let pod = format!("kube-system/{component}-{hostname}");
            let digest = hex_digest(&pod);
            let id = format!("{pod}:{component}:{}", digest.get(..12).unwrap_or_default());
            pb::ContainerInfo {
                namespace: namespace.to_owned(),
                internal_id: hex_digest(&id),
                id,
                image: format!("registry.k8s.io/{component}"),
                pid: 1000,
                status: "CONTAINER_RUNNING".to_owned(),
                pod_id: pod,
                name: component.to_owned(),
                ..Default::default()
            }
        })
        .collect()
}
