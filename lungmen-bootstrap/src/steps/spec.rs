//! The specification: it was checked when the bootstrap was built; this step reports its warnings.

use crate::desired::DesiredCluster;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};

pub(crate) struct CheckSpec;

impl Step for CheckSpec {
    const ID: StepId = StepId::Spec;
    const KIND: Kind = Kind::Check;
    type Output = String;

    async fn observe(&self, context: &Context) -> Result<Observation<String>> {
        let desired = context.desired();
        for warning in &desired.warnings {
            context.warn(warning.to_string());
        }
        Ok(Observation::Done(format!(
            "Talos {}, Kubernetes {}, {} machine(s)",
            releases(desired),
            desired.kubernetes_version,
            desired.machines.len()
        )))
    }

    fn summary(&self, summary: &String) -> String {
        summary.clone()
    }
}

/// The versions of the machines: `v1.12.0`, or `v1.12.0 and v1.12.1`.
fn releases(desired: &DesiredCluster) -> String {
    let mut versions: Vec<String> = Vec::new();
    for release in desired.releases() {
        let version = release.talos_version();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions.join(" and ")
}
