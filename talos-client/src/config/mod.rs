//! Machine configuration: documents, patches, and what a bootstrapper reads and sets in them.

mod contract;
mod diff;
mod document;
mod load;
mod machine_config;
mod patch;
mod schema;
mod version;

pub use contract::VersionContract;
pub use diff::{Change, diff};
pub use machine_config::{Document, MachineConfig};
pub use patch::ConfigPatch;
pub use version::{Components, TalosVersion};
