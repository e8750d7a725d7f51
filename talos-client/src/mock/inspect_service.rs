//! The graph of controllers of a mock node: those that write what it has.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::node::Node;
use crate::api::pb::inspect as pb;
use crate::api::pb::inspect::inspect_service_server::{InspectService, InspectServiceServer};

pub(super) struct Service;

pub(super) fn server(_: &Arc<Node>) -> InspectServiceServer<Service> {
    InspectServiceServer::new(Service)
}

/// Controllers with the type each of them alone writes (v1.10.7).
const OUTPUTS: [(&str, &str); 4] = [
    (
        "runtime.MachineStatusController",
        "MachineStatuses.runtime.talos.dev",
    ),
    ("v1alpha1.ServiceController", "Services.v1alpha1.talos.dev"),
    ("etcd.MemberController", "EtcdMembers.etcd.talos.dev"),
    (
        "k8s.NodeStatusController",
        "NodeStatuses.kubernetes.talos.dev",
    ),
];

#[tonic::async_trait]
impl InspectService for Service {
    async fn controller_runtime_dependencies(
        &self,
        _: Request<()>,
    ) -> Result<Response<pb::ControllerRuntimeDependenciesResponse>, Status> {
        let edge = |(controller, output): (&str, &str)| pb::ControllerDependencyEdge {
            controller_name: controller.to_owned(),
            edge_type: pb::DependencyEdgeType::OutputExclusive.into(),
            resource_type: output.to_owned(),
            ..Default::default()
        };
        // The status of the machine follows from the services.
        let input = pb::ControllerDependencyEdge {
            controller_name: "runtime.MachineStatusController".to_owned(),
            edge_type: pb::DependencyEdgeType::InputWeak.into(),
            resource_namespace: "runtime".to_owned(),
            resource_type: "Services.v1alpha1.talos.dev".to_owned(),
            resource_id: String::new(),
        };
        Ok(Response::new(pb::ControllerRuntimeDependenciesResponse {
            messages: vec![pb::ControllerRuntimeDependency {
                metadata: None,
                edges: OUTPUTS.map(edge).into_iter().chain([input]).collect(),
            }],
        }))
    }
}
