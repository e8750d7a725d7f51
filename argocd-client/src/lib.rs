#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

mod account;
pub mod application;
pub mod application_set;
mod builder;
mod call;
mod client;
pub mod cluster;
mod credentials;
mod endpoint;
mod error;
mod kubernetes;
#[cfg(feature = "mock")]
#[cfg_attr(docsrs, doc(cfg(feature = "mock")))]
pub mod mock;
mod poll;
pub mod project;
pub mod repository;
mod response;
mod retry;
mod stream;
mod tls;
mod transport;
mod version;
mod wire;

pub use application::Applications;
pub use application_set::ApplicationSets;
pub use builder::ClientBuilder;
pub use client::{Client, Settings, UserInfo};
pub use cluster::{ClusterSpec, Clusters};
pub use credentials::Credentials;
pub use endpoint::parse_endpoint;
pub use error::{Error, ErrorKind, Result};
pub use kubernetes::{Event, EventSource, InvolvedObject};
pub use poll::{Poll, WaitState};
pub use project::Projects;
pub use repository::Repositories;
pub use retry::RetryPolicy;
pub use tls::{Fingerprint, PinMismatch, TlsTrust};
pub use version::ServerVersion;
