#![doc = include_str!("../README.md")]

mod api;
pub mod config;
mod error;
mod go;
#[cfg(feature = "mock")]
pub mod mock;
mod poll;
mod retry;
pub mod secrets;
pub mod talosconfig;

pub use api::cosi::{self, Resources};
pub use api::machine::{self, ApplyOptions, Machine};
pub use api::wait::{self, wait_for_api, wait_for_maintenance};
pub use api::{
    Authority, Client, ClientBuilder, Code, Credentials, DEFAULT_PORT, Endpoint, Fingerprint,
    MaintenanceClient, MaintenanceClientBuilder, MaintenanceTrust, PresentedCertificate, Probe,
    ResponseStream, probe,
};
pub use error::{Error, ErrorKind, Result};
pub use go::yaml;
pub use poll::Poll;
pub use retry::RetryPolicy;
