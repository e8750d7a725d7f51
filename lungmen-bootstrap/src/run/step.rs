//! The steps of a bootstrap, in order, and the trait that each of them implements.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error;
use crate::run::context::Context;

/// One step of the chain. The order of the variants is the order of the run.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StepId {
    /// Everything that can be checked without a call.
    Spec,
    /// Credentials, privileges and places at every server that the run will need.
    Preflight,
    /// The cluster record with the secrets bundle, in its store.
    Claim,
    /// The image schematic at the Image Factory.
    Schematic,
    /// The installation ISO on the Proxmox storage.
    Image,
    /// The virtual machines, created and started.
    Machine,
    /// The nodes answer on the Talos port, in maintenance mode or configured.
    FirstBoot,
    /// Secrets bundle, machine configurations and talosconfig.
    Configuration,
    /// The nodes run with the identity of the cluster.
    Apply,
    /// etcd is bootstrapped on exactly one control plane node.
    EtcdBootstrap,
    /// The admin kubeconfig, tried out.
    Kubeconfig,
    /// The named checks of the fresh cluster.
    Verify,
    /// The secrets bundle and the talosconfig are in OpenBao.
    SaveSecrets,
    /// The context of the cluster is merged into a talosconfig of the user.
    MergeTalosconfig,
    /// The cluster registered in Argo CD.
    Register,
    /// The applications of the cluster, synced and healthy.
    Applications,
}

impl StepId {
    /// All steps in the order of the run.
    pub const ALL: [Self; 16] = [
        Self::Spec,
        Self::Preflight,
        Self::Claim,
        Self::Schematic,
        Self::Image,
        Self::Machine,
        Self::FirstBoot,
        Self::Configuration,
        Self::Apply,
        Self::EtcdBootstrap,
        Self::Kubeconfig,
        Self::Verify,
        Self::SaveSecrets,
        Self::MergeTalosconfig,
        Self::Register,
        Self::Applications,
    ];

    /// The name used in plans, events, journals and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Preflight => "preflight",
            Self::Claim => "claim",
            Self::Schematic => "schematic",
            Self::Image => "image",
            Self::Machine => "machine",
            Self::FirstBoot => "first-boot",
            Self::Configuration => "configuration",
            Self::Apply => "apply",
            Self::EtcdBootstrap => "etcd-bootstrap",
            Self::Kubeconfig => "kubeconfig",
            Self::Verify => "verify",
            Self::SaveSecrets => "save-secrets",
            Self::MergeTalosconfig => "merge-talosconfig",
            Self::Register => "register",
            Self::Applications => "applications",
        }
    }

    /// One line for people: what the step achieves.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Spec => "check the specification",
            Self::Preflight => "check credentials and privileges",
            Self::Claim => "record the cluster and its secrets bundle",
            Self::Schematic => "register the image schematic",
            Self::Image => "store the installation ISO on Proxmox VE",
            Self::Machine => "create and start the virtual machines",
            Self::FirstBoot => "find the booted nodes",
            Self::Configuration => "generate secrets and machine configurations",
            Self::Apply => "apply the configurations and wait for the installation",
            Self::EtcdBootstrap => "bootstrap etcd",
            Self::Kubeconfig => "fetch the admin kubeconfig",
            Self::Verify => "verify the cluster",
            Self::SaveSecrets => "save the secrets in OpenBao",
            Self::MergeTalosconfig => "merge the context into a talosconfig",
            Self::Register => "register the cluster in Argo CD",
            Self::Applications => "wait for the applications",
        }
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text is not the name of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown step {0:?}; expected one of: {list}", list = names())]
pub struct UnknownStep(String);

fn names() -> String {
    StepId::ALL.map(StepId::name).join(", ")
}

impl FromStr for StepId {
    type Err = UnknownStep;

    fn from_str(text: &str) -> Result<Self, UnknownStep> {
        Self::ALL
            .into_iter()
            .find(|step| step.name() == text)
            .ok_or_else(|| UnknownStep(text.to_owned()))
    }
}

/// What a step does to the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes something; its effect is verified afterwards.
    Act,
    /// Changes nothing: reads, or waits until a condition holds.
    Check,
}

/// One step of the chain.
///
/// `observe` brings no effect about and fails where the state cannot be determined: an unknown state is never `Absent`. `act`
/// brings the effect about and may be cut short anywhere; the next `observe` finds what is left to do.
pub(crate) trait Step: Sync {
    const ID: StepId;
    const KIND: Kind;
    /// References to the effect, handed to later steps.
    type Output: Send;

    /// Whether the specification asks for this step.
    fn enabled(&self, _context: &Context) -> bool {
        true
    }

    /// Reads the present state. A `Check` waits here, up to its deadline, and never returns `Absent`.
    fn observe(
        &self,
        context: &Context,
    ) -> impl Future<Output = error::Result<Observation<Self::Output>>> + Send;

    /// Reads the present state by requests that change nothing at all. Differs from `observe` where a proof takes a harmless
    /// write.
    fn look(
        &self,
        context: &Context,
    ) -> impl Future<Output = error::Result<Observation<Self::Output>>> + Send {
        self.observe(context)
    }

    /// Brings the effect about. A `Check` has nothing to do.
    fn act(&self, _context: &Context) -> impl Future<Output = error::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// The present state in one line.
    fn summary(&self, output: &Self::Output) -> String;

    /// What proves the effect, for the journal. Never key material.
    fn evidence(&self, _output: &Self::Output) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// References for the journal, known before the step acts. Never key material.
    fn references(&self, _context: &Context) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The state of a step's effect. An observation that failed is an error, never `Absent`.
#[derive(Debug)]
pub(crate) enum Observation<T> {
    /// The effect is there; nothing is left to do.
    Done(T),
    /// The effect is missing or incomplete; the text names what is missing.
    Absent(String),
}

impl<T> Observation<T> {
    pub(crate) fn absent(what: impl Into<String>) -> Self {
        Self::Absent(what.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_found_by_its_name() {
        for step in StepId::ALL {
            assert_eq!(step.name().parse(), Ok(step));
        }
        assert!("first boot".parse::<StepId>().is_err());
    }

    #[test]
    fn the_list_is_in_the_order_of_the_variants() {
        assert!(StepId::ALL.is_sorted());
    }
}
