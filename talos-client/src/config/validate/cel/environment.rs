//! Names, constants and functions that Talos offers to the expressions of each kind of selector.

use super::library::{self, Overload};
use super::message::{self, DISK, LINK, VOLUME};
use super::types::Type;
use crate::config::VersionContract;

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

impl Environment {
    /// The type of a variable or constant, or of a message, which is a type.
    pub(super) fn name(self, name: &str, release: VersionContract) -> Option<Type> {
        if name.contains('.') {
            return message::named(name, self.messages(), release).map(Type::kind);
        }
        match (self, name) {
            (_, "optional_type") if self.has_optionals() => {
                Some(Type::kind(Type::Object("optional_type")))
            }
            (Self::Disk, "disk") => Some(Type::Object(DISK)),
            // Volumes of v1.10 do not know their disk.
            (Self::Volume, "disk") => {
                (release > VersionContract::V1_10).then_some(Type::Object(DISK))
            }
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

    /// The messages that can be constructed, apart from those of Protobuf.
    const fn messages(self) -> &'static [&'static str] {
        match self {
            Self::Disk => &[DISK],
            Self::Volume => &[VOLUME, DISK],
            Self::Link => &[LINK],
            Self::OutOfMemoryTrigger | Self::OutOfMemoryRanking => &[],
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
