//! What a node reports about itself.

use crate::id::NodeName;
use crate::vm::text_enum;
use crate::wire::{from_wire_text, response};

text_enum!(
    /// Whether the cluster sees a node.
    NodeState {
        /// The node is a member and responds.
        Online = "online",
        /// The node does not respond.
        Offline = "offline",
        /// The state is not known yet.
        Unknown = "unknown",
    }
);

from_wire_text!(NodeState);

response!(
    /// A node in the cluster's list.
    NodeInfo {
        /// The short host name.
        node: NodeName = "node",
        /// Whether the cluster sees the node.
        status: NodeState = "status",
        /// Logical processors; absent when the node is offline, and without `Sys.Audit`.
        cpus: Option<u64> = "maxcpu",
        /// Memory in bytes.
        memory_total: Option<u64> = "maxmem",
        /// Used memory in bytes.
        memory_used: Option<u64> = "mem",
        /// Seconds since boot.
        uptime: Option<u64> = "uptime",
        /// The SHA-256 fingerprint of the node's certificate.
        fingerprint: Option<String> = "ssl_fingerprint",
    }

    /// The state of a node.
    NodeStatus {
        /// For example `pve-manager/9.2.11/…`.
        version: Option<String> = "pveversion",
        /// The kernel, as `uname` prints it.
        kernel: Option<String> = "kversion",
        /// Seconds since boot.
        uptime: Option<u64> = "uptime",
        /// The load averages of 1, 5 and 15 minutes.
        load: Vec<f64> = "loadavg",
        /// The processors.
        cpu: Option<CpuInfo> = "cpuinfo",
        /// Memory in bytes.
        memory: Usage = "memory",
        /// Swap in bytes.
        swap: Usage = "swap",
        /// The root file system in bytes. Uploads pass through it.
        rootfs: Usage = "rootfs",
    }

    /// The processors of a node.
    CpuInfo {
        /// The model.
        model: Option<String> = "model",
        /// Logical processors: the largest number of vCPUs of a VM that can start here.
        cpus: Option<u32> = "cpus",
        /// Cores of a socket.
        cores: Option<u32> = "cores",
        /// Sockets.
        sockets: Option<u32> = "sockets",
        /// The CPU flags, joined by blanks.
        flags: Option<String> = "flags",
    }

    /// A CPU model that a VM can have.
    CpuModel {
        /// The name, for example `x86-64-v2-AES`; custom models begin with `custom-`.
        name: String = "name",
        /// The vendor.
        vendor: Option<String> = "vendor",
        /// Whether an administrator defined the model.
        is_custom: bool = "custom",
    }

    /// A machine version of QEMU.
    MachineVersion {
        /// The value of the option `machine`, for example `pc-q35-9.2+pve1`.
        id: String = "id",
        /// `q35`, `i440fx` or `virt`.
        kind: Option<String> = "type",
        /// The version alone.
        version: Option<String> = "version",
    }

    /// The resolvers of a node.
    DnsSettings {
        /// The search domain.
        search: Option<String> = "search",
        /// The first resolver.
        first: Option<String> = "dns1",
        /// The second resolver.
        second: Option<String> = "dns2",
        /// The third resolver.
        third: Option<String> = "dns3",
    }

    /// The clock of a node.
    NodeTime {
        /// Seconds since 1970.
        time: u64 = "time",
        /// Seconds since 1970 as if the local time were UTC.
        local_time: Option<u64> = "localtime",
        /// The time zone, for example `Europe/Paris`.
        time_zone: Option<String> = "timezone",
    }

    /// A service of a node.
    ServiceInfo {
        /// The name, for example `pveproxy`.
        service: String = "service",
        /// The description.
        description: Option<String> = "desc",
        /// `running`, `dead` and so on.
        state: Option<String> = "state",
    }

    /// A certificate of a node.
    CertificateInfo {
        /// `pve-root-ca.pem`, `pve-ssl.pem` or `pveproxy-ssl.pem`.
        filename: Option<String> = "filename",
        /// The SHA-256 fingerprint, as [`Fingerprint`](crate::Fingerprint) reads it.
        fingerprint: Option<String> = "fingerprint",
        /// The subject.
        subject: Option<String> = "subject",
        /// The issuer.
        issuer: Option<String> = "issuer",
        /// Start of validity, in seconds since 1970.
        not_before: Option<u64> = "notbefore",
        /// End of validity, in seconds since 1970.
        not_after: Option<u64> = "notafter",
        /// Names and addresses.
        names: Vec<String> = "san",
        /// The certificate in PEM form.
        pem: Option<String> = "pem",
    }
);

impl NodeInfo {
    /// Whether the cluster sees the node.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.status == NodeState::Online
    }
}

/// Used and free bytes.
///
/// The root file system has `avail` (without what is reserved for root) as well as `free`; memory has `free` only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// All bytes.
    pub total: Option<u64>,
    /// Used bytes.
    pub used: Option<u64>,
    /// Free bytes.
    pub free: Option<u64>,
    /// Bytes that a program without special rights can use.
    #[serde(rename = "avail")]
    pub available: Option<u64>,
}

impl crate::wire::FromWire for Usage {
    fn from_wire(value: serde_json::Value) -> Option<Self> {
        let serde_json::Value::Object(fields) = value else {
            return Some(Self::default());
        };
        let number = |name: &str| {
            Option::<u64>::from_wire(fields.get(name).cloned().unwrap_or_default()).flatten()
        };
        Some(Self {
            total: number("total"),
            used: number("used"),
            free: number("free").or_else(|| number("avail")),
            available: number("avail").or_else(|| number("free")),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_offline_node_has_no_metrics() {
        let node: NodeInfo =
            serde_json::from_value(json!({ "node": "pve-02", "status": "offline" })).unwrap();

        assert!(!node.is_online());
        assert_eq!(node.memory_total, None);
    }

    #[test]
    fn a_file_system_with_both_names_of_free_space_is_read() {
        let status: NodeStatus = serde_json::from_value(json!({
            "rootfs": { "total": 100, "used": 10, "avail": 80, "free": 90 },
            "memory": { "total": 8, "used": 1, "free": 7 },
        }))
        .unwrap();

        assert_eq!(
            (status.rootfs.free, status.rootfs.available),
            (Some(90), Some(80))
        );
        assert_eq!(status.memory.available, Some(7));
    }
}
