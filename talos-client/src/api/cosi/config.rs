//! The configuration of a node, read back.

use secrecy::SecretString;

use super::resource::resource_spec;
use crate::api::pb::resource::config as pb;

/// A machine configuration that the node has. Only administrators may read it.
///
/// Its ids: `v1alpha1` for the active one, `persistent` for the one on the disk (ahead of the active one after mode `staged`,
/// behind it during mode `try`), `maintenance` for one that was given in maintenance mode and is incomplete.
#[derive(Clone)]
#[non_exhaustive]
pub struct MachineConfigStatus {
    /// The documents as the node keeps them.
    pub text: SecretString,
}

impl std::fmt::Debug for MachineConfigStatus {
    /// Without the content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineConfigStatus")
            .finish_non_exhaustive()
    }
}

impl MachineConfigStatus {
    /// The id of the configuration that is active.
    pub const ACTIVE: &'static str = "v1alpha1";
    /// The id of the configuration on the disk.
    pub const PERSISTENT: &'static str = "persistent";
}

impl From<pb::MachineConfigSpec> for MachineConfigStatus {
    fn from(spec: pb::MachineConfigSpec) -> Self {
        Self {
            text: String::from_utf8_lossy(&spec.yaml_marshalled)
                .into_owned()
                .into(),
        }
    }
}

resource_spec!(
    MachineConfigStatus,
    "MachineConfigs.config.talos.dev",
    "config",
    pb::MachineConfigSpec
);
