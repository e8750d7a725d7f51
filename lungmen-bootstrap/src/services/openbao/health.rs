//! How the server says it is.

use serde::Deserialize;
use serde_json::Value;

use crate::services::{Error, ErrorKind, Result};

/// What `sys/health` says. OpenBao has no `performance_standby`, Vault has; neither is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether the server has been initialised.
    pub initialized: bool,
    /// Whether it is sealed; nothing can be read or written then.
    pub sealed: bool,
    /// Whether another node is the active one; a standby forwards writes.
    pub standby: bool,
    /// Version of the server, for example `2.7.2`.
    pub version: String,
    /// Name of its cluster; absent while sealed.
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

/// What `sys/seal-status` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SealStatus {
    /// Kind of seal, for example `shamir`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the server has been initialised.
    pub initialized: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Key shares needed.
    #[serde(rename = "t")]
    pub threshold: u32,
    /// Key shares that exist.
    #[serde(rename = "n")]
    pub shares: u32,
    /// Key shares given since the last seal.
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
