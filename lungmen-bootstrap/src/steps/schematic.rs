//! The image schematic, registered at the Image Factory under the ID that was computed here.

use std::sync::atomic::{AtomicBool, Ordering};

use factory_client::SchematicId;

use super::image;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::journal::RecordState;

#[derive(Default)]
pub(crate) struct RegisterSchematic {
    posted: AtomicBool,
}

impl Step for RegisterSchematic {
    const ID: StepId = StepId::Schematic;
    const KIND: Kind = Kind::Act;
    type Output = SchematicId;

    async fn observe(&self, context: &Context) -> Result<Observation<SchematicId>> {
        let id = &context.desired().schematic_id;
        // The factory remembers for 30 s that an unknown ID does not exist (v1.1.0 and later), so it is only asked
        // about an ID that it must have been given.
        if !self.posted.load(Ordering::Relaxed) && !was_posted(context, id).await? {
            return Ok(Observation::absent("the schematic is not registered"));
        }
        match context.clients().factory.schematic(id).await {
            Ok(_) => Ok(Observation::Done(id.clone())),
            Err(error) if error.is_not_found() => Ok(Observation::absent(
                "the factory does not know the schematic",
            )),
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let desired = context.desired();
        let factory = &context.clients().factory;
        factory
            .validate(&desired.schematic, desired.image.version())
            .await?
            .into_result()?;
        factory.create_schematic(&desired.schematic).await?;
        self.posted.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn summary(&self, id: &SchematicId) -> String {
        format!("schematic {id}")
    }

    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        vec![("schematic", context.desired().schematic_id.to_string())]
    }
}

/// A finished attempt, or an ISO made from it, proves that the factory was given the schematic.
async fn was_posted(context: &Context, id: &SchematicId) -> Result<bool> {
    let finished = context.journal().records().await?.iter().any(|record| {
        record.step == StepId::Schematic.name()
            && record.progress == RecordState::Done
            && record
                .references
                .get("schematic")
                .is_some_and(|text| text == id.as_str())
    });
    Ok(finished || image::is_everywhere(context).await?)
}
