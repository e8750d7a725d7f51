//! State of the server.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::services::{Error, ErrorKind, Result};

/// The response of `sys/health`, without the fields that only OpenBao or only Vault has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the server has been initialised.
    pub initialized: bool,
    /// Whether it is sealed; a sealed server serves no secrets.
    pub sealed: bool,
    /// Whether another node is active; a standby forwards writes.
    pub standby: bool,
    /// Version of the server, for example `2.7.2`.
    pub version: String,
    /// Name of the cluster; absent while the server is sealed.
    pub cluster_name: Option<String>,
}

impl Health {
    /// Whether secrets can be read and written.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.initialized && !self.sealed
    }

    pub(super) fn decode(answer: &Value) -> Result<Self> {
        Self::deserialize(answer).map_err(|error| undecodable("read health", &error))
    }
}

/// The response of `sys/seal-status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SealStatus {
    /// Kind of seal, for example `shamir`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the server has been initialised.
    pub initialized: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Key shares needed to unseal.
    #[serde(rename = "t")]
    pub threshold: u32,
    /// Key shares in all.
    #[serde(rename = "n")]
    pub shares: u32,
    /// Key shares entered since the server was sealed.
    pub progress: u32,
    /// Version of the server.
    pub version: String,
}

impl SealStatus {
    pub(super) fn decode(answer: &Value) -> Result<Self> {
        Self::deserialize(answer).map_err(|error| undecodable("read seal status", &error))
    }
}

fn undecodable(operation: &'static str, error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Decode, operation).with_message(error.to_string())
}
