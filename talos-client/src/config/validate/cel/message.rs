//! The messages that selectors see: their fields, the release that brought them, and the messages of Protobuf itself.

use super::types::Type;
use crate::config::VersionContract;

pub(super) const DISK: &str = "talos.resource.definitions.block.DiskSpec";
pub(super) const VOLUME: &str = "talos.resource.definitions.block.DiscoveredVolumeSpec";
pub(super) const LINK: &str = "talos.resource.definitions.network.LinkStatusSpec";
const VLAN: &str = "talos.resource.definitions.network.VLANSpec";
const BRIDGE: &str = "talos.resource.definitions.network.BridgeMasterSpec";
const BRIDGE_STP: &str = "talos.resource.definitions.network.STPSpec";
const BRIDGE_VLAN: &str = "talos.resource.definitions.network.BridgeVLANSpec";
const BOND: &str = "talos.resource.definitions.network.BondMasterSpec";
const WIREGUARD: &str = "talos.resource.definitions.network.WireguardSpec";
const PEER: &str = "talos.resource.definitions.network.WireguardPeer";
const VRF: &str = "talos.resource.definitions.network.VRFMasterSpec";
const VETH: &str = "talos.resource.definitions.network.VethSpec";
const ADDRESS: &str = "common.NetIP";
const PREFIX: &str = "common.NetIPPrefix";

