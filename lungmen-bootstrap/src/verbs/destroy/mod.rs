//! `destroy()`: takes a cluster down, in the reverse order of a run, each object proven to be its own.

mod image;
mod leaving;
mod machines;
mod registration;
mod scale;
mod teardown;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use scale::ScaleOptions;
pub(crate) use teardown::error_of;

/// What is destroyed. Making one names the cluster: that is the confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct DestroyOptions {
    cluster: String,
    machine: Option<String>,
    despite_applications: bool,
}

impl DestroyOptions {
    /// Confirms that the cluster of this name is to be destroyed. The name must be that of the specification.
    pub fn confirmed(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            machine: None,
            despite_applications: false,
        }
    }

    /// Destroys only this machine: a worker, or one that the specification does not have any more. One that is a member of
    /// etcd is removed from it first. Its node is not drained: [`scale`](crate::ClusterBootstrap::scale) does that.
    pub fn only_machine(mut self, name: impl Into<String>) -> Self {
        self.machine = Some(name.into());
        self
    }

    /// Removes the entry in Argo CD although applications target the cluster. The applications stay, without a destination.
    pub fn despite_applications(mut self) -> Self {
        self.despite_applications = true;
        self
    }
}

/// What [`ClusterBootstrap::destroy`](crate::ClusterBootstrap::destroy) or
/// [`ClusterBootstrap::scale`](crate::ClusterBootstrap::scale) did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Destroyed {
    /// The name of the cluster.
    pub cluster: String,
    /// What was deleted by this call, in order. Empty when nothing was left.
    pub removed: Vec<Removal>,
    /// What was left in place.
    pub kept: Vec<Kept>,
}

/// Something that was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Removal {
    /// What it was: `VM 100 (tal01)`.
    pub what: String,
    /// How it was proven to belong to the cluster.
    pub proof: String,
}

/// Something that was left in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Kept {
    /// What it is.
    pub what: String,
    /// Why it was left, and how to remove it.
    pub why: String,
}
