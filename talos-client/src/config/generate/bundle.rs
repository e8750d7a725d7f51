//! The configurations of one cluster, and the files they are written to.

use std::fmt;
use std::str::FromStr;

use crate::config::MachineConfig;
use crate::error::{Error, ErrorKind, Result};

use super::machine_type::MachineType;

/// The configurations of all machine types of one cluster.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GeneratedConfigs {
    /// For the first control plane node of old clusters; the command line never writes it.
    pub init: MachineConfig,
    /// For control plane nodes.
    pub controlplane: MachineConfig,
    /// For workers.
    pub worker: MachineConfig,
}

impl GeneratedConfigs {
    /// The configuration of a machine type.
    #[must_use]
    pub const fn of(&self, kind: MachineType) -> &MachineConfig {
        match kind {
            MachineType::Init => &self.init,
            MachineType::ControlPlane => &self.controlplane,
            MachineType::Worker => &self.worker,
        }
    }
}

/// What `gen config` writes, as `--output-types` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OutputType {
    /// The configuration of control plane nodes.
    ControlPlane,
    /// The configuration of workers.
    Worker,
    /// The client configuration.
    Talosconfig,
}

impl OutputType {
    /// What is written when nothing else is said, in this order.
    pub const ALL: [Self; 3] = [Self::ControlPlane, Self::Worker, Self::Talosconfig];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
            Self::Talosconfig => "talosconfig",
        }
    }

    /// The file it is written to within an output directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlplane.yaml",
            Self::Worker => "worker.yaml",
            Self::Talosconfig => "talosconfig",
        }
    }

    /// Parses a comma separated list.
    ///
    /// # Errors
    /// `InvalidInput` with the reference's text for an unknown name or an empty list.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        if list.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "parse output types")
                .with_message("at least one output type must be specified"));
        }
        list.split(',').map(str::parse).collect()
    }
}

impl fmt::Display for OutputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OutputType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|output| output.as_str() == name)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "parse output types")
                    .with_message(format!("invalid output type: {name:?}"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_types_are_named_as_on_the_command_line() {
        assert_eq!(
            OutputType::parse_list("worker,talosconfig").unwrap(),
            [OutputType::Worker, OutputType::Talosconfig]
        );
        assert_eq!(
            OutputType::parse_list("x").unwrap_err().message(),
            r#"invalid output type: "x""#
        );
        assert_eq!(
            OutputType::parse_list("").unwrap_err().message(),
            "at least one output type must be specified"
        );
    }
}
