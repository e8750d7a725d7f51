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
    registered: AtomicBool,
}

impl Step for RegisterSchematic {
    const ID: StepId = StepId::Schematic;
    const KIND: Kind = Kind::Act;
    type Output = SchematicId;

    /// The response to the registration is the evidence: `create_schematic` compares the ID that the factory stored with
    /// the one computed here.
    ///
    /// The factory remembers for 30 s that an unknown ID does not exist (v1.1.0 and later), and that memory would outlive
    /// this run. So it is asked only when an ISO made from the schematic or a record of the registration exists; otherwise
    /// the schematic is registered again, which changes nothing for a factory that has it.
    async fn observe(&self, context: &Context) -> Result<Observation<SchematicId>> {
        let id = &context.desired().schematic_id;
        if self.registered.load(Ordering::Relaxed) {
            return Ok(Observation::Done(id.clone()));
        }
        if !was_registered(context).await? && !image::is_listed(context).await? {
            return Ok(Observation::absent("the schematic is not registered"));
        }
        match context.clients().factory.schematic(id).await {
            Ok(_) => Ok(Observation::Done(id.clone())),
            Err(error) if error.is_not_found() => {
                Ok(Observation::absent("the schematic is not registered"))
            }
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
        self.registered.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn summary(&self, id: &SchematicId) -> String {
        format!("schematic {id}")
    }

    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        vec![("schematic", context.desired().schematic_id.to_string())]
    }
}

/// Whether an earlier run registered it. A hint: the factory is asked.
async fn was_registered(context: &Context) -> Result<bool> {
    let id = context.desired().schematic_id.as_str();
    Ok(context.journal().records().await?.iter().any(|record| {
        record.step == StepId::Schematic.name()
            && record.state == RecordState::Done
            && record
                .references
                .get("schematic")
                .is_some_and(|text| text == id)
    }))
}