/// The type of a field. Enumerations are integers.
#[derive(Debug, Clone, Copy)]
enum Field {
    Bool,
    Int,
    Uint,
    Text,
    Bytes,
    Duration,
    Texts,
    Message(&'static str),
    Messages(&'static str),
}

/// Message, type, names separated by blanks, and the first release that has them.
type Row = (&'static str, Field, &'static str, VersionContract);

const ALWAYS: VersionContract = VersionContract::V1_10;

/// The Protobuf definitions of Talos v1.10 to v1.14.
const FIELDS: [Row; 44] = [
    (DISK, Field::Uint, "size io_size sector_size", ALWAYS),
    (DISK, Field::Bool, "readonly rotational cdrom", ALWAYS),
    (
        DISK,
        Field::Text,
        "model serial modalias wwid uuid bus_path sub_system transport dev_path pretty_size",
        ALWAYS,
    ),
    (DISK, Field::Texts, "secondary_disks symlinks", ALWAYS),
    (
        DISK,
        Field::Text,
        "firmware_version",
        VersionContract::V1_14,
    ),
    (
        VOLUME,
        Field::Uint,
        "size sector_size io_size block_size filesystem_block_size probed_size partition_index",
        ALWAYS,
    ),
    (
        VOLUME,
        Field::Text,
        "name uuid label partition_uuid partition_type partition_label type device_path parent dev_path parent_dev_path \
         pretty_size",
        ALWAYS,
    ),
    (VOLUME, Field::Uint, "offset", VersionContract::V1_12),
    (
        LINK,
        Field::Uint,
        "index link_index flags mtu master_index",
        ALWAYS,
    ),
    (
        LINK,
        Field::Int,
        "type operational_state speed_megabits port duplex",
        ALWAYS,
    ),
    (
        LINK,
        Field::Bytes,
        "hardware_addr broadcast_addr permanent_addr",
        ALWAYS,
    ),
    (
        LINK,
        Field::Text,
        "queue_disc kind slave_kind bus_path pciid driver driver_version firmware_version product_id vendor_id product vendor \
         alias",
        ALWAYS,
    ),
    (LINK, Field::Bool, "link_state", ALWAYS),
    (LINK, Field::Texts, "alt_names", ALWAYS),
    (LINK, Field::Message(VLAN), "vlan", ALWAYS),
    (LINK, Field::Message(BRIDGE), "bridge_master", ALWAYS),
    (LINK, Field::Message(BOND), "bond_master", ALWAYS),
    (LINK, Field::Message(WIREGUARD), "wireguard", ALWAYS),
    (
        LINK,
        Field::Message(VRF),
        "vrf_master",
        VersionContract::V1_13,
    ),
    (LINK, Field::Message(VETH), "veth", VersionContract::V1_14),
    (VLAN, Field::Uint, "vid", ALWAYS),
    (VLAN, Field::Int, "protocol", ALWAYS),
    (BRIDGE, Field::Message(BRIDGE_STP), "stp", ALWAYS),
    (BRIDGE, Field::Message(BRIDGE_VLAN), "vlan", ALWAYS),
    (BRIDGE_STP, Field::Bool, "enabled", ALWAYS),
    (BRIDGE_VLAN, Field::Bool, "filtering_enabled", ALWAYS),
    (
        BOND,
        Field::Int,
        "mode hash_policy lacp_rate arp_validate arp_all_targets primary_reselect fail_over_mac ad_select adlacp_active",
        ALWAYS,
    ),
    (
        BOND,
        Field::Uint,
        "primary_index mii_mon up_delay down_delay arp_interval resend_igmp min_links lp_interval packets_per_slave \
         num_peer_notif tlb_dynamic_lb all_slaves_active ad_actor_sys_prio ad_user_port_key peer_notify_delay missed_max",
        ALWAYS,
    ),
    (BOND, Field::Bool, "use_carrier", ALWAYS),
    (
        BOND,
        Field::Messages(ADDRESS),
        "arpip_targets nsip6_targets",
        ALWAYS,
    ),
    (WIREGUARD, Field::Text, "private_key public_key", ALWAYS),
    (WIREGUARD, Field::Int, "listen_port firewall_mark", ALWAYS),
    (WIREGUARD, Field::Messages(PEER), "peers", ALWAYS),
    (
        PEER,
        Field::Text,
        "public_key preshared_key endpoint",
        ALWAYS,
    ),
    (
        PEER,
        Field::Duration,
        "persistent_keepalive_interval",
        ALWAYS,
    ),
    (PEER, Field::Messages(PREFIX), "allowed_ips", ALWAYS),
    (VRF, Field::Int, "table", VersionContract::V1_13),
    (VETH, Field::Text, "peer_name", VersionContract::V1_14),
    (ADDRESS, Field::Bytes, "ip", ALWAYS),
    (PREFIX, Field::Bytes, "ip", ALWAYS),
    (PREFIX, Field::Int, "prefix_length", ALWAYS),
    (
        "google.protobuf.Duration",
        Field::Int,
        "seconds nanos",
        ALWAYS,
    ),
    (
        "google.protobuf.Timestamp",
        Field::Int,
        "seconds nanos",
        ALWAYS,
    ),
    ("google.protobuf.Any", Field::Text, "type_url", ALWAYS),
];

/// The type of a field of a message; `None` when the release has no such field.
pub(super) fn field(object: &str, name: &str, release: VersionContract) -> Option<Type> {
    let row = FIELDS.iter().find(|(message, _, names, since)| {
        *message == object && *since <= release && names.split(' ').any(|field| field == name)
    });
    match row {
        Some((_, kind, ..)) => Some(kind.ty()),
        None => protobuf_field(object, name),
    }
}

impl Field {
    fn ty(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Text => Type::Text,
            Self::Bytes => Type::Bytes,
            Self::Duration => Type::Duration,
            Self::Texts => Type::list(Type::Text),
            Self::Message(name) => Type::Object(name),
            Self::Messages(name) => Type::list(Type::Object(name)),
        }
    }
}

/// What a message of a name is in expressions: those of Protobuf become plain values.
///
/// `objects` are the messages that the environment knows; what hangs from them is known too.
pub(super) fn named(
    name: &str,
    objects: &[&'static str],
    release: VersionContract,
) -> Option<Type> {
    if let Some(name) = name.strip_prefix("google.protobuf.") {
        return protobuf(name);
    }
    objects
        .iter()
        .find_map(|object| reachable(object, name, release))
        .map(Type::Object)
}

/// A message that is `object` or a field of it, at any depth.
fn reachable(object: &'static str, name: &str, release: VersionContract) -> Option<&'static str> {
    if object == name {
        return Some(object);
    }
    FIELDS
        .iter()
        .find_map(|(message, kind, _, since)| match kind {
            Field::Message(inner) | Field::Messages(inner)
                if *message == object && *since <= release =>
            {
                reachable(inner, name, release)
            }
            _ => None,
        })
}

fn protobuf(name: &str) -> Option<Type> {
    Some(match name {
        "Duration" => Type::Duration,
        "Timestamp" => Type::Timestamp,
        "Any" => Type::Any,
        "Empty" => Type::Object("google.protobuf.Empty"),
        "Value" => Type::Dyn,
        "ListValue" => Type::list(Type::Dyn),
        "Struct" => Type::map(Type::Text, Type::Dyn),
        _ => Type::Wrapper(Box::new(wrapped(name)?)),
    })
}

fn wrapped(name: &str) -> Option<Type> {
    Some(match name {
        "BoolValue" => Type::Bool,
        "BytesValue" => Type::Bytes,
        "DoubleValue" | "FloatValue" => Type::Double,
        "Int32Value" | "Int64Value" => Type::Int,
        "StringValue" => Type::Text,
        "UInt32Value" | "UInt64Value" => Type::Uint,
        _ => return None,
    })
}

fn protobuf_field(object: &str, field: &str) -> Option<Type> {
    let name = object.strip_prefix("google.protobuf.")?;
    match (name, field) {
        ("Any", "value") => Some(Type::Bytes),
        ("Struct", "fields") => Some(Type::map(Type::Text, Type::Dyn)),
        ("ListValue", "values") => Some(Type::list(Type::Dyn)),
        ("Value", "null_value") => Some(Type::Int),
        ("Value", "number_value") => Some(Type::Double),
        ("Value", "string_value") => Some(Type::Text),
        ("Value", "bool_value") => Some(Type::Bool),
        ("Value", "struct_value") => Some(Type::map(Type::Text, Type::Dyn)),
        ("Value", "list_value") => Some(Type::list(Type::Dyn)),
        (_, "value") => wrapped(name),
        _ => None,
    }
}
