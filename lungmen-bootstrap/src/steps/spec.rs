//! The specification: it was checked when the bootstrap was built; this step reports its warnings.

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
            desired.image.version(),
            desired.kubernetes_version,
            desired.machines.len()
        )))
    }

    fn summary(&self, summary: &String) -> String {
        summary.clone()
    }
}
