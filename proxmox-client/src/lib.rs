#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod access;
mod builder;
mod client;
pub mod cluster;
mod connections;
pub mod credentials;
mod diagnostic;
mod docs;
mod envelope;
mod error;
#[cfg(test)]
mod hostile_input;
pub mod id;
mod limiter;
#[cfg(feature = "mock")]
pub mod mock;
pub mod node;
mod params;
mod poll;
pub mod pool;
pub mod property;
mod reason;
mod request;
mod reread;
mod retry;
mod rule;
pub mod storage;
pub mod task;
mod tls;
mod transport;
mod upid;
pub mod version;
pub mod vm;
mod wire;

pub use builder::ClientBuilder;
pub use client::Client;
pub use cluster::Cluster;
pub use credentials::Credentials;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use envelope::Envelope;
pub use error::{Error, ErrorKind, Result};
pub use limiter::{Limiter, StorageTurn};
pub use node::Node;
pub use poll::{Poll, WaitState};
pub use pool::Pool;
pub use reason::Reason;
pub use reread::reread;
pub use retry::RetryPolicy;
pub use storage::Storage;
pub use task::Task;
pub use tls::{Fingerprint, PinMismatch, TlsTrust};
pub use upid::TaskId;
pub use vm::Vm;
