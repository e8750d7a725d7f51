//! The storage service of a mock node.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::api::pb::storage as pb;
use crate::api::pb::storage::disk::DiskType;
use crate::api::pb::storage::storage_service_server::{StorageService, StorageServiceServer};
use crate::mock::node::Node;

pub(in crate::mock) struct Service {
    node: Arc<Node>,
}

pub(in crate::mock) fn server(node: &Arc<Node>) -> StorageServiceServer<Service> {
    StorageServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl StorageService for Service {
    async fn disks(&self, _: Request<()>) -> Reply<pb::DisksResponse> {
        let system = self.node.state().installed.clone();
        let disks = self.node.setup.disks.iter().map(|disk| pb::Disk {
            size: disk.size,
            model: "QEMU HARDDISK".to_owned(),
            device_name: disk.device.clone(),
            r#type: if disk.is_cdrom {
                DiskType::Cd
            } else {
                DiskType::Ssd
            }
            .into(),
            system_disk: system
                .as_ref()
                .is_some_and(|system| system.disk == disk.device),
            readonly: disk.is_cdrom,
            ..Default::default()
        });
        Ok(Response::new(pb::DisksResponse {
            messages: vec![pb::Disks {
                metadata: None,
                disks: disks.collect(),
            }],
        }))
    }

    async fn block_device_wipe(
        &self,
        request: Request<pb::BlockDeviceWipeRequest>,
    ) -> Reply<pb::BlockDeviceWipeResponse> {
        for asked in &request.get_ref().devices {
            check_wipe(&self.node, asked)?;
        }
        Ok(Response::new(pb::BlockDeviceWipeResponse {
            messages: vec![pb::BlockDeviceWipe::default()],
        }))
    }
}

/// What a node checks before it wipes a block device.
fn check_wipe(node: &Node, asked: &pb::BlockDeviceWipeDescriptor) -> Result<(), Status> {
    let path = format!("/dev/{}", asked.device);
    let disks = &node.setup.disks;
    let Some(disk) = disks.iter().find(|disk| disk.device == path) else {
        return Err(Status::not_found(format!(
            "blockdevice {:?} not found",
            asked.device
        )));
    };
    if disk.is_cdrom {
        return Err(Status::failed_precondition(format!(
            "blockdevice {:?} is read-only",
            asked.device
        )));
    }
    let installed = node.state().installed.clone();
    if !asked.skip_volume_check && installed.is_some_and(|system| system.disk == path) {
        return Err(Status::failed_precondition(format!(
            "blockdevice {:?} is in use by volume \"STATE\"",
            asked.device
        )));
    }
    Ok(())
}
