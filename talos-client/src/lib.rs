#![doc = include_str!("../README.md")]

mod api;
pub mod config;
mod error;
mod go;
#[cfg(feature = "mock")]
pub mod mock;
#[allow(dead_code, reason = "mirrored")]
mod poll;
#[allow(dead_code, reason = "mirrored")]
mod retry;
pub mod secrets;
pub mod talosconfig;

pub use api::cosi::{self, Resources};
pub use api::edit::{self, ConfigEdit};
pub use api::health::{self, ClusterHealth};
pub use api::machine::{self, ApplyOptions, Machine};
pub use api::upgrade::{self, UpgradeOperation, UpgradePlan, UpgradeRecord};
pub use api::wait::{
    self, wait_for_api, wait_for_api_observed, wait_for_maintenance, wait_for_maintenance_observed,
};
pub use api::{
    CertificateAuthority, Client, ClientBuilder, Code, Credentials, DEFAULT_PORT, Endpoint,
    MaintenanceClient, MaintenanceClientBuilder, MaintenanceTrust, NodeResult, Nodes, PinMismatch,
    PresentedCertificate, Probe, PublicKeyFingerprint, ResponseStream, probe,
};
pub use error::{Error, ErrorKind, Result};
pub use go::yaml;
pub use poll::{Poll, WaitState};
pub use retry::RetryPolicy;
