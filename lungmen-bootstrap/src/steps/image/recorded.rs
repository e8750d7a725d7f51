//! What the journal says about the ISO: who began to store it, and what was known about it then.

use super::{VOLUME, reference};
use crate::desired::release::Iso;
use crate::error::Result;
use crate::run::context::Context;
use crate::run::step::StepId;
use crate::state::journal::RecordState;

/// Whether a run of this cluster began to store the ISO, so that a partial copy is its own.
pub(crate) async fn was_started(context: &Context, iso: &Iso) -> Result<bool> {
    has(context, iso, &[RecordState::Started, RecordState::Done]).await
}

/// Whether a run of this cluster saw the ISO complete.
pub(super) async fn was_done(context: &Context, iso: &Iso) -> Result<bool> {
    has(context, iso, &[RecordState::Done]).await
}

async fn has(context: &Context, iso: &Iso, states: &[RecordState]) -> Result<bool> {
    let wanted = reference(iso, &iso.at.node);
    let records = context.journal().records().await?;
    let mut records = records
        .iter()
        .filter(|record| states.contains(&record.state));
    Ok(records.any(|record| {
        record.step == StepId::Image.name() && is_about(record.references.get(VOLUME), &wanted)
    }))
}

/// Whether a list of references has this one. Earlier releases recorded the volume without its node.
fn is_about(recorded: Option<&String>, wanted: &str) -> bool {
    let volume = wanted.split_once('/').map(|(_, volume)| volume);
    let recorded = recorded.map(String::as_str).unwrap_or_default();
    recorded
        .split(',')
        .any(|name| name == wanted || Some(name) == volume)
}

/// The newest evidence of this name that was recorded for this image, on whatever storage.
pub(super) async fn evidence<T: std::str::FromStr>(
    context: &Context,
    file: &str,
    name: &str,
) -> Result<Option<T>> {
    let file = format!(":iso/{file}");
    let records = context.journal().records().await?;
    Ok(records
        .iter()
        .rev()
        .filter(|record| record.state == RecordState::Done)
        .filter(|record| {
            let recorded = record.references.get(VOLUME);
            recorded.is_some_and(|names| names.split(',').any(|name| name.ends_with(&file)))
        })
        .find_map(|record| record.references.get(name)?.parse().ok()))
}
