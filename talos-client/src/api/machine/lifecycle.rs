//! Reboot, shutdown, reset.

use super::reply::only;
use super::{Machine, machine_service};
use crate::Result;
use crate::api::channel::Call;
use crate::api::pb::machine as pb;

/// How to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// What a reset wipes of which disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ResetRequest {
    graceful: bool,
    reboot: bool,
    partitions: Vec<String>,
    mode: WipeMode,
}

impl ResetRequest {
    /// Wipes the system disk, all of it, and shuts down. Takes leave of the cluster first.
    ///
    /// The last etcd member cannot take leave: use [`ResetRequest::ungraceful`] for a single node.
    pub fn system_disk() -> Self {
        Self {
            graceful: true,
            reboot: false,
            partitions: Vec::new(),
            mode: WipeMode::SystemDisk,
        }
    }

    /// Wipes configuration and data, and keeps Talos installed: after the reboot the node is in maintenance mode.
    pub fn to_maintenance() -> Self {
        Self {
            partitions: vec!["STATE".to_owned(), "EPHEMERAL".to_owned()],
            reboot: true,
            ..Self::system_disk()
        }
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

    /// Which disks are wiped.
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
        pb::ResetRequest {
            graceful: self.graceful,
            reboot: self.reboot,
            system_partitions_to_wipe: self
                .partitions
                .iter()
                .map(|label| pb::ResetPartitionSpec {
                    label: label.clone(),
                    wipe: true,
                })
                .collect(),
            user_disks_to_wipe: Vec::new(),
            mode: mode.into(),
        }
    }
}

impl Machine {
    /// Reboots the machine. Needs `os:operator`. Returns the id under which the events of the reboot run.
    ///
    /// The node answers before it acts; what fails then shows in the events only.
    ///
    /// # Errors
    /// By the kind of the refusal; after [`crate::ErrorKind::Interrupted`] the machine may be rebooting.
    pub async fn reboot(&self, mode: RebootMode) -> Result<String> {
        const OPERATION: &str = "reboot";
        use pb::reboot_request::Mode;
        let mode = match mode {
            RebootMode::Default => Mode::Default,
            RebootMode::PowerCycle => Mode::Powercycle,
            RebootMode::Force => Mode::Force,
        };
        let reply = self
            .transport
            .call(Call::change(OPERATION), |service| async move {
                let request = pb::RebootRequest { mode: mode.into() };
                machine_service(service).reboot(request).await
            })
            .await?;
        Ok(only(&self.transport, OPERATION, reply)?.actor_id)
    }

    /// Shuts the machine down. Needs `os:operator`. Returns the id under which the events of the shutdown run.
    ///
    /// # Errors
    /// As [`Machine::reboot`].
    pub async fn shutdown(&self) -> Result<String> {
        const OPERATION: &str = "shut down";
        let reply = self
            .transport
            .call(Call::change(OPERATION), |service| async move {
                let request = pb::ShutdownRequest::default();
                machine_service(service).shutdown(request).await
            })
            .await?;
        Ok(only(&self.transport, OPERATION, reply)?.actor_id)
    }

    /// Wipes the machine. Needs `os:admin`. Returns the id under which the events of the reset run.
    ///
    /// # Errors
    /// As [`Machine::reboot`].
    pub async fn reset(&self, request: &ResetRequest) -> Result<String> {
        const OPERATION: &str = "reset";
        let reply = self
            .transport
            .call(Call::change(OPERATION), |service| async move {
                machine_service(service).reset(request.to_wire()).await
            })
            .await?;
        Ok(only(&self.transport, OPERATION, reply)?.actor_id)
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
}
