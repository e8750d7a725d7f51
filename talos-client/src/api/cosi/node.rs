//! Resources about the node's names, addresses and role.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::resource::resource_spec;
use crate::api::pb::definitions::{cluster, enums, network};
use crate::api::pb::resource::config;
use serde::{Deserialize, Serialize};

/// The role of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MachineType {
    /// Not configured.
    Unknown,
    /// The first control plane node of old clusters.
    Init,
    /// Control plane.
    ControlPlane,
    /// Worker.
    Worker,
}

impl From<config::MachineTypeSpec> for MachineType {
    fn from(spec: config::MachineTypeSpec) -> Self {
        match spec.machine_type {
            1 => Self::Init,
            2 => Self::ControlPlane,
            3 => Self::Worker,
            _ => Self::Unknown,
        }
    }
}

resource_spec!(
    MachineType,
    "MachineTypes.config.talos.dev",
    "config",
    config::MachineTypeSpec,
    id "machine-type"
);

/// The host name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostnameStatus {
    /// Without domain.
    pub hostname: String,
    /// The domain; may be empty.
    pub domain: String,
}

impl From<network::HostnameStatusSpec> for HostnameStatus {
    fn from(spec: network::HostnameStatusSpec) -> Self {
        Self {
            hostname: spec.hostname,
            domain: spec.domainname,
        }
    }
}

resource_spec!(
    HostnameStatus,
    "HostnameStatuses.net.talos.dev",
    "network",
    network::HostnameStatusSpec,
    id "hostname"
);

/// A list of the node's addresses: `current`, `default`, `routed`, `accumulative` and filtered ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeAddresses {
    /// Addresses with their prefix length.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl From<network::NodeAddressSpec> for NodeAddresses {
    fn from(spec: network::NodeAddressSpec) -> Self {
        let addresses = spec.addresses.into_iter().filter_map(|prefix| {
            let length = u8::try_from(prefix.prefix_length).ok()?;
            Some((address(&prefix.ip)?, length))
        });
        Self {
            addresses: addresses.collect(),
        }
    }
}

resource_spec!(
    NodeAddresses,
    "NodeAddresses.net.talos.dev",
    "network",
    network::NodeAddressSpec
);

/// A node that discovery has found; its id is the name of the node in Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterMember {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its host name.
    pub hostname: String,
    /// Its role.
    pub machine_type: MachineType,
    /// For example `Talos (v1.10.7)`.
    pub operating_system: String,
}

impl From<cluster::MemberSpec> for ClusterMember {
    fn from(spec: cluster::MemberSpec) -> Self {
        let machine_type = match spec.machine_type() {
            enums::MachineType::TypeUnknown => MachineType::Unknown,
            enums::MachineType::TypeInit => MachineType::Init,
            enums::MachineType::TypeControlPlane => MachineType::ControlPlane,
            enums::MachineType::TypeWorker => MachineType::Worker,
        };
        Self {
            addresses: spec
                .addresses
                .iter()
                .filter_map(|address| self::address(&address.ip))
                .collect(),
            hostname: spec.hostname,
            machine_type,
            operating_system: spec.operating_system,
        }
    }
}

resource_spec!(
    ClusterMember,
    "Members.cluster.talos.dev",
    "cluster",
    cluster::MemberSpec
);

/// Four or sixteen bytes.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes)
            .ok()
            .map(|ip| Ipv4Addr::from(ip).into()),
        16 => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|ip| Ipv6Addr::from(ip).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::common;

    #[test]
    fn addresses_have_four_or_sixteen_bytes() {
        let prefix = |ip: Vec<u8>, prefix_length| common::NetIpPrefix { ip, prefix_length };

        let addresses = NodeAddresses::from(network::NodeAddressSpec {
            addresses: vec![prefix(vec![10, 0, 2, 10], 24), prefix(vec![1, 2], 8)],
            sort_algorithm: 0,
        });

        assert_eq!(
            addresses.addresses,
            [(Ipv4Addr::new(10, 0, 2, 10).into(), 24)]
        );
    }
}
