//! Machine configuration: documents, patches, and what a bootstrapper reads and sets in them.

mod compatibility;
mod contract;
mod generate;
mod machine_config;
mod patch;
mod version;

pub use compatibility::check_kubernetes_upgrade;
pub use contract::VersionContract;
pub use generate::{GenerateInput, GeneratedConfigs, MachineType, OutputType};
pub use machine_config::{Document, MachineConfig};
pub use patch::ConfigPatch;
pub use version::{Components, TalosVersion};
