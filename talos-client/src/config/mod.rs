//! Machine configuration: documents, patches, generation, and what a bootstrapper reads and sets in them.

mod compatibility;
mod contract;
mod diagnostic;
mod diff;
mod document;
mod generate;
mod lint;
mod load;
mod machine_config;
mod patch;
mod schema;
mod validate;
mod version;

pub use compatibility::check_kubernetes_upgrade;
pub use contract::VersionContract;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use diff::{Diff, diff};
pub use generate::{GenerateInput, GeneratedConfigs, MachineType, OutputType};
pub use lint::{LintContext, LintDisk, LintId};
pub use machine_config::{Document, MachineConfig};
pub use patch::ConfigPatch;
pub use validate::{Conflict, Mode, ValidationOptions};
pub use version::{Components, TalosVersion};

pub(crate) use load::check_bundle;
pub(crate) use schema::Schema;
#[cfg(feature = "mock")]
pub(crate) use schema::{duration_text, parse_duration};
