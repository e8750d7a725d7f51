//! The talosconfig and the kubeconfig of the cluster: a file of the output directory, or the copy beside the cluster record.

use secrecy::SecretString;

use crate::error::Result;
use crate::run::context::Context;
use crate::state::artifacts::Artifact;
use crate::state::store::Document;

/// A text, and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) text: SecretString,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    OutputDirectory,
    Store,
}

/// The file, or the copy of the store where there is no file.
///
/// # Errors
/// Those of the file and of the store.
pub(crate) async fn find(context: &Context, artifact: &Artifact) -> Result<Option<Found>> {
    if let Some(text) = context.artifacts().read(artifact)? {
        let place = Place::OutputDirectory;
        return Ok(Some(Found { text, place }));
    }
    let text = stored(context, artifact).await?;
    let place = Place::Store;
    Ok(text.map(|text| Found { text, place }))
}

/// The copy beside the secrets bundle; `None` where the store keeps none.
///
/// # Errors
/// Those of the store.
pub(crate) async fn stored(context: &Context, artifact: &Artifact) -> Result<Option<SecretString>> {
    if context.desired().openbao.is_none() {
        return Ok(None);
    }
    let record = context.store().read(Document::Record).await?;
    Ok(record.and_then(|mut record| record.entries.remove(&artifact.to_string())))
}
