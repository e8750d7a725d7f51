//! An image schematic, registered at the Image Factory under the ID that was computed here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use factory_client::SchematicId;

use super::image;
use crate::desired::release::Release;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::journal::RecordState;

/// The reference to the schematic in the journal.
const SCHEMATIC: &str = "schematic";

/// The factory has one schematic.
pub(crate) struct RegisterSchematic {
    id: SchematicId,
    /// The releases whose images are made from it.
    releases: Vec<Arc<Release>>,
    registered: AtomicBool,
}

/// One for each schematic of the machines.
pub(crate) fn steps(context: &Context) -> Vec<(String, RegisterSchematic)> {
    let mut steps: Vec<(String, RegisterSchematic)> = Vec::new();
    for release in context.desired().releases() {
        let release = Arc::clone(release);
        let id = &release.schematic_id;
        match steps.iter_mut().find(|(_, step)| step.id == *id) {
            Some((_, step)) => step.releases.push(release),
            None => steps.push((
                id.to_string(),
                RegisterSchematic {
                    id: id.clone(),
                    releases: vec![release],
                    registered: AtomicBool::new(false),
                },
            )),
        }
    }
    steps
}

/// The registered schematics in one line.
pub(crate) fn summary(ids: &[String]) -> String {
    ids.join(", ")
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
        if self.registered.load(Ordering::Relaxed) {
            return Ok(Observation::Done(self.id.clone()));
        }
        if !self.was_registered(context).await?
            && !image::is_listed(context, &self.releases).await?
        {
            return Ok(Observation::absent("the schematic is not registered"));
        }
        match context.clients().factory.schematic(&self.id).await {
            Ok(_) => Ok(Observation::Done(self.id.clone())),
            Err(error) if error.is_not_found() => {
                Ok(Observation::absent("the schematic is not registered"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let factory = &context.clients().factory;
        for release in &self.releases {
            let version = release.image.version();
            let validated = factory.validate(&release.schematic, version).await?;
            validated.into_result()?;
        }
        if let Some(release) = self.releases.first() {
            factory.create_schematic(&release.schematic).await?;
        }
        self.registered.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn summary(&self, id: &SchematicId) -> String {
        format!("schematic {id}")
    }

    fn references(&self, _context: &Context) -> Vec<(&'static str, String)> {
        vec![(SCHEMATIC, self.id.to_string())]
    }
}

impl RegisterSchematic {
    /// Whether an earlier run registered it. A hint: the factory is asked.
    async fn was_registered(&self, context: &Context) -> Result<bool> {
        let id = self.id.as_str();
        Ok(context.journal().records().await?.iter().any(|record| {
            record.step == StepId::Schematic.name()
                && record.state == RecordState::Done
                && record
                    .references
                    .get(SCHEMATIC)
                    .is_some_and(|text| text == id)
        }))
    }
}
