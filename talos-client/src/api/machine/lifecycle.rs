//! Reboot, shutdown, reset, rollback.

use serde::{Deserialize, Serialize};

use super::Machine;
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;

/// How to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RebootMode {
    /// Into the next kernel directly where possible; never with Secure Boot.
    #[default]
    Default,
    /// Through the firmware.
    PowerCycle,
    /// Without stopping anything first; since v1.12.
    Force,
}

/// How to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ShutdownMode {
    /// After the Kubernetes node is drained.
    #[default]
    Drain,
    /// Without draining the Kubernetes node.
    Force,
}

/// What a reset wipes of which disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WipeMode {
    /// System disk and user disks.
    #[default]
    All,
    /// The system disk.
    SystemDisk,
    /// The user disks.
    UserDisks,
}

/// What to wipe, and what to do afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct ResetRequest {
    graceful: bool,
    reboot: bool,
    partitions: Vec<String>,
    user_disks: Vec<String>,
    mode: WipeMode,
}

impl ResetRequest {
    /// Wipes the whole system disk and shuts down. Leaves the cluster first.
    ///
    /// The last etcd member cannot leave: use [`ResetRequest::ungraceful`] for a single node.
    pub fn system_disk() -> Self {
        Self {
            graceful: true,
            reboot: false,
            partitions: Vec::new(),
            user_disks: Vec::new(),
            mode: WipeMode::SystemDisk,
        }
    }

    /// Wipes configuration and data, and keeps Talos installed: after the reboot the node is in maintenance mode.
    pub fn to_maintenance() -> Self {
        Self {
            reboot: true,
            ..Self::partitions(["STATE", "EPHEMERAL"])
        }
    }

    /// Wipes these partitions of the system disk, by their labels, and shuts down.
    pub fn partitions<P: Into<String>>(labels: impl IntoIterator<Item = P>) -> Self {
        Self {
            partitions: labels.into_iter().map(Into::into).collect(),
            ..Self::system_disk()
        }
    }

    /// Wipes these disks, which must not be the system disk, and shuts down.
    pub fn user_disks<D: Into<String>>(devices: impl IntoIterator<Item = D>) -> Self {
        Self {
            user_disks: devices.into_iter().map(Into::into).collect(),
            mode: WipeMode::UserDisks,
            ..Self::system_disk()
        }
    }

    /// Wipes these disks as well; implies [`WipeMode::All`].
    pub fn and_user_disks<D: Into<String>>(mut self, devices: impl IntoIterator<Item = D>) -> Self {
        self.user_disks.extend(devices.into_iter().map(Into::into));
        self.mode = WipeMode::All;
        self
    }

    /// Neither drains the node nor leaves etcd.
    pub fn ungraceful(mut self) -> Self {
        self.graceful = false;
        self
    }

    /// Reboots instead of shutting down.
    pub fn reboot(mut self) -> Self {
        self.reboot = true;
        self
    }

    /// Sets which disks are wiped.
    pub fn mode(mut self, mode: WipeMode) -> Self {
        self.mode = mode;
        self
    }

    fn to_wire(&self) -> pb::ResetRequest {
        use pb::reset_request::WipeMode as Wire;
        let mode = match self.mode {
            WipeMode::All => Wire::All,
            WipeMode::SystemDisk => Wire::SystemDisk,
            WipeMode::UserDisks => Wire::UserDisks,
        };
        let partitions = self.partitions.iter().map(|label| pb::ResetPartitionSpec {
            label: label.clone(),
            wipe: true,
        });
        pb::ResetRequest {
            graceful: self.graceful,
            reboot: self.reboot,
            system_partitions_to_wipe: partitions.collect(),
            user_disks_to_wipe: self.user_disks.clone(),
            mode: mode.into(),
        }
    }
}

impl Machine {
    /// Reboots the machine. Needs `os:operator`. Returns the id under which the events of the reboot run.
    ///
    /// The node answers before it acts; a later failure shows in the events only ([`Machine::events_of`]). Not to be
    /// repeated blindly: compare [`Machine::boot_time`].
    ///
    /// # Errors
    /// [`crate::ErrorKind::Forbidden`] without the role, [`crate::ErrorKind::Unsupported`] in maintenance mode. After
    /// [`crate::ErrorKind::Interrupted`] and [`crate::ErrorKind::Timeout`] the machine may be rebooting.
    pub async fn reboot(&self, mode: RebootMode) -> Result<String> {
        use pb::reboot_request::Mode;
        let mode = match mode {
            RebootMode::Default => Mode::Default,
            RebootMode::PowerCycle => Mode::Powercycle,
            RebootMode::Force => Mode::Force,
        };
        let request = pb::RebootRequest { mode: mode.into() };
        let message = self
            .unary(Call::change("reboot"), |mut machine| async move {
                machine.reboot(request).await
            })
            .await?;
        Ok(message.actor_id)
    }

    /// Shuts the machine down. Needs `os:operator`. Returns the id under which the events of the shutdown run.
    ///
    /// # Errors
    /// As [`Machine::reboot`].
    pub async fn shutdown(&self, mode: ShutdownMode) -> Result<String> {
        let request = pb::ShutdownRequest {
            force: mode == ShutdownMode::Force,
        };
        let message = self
            .unary(Call::change("shut down"), |mut machine| async move {
                machine.shutdown(request).await
            })
            .await?;
        Ok(message.actor_id)
    }

    /// Wipes the machine. Needs `os:admin`. Returns the id under which the events of the reset run.
    ///
    /// # Errors
    /// As [`Machine::reboot`], and [`crate::ErrorKind::Server`] for a partition or disk that does not exist, or a mode that
    /// excludes the given disks or partitions.
    pub async fn reset(&self, request: &ResetRequest) -> Result<String> {
        let message = self
            .unary(Call::change("reset"), |mut machine| {
                let request = request.to_wire();
                async move { machine.reset(request).await }
            })
            .await?;
        Ok(message.actor_id)
    }

    /// Boots the release that was installed before the last upgrade. Needs `os:admin`. The machine reboots.
    ///
    /// Not to be repeated blindly: a second rollback returns to the newer release.
    ///
    /// # Errors
    /// As [`Machine::reboot`], and [`crate::ErrorKind::Server`] when there is no other release on the disk.
    pub async fn rollback(&self) -> Result<()> {
        self.unary(Call::change("roll back"), |mut machine| async move {
            machine.rollback(pb::RollbackRequest::default()).await
        })
        .await
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_partition_named_means_the_whole_disk() {
        let wire = ResetRequest::system_disk().ungraceful().reboot().to_wire();

        assert!(wire.system_partitions_to_wipe.is_empty());
        assert!(!wire.graceful && wire.reboot);
        assert_eq!(wire.mode, 1);
    }

    #[test]
    fn back_to_maintenance_keeps_what_makes_talos_installed() {
        let wire = ResetRequest::to_maintenance().to_wire();

        let labels: Vec<&str> = wire
            .system_partitions_to_wipe
            .iter()
            .map(|partition| partition.label.as_str())
            .collect();
        assert_eq!(labels, ["STATE", "EPHEMERAL"]);
        assert!(wire.reboot);
    }

    #[test]
    fn user_disks_exclude_the_system_disk_unless_both_are_named() {
        let alone = ResetRequest::user_disks(["/dev/sdb"]).to_wire();
        let both = ResetRequest::system_disk()
            .and_user_disks(["/dev/sdb"])
            .to_wire();

        assert_eq!((alone.mode, both.mode), (2, 0));
        assert_eq!(both.user_disks_to_wipe, ["/dev/sdb"]);
    }
}
