//! Volumes of LVM and arrays of software RAID of a mock node, v1.14 and later: it has none.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::node::Node;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::lvm_service_server::{LvmService, LvmServiceServer};
use crate::api::pb::machine::md_service_server::{MdService, MdServiceServer};

pub(super) struct Service;

pub(super) fn lvm_server(_: &Arc<Node>) -> LvmServiceServer<Service> {
    LvmServiceServer::new(Service)
}

pub(super) fn md_server(_: &Arc<Node>) -> MdServiceServer<Service> {
    MdServiceServer::new(Service)
}

type Reply = Result<Response<()>, Status>;

/// The checks and texts of machined v1.14.0-rc.1 (`internal/app/lvmd`).
#[tonic::async_trait]
impl LvmService for Service {
    async fn logical_volume_remove(
        &self,
        request: Request<pb::LvmServiceLogicalVolumeRemoveRequest>,
    ) -> Reply {
        let asked = request.get_ref();
        no_volume(
            !asked.volume_group.is_empty() && !asked.logical_volume.is_empty(),
            "volume_group and logical_volume must be set",
        )
    }

    async fn volume_group_remove(
        &self,
        request: Request<pb::LvmServiceVolumeGroupRemoveRequest>,
    ) -> Reply {
        let is_set = !request.get_ref().volume_group.is_empty();
        no_volume(is_set, "volume_group must be set")
    }

    async fn physical_volume_remove(
        &self,
        request: Request<pb::LvmServicePhysicalVolumeRemoveRequest>,
    ) -> Reply {
        let is_set = !request.get_ref().device.is_empty();
        no_volume(is_set, "device must be set")
    }
}

fn no_volume(is_set: bool, otherwise: &str) -> Reply {
    Err(if is_set {
        Status::not_found("lvm: resource not found")
    } else {
        Status::invalid_argument(otherwise)
    })
}

/// The checks and texts of machined v1.14.0-rc.1 (`internal/app/mdd`).
#[tonic::async_trait]
impl MdService for Service {
    async fn destroy(&self, request: Request<pb::MdDestroyRequest>) -> Reply {
        Err(match request.get_ref().device.as_str() {
            "" => Status::invalid_argument("device must be set"),
            device if !device.starts_with("/dev/") => {
                Status::invalid_argument("device must be a full /dev path")
            }
            _ => Status::not_found("md: array not found"),
        })
    }
}
