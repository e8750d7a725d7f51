//! Calls about services, containers, logs and health.

use std::time::Duration;

use serde_json::json;
use talos_client::Client;
use talos_client::machine::{ContainerNamespace, EventTail, HealthCheck, LogsRequest};

use super::{case, container_id, first};
use crate::talos::table::{Case, EXTENSION, Running};

#[expect(clippy::too_many_lines, reason = "a table of calls")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "services",
            "/machine.MachineService/ServiceList",
            "R",
            json!({}),
            run!(|machine| machine.services()),
        ),
        case(
            "start_service",
            "/machine.MachineService/ServiceStart",
            "O",
            json!({"id": EXTENSION}),
            run!(|machine| machine.start_service(EXTENSION)),
        ),
        case(
            "stop_service",
            "/machine.MachineService/ServiceStop",
            "O",
            json!({"id": EXTENSION}),
            run!(|machine| machine.stop_service(EXTENSION)),
        ),
        case(
            "restart_service",
            "/machine.MachineService/ServiceRestart",
            "O",
            json!({"id": "kubelet"}),
            run!(|machine| machine.restart_service("kubelet")),
        ),
        case(
            "containers",
            "/machine.MachineService/Containers",
            "R",
            json!({"namespace": "k8s.io", "driver": "CRI"}),
            run!(|machine| machine.containers(ContainerNamespace::Kubernetes)),
        ),
        case(
            "container_statistics",
            "/machine.MachineService/Stats",
            "R",
            json!({"namespace": "system"}),
            run!(|machine| machine.container_statistics(ContainerNamespace::System)),
        ),
        case(
            "restart_container",
            "/machine.MachineService/Restart",
            "O",
            json!({"namespace": "k8s.io", "id": container_id(), "driver": "CRI"}),
            run!(|machine| async {
                let id = container_id();
                machine
                    .restart_container(ContainerNamespace::Kubernetes, &id)
                    .await
            }),
        ),
        case(
            "logs",
            "/machine.MachineService/Logs",
            "R",
            json!({"namespace": "system", "id": "etcd", "follow": true, "tail_lines": 5}),
            run!(|machine| async {
                let request = LogsRequest::service("etcd").follow().tail_lines(5);
                first(machine.logs(request)).await
            }),
        ),
        case(
            "log_ids",
            "/machine.MachineService/LogsContainers",
            "R",
            json!({}),
            run!(|machine| machine.log_ids()),
        ),
        case(
            "follow_dmesg",
            "/machine.MachineService/Dmesg",
            "R",
            json!({"follow": true}),
            run!(|machine| first(machine.follow_dmesg())),
        ),
        case(
            "events",
            "/machine.MachineService/Events",
            "R",
            json!({"tail_events": -1}),
            run!(|machine| first(machine.events(EventTail::All))),
        ),
        case(
            "health_check",
            "/cluster.ClusterService/HealthCheck",
            "R",
            json!({
                "wait_timeout": {"seconds": 30},
                "cluster_info": {"control_plane_nodes": ["10.0.2.10"]}
            }),
            run!(|machine| async {
                let check = HealthCheck::new(Duration::from_secs(30));
                first(machine.health_check(check.control_plane_nodes(["10.0.2.10".to_owned()])))
                    .await
            }),
        ),
    ]
}
