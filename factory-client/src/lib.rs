#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod catalogue;
mod check;
mod client;
mod diagnostic;
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
mod poll;
mod prewarm;
mod response;
#[allow(dead_code, reason = "mirrored")]
mod retry;
pub mod schematic;
mod store;
mod text;
#[allow(dead_code, reason = "mirrored")]
mod tls;
mod transport;
pub mod version;

pub use builder::{ClientBuilder, Credentials};
pub use client::{Client, Extension, OfficialOverlay};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use error::{Error, ErrorKind, IdMismatch, Result};
pub use id::SchematicId;
pub use image::{Compression, DiskFormat, Image, ImageRequest, Output};
pub use installer::Installer;
pub use offline::{COMMUNITY_FACTORY, OfflineFactory};
pub use platform::{Arch, Platform};
pub use poll::{Poll, WaitState};
pub use prewarm::Prewarmed;
pub use retry::RetryPolicy;
pub use schematic::{Diff, Schematic, SchematicBuilder};
pub use store::{Created, Stored};
pub use tls::{Fingerprint, PinMismatch, TlsTrust};
pub use version::TalosVersion;
