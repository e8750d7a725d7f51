//! The named checks of the fresh cluster.

use crate::desired::Blueprint;
use crate::error::Result;
use crate::run::context::World;
use crate::run::event::EventKind;
use crate::services::kubernetes::{
    Check, CheckState, Client, ClusterHealth, Cni, Component, VerifySpec,
};
use crate::spec::machine::Role;

/// Waits until every check passes. It changes nothing.
pub(crate) async fn verify(world: &World, kubernetes: &Client) -> Result<(ClusterHealth, String)> {
    let spec = spec(world).deadline_each(world.timing().check);
    let health = kubernetes
        .verify(&spec, |check| report(world, check))
        .await?;
    for warning in &health.warnings {
        world.warn(warning.to_string());
    }
    let summary = format!(
        "Kubernetes {}, {} checks, {} node(s) ready",
        health.version.git_version,
        health.checks.len(),
        health.nodes.len()
    );
    Ok((health, summary))
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
    let mut spec = match parts.cni.as_str() {
        "none" => spec.cni(Cni::None),
        "custom" => spec.cni(Cni::Custom),
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
