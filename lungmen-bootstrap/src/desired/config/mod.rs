//! The machine configurations of a desired cluster.

mod findings;
mod identity;
mod trial;

use talos_client::config::{ConfigPatch, GenerateInput, MachineConfig, MachineType, TalosVersion};
use talos_client::secrets::SecretsBundle;
use url::Url;

use super::{DesiredCluster, DesiredMachine};
use crate::error::Result;
use crate::spec::machine::Role;
use crate::spec::patch::PatchSource;

pub(super) use trial::{Trial, check_patches, try_out};

/// The patches in the type of the client.
pub(super) fn patches(sources: &[PatchSource]) -> Vec<ConfigPatch> {
    let patches = sources.iter();
    patches
        .map(|source| ConfigPatch::new(source.text()).with_origin(source.origin()))
        .collect()
}

/// What a configuration is generated from.
#[derive(Clone, Copy)]
struct Generator<'a> {
    cluster: &'a str,
    endpoint: &'a Url,
    /// That of the cluster, whatever the machine runs: it decides the version contract.
    talos: &'a TalosVersion,
    kubernetes_version: &'a str,
    installer: &'a str,
}

impl Generator<'_> {
    /// The configuration of a machine of this role, with the patches in their order.
    fn config<'p>(
        self,
        role: Role,
        patches: impl IntoIterator<Item = &'p ConfigPatch>,
        secrets: &SecretsBundle,
    ) -> talos_client::Result<MachineConfig> {
        let endpoint = self.endpoint.as_str().trim_end_matches('/');
        let input = GenerateInput::new(self.cluster, endpoint, secrets)?
            .talos_version(self.talos.clone())
            .kubernetes_version(self.kubernetes_version)
            .install_image(self.installer);
        let patches = patches.into_iter().cloned();
        let kind = match role {
            Role::ControlPlane => MachineType::ControlPlane,
            Role::Worker => MachineType::Worker,
        };
        patches
            .fold(input, GenerateInput::config_patch)
            .generate(kind)
    }
}

impl DesiredCluster {
    /// The configuration of a machine: generated, then patched with those of the cluster, then with its own.
    pub(crate) fn machine_config(
        &self,
        machine: &DesiredMachine,
        secrets: &SecretsBundle,
    ) -> Result<MachineConfig> {
        let generator = Generator {
            cluster: self.cluster.as_str(),
            endpoint: &self.endpoint,
            talos: &self.release.version,
            kubernetes_version: &self.kubernetes_version,
            installer: &machine.release.installer,
        };
        let patches = self.patches.iter().chain(&machine.patches);
        Ok(generator.config(machine.spec.role, patches, secrets)?)
    }
}
