//! What a VM is doing.

use serde::{Deserialize, Serialize};

use super::text_enum::text_enum;
use crate::wire;

text_enum!(
    /// Whether the VM runs.
    PowerState {
        /// It has a process.
        Running = "running",
        /// It has none.
        Stopped = "stopped",
    }
);

/// Power state and counters of a VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VmStatus {
    /// Whether it runs.
    pub status: PowerState,
    /// The finer state of QEMU: `running`, `paused`, `prelaunch`, `io-error` and so on.
    #[serde(default, rename = "qmpstatus", deserialize_with = "wire::opt_string")]
    pub qemu_status: Option<String>,
    /// The name.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub name: Option<String>,
    /// Seconds since the start; 0 when stopped.
    #[serde(default, deserialize_with = "wire::opt_u64")]
    pub uptime: Option<u64>,
    /// Which task works on it: `create`, `clone`, `backup` and so on.
    #[serde(default, deserialize_with = "wire::opt_string")]
    pub lock: Option<String>,
    /// Whether the guest agent is enabled in the running configuration.
    #[serde(default, deserialize_with = "wire::bool")]
    pub agent: bool,
    /// Processors.
    #[serde(default, deserialize_with = "wire::opt_f64")]
    pub cpus: Option<f64>,
    /// Memory in bytes.
    #[serde(default, rename = "maxmem", deserialize_with = "wire::opt_u64")]
    pub memory_total: Option<u64>,
    /// High availability.
    #[serde(default)]
    pub ha: HighAvailability,
}

impl VmStatus {
    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == PowerState::Running
    }
}

/// Whether the cluster moves and restarts the VM by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HighAvailability {
    /// Start and stop tasks of a managed VM only note the wish; it is carried out later.
    #[serde(default, deserialize_with = "wire::bool")]
    pub managed: bool,
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
    }
}
