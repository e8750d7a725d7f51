//! Volumes of LVM and arrays of Linux' software RAID: the LVMService and MDService of v1.14 and later.

use super::Machine;
use crate::Result;
use crate::api::channel::{Call, MAX_MESSAGE_SIZE, Service};
use crate::api::pb::machine as pb;
use crate::api::pb::machine::lvm_service_client::LvmServiceClient;
use crate::api::pb::machine::md_service_client::MdServiceClient;

impl Machine {
    /// Removes a logical volume with its content. `talosctl wipe lv`; v1.14 and later, needs `os:admin`.
    ///
    /// A repetition fails with [`crate::ErrorKind::NotFound`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is none, [`crate::ErrorKind::NotReady`] while it is open,
    /// [`crate::ErrorKind::Rejected`] for an empty name, [`crate::ErrorKind::Unsupported`] before v1.14.
    pub async fn remove_logical_volume(&self, group: &str, volume: &str) -> Result<()> {
        let request = pb::LvmServiceLogicalVolumeRemoveRequest {
            volume_group: group.to_owned(),
            logical_volume: volume.to_owned(),
        };
        self.transport
            .call(Call::change("remove logical volume"), |service| {
                let request = request.clone();
                async move { lvm(service).logical_volume_remove(request).await }
            })
            .await
    }

    /// Removes a volume group with all its logical volumes and their content. `talosctl wipe vg`; v1.14 and later, needs
    /// `os:admin`.
    ///
    /// The physical volumes stay: [`Machine::remove_physical_volume`].
    ///
    /// # Errors
    /// As [`Machine::remove_logical_volume`].
    pub async fn remove_volume_group(&self, group: &str) -> Result<()> {
        let request = pb::LvmServiceVolumeGroupRemoveRequest {
            volume_group: group.to_owned(),
        };
        self.transport
            .call(Call::change("remove volume group"), |service| {
                let request = request.clone();
                async move { lvm(service).volume_group_remove(request).await }
            })
            .await
    }

    /// Removes the mark of LVM from a block device such as `/dev/sdb1`. `talosctl wipe pv`; v1.14 and later, needs `os:admin`.
    ///
    /// # Errors
    /// As [`Machine::remove_logical_volume`]; [`crate::ErrorKind::NotReady`] too while it belongs to a volume group.
    pub async fn remove_physical_volume(&self, device: &str) -> Result<()> {
        let request = pb::LvmServicePhysicalVolumeRemoveRequest {
            device: device.to_owned(),
        };
        self.transport
            .call(Call::change("remove physical volume"), |service| {
                let request = request.clone();
                async move { lvm(service).physical_volume_remove(request).await }
            })
            .await
    }

    /// Stops an array of software RAID, and removes its mark from all its members. `talosctl wipe md`; v1.14 and later, needs
    /// `os:admin`. `device` is a full path such as `/dev/md/data`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when there is none, [`crate::ErrorKind::NotReady`] while it is in use,
    /// [`crate::ErrorKind::Rejected`] for what is no path of a device, [`crate::ErrorKind::Unsupported`] before v1.14.
    pub async fn destroy_raid_array(&self, device: &str) -> Result<()> {
        let request = pb::MdDestroyRequest {
            device: device.to_owned(),
        };
        self.transport
            .call(Call::change("destroy RAID array"), |service| {
                let request = request.clone();
                async move {
                    let mut service =
                        MdServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE);
                    service.destroy(request).await
                }
            })
            .await
    }
}

fn lvm(service: Service) -> LvmServiceClient<Service> {
    LvmServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}
