//! The context of the cluster, merged into a talosconfig of the user.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::talosconfig;

pub(crate) struct MergeTalosconfig;

impl Step for MergeTalosconfig {
    const ID: StepId = StepId::MergeTalosconfig;
    const KIND: Kind = Kind::Act;
    /// The path of the file.
    type Output = String;

    fn enabled(&self, context: &Context) -> bool {
        context.options().merge_talosconfig.is_some()
    }

    async fn observe(&self, context: &Context) -> Result<Observation<String>> {
        let path = path(context)?;
        if talosconfig::has_context(context, path)? {
            return Ok(Observation::Done(path.display().to_string()));
        }
        Ok(Observation::absent(format!(
            "context {} is not in {} yet",
            context.cluster_name(),
            path.display()
        )))
    }

    async fn act(&self, context: &Context) -> Result<()> {
        talosconfig::merge(context, path(context)?)
    }

    fn summary(&self, path: &String) -> String {
        format!("context merged into {path}")
    }
}

fn path(context: &Context) -> Result<&Path> {
    context
        .options()
        .merge_talosconfig
        .as_deref()
        .ok_or_else(|| {
            Error::new(ErrorKind::InvalidSpec, "merge the talosconfig")
                .with_message("no talosconfig is configured")
        })
}
