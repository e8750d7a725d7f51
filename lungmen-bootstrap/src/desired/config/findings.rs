//! What is wrong with one configuration of one machine, or unwise about it.

use std::collections::BTreeMap;

use talos_client::config::{
    Conflict, Diagnostic as Found, LintContext, LintDisk, LintId, MachineConfig, Mode,
    ValidationOptions,
};

use crate::desired::release::Release;
use crate::spec::machine::{Disk, MachineSpec};

/// Something that is wrong with a configuration: where in it, what, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Empty when the message names the place.
    pub(super) field: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Problem {
    pub(super) fn text(message: impl Into<String>) -> Self {
        Self {
            field: String::new(),
            message: message.into(),
            help: None,
        }
    }

    fn found(found: &Found) -> Self {
        Self {
            field: found.path.clone(),
            message: found.message.clone(),
            help: found.help.clone(),
        }
    }
}

/// What a configuration would do to its machine.
#[derive(Debug, Default, Clone)]
pub(super) struct Judged {
    /// The node would refuse it, or become something else than the specification says.
    pub(super) errors: Vec<Problem>,
    /// It is probably not intended.
    pub(super) warnings: Vec<Problem>,
}

/// Asks the validator of the reference and our own lints what they think of a configuration.
pub(super) fn judge(release: &Release, machine: &MachineSpec, config: &MachineConfig) -> Judged {
    let mut judged = Judged::default();
    let conflicts = config.conflicts(&release.version);
    // Talos on nocloud validates as in the cloud: a missing install disk is not refused there.
    let validation = config.validate(&ValidationOptions::new(Mode::Metal, &release.version));
    let is_conflict = |error: &Found| conflicts.iter().any(|it| it.message == error.message);
    let errors = validation.errors().filter(|error| !is_conflict(error));
    judged.errors.extend(errors.map(Problem::found));
    judged.errors.extend(older_form(release, &conflicts));
    judged
        .warnings
        .extend(validation.warnings().map(Problem::found));
    for finding in config.lint(&context(release, machine)) {
        let problem = Problem::found(&finding);
        match finding.id {
            Some(LintId::HostnameTwice) if !conflicts.is_empty() => {}
            Some(id) if FATAL.contains(&id) => judged.errors.push(problem),
            _ => judged.warnings.push(problem),
        }
    }
    judged
}

/// Findings with which the node would not install, would not finish to boot, or would come back as another system than the
/// one that was booted.
const FATAL: [LintId; 11] = [
    LintId::InstallMissing,
    LintId::InstallDiskUnknown,
    LintId::InstallerImage,
    LintId::InstallerPlatform,
    LintId::InstallerSecureBoot,
    LintId::InstallerSchematic,
    LintId::InstallerVersion,
    LintId::KubernetesVersion,
    LintId::TpmMissing,
    LintId::DiskWithoutDevice,
    LintId::FileWithoutOperation,
];

/// A patch for an older release collides with every document that has taken over one of its fields. That is one mistake.
fn older_form(release: &Release, conflicts: &[Conflict]) -> Option<Problem> {
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        kinds
            .entry(conflict.field)
            .or_default()
            .push(&conflict.kind);
    }
    if kinds.is_empty() {
        return None;
    }
    let fields: Vec<String> = kinds
        .iter()
        .map(|(field, kinds)| format!("{field} (now {})", kinds.join(" and ")))
        .collect();
    Some(Problem {
        field: String::new(),
        message: format!(
            "{} field(s) have the form of an older release; Talos {} has documents for them and refuses both: {}",
            fields.len(),
            release.version.contract(),
            fields.join(", ")
        ),
        help: Some(
            "write these settings as patches of the named documents, and delete the fields"
                .to_owned(),
        ),
    })
}

/// A machine is found by its name, its node by its hostname: two names for one thing mislead.
pub(super) fn hostname(machine: &MachineSpec, config: &MachineConfig) -> Option<Problem> {
    let hostname = config.hostname().filter(|hostname| !hostname.is_empty())?;
    let first_label = machine.name.split('.').next().unwrap_or_default();
    let is_named = |name: &str| hostname.eq_ignore_ascii_case(name);
    if is_named(&machine.name) || is_named(first_label) {
        return None;
    }
    Some(Problem {
        field: "hostname".to_owned(),
        message: format!(
            "the node is called {hostname:?}, its machine {:?}",
            machine.name
        ),
        help: Some(format!("use the hostname {first_label:?}, or leave it out")),
    })
}

fn context(release: &Release, machine: &MachineSpec) -> LintContext {
    let request = release.image.request();
    let context = LintContext::new(&release.version)
        .platform(request.platform().as_str())
        .schematic(release.schematic_id.as_str())
        .disks(disks(&machine.disks));
    let context = match request.is_secure_boot() {
        true => context.secure_boot(),
        false => context.without_secure_boot(),
    };
    match machine.tpm {
        true => context.tpm(),
        false => context.without_tpm(),
    }
}

/// The disks as Talos sees them behind a virtio SCSI controller.
fn disks(disks: &[Disk]) -> impl Iterator<Item = LintDisk> {
    disks.iter().zip('a'..='z').map(|(disk, letter)| {
        LintDisk::new(format!("/dev/sd{letter}"), u64::from(disk.size_gib) << 30)
            .transport("virtio")
    })
}
