//! Machine configuration: documents, patches, generation, and what a bootstrapper reads and sets in them.

mod compatibility;
mod contract;
mod document;
mod generate;
mod load;
mod machine_config;
mod patch;
mod schema;
mod version;

pub use compatibility::check_kubernetes_upgrade;
pub use contract::VersionContract;
pub use generate::{GenerateInput, GeneratedConfigs, MachineType, OutputType};
pub use machine_config::{Document, MachineConfig};
pub use patch::ConfigPatch;
pub use version::{Components, TalosVersion};
