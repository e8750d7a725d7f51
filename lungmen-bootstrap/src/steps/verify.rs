//! The named checks of the fresh cluster.

use std::time::Duration;

use crate::blueprint::Blueprint;
use crate::engine::Step;
use crate::error::Result;
use crate::event::EventKind;
use crate::kubernetes::{Check, CheckState, Client, ClusterHealth, Cni, Component, ErrorKind, VerifySpec};
use crate::machine::Role;
use crate::step::{Observation, StepId};
use crate::world::World;

/// How long a look may take that does not wait for anything to change.
const GLANCE: Duration = Duration::from_secs(5);

pub(crate) struct Verify<'a> {
    pub(crate) kubernetes: &'a Client,
}

impl Step for Verify<'_> {
    const ID: StepId = StepId::Verify;
    type Output = ClusterHealth;

    async fn observe(&self, world: &World) -> Result<Observation<ClusterHealth>> {
        let glance = GLANCE.min(world.timing().check);
        let spec = spec(world).deadline_each(glance).credentials_grace(glance);
        match self.kubernetes.verify(&spec, |_| {}).await {
            Ok(health) => Ok(Observation::Done(health)),
            Err(error) if error.kind() == ErrorKind::Deadline => Ok(Observation::absent(error.message())),
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&self, world: &World) -> Result<()> {
        let spec = spec(world).deadline_each(world.timing().check);
        let health = self
            .kubernetes
            .verify(&spec, |check| report(world, check))
            .await?;
        for warning in &health.warnings {
            world.warn(warning.to_string());
        }
        Ok(())
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

fn report(world: &World, check: &Check) {
    match &check.state {
        CheckState::Waiting(cause) => world.emit(EventKind::Waiting {
            waiting_for: check.name.to_string(),
            because: cause.clone(),
            attempt: 1,
        }),
        _ => world.note(check.to_string()),
    }
}

fn spec(world: &World) -> VerifySpec {
    let blueprint = world.blueprint();
    let addresses = |role| {
        blueprint
            .machines
            .iter()
            .filter(move |machine| machine.spec.role == role)
            .map(|machine| machine.spec.address)
    };
    let spec = VerifySpec::new(addresses(Role::ControlPlane))
        .workers(addresses(Role::Worker))
        .talos_version(blueprint.talos_version())
        .kubernetes_version(&blueprint.kubernetes_version)
        .interval(world.timing().interval);
    disabled_components(blueprint, spec)
}

/// What the configuration switches off is not waited for.
fn disabled_components(blueprint: &Blueprint, spec: VerifySpec) -> VerifySpec {
    let parts = &blueprint.parts;
    let mut spec = match parts.cni.as_deref() {
        Some("none" | "custom") => spec.cni(Cni::None),
        _ => spec,
    };
    for (disabled, component) in [
        (parts.proxy_disabled, Component::KubeProxy),
        (parts.coredns_disabled, Component::CoreDns),
    ] {
        if disabled {
            spec = spec.disabled(component);
        }
    }
    spec
}
