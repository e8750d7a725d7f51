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
    let own = release.of_machines(&inputs.machines, diagnostics);
    // A wrong release keeps nothing else of its machine from being checked.
    let or_shared = |own: &Option<_>| own.as_ref().unwrap_or(&release.shared).clone();
    let releases: Vec<_> = own.releases.iter().map(or_shared).collect();
    // A wrong placement keeps nothing else of a machine from being checked.
    let anywhere = machines::anywhere();
    let place = placement.unwrap_or(&anywhere);
    let machines = machines::machines(inputs, &inputs.name, &releases, place, diagnostics);
    let is_complete = placement.is_some() && own.releases.iter().all(Option::is_some);
    let machines = is_complete.then_some(machines);
    if tried.errors.is_empty() {
        tried = config::try_out(&Trial {
            inputs,
            kubernetes_version: &release.kubernetes_version,
            shared: &release.shared,
            releases: &releases,
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
    warnings.extend(own.warnings);
    warnings.extend(addresses::single_machine(&endpoint, &inputs.machines));
    let sized = machines.iter();
    let sized = sized.map(|machine| (&machine.spec, &machine.release.version));
    warnings.extend(size::check(sized));
    warnings.extend(tried.warnings);
    Some(DesiredCluster {
        release: release.shared,
        kubernetes_version: release.kubernetes_version,
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
