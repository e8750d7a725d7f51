//! `ClusterBootstrap`: a checked specification with its clients.

use crate::run::builder::ClusterBootstrapBuilder;
use crate::run::context::Context;
use crate::verbs::plan::Plan;

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

    /// What a run will do. Makes no call and changes nothing.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let context = &self.context;
        Plan::of(
            context.desired(),
            context.options().merge_talosconfig.as_deref(),
        )
    }
}
