//! The named checks of the fresh cluster.

use std::time::Instant;

use crate::desired::DesiredCluster;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::event::EventKind;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::kubernetes::{
    Check, CheckName, CheckState, Client, ClusterHealth, Cni, Component, VerifySpec,
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
        self.try_endpoint(context).await?;
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

impl Verify<'_> {
    /// Dials the name of the endpoint, as everybody but this run will: the run itself dials the first node, so that DNS and
    /// load balancers may come later. The certificate is checked against the name.
    async fn try_endpoint(&self, context: &Context) -> Result<()> {
        let server = self.kubernetes.kubeconfig().server();
        let (host, port) = (
            server.host_str().unwrap_or_default(),
            server.port_or_known_default().unwrap_or(443),
        );
        let named = self.kubernetes.dialling(context.dial(host, port))?;
        match named.version().await {
            Ok(_) => context.note(format!("endpoint {server} reachable by its name: OK")),
            Err(error) => context.warn(format!(
                "the endpoint {server} cannot be reached by its name from here: {error}. Check that DNS has the name, and \
                 that the address it gives is that of a control plane node or of a load balancer in front of them."
            )),
        }
        Ok(())
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
        CheckState::Warned(_)
            if matches!(
                check.name,
                CheckName::AllPods | CheckName::Services | CheckName::Ingresses
            ) =>
        {
            context.warn(check.to_string());
        }
        _ => context.note(check.to_string()),
    }
}

/// The checks that fit the cluster.
pub(crate) fn spec(context: &Context) -> VerifySpec {
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
        .kubernetes_version(&desired.kubernetes_version)
        // A machine that left the specification stays until somebody removes it.
        .admit_unexpected_nodes()
        .interval(context.timing().interval);
    let spec = desired.machines.iter().fold(spec, |spec, machine| {
        spec.talos_version_of(machine.spec.address, machine.release.talos_version())
    });
    disabled_components(desired, spec)
}

/// What the configuration switches off is not waited for.
fn disabled_components(desired: &DesiredCluster, spec: VerifySpec) -> VerifySpec {
    let components = &desired.components;
    let spec = match &components.dns_domain {
        Some(domain) => spec.dns_domain(domain),
        None => spec,
    };
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
