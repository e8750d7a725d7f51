#![doc = include_str!("../README.md")]

mod builder;
mod certificate;
mod channel;
mod client;
mod code;
pub mod config;
pub mod cosi;
mod credentials;
mod dial;
mod endpoint;
mod error;
pub mod machine;
mod maintenance;
#[cfg(feature = "mock")]
pub mod mock;
mod pb;
mod poll;
mod probe;
mod retry;
#[cfg(all(test, feature = "mock"))]
mod scripted;
pub mod secrets;
mod status;
mod stream;
pub mod talosconfig;
mod tls;
pub mod wait;
mod wire;
pub mod yaml;

pub use builder::{ClientBuilder, MaintenanceClientBuilder};
pub use certificate::PresentedCertificate;
pub use client::Client;
pub use code::Code;
pub use cosi::Resources;
pub use credentials::Credentials;
pub use endpoint::{DEFAULT_PORT, Endpoint};
pub use error::{Error, ErrorKind, Result};
pub use machine::{ApplyOptions, Machine};
pub use maintenance::MaintenanceClient;
pub use poll::Poll;
pub use probe::{Probe, probe};
pub use retry::RetryPolicy;
pub use stream::ResponseStream;
pub use tls::{Authority, Fingerprint, MaintenanceTrust};
pub use wait::{wait_for_api, wait_for_maintenance};
