//! The named checks of the fresh cluster.

use std::time::Instant;

use crate::desired::DesiredCluster;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::kubernetes::{
    Check, CheckState, Client, ClusterHealth, Cni, Component, VerifySpec,
};
use crate::spec::machine::Role;

/// Waits until every check of the cluster passes.
pub(crate) struct Verify<'a> {
    pub(crate) kubernetes: &'a Client,
}

impl Step for Verify<'_> {
    const ID: StepId = StepId::Verify;
    const KIND: Kind = Kind::Check;
    type Output = ClusterHealth;

    async fn observe(&self, context: &Context) -> Result<Observation<ClusterHealth>> {
        let spec = spec(context).deadline_each(context.timing().check);
        let started = Instant::now();
        let health = self
            .kubernetes
            .verify_observed(&spec, |check| report(context, check, started))
            .await?;
        for warning in &health.warnings {
            context.warn(warning.to_string());
        }
        Ok(Observation::Done(health))
    }

    fn summary(&self, health: &ClusterHealth) -> String {
        format!(
            "Kubernetes {}, {} checks, {} node(s) ready",
            health.version.git_version,
            health.checks.len(),
            health.nodes.len()
        )
    }
}

fn report(context: &Context, check: &Check, started: Instant) {
    match &check.state {
        CheckState::Waiting(cause) => context.emit(EventKind::Waiting {
            waiting_for: check.name.waiting_for().to_owned(),
            cause: cause.clone(),
            attempt: check.attempt,
            elapsed: started.elapsed(),
            deadline: context.timing().check,
        }),
        _ => context.note(check.to_string()),
    }
}

fn spec(context: &Context) -> VerifySpec {
    let desired = context.desired();
    let addresses = |role| {
        desired
            .machines
            .iter()
            .filter(move |machine| machine.spec.role == role)
            .map(|machine| machine.spec.address)
    };
    let spec = VerifySpec::new(addresses(Role::ControlPlane))
        .workers(addresses(Role::Worker))
        .talos_version(desired.talos_version())
        .kubernetes_version(&desired.kubernetes_version)
        .interval(context.timing().interval);
    disabled_components(desired, spec)
}

/// What the configuration switches off is not waited for.
fn disabled_components(desired: &DesiredCluster, spec: VerifySpec) -> VerifySpec {
    let components = &desired.components;
    let mut spec = match components.cni.as_str() {
        "none" => spec.cni(Cni::None),
        "custom" => spec.cni(Cni::Custom),
        _ => spec,
    };
    for (disabled, component) in [
        (components.proxy_disabled, Component::KubeProxy),
        (components.coredns_disabled, Component::CoreDns),
    ] {
        if disabled {
            spec = spec.disabled(component);
        }
    }
    spec
}
