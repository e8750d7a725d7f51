#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod builder;
mod catalogue;
mod check;
mod client;
pub mod download;
mod error;
mod id;
mod image;
mod installer;
#[cfg(feature = "mock")]
#[cfg_attr(docsrs, doc(cfg(feature = "mock")))]
pub mod mock;
mod offline;
mod platform;
mod prewarm;
pub mod schematic;
mod search;
mod store;
mod tls;
mod transport;
pub mod version;

pub use builder::{ClientBuilder, Credentials, RetryPolicy, TlsTrust};
pub use check::{Finding, Report, Severity};
pub use client::{Client, Extension, OfficialOverlay};
pub use error::{Error, ErrorKind, IdMismatch, Result};
pub use id::SchematicId;
pub use image::{Compression, DiskFormat, Image, ImageRequest, Output};
pub use installer::Installer;
pub use offline::{COMMUNITY_FACTORY, OfflineFactory};
pub use platform::{Arch, Platform};
pub use prewarm::Prewarmed;
pub use schematic::{Schematic, SchematicBuilder};
pub use search::{Search, SearchProgress};
pub use store::{Created, Stored};
pub use version::TalosVersion;
