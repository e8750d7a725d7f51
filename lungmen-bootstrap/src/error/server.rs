//! The servers that a run talks to.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A server that a run talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Server {
    /// Proxmox VE.
    ProxmoxVe,
    /// The Image Factory.
    ImageFactory,
    /// The store of the cluster record: OpenBao, or a Kubernetes API server.
    SecretStore,
    /// The machine API of a Talos node.
    Talos,
    /// The Kubernetes API server of the cluster.
    Kubernetes,
    /// Argo CD.
    ArgoCd,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ProxmoxVe => "Proxmox VE",
            Self::ImageFactory => "Image Factory",
            Self::SecretStore => "secret store",
            Self::Talos => "Talos",
            Self::Kubernetes => "Kubernetes",
            Self::ArgoCd => "Argo CD",
        })
    }
}
