//! The controllers of the node, and the resources they read and write.

use serde::{Deserialize, Serialize};

use super::Machine;
use super::reply::only;
use crate::Result;
use crate::api::channel::{Call, MAX_MESSAGE_SIZE};
use crate::api::pb::inspect as pb;
use crate::api::pb::inspect::inspect_service_client::InspectServiceClient;

/// What a controller does with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DependencyKind {
    /// It alone writes resources of the type.
    OutputExclusive,
    /// It writes resources of the type, as others do.
    OutputShared,
    /// It reads them, and holds back their removal.
    InputStrong,
    /// It reads them.
    InputWeak,
    /// It waits until they may be removed.
    InputDestroyReady,
    /// Something this version of the crate does not know.
    Unknown,
}

/// An edge of the graph of controllers and resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ControllerDependency {
    /// The controller, for example `network.AddressSpecController`.
    pub controller: String,
    /// What it does with the resource.
    pub kind: DependencyKind,
    /// The namespace; empty for outputs.
    pub namespace: String,
    /// The registered name of the type.
    pub resource_type: String,
    /// One resource of the type; `None` for all of them.
    pub resource_id: Option<String>,
}

impl Machine {
    /// Which controllers read and write which resources. `talosctl inspect dependencies`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13, [`crate::ErrorKind::Forbidden`] without the role.
    pub async fn controller_dependencies(&self) -> Result<Vec<ControllerDependency>> {
        const OPERATION: &str = "list controller dependencies";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                InspectServiceClient::new(service)
                    .max_decoding_message_size(MAX_MESSAGE_SIZE)
                    .controller_runtime_dependencies(())
                    .await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        Ok(message.edges.into_iter().map(dependency).collect())
    }
}

fn dependency(edge: pb::ControllerDependencyEdge) -> ControllerDependency {
    use pb::DependencyEdgeType as Wire;
    ControllerDependency {
        kind: match Wire::try_from(edge.edge_type) {
            Ok(Wire::OutputExclusive) => DependencyKind::OutputExclusive,
            Ok(Wire::OutputShared) => DependencyKind::OutputShared,
            Ok(Wire::InputStrong) => DependencyKind::InputStrong,
            Ok(Wire::InputWeak) => DependencyKind::InputWeak,
            Ok(Wire::InputDestroyReady) => DependencyKind::InputDestroyReady,
            Err(_) => DependencyKind::Unknown,
        },
        controller: edge.controller_name,
        namespace: edge.resource_namespace,
        resource_type: edge.resource_type,
        resource_id: Some(edge.resource_id).filter(|id| !id.is_empty()),
    }
}
