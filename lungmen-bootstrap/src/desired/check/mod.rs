//! From what the user wants to a desired cluster, or to everything that is wrong with it.

mod addresses;
mod group;
mod machines;
mod release;
mod size;

use url::Url;

use super::DesiredCluster;
use super::config::{self, Trial};
use crate::error::{Error, Result};
use crate::spec::cluster_name::ClusterName;
use crate::spec::diagnostic::Diagnostics;
use crate::spec::machine::{MachineSpec, Placement};
use crate::spec::patch::PatchSource;
use crate::spec::release::TalosRelease;
use crate::spec::{ArgoCdTarget, OpenBaoTarget};

pub(super) use release::Release;

/// What the user wants, unchecked.
#[derive(Debug, Clone)]
pub(crate) struct RawSpec {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) release: Option<TalosRelease>,
    pub(crate) factory: Option<Url>,
    pub(crate) placement: Option<Placement>,
    pub(crate) machines: Vec<MachineSpec>,
    pub(crate) patches: Vec<PatchSource>,
    pub(crate) openbao: Option<OpenBaoTarget>,
    pub(crate) argocd: Option<ArgoCdTarget>,
}

impl DesiredCluster {
    /// Checks everything that needs no call and reports all diagnostics together.
    pub(crate) fn check(inputs: &RawSpec) -> Result<Self> {
        let mut diagnostics = Diagnostics::default();
        let desired = desired(inputs, &mut diagnostics);
        match desired {
            Some(desired) if diagnostics.is_empty() => Ok(desired),
            _ => Err(Error::invalid_spec(diagnostics)),
        }
    }
}

/// A check goes on after a finding as far as it can: what does not depend on the wrong field is checked all the same.
fn desired(inputs: &RawSpec, diagnostics: &mut Diagnostics) -> Option<DesiredCluster> {
    let cluster = diagnostics.check(
        "cluster.name",
        &inputs.name,
        inputs.name.parse::<ClusterName>(),
    );
    let endpoint = addresses::endpoint(&inputs.endpoint, diagnostics);
    let release = release::release(inputs, diagnostics);
    let placement = machines::placement(inputs.placement.as_ref(), diagnostics);
    group::check_machines(&inputs.machines, diagnostics);
    addresses::check_targets(inputs, diagnostics);

    // The form of the patches, then, with a release, what they make of a configuration.
    let mut tried = config::check_patches(inputs);
    let Some(release) = release else {
        diagnostics.append_new(&tried.errors);
        return None;
    };
    // A wrong placement keeps nothing else of a machine from being checked.
    let anywhere = machines::anywhere();
    let place = placement.unwrap_or(&anywhere);
    let machines = machines::machines(inputs, &inputs.name, &release, place, diagnostics);
    let machines = placement.map(|_| machines);
    if tried.errors.is_empty() {
        tried = config::try_out(&Trial {
            inputs,
            release: &release,
            cluster: cluster.as_ref(),
            endpoint: endpoint.as_ref(),
        });
    }
    diagnostics.append_new(&tried.errors);

    let (cluster, endpoint, mut machines) = (cluster?, endpoint?, machines?);
    for machine in &mut machines {
        if let Some(image) = tried.installers.remove(&machine.spec.name) {
            machine.installer = image;
        }
    }
    let mut warnings = release.warnings;
    warnings.extend(addresses::single_machine(&endpoint, &inputs.machines));
    warnings.extend(size::check(&inputs.machines, &release.version));
    warnings.extend(tried.warnings);
    Some(DesiredCluster {
        iso_file: release.image.file_name(),
        talos: release.version,
        kubernetes_version: release.kubernetes_version,
        schematic: release.schematic,
        schematic_id: release.schematic_id,
        image: release.image,
        installer: release.installer,
        warnings,
        cluster,
        endpoint,
        machines,
        patches: config::patches(&inputs.patches),
        components: tried.components,
        openbao: inputs.openbao.clone(),
        argocd: inputs.argocd.clone(),
        patched_addresses: addresses::patched_addresses(inputs),
    })
}
