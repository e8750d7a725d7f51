//! Machine configuration: documents, patches, and what a bootstrapper reads and sets in them.

mod machine_config;
mod patch;

pub use machine_config::{Document, MachineConfig};
pub use patch::ConfigPatch;
