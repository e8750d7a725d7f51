#![doc = include_str!("../README.md")]

mod error;
mod id;
pub mod schematic;
mod version;

pub use error::{Error, ErrorKind, IdMismatch, Result};
pub use id::SchematicId;
pub use schematic::{Schematic, SchematicBuilder};
pub use version::TalosVersion;
