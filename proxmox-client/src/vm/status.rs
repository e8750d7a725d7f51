//! What a VM is doing.

use serde::{Deserialize, Serialize};

use super::text_enum::text_enum;
use crate::id::{NodeName, VmId};
use crate::wire::{FromWire, from_wire_text, response};

text_enum!(
    /// Whether a VM runs.
    PowerState {
        /// The VM has a process.
        Running = "running",
        /// The VM has no process.
        Stopped = "stopped",
    }
);

text_enum!(
    /// A feature that depends on the storages of a VM, for [`Vm::feature`](super::Vm::feature).
    Feature {
        /// Snapshots of the disks.
        Snapshot = "snapshot",
        /// Linked clones.
        Clone = "clone",
        /// Full copies.
        Copy = "copy",
    }
);

from_wire_text!(PowerState);

response!(
    /// A VM in a node's list.
    VmInfo {
        /// The ID.
        vmid: VmId = "vmid",
        /// The name; absent when the VM has none.
        name: Option<String> = "name",
        /// Whether the VM runs.
        status: PowerState = "status",
        /// The tags.
        tags: Vec<String> = "tags",
        /// Which task works on the VM.
        lock: Option<String> = "lock",
        /// Whether the VM is a template.
        template: bool = "template",
        /// Processors.
        cpus: Option<f64> = "cpus",
        /// Memory in bytes.
        memory_total: Option<u64> = "maxmem",
        /// Used memory in bytes.
        memory_used: Option<u64> = "mem",
        /// Seconds since the start; 0 when stopped.
        uptime: Option<u64> = "uptime",
        /// The share of the processors in use, 1 for all.
        cpu: Option<f64> = "cpu",
        /// The size of the boot disk in bytes.
        disk_total: Option<u64> = "maxdisk",
        /// Used bytes of the boot disk; 0, because the server does not look into disks of VMs.
        disk_used: Option<u64> = "disk",
        /// Received bytes.
        network_in: Option<u64> = "netin",
        /// Sent bytes.
        network_out: Option<u64> = "netout",
        /// Bytes read from the disks.
        disk_read: Option<u64> = "diskread",
        /// Bytes written to the disks.
        disk_write: Option<u64> = "diskwrite",
        /// The process on the node.
        pid: Option<u64> = "pid",
    }

    /// Power state and counters of a VM.
    VmStatus {
        /// Whether the VM runs.
        status: PowerState = "status",
        /// The finer state of QEMU: `running`, `paused`, `prelaunch`, `io-error` and so on.
        qemu_status: Option<String> = "qmpstatus",
        /// The name.
        name: Option<String> = "name",
        /// Seconds since the start; 0 when stopped.
        uptime: Option<u64> = "uptime",
        /// Which task works on the VM: `create`, `clone`, `backup` and so on.
        lock: Option<String> = "lock",
        /// Whether the guest agent is enabled in the running configuration.
        agent: bool = "agent",
        /// Processors.
        cpus: Option<f64> = "cpus",
        /// The share of the processors in use, 1 for all.
        cpu: Option<f64> = "cpu",
        /// Memory in bytes.
        memory_total: Option<u64> = "maxmem",
        /// Used memory in bytes, as the guest reports it.
        memory_used: Option<u64> = "mem",
        /// The size of the boot disk in bytes.
        disk_total: Option<u64> = "maxdisk",
        /// Received bytes.
        network_in: Option<u64> = "netin",
        /// Sent bytes.
        network_out: Option<u64> = "netout",
        /// Bytes read from the disks.
        disk_read: Option<u64> = "diskread",
        /// Bytes written to the disks.
        disk_write: Option<u64> = "diskwrite",
        /// The process on the node.
        pid: Option<u64> = "pid",
        /// The machine version of the running process, for example `pc-q35-9.2+pve1`.
        running_machine: Option<String> = "running-machine",
        /// The QEMU version of the running process.
        running_qemu: Option<String> = "running-qemu",
        /// Whether the VM is a template.
        template: bool = "template",
        /// The tags.
        tags: Vec<String> = "tags",
        /// High availability.
        ha: HighAvailability = "ha",
    }

    /// Whether the storages of a VM support a feature.
    FeatureSupport {
        /// Whether they do.
        has_feature: bool = "hasFeature",
        /// The nodes on which the VM could use the feature.
        nodes: Vec<NodeName> = "nodes",
    }
);

impl VmStatus {
    /// Whether the VM runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == PowerState::Running
    }
}

impl VmInfo {
    /// Whether the VM runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == PowerState::Running
    }
}

/// Whether the cluster moves and restarts the VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HighAvailability {
    /// Whether the VM is managed. Start and stop tasks of a managed VM only record the requested state, which the
    /// cluster establishes later.
    pub managed: bool,
    /// The state of the HA manager for the VM.
    pub state: Option<String>,
    /// The group; before PVE 9.
    pub group: Option<String>,
}

impl FromWire for HighAvailability {
    fn from_wire(value: serde_json::Value) -> Option<Self> {
        let get = |name: &str| value.get(name).cloned().unwrap_or_default();
        Some(Self {
            managed: bool::from_wire(get("managed"))?,
            state: Option::from_wire(get("state"))?,
            group: Option::from_wire(get("group"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read_from_perl_shaped_values() {
        let status: VmStatus = serde_json::from_value(json!({
            "status": "running", "qmpstatus": "running", "vmid": 104, "uptime": "12",
            "agent": "1", "cpus": "4", "maxmem": 8_589_934_592_u64, "ha": { "managed": 0 },
            "name": 100,
        }))
        .unwrap();

        assert!(status.is_running() && status.agent);
        assert_eq!(status.uptime, Some(12));
        assert_eq!(status.name.as_deref(), Some("100"));
        assert_eq!(status.memory_total, Some(8 << 30));
        assert_eq!(status.other["vmid"], 104);
    }
}
