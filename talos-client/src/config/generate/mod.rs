//! Generating machine configuration, as `talosctl gen config` does.

mod bundle;
mod documents;
mod endpoint;
mod input;
mod kubernetes;
mod machine_type;
mod mirrors;
mod node;
mod plan;
mod v1alpha1;

pub use bundle::{GeneratedConfigs, OutputType};
pub use input::GenerateInput;
pub use machine_type::MachineType;
