//! Names, constants and functions that Talos offers to the expressions of each kind of selector.

use super::library::{self, Overload};
use super::types::Type;

/// What an expression is about, which decides the names it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Environment {
    /// `disk`, `system_disk`: volume provisioning and install disks.
    Disk,
    /// `volume`, `disk`: existing volumes, volume groups and arrays. Which disk is the system's is not known there.
    Volume,
    /// `link`: link aliases.
    Link,
    /// Pressure figures: when to act on memory shortage.
    OutOfMemoryTrigger,
    /// One control group: which one to kill first.
    OutOfMemoryRanking,
}

pub(super) const DISK: &str = "talos.resource.definitions.block.DiskSpec";
const VOLUME: &str = "talos.resource.definitions.block.DiscoveredVolumeSpec";
const LINK: &str = "talos.resource.definitions.network.LinkStatusSpec";
const VLAN: &str = "talos.resource.definitions.network.VLANSpec";

/// Sizes are counted in `uint`, so a plain `10 * GB` mixes types and is refused by the compiler.
const UNITS: [&str; 12] = [
    "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "kB", "MB", "GB", "TB", "PB", "EB",
];
const CONTROL_GROUP_CLASSES: [&str; 5] = [
    "Besteffort",
    "Burstable",
    "Guaranteed",
    "Podruntime",
    "System",
];

const DISK_TEXTS: [&str; 11] = [
    "model",
    "serial",
    "modalias",
    "wwid",
    "uuid",
    "bus_path",
    "sub_system",
    "transport",
    "dev_path",
    "pretty_size",
    "firmware_version",
];
const VOLUME_TEXTS: [&str; 12] = [
    "name",
    "uuid",
    "label",
    "partition_uuid",
    "partition_type",
    "partition_label",
    "type",
    "device_path",
    "parent",
    "dev_path",
    "parent_dev_path",
    "pretty_size",
];
const LINK_TEXTS: [&str; 13] = [
    "queue_disc",
    "kind",
    "slave_kind",
    "bus_path",
    "pciid",
    "driver",
    "driver_version",
    "firmware_version",
    "product_id",
    "vendor_id",
    "product",
    "vendor",
    "alias",
];

impl Environment {
    /// The type of a variable or constant.
    pub(super) fn name(self, name: &str) -> Option<Type> {
        match (self, name) {
            (Self::Disk | Self::Volume, "disk") => Some(Type::Object(DISK)),
            (Self::Disk, "system_disk") => Some(Type::Bool),
            (Self::Volume, "volume") => Some(Type::Object(VOLUME)),
            (Self::Link, "link") => Some(Type::Object(LINK)),
            (Self::Link, _) => type_name(name),
            _ if UNITS.contains(&name) => Some(Type::Uint),
            (Self::OutOfMemoryTrigger | Self::OutOfMemoryRanking, _)
                if CONTROL_GROUP_CLASSES.contains(&name) =>
            {
                Some(Type::Int)
            }
            (Self::OutOfMemoryTrigger, "time_since_trigger") => Some(Type::Duration),
            (Self::OutOfMemoryTrigger, _) => pressure(name).or_else(|| type_name(name)),
            (Self::OutOfMemoryRanking, "memory_max" | "memory_current" | "memory_peak") => {
                Some(Type::Optional(Box::new(Type::Uint)))
            }
            (Self::OutOfMemoryRanking, "path") => Some(Type::Text),
            (Self::OutOfMemoryRanking, "class") => Some(Type::Int),
            _ => type_name(name),
        }
    }

    /// Whether `.?`, `[?` and the functions of optional values exist.
    pub(super) const fn has_optionals(self) -> bool {
        matches!(self, Self::OutOfMemoryTrigger | Self::OutOfMemoryRanking)
    }

    /// The functions beyond the standard ones.
    pub(super) fn functions(self, name: &str) -> Vec<Overload> {
        match (self, name) {
            (Self::Disk | Self::Link, "glob") => {
                vec![Overload::global(vec![Type::Text, Type::Text], Type::Bool)]
            }
            (Self::Link, "mac") => vec![Overload::global(vec![Type::Bytes], Type::Text)],
            (Self::OutOfMemoryTrigger, "multiply_qos_vectors") => {
                let vector = Type::map(Type::Dyn, Type::Double);
                vec![Overload::global(vec![vector.clone(), vector], Type::Double)]
            }
            (_, name) if self.has_optionals() => library::optionals(name),
            _ => Vec::new(),
        }
    }
}

/// The standard types are values too.
fn type_name(name: &str) -> Option<Type> {
    let named = match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "int" => Type::Int,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "null_type" => Type::Null,
        "string" => Type::Text,
        "type" => Type::Object("type"),
        "uint" => Type::Uint,
        _ => return None,
    };
    Some(Type::kind(named))
}

/// `[d_]memory_some_avg10` is one figure, `[d_]qos_memory_…` one figure per control group class.
fn pressure(name: &str) -> Option<Type> {
    const FIGURES: [&str; 8] = [
        "some_avg10",
        "some_avg60",
        "some_avg300",
        "some_total",
        "full_avg10",
        "full_avg60",
        "full_avg300",
        "full_total",
    ];
    let name = name.strip_prefix("d_").unwrap_or(name);
    if let Some(figure) = name.strip_prefix("qos_memory_") {
        return (FIGURES.contains(&figure) || ["current", "peak", "max"].contains(&figure))
            .then(|| Type::map(Type::Int, Type::Double));
    }
    let figure = name.strip_prefix("memory_")?;
    FIGURES.contains(&figure).then_some(Type::Double)
}

/// The type of a field of a message; `None` when there is no such field.
pub(super) fn field(object: &str, field: &str) -> Option<Type> {
    match (object, field) {
        (DISK, "size" | "io_size" | "sector_size") => Some(Type::Uint),
        (DISK, "readonly" | "rotational" | "cdrom") => Some(Type::Bool),
        (DISK, "secondary_disks" | "symlinks") => Some(Type::list(Type::Text)),
        (DISK, name) if DISK_TEXTS.contains(&name) => Some(Type::Text),
        (
            VOLUME,
            "size"
            | "sector_size"
            | "io_size"
            | "block_size"
            | "filesystem_block_size"
            | "probed_size"
            | "partition_index",
        ) => Some(Type::Uint),
        (VOLUME, name) if VOLUME_TEXTS.contains(&name) => Some(Type::Text),
        (LINK, "index" | "link_index" | "flags" | "mtu" | "master_index") => Some(Type::Uint),
        (LINK, "type" | "operational_state" | "port" | "duplex" | "speed_megabits") => {
            Some(Type::Int)
        }
        (LINK, "hardware_addr" | "broadcast_addr" | "permanent_addr") => Some(Type::Bytes),
        (LINK, "link_state") => Some(Type::Bool),
        (LINK, "alt_names") => Some(Type::list(Type::Text)),
        (LINK, "vlan") => Some(Type::Object(VLAN)),
        (VLAN, "vid") => Some(Type::Uint),
        (VLAN, "protocol") => Some(Type::Int),
        // The fields of these are not listed here, so anything is accepted.
        (LINK, "bridge_master" | "bond_master" | "wireguard") => Some(Type::Dyn),
        (LINK, name) if LINK_TEXTS.contains(&name) => Some(Type::Text),
        _ => None,
    }
}
