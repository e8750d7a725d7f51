//! The plan of a blueprint, in words.

use super::{Blueprint, Machine};
use crate::run::step::StepId;
use crate::verbs::plan::{Plan, PlannedStep};

impl Blueprint {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            cluster: self.cluster.to_string(),
            steps: StepId::ALL
                .into_iter()
                .map(|step| PlannedStep::new(step, self.details(step)))
                .collect(),
        }
    }

    fn details(&self, step: StepId) -> Vec<String> {
        match step {
            StepId::Spec => self
                .warnings
                .iter()
                .map(|text| format!("warning: {text}"))
                .collect(),
            StepId::Preflight => vec![format!(
                "Proxmox VE node {}, storages {} and {}",
                self.node, self.storage, self.iso_storage
            )],
            StepId::Schematic => self.schematic_details(),
            StepId::Image => vec![self.iso_volume.to_string()],
            StepId::Machine => self.machines.iter().map(machine_line).collect(),
            StepId::FirstBoot => self.each_machine(|machine| {
                format!("{} at {}", machine.spec.name, machine.spec.address)
            }),
            StepId::Configuration => self.configuration_details(),
            StepId::Apply => self
                .each_machine(|machine| format!("{} as {}", machine.spec.name, machine.spec.role)),
            StepId::Bootstrap => self
                .control_planes()
                .take(1)
                .map(|machine| machine.spec.name.clone())
                .collect(),
            StepId::Kubeconfig => vec![format!("context admin@{}", self.cluster)],
            StepId::Verify => vec![format!("Kubernetes {}", self.kubernetes_version)],
            StepId::Save => self.save_details(),
            StepId::Register => self.register_details(),
            StepId::Applications => Vec::new(),
        }
    }

    fn each_machine(&self, line: impl Fn(&Machine) -> String) -> Vec<String> {
        self.machines.iter().map(line).collect()
    }

    fn schematic_details(&self) -> Vec<String> {
        vec![
            format!("extensions {}", self.schematic.extensions().join(", ")),
            format!("ID {}", self.schematic_id),
        ]
    }

    fn configuration_details(&self) -> Vec<String> {
        let files: Vec<String> = self.artifacts().iter().map(ToString::to_string).collect();
        vec![
            format!(
                "Talos {}, contract {}",
                self.image.version(),
                self.talos.contract()
            ),
            format!("installer {}", self.installer),
            format!("files {}", files.join(", ")),
        ]
    }

    fn save_details(&self) -> Vec<String> {
        match &self.openbao {
            Some(target) => vec![format!(
                "{}/{}, never overwritten",
                target.mount, target.path
            )],
            None => vec!["not in the specification".into()],
        }
    }

    fn register_details(&self) -> Vec<String> {
        match &self.argocd {
            Some(target) => vec![format!("{} as {}", self.endpoint, target.cluster_name)],
            None => vec!["not in the specification".into()],
        }
    }
}

fn machine_line(machine: &Machine) -> String {
    let spec = &machine.spec;
    let disks: Vec<String> = spec
        .disks
        .iter()
        .map(|disk| format!("{} GiB", disk.size_gib))
        .collect();
    format!(
        "VM {} {}: {} cores, {} MiB, disks {}, bridge {}",
        spec.vm_id,
        spec.name,
        spec.cores,
        spec.memory_mib,
        disks.join(" + "),
        spec.network.bridge
    )
}
