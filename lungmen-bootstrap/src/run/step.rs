//! The steps of a bootstrap, in order, and what observing one can say.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// One step of the chain. The order of the variants is the order of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StepId {
    /// Everything that can be checked without a call.
    Spec,
    /// Credentials, privileges and places at every server that the run will need.
    Preflight,
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
    Bootstrap,
    /// The admin kubeconfig, tried out.
    Kubeconfig,
    /// The named checks of the fresh cluster.
    Verify,
    /// Secrets in OpenBao.
    Save,
    /// The cluster registered in Argo CD.
    Register,
    /// The applications of the cluster, synced and healthy.
    Applications,
}

impl StepId {
    /// All steps in the order of the run.
    pub const ALL: [Self; 14] = [
        Self::Spec,
        Self::Preflight,
        Self::Schematic,
        Self::Image,
        Self::Machine,
        Self::FirstBoot,
        Self::Configuration,
        Self::Apply,
        Self::Bootstrap,
        Self::Kubeconfig,
        Self::Verify,
        Self::Save,
        Self::Register,
        Self::Applications,
    ];

    /// The name used in plans, events, journals and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Preflight => "preflight",
            Self::Schematic => "schematic",
            Self::Image => "image",
            Self::Machine => "machine",
            Self::FirstBoot => "first-boot",
            Self::Configuration => "configuration",
            Self::Apply => "apply",
            Self::Bootstrap => "bootstrap",
            Self::Kubeconfig => "kubeconfig",
            Self::Verify => "verify",
            Self::Save => "save",
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
            Self::Schematic => "register the image schematic",
            Self::Image => "bring the installation ISO to the Proxmox storage",
            Self::Machine => "create and start the virtual machines",
            Self::FirstBoot => "find the booted nodes",
            Self::Configuration => "make secrets and machine configurations",
            Self::Apply => "apply the configurations and wait for the installed nodes",
            Self::Bootstrap => "bootstrap etcd",
            Self::Kubeconfig => "fetch the admin kubeconfig",
            Self::Verify => "verify the cluster",
            Self::Save => "save the secrets in OpenBao",
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

/// The text names no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no step is called {0:?}; steps are spec … applications, as printed by the plan")]
pub struct UnknownStep(String);

impl FromStr for StepId {
    type Err = UnknownStep;

    fn from_str(text: &str) -> Result<Self, UnknownStep> {
        Self::ALL
            .into_iter()
            .find(|step| step.name() == text)
            .ok_or_else(|| UnknownStep(text.to_owned()))
    }
}

/// What looking at the world said about a step. A look that failed is an error, never `Absent`.
#[derive(Debug)]
pub(crate) enum Observation<T> {
    /// The effect is there; nothing is left to do.
    Done(T),
    /// The effect is provably not there, or not completely; the text says what is missing.
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
