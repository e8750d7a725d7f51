//! Wiping block devices.

use serde::{Deserialize, Serialize};

use super::{Machine, storage_service};
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::storage as pb;
use crate::api::pb::storage::block_device_wipe_descriptor::Method;

use super::reply::only;

/// Which block devices to wipe, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[must_use]
pub struct WipeRequest {
    devices: Vec<String>,
    zeroes: bool,
    drop_partition: bool,
    skip_volume_check: bool,
    skip_secondary_check: bool,
}

impl WipeRequest {
    /// Wipes these devices, named as the node names them, without `/dev/`: `sdb`, `sda5`. Only what marks their content is
    /// overwritten.
    pub fn of<D: Into<String>>(devices: impl IntoIterator<Item = D>) -> Self {
        Self {
            devices: devices.into_iter().map(Into::into).collect(),
            zeroes: false,
            drop_partition: false,
            skip_volume_check: false,
            skip_secondary_check: false,
        }
    }

    /// Overwrites everything with zeroes, which takes as long as writing the whole device.
    pub fn zeroes(mut self) -> Self {
        self.zeroes = true;
        self
    }

    /// Removes the partitions from the table afterwards.
    pub fn drop_partitions(mut self) -> Self {
        self.drop_partition = true;
        self
    }

    /// Wipes a device too that a volume of Talos uses.
    pub fn skip_volume_check(mut self) -> Self {
        self.skip_volume_check = true;
        self
    }

    /// Wipes a device too that is part of another one; v1.11 and later, ignored before.
    pub fn skip_secondary_check(mut self) -> Self {
        self.skip_secondary_check = true;
        self
    }

    fn to_wire(&self) -> pb::BlockDeviceWipeRequest {
        let method = if self.zeroes {
            Method::Zeroes
        } else {
            Method::Fast
        };
        let devices = self
            .devices
            .iter()
            .map(|device| pb::BlockDeviceWipeDescriptor {
                device: device.clone(),
                method: method.into(),
                skip_volume_check: self.skip_volume_check,
                drop_partition: self.drop_partition,
                skip_secondary_check: self.skip_secondary_check,
            });
        pb::BlockDeviceWipeRequest {
            devices: devices.collect(),
        }
    }
}

impl Machine {
    /// Wipes block devices. `talosctl wipe disk`; needs `os:admin`. It may be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotReady`] when a device is in use, [`crate::ErrorKind::NotFound`] when there is none of this name,
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13, [`crate::ErrorKind::Forbidden`] without the role.
    pub async fn wipe_devices(&self, request: &WipeRequest) -> Result<()> {
        const OPERATION: &str = "wipe block devices";
        let reply = self
            .transport
            .call(Call::set(OPERATION), |service| {
                let request = request.to_wire();
                async move { storage_service(service).block_device_wipe(request).await }
            })
            .await?;
        only(&self.transport, OPERATION, reply).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_skipped_unless_it_was_asked_for() {
        let wire = WipeRequest::of(["sdb"]).to_wire();

        let device = &wire.devices[0];
        assert_eq!((device.device.as_str(), device.method), ("sdb", 0));
        assert!(!device.skip_volume_check && !device.drop_partition);
        let zeroes = WipeRequest::of(["sdb"]).zeroes().to_wire();
        assert_eq!(zeroes.devices[0].method, 1);
    }
}
