//! The machine configurations of a desired.

use talos_client::config::{
    ConfigPatch, GenerateInput, LintContext, LintDisk, LintId, MachineConfig, MachineType, Mode,
    ValidationOptions, VersionContract, diff,
};
use talos_client::secrets::SecretsBundle;

use super::{Components, DesiredCluster, DesiredMachine};
use crate::error::Result;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{Disk, Role};
use crate::spec::patch::PatchSource;

/// A contract whose secrets are made in milliseconds: from v1.7 on the RSA key takes seconds.
const QUICK: VersionContract = VersionContract::new(1, 6);

/// The patches that are YAML; diagnostics name the file, the line and the column.
pub(super) fn patches(
    path: &str,
    sources: &[PatchSource],
    diagnostics: &mut Diagnostics,
) -> Vec<ConfigPatch> {
    for (index, source) in sources.iter().enumerate() {
        if let Err(error) = talos_client::yaml::parse_documents(source.text()) {
            diagnostics.add(Diagnostic::new(
                format!("{path}[{index}]"),
                source.origin(),
                format!("must be a machine configuration patch: {}", error.message()),
            ));
        }
    }
    sources
        .iter()
        .map(|source| ConfigPatch::new(source.text()).with_origin(source.origin()))
        .collect()
}

impl DesiredCluster {
    /// The configuration of a machine: generated, then patched with those of the cluster, then with its own.
    pub(crate) fn machine_config(
        &self,
        machine: &DesiredMachine,
        secrets: &SecretsBundle,
    ) -> Result<MachineConfig> {
        let patches = self.patches.iter().chain(&machine.patches);
        let input = patches
            .cloned()
            .fold(self.input(secrets)?, GenerateInput::config_patch);
        Ok(input.generate(kind(machine))?)
    }

    /// The configuration of a machine before any patch.
    fn unpatched_config(
        &self,
        machine: &DesiredMachine,
        secrets: &SecretsBundle,
    ) -> Result<MachineConfig> {
        Ok(self.input(secrets)?.generate(kind(machine))?)
    }

    fn input<'a>(&'a self, secrets: &'a SecretsBundle) -> Result<GenerateInput> {
        let endpoint = self.endpoint.as_str().trim_end_matches('/');
        Ok(
            GenerateInput::new(self.cluster.as_str(), endpoint, secrets)?
                .talos_version(self.talos.clone())
                .kubernetes_version(&self.kubernetes_version)
                .install_image(&self.installer),
        )
    }
}

fn kind(machine: &DesiredMachine) -> MachineType {
    match machine.spec.role {
        Role::ControlPlane => MachineType::ControlPlane,
        Role::Worker => MachineType::Worker,
    }
}

/// Makes every configuration with throw-away secrets, so that a patch that cannot be applied and a configuration that
/// the node would refuse are known before a machine exists.
pub(super) fn try_out(desired: &mut DesiredCluster, diagnostics: &mut Diagnostics) {
    let secrets = match SecretsBundle::generate_blocking(QUICK) {
        Ok(secrets) => secrets,
        Err(error) => {
            diagnostics.add(Diagnostic::new(
                "talos.version",
                desired.image.version(),
                error.to_string(),
            ));
            return;
        }
    };
    let mut warnings = Vec::new();
    let mut first_parts = None;
    for (index, machine) in desired.machines.iter().enumerate() {
        let path = format!("machines[{index}].configPatches");
        match desired.machine_config(machine, &secrets) {
            Ok(config) => {
                judge(&path, desired, machine, &config, diagnostics, &mut warnings);
                check_identity(&path, desired, machine, &secrets, &config, diagnostics);
                if machine.spec.role == Role::ControlPlane {
                    first_parts.get_or_insert_with(|| components(&config));
                }
            }
            Err(error) => {
                diagnostics.add(Diagnostic::new(&path, error.target(), error.to_string()))
            }
        }
    }
    desired.components = first_parts.unwrap_or_default();
    desired.warnings.extend(warnings);
}

