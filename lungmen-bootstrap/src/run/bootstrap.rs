//! `ClusterBootstrap`: a checked specification with its clients.

use crate::run::builder::ClusterBootstrapBuilder;
use crate::run::context::Context;
use crate::verbs::outline::Outline;

/// A checked bootstrap, ready to run. Clones are cheap and share everything.
#[derive(Clone)]
pub struct ClusterBootstrap {
    context: Context,
}

impl std::fmt::Debug for ClusterBootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterBootstrap")
            .field("cluster", &self.context.cluster_name())
            .finish_non_exhaustive()
    }
}

impl ClusterBootstrap {
    /// Starts with the name of the cluster and the https endpoint of its Kubernetes API.
    pub fn builder(
        name: impl Into<String>,
        endpoint: impl Into<String>,
    ) -> ClusterBootstrapBuilder {
        ClusterBootstrapBuilder::new(name.into(), endpoint.into())
    }

    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// The steps of a run with what each of them ensures, from the specification alone: no call, nothing is read.
    /// [`plan`](Self::plan) asks the servers what is left to do.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let context = &self.context;
        Outline::of(
            context.desired(),
            context.options().merge_talosconfig.as_deref(),
        )
    }
}
