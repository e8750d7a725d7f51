//! `outline()`: what a run ensures, computed without any call.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::desired::release::Iso;
use crate::desired::{DesiredCluster, DesiredMachine, Place};
use crate::run::step::StepId;
use crate::spec::machine::MachineSpec;

/// The steps of a run with what each of them ensures, from the specification alone. It holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outline {
    /// The name of the cluster.
    pub cluster: String,
    /// The steps in order.
    pub steps: Vec<OutlinedStep>,
}

/// One step of a [`Outline`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OutlinedStep {
    /// The step.
    pub step: StepId,
    /// What it achieves, in one line.
    pub title: &'static str,
    /// The details, one line each.
    pub details: Vec<String>,
}

impl OutlinedStep {
    pub(crate) fn new(step: StepId, details: impl IntoIterator<Item = String>) -> Self {
        Self {
            step,
            title: step.title(),
            details: details.into_iter().collect(),
        }
    }
}

impl Outline {
    pub(crate) fn of(desired: &DesiredCluster, merge_talosconfig: Option<&Path>) -> Self {
        let details = Details {
            desired,
            merge_talosconfig,
        };
        Self {
            cluster: desired.cluster.to_string(),
            steps: StepId::ALL
                .into_iter()
                .map(|step| OutlinedStep::new(step, details.of(step)))
                .collect(),
        }
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "outline of cluster {}", self.cluster)?;
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "\n{:>2}. {} ({})", index + 1, step.title, step.step)?;
            for detail in &step.details {
                writeln!(f, "    {detail}")?;
            }
        }
        Ok(())
    }
}

const NOT_CONFIGURED: &str = "not configured";

/// The lines of a plan.
struct Details<'a> {
    desired: &'a DesiredCluster,
    merge_talosconfig: Option<&'a Path>,
}

impl Details<'_> {
    fn of(&self, step: StepId) -> Vec<String> {
        match step {
            StepId::Spec => self
                .desired
                .warnings
                .iter()
                .map(|text| format!("warning: {text}"))
                .collect(),
            StepId::Preflight => self.place_details(),
            StepId::Claim => vec![self.claim_details()],
            StepId::Schematic => self.schematic_details(),
            StepId::Image => self.image_details(),
            StepId::Machine => self.machine_details(),
            StepId::FirstBoot => self.each_machine(|machine| {
                let source = if machine.spec.static_address.is_some() {
                    ", without DHCP"
                } else {
                    ""
                };
                format!("{} at {}{source}", machine.spec.name, machine.spec.address)
            }),
            StepId::Configuration => self.configuration_details(),
            StepId::Apply => self.each_machine(|machine| {
                let MachineSpec { name, role, .. } = &machine.spec;
                match machine.delivery.storage() {
                    None => format!("{name} as {role}"),
                    Some(storage) => format!(
                        "{name} as {role}, by user data on storage {storage}, removed once it is installed"
                    ),
                }
            }),
            StepId::EtcdBootstrap => self
                .desired
                .control_planes()
                .take(1)
                .map(|machine| machine.spec.name.clone())
                .collect(),
            StepId::Kubeconfig => vec![format!("context admin@{}", self.desired.cluster)],
            StepId::Verify => vec![format!("Kubernetes {}", self.desired.kubernetes_version)],
            StepId::SaveSecrets => self.save_details(),
            StepId::MergeTalosconfig => vec![match self.merge_talosconfig {
                Some(path) => path.display().to_string(),
                None => NOT_CONFIGURED.into(),
            }],
            StepId::Register => self.register_details(),
            StepId::Applications => Vec::new(),
        }
    }

    fn each_machine(&self, line: impl Fn(&DesiredMachine) -> String) -> Vec<String> {
        self.desired.machines.iter().map(line).collect()
    }

    fn machine_details(&self) -> Vec<String> {
        self.each_machine(|machine| {
            let MachineSpec { vm_id, name, .. } = &machine.spec;
            format!("VM {vm_id} {name}: {}", machine.hardware())
        })
    }

    fn installers(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for machine in &self.desired.machines {
            let line = format!("installer {}", machine.installer);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    /// One line for each placement that machines have.
    fn place_details(&self) -> Vec<String> {
        let machines = self.desired.machines.iter();
        let places: BTreeSet<_> = machines.map(|machine| &machine.place).collect();
        let line = |place: &Place| {
            format!(
                "Proxmox VE node {}, storages {} and {}",
                place.node, place.storage, place.iso_storage
            )
        };
        places.into_iter().map(line).collect()
    }

    /// The volumes; with the nodes when there are several, because a storage that is not shared has its own files there.
    fn image_details(&self) -> Vec<String> {
        if self.desired.nodes().len() == 1 {
            return self.desired.iso_volumes();
        }
        let mut isos = self.desired.isos();
        isos.sort_by(|one, other| one.at.cmp(&other.at));
        let line = |iso: &Iso| format!("{iso}, once where the storage is shared");
        isos.iter().map(line).collect()
    }

    fn schematic_details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for release in self.desired.releases() {
            let id = format!("ID {}", release.schematic_id);
            if !lines.contains(&id) {
                let extensions = release.schematic.extensions().join(", ");
                lines.extend([format!("extensions {extensions}"), id]);
            }
        }
        lines
    }

    fn configuration_details(&self) -> Vec<String> {
        let files: Vec<String> = self
            .desired
            .artifacts()
            .iter()
            .map(ToString::to_string)
            .collect();
        let contract = self.desired.contract();
        let releases = self.desired.releases();
        let versions: BTreeSet<String> = releases.iter().map(|it| it.talos_version()).collect();
        let versions = versions.into_iter();
        let mut details: Vec<String> = versions
            .map(|version| format!("Talos {version}, contract {contract}"))
            .collect();
        details.extend(self.installers());
        details.push(format!("files {}", files.join(", ")));
        details
    }

    fn claim_details(&self) -> String {
        match &self.desired.openbao {
            Some(target) => format!("OpenBao {}/{}", target.mount, target.path),
            None => "in the output directory".into(),
        }
    }

    fn save_details(&self) -> Vec<String> {
        match &self.desired.openbao {
            Some(target) => vec![format!(
                "{}/{}, never overwritten",
                target.mount, target.path
            )],
            None => vec![NOT_CONFIGURED.into()],
        }
    }

    fn register_details(&self) -> Vec<String> {
        match &self.desired.argocd {
            Some(target) => vec![format!(
                "{} as {}",
                self.desired.endpoint, target.cluster_name
            )],
            None => vec![NOT_CONFIGURED.into()],
        }
    }
}
