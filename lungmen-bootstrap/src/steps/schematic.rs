//! The image schematic, registered at the Image Factory under the ID that was computed here.

use std::sync::atomic::{AtomicBool, Ordering};

use factory_client::SchematicId;

use super::image;
use crate::error::Result;
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};
use crate::state::journal::Progress;

#[derive(Default)]
pub(crate) struct RegisterSchematic {
    posted: AtomicBool,
}

impl Step for RegisterSchematic {
    const ID: StepId = StepId::Schematic;
    type Output = SchematicId;

    async fn observe(&self, world: &World) -> Result<Observation<SchematicId>> {
        let id = &world.blueprint().schematic_id;
        // The factory remembers for 30 s that an unknown ID does not exist (v1.1.0 and later), so it is only asked
        // about an ID that it must have been given.
        if !self.posted.load(Ordering::Relaxed) && !was_posted(world, id).await? {
            return Ok(Observation::absent("the schematic is not registered"));
        }
        match world.clients().factory.schematic(id).await {
            Ok(_) => Ok(Observation::Done(id.clone())),
            Err(error) if error.is_not_found() => Ok(Observation::absent(
                "the factory does not know the schematic",
            )),
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&self, world: &World) -> Result<()> {
        let blueprint = world.blueprint();
        let factory = &world.clients().factory;
        factory
            .validate(&blueprint.schematic, blueprint.image.version())
            .await?
            .into_result()?;
        factory.create_schematic(&blueprint.schematic).await?;
        self.posted.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn summary(&self, id: &SchematicId) -> String {
        format!("schematic {id}")
    }

    fn references(&self, world: &World) -> Vec<(&'static str, String)> {
        vec![("schematic", world.blueprint().schematic_id.to_string())]
    }
}

/// A finished attempt, or an ISO made from it, proves that the factory was given the schematic.
async fn was_posted(world: &World, id: &SchematicId) -> Result<bool> {
    let finished = world.journal().records().await?.iter().any(|record| {
        record.step == StepId::Schematic.name()
            && record.progress == Progress::Done
            && record
                .references
                .get("schematic")
                .is_some_and(|text| text == id.as_str())
    });
    Ok(finished || image::is_everywhere(world).await?)
}