/// Fields that make a node a member of this cluster. Only the cluster record decides about them.
const IDENTITY: [&str; 14] = [
    "machine.type",
    "machine.token",
    "machine.ca",
    "cluster.id",
    "cluster.secret",
    "cluster.token",
    "cluster.clusterName",
    "cluster.controlPlane.endpoint",
    "cluster.ca",
    "cluster.aggregatorCA",
    "cluster.serviceAccount",
    "cluster.secretboxEncryptionSecret",
    "cluster.aescbcEncryptionSecret",
    "cluster.etcd.ca",
];

/// A patch that changes the identity of the cluster would make the node a stranger to it.
fn check_identity(
    path: &str,
    desired: &DesiredCluster,
    machine: &DesiredMachine,
    secrets: &SecretsBundle,
    config: &MachineConfig,
    diagnostics: &mut Diagnostics,
) {
    let Ok(unpatched) = desired.unpatched_config(machine, secrets) else {
        return;
    };
    for change in diff(&unpatched, config) {
        let field = change.path.as_str();
        let is_identity = IDENTITY.iter().any(|identity| {
            field
                .strip_prefix(identity)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        });
        if is_identity {
            diagnostics.add(Diagnostic::new(
                path,
                field,
                "a patch must not change this field: name, endpoint and secrets come from the specification and the \
                 cluster record",
            ));
        }
    }
}

/// Asks the validator of the reference and our own lints what they think of a configuration.
fn judge(
    path: &str,
    desired: &DesiredCluster,
    machine: &DesiredMachine,
    config: &MachineConfig,
    diagnostics: &mut Diagnostics,
    warnings: &mut Vec<String>,
) {
    // Talos on nocloud validates as in the cloud: a missing install disk is not refused there.
    let validation = config.validate(&ValidationOptions::new(Mode::Metal, &desired.talos));
    for error in validation.errors() {
        diagnostics.add(Diagnostic::new(path, &machine.spec.name, &error.message));
    }
    warnings.extend(validation.warnings().map(ToString::to_string));
    for finding in config.lint(&context(desired, machine)) {
        if finding.id.is_some_and(|id| FATAL.contains(&id)) {
            let allowed = match &finding.help {
                Some(help) => format!("{}; {help}", finding.message),
                None => finding.message.clone(),
            };
            diagnostics.add(Diagnostic::new(
                format!("{path}: {}", finding.path),
                &machine.spec.name,
                allowed,
            ));
        } else {
            warnings.push(format!("{}: {finding}", machine.spec.name));
        }
    }
}

/// Findings with which the node would not install, or would come back as another system than the one that was booted.
const FATAL: [LintId; 8] = [
    LintId::InstallMissing,
    LintId::InstallDiskUnknown,
    LintId::InstallerPlatform,
    LintId::InstallerSecureBoot,
    LintId::InstallerSchematic,
    LintId::InstallerVersion,
    LintId::KubernetesVersion,
    LintId::TpmMissing,
];

fn context(desired: &DesiredCluster, machine: &DesiredMachine) -> LintContext {
    let request = desired.image.request();
    let context = LintContext::new(&desired.talos)
        .platform(request.platform().as_str())
        .schematic(desired.schematic_id.as_str())
        .disks(disks(&machine.spec.disks));
    let context = if request.is_secure_boot() {
        context.secure_boot()
    } else {
        context.without_secure_boot()
    };
    if machine.spec.tpm {
        context.tpm()
    } else {
        context.without_tpm()
    }
}

/// The disks as Talos sees them behind a virtio SCSI controller.
fn disks(disks: &[Disk]) -> impl Iterator<Item = LintDisk> {
    disks.iter().zip('a'..='z').map(|(disk, letter)| {
        LintDisk::new(format!("/dev/sd{letter}"), u64::from(disk.size_gib) << 30)
            .transport("virtio")
    })
}

fn components(config: &MachineConfig) -> Components {
    Components {
        cni: config.cni_name().to_owned(),
        proxy_disabled: config.is_proxy_disabled(),
        coredns_disabled: config.is_coredns_disabled(),
        dns_domain: config.dns_domain().map(str::to_owned),
    }
}
