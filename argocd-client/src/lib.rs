#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

pub mod account;
mod answer;
pub mod application;
pub mod application_set;
mod builder;
mod call;
mod client;
pub mod cluster;
pub mod config_file;
pub mod core_mode;
mod credentials;
mod endpoint;
mod error;
mod kubernetes;
#[cfg(feature = "mock")]
#[cfg_attr(docsrs, doc(cfg(feature = "mock")))]
pub mod mock;
pub mod oidc;
mod poll;
pub mod project;
pub mod rbac;
pub mod repository;
mod response;
mod retry;
pub mod settings;
mod stream;
mod tls;
mod transport;
pub mod trust;
mod version;
mod wire;

pub use account::Accounts;
pub use application::Applications;
pub use application_set::ApplicationSets;
pub use builder::ClientBuilder;
pub use client::{Client, NotificationKind, UserInfo};
pub use cluster::{ClusterSpec, Clusters};
pub use credentials::Credentials;
pub use endpoint::parse_endpoint;
pub use error::{Error, ErrorKind, Result};
pub use kubernetes::{Event, EventSource, InvolvedObject};
pub use poll::{Poll, WaitState};
pub use project::Projects;
pub use repository::{CredentialTemplates, Repositories};
pub use retry::RetryPolicy;
pub use settings::Settings;
pub use tls::{Fingerprint, PinMismatch, TlsTrust};
pub use trust::{GpgKeys, RepositoryCertificates};
pub use version::ServerVersion;
