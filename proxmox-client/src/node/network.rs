//! Network interfaces of a node.

use serde::Deserialize;

use crate::wire::{self, response};

response!(
    /// A network interface of a node.
    NetworkInfo {
        /// The name, for example `vmbr1`.
        iface: String = "iface",
        /// `bridge`, `OVSBridge`, `vnet`, `eth`, `bond` and so on.
        kind: String = "type",
        /// Whether the interface is up.
        active: bool = "active",
        /// Whether a bridge filters VLANs.
        vlan_aware: bool = "bridge_vlan_aware",
        /// The VLANs of a VLAN-aware bridge, for example `2-4094`.
        vlan_ids: Option<String> = "bridge_vids",
        /// The physical ports of a bridge.
        ports: Vec<String> = "bridge_ports",
        /// The node's address on the interface, with prefix length.
        cidr: Option<String> = "cidr",
        /// The gateway.
        gateway: Option<String> = "gateway",
        /// The comment.
        comments: Option<String> = "comments",
    }
);

/// The response for one interface, which does not repeat the name.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Unnamed(#[serde(deserialize_with = "unnamed")] NetworkInfo);

impl Unnamed {
    pub(super) fn named(self, iface: &str) -> NetworkInfo {
        NetworkInfo {
            iface: iface.to_owned(),
            ..self.0
        }
    }
}

fn unnamed<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<NetworkInfo, D::Error> {
    let mut fields = serde_json::Map::deserialize(deserializer)?;
    fields.entry("iface").or_insert_with(|| "".into());
    serde_json::from_value(fields.into()).map_err(serde::de::Error::custom)
}

impl NetworkInfo {
    /// Whether traffic of a VM with this VLAN ID can pass the bridge: the ID is in the list of a VLAN-aware bridge, or
    /// another bridge has a physical port.
    #[must_use]
    pub fn carries_vlan(&self, id: u16) -> bool {
        if !self.vlan_aware {
            return self.kind != "bridge" || !self.ports.is_empty();
        }
        let ranges = self.vlan_ids.as_deref().unwrap_or("2-4094");
        wire::split_list(ranges).any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse::<u16>(), last.parse::<u16>()) {
                (Ok(first), Ok(last)) => (first..=last).contains(&id),
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bridge(value: serde_json::Value) -> NetworkInfo {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_vlan_aware_bridge_carries_what_its_list_has() {
        let listed = bridge(json!({
            "iface": "vmbr1", "type": "bridge", "bridge_vlan_aware": 1, "bridge_vids": "2-10 20",
        }));

        assert!(listed.carries_vlan(2) && listed.carries_vlan(10) && listed.carries_vlan(20));
        assert!(!listed.carries_vlan(11));
    }

    #[test]
    fn a_classic_bridge_needs_a_port_for_vlans() {
        let with = bridge(json!({ "iface": "vmbr0", "type": "bridge", "bridge_ports": "eno1" }));
        let without = bridge(json!({ "iface": "vmbr0", "type": "bridge", "bridge_ports": "" }));

        assert!(with.carries_vlan(2));
        assert!(!without.carries_vlan(2));
    }
}
