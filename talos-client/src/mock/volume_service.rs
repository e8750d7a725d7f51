//! Volumes of LVM and arrays of software RAID of a mock node, v1.14 and later.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::node::Node;
use super::volumes::{Refusal, Volumes};
use crate::api::pb::machine as pb;
use crate::api::pb::machine::lvm_service_server::{LvmService, LvmServiceServer};
use crate::api::pb::machine::md_service_server::{MdService, MdServiceServer};

pub(super) struct Service {
    node: Arc<Node>,
}

impl Service {
    fn of(node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
        }
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Volumes) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.node.update(|state| change(&mut state.volumes))
    }
}

pub(super) fn lvm_server(node: &Arc<Node>) -> LvmServiceServer<Service> {
    LvmServiceServer::new(Service::of(node))
}

pub(super) fn md_server(node: &Arc<Node>) -> MdServiceServer<Service> {
    MdServiceServer::new(Service::of(node))
}

type Reply = Result<Response<()>, Status>;

/// The checks and texts of machined v1.14.0-rc.1 (`internal/app/lvmd`, `internal/pkg/lvm`).
#[tonic::async_trait]
impl LvmService for Service {
    async fn logical_volume_remove(
        &self,
        request: Request<pb::LvmServiceLogicalVolumeRemoveRequest>,
    ) -> Reply {
        let asked = request.get_ref();
        let (group, volume) = (&asked.volume_group, &asked.logical_volume);
        let is_set = !group.is_empty() && !volume.is_empty();
        set(is_set, "volume_group and logical_volume must be set")?;
        lvm(self.change(|volumes| volumes.remove_volume(group, volume)))
    }

    async fn volume_group_remove(
        &self,
        request: Request<pb::LvmServiceVolumeGroupRemoveRequest>,
    ) -> Reply {
        let group = &request.get_ref().volume_group;
        set(!group.is_empty(), "volume_group must be set")?;
        lvm(self.change(|volumes| volumes.remove_group(group)))
    }

    async fn physical_volume_remove(
        &self,
        request: Request<pb::LvmServicePhysicalVolumeRemoveRequest>,
    ) -> Reply {
        let device = &request.get_ref().device;
        set(!device.is_empty(), "device must be set")?;
        lvm(self.change(|volumes| volumes.remove_device(device)))
    }
}

/// The checks and texts of machined v1.14.0-rc.1 (`internal/app/mdd`, `internal/pkg/md`).
#[tonic::async_trait]
impl MdService for Service {
    async fn destroy(&self, request: Request<pb::MdDestroyRequest>) -> Reply {
        let device = &request.get_ref().device;
        set(!device.is_empty(), "device must be set")?;
        set(
            device.starts_with("/dev/"),
            "device must be a full /dev path",
        )?;
        let destroyed = self.change(|volumes| volumes.destroy_array(device));
        destroyed
            .map(Response::new)
            .map_err(|_| Status::not_found("md: array not found"))
    }
}

fn set(is_set: bool, otherwise: &str) -> Result<(), Status> {
    if is_set {
        Ok(())
    } else {
        Err(Status::invalid_argument(otherwise))
    }
}

fn lvm(removed: Result<(), Refusal>) -> Reply {
    removed.map(Response::new).map_err(|refusal| match refusal {
        Refusal::NotFound => Status::not_found("lvm: resource not found"),
        Refusal::InUse => Status::failed_precondition("lvm: resource in use"),
    })
}
