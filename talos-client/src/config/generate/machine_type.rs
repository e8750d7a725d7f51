//! What a machine is in its cluster.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The type of a machine, as `machine.type` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MachineType {
    /// The first control plane node of clusters that are not bootstrapped by a call. Not for new clusters.
    Init,
    /// A control plane node.
    ControlPlane,
    /// A worker.
    Worker,
}

impl MachineType {
    /// The value of `machine.type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        }
    }

    /// Whether it runs etcd and the control plane of Kubernetes.
    #[must_use]
    pub const fn is_control_plane(self) -> bool {
        !matches!(self, Self::Worker)
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MachineType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Init, Self::ControlPlane, Self::Worker]
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "parse machine type")
                    .with_message(format!("unknown machine type {name:?}"))
            })
    }
}
