//! The talosconfig, kept beside the secrets bundle in the store of the cluster record.

use secrecy::ExposeSecret as _;

use crate::error::{Error, ErrorKind, Result};
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::artifacts::Artifact;
use crate::state::store::{Document, Entries, Versioned};

pub(crate) struct SaveSecrets<'a> {
    pub(crate) identity: &'a Identity,
}

impl Step for SaveSecrets<'_> {
    const ID: StepId = StepId::SaveSecrets;
    const KIND: Kind = Kind::Act;
    /// The name of the store.
    type Output = String;

    fn enabled(&self, context: &Context) -> bool {
        context.desired().openbao.is_some()
    }

    /// The bundle is in the record since the claim. The talosconfig is compared by content.
    async fn observe(&self, context: &Context) -> Result<Observation<String>> {
        let store = context.store().as_ref();
        let stored = self.read(context).await?;
        let wanted = self.wanted(context)?;
        for (name, text) in &wanted {
            match stored.entries.get(name) {
                Some(found) if found.expose_secret() == text.expose_secret() => {}
                Some(_) => {
                    return Ok(Observation::absent(format!(
                        "the stored {name} is outdated"
                    )));
                }
                None => return Ok(Observation::absent(format!("{name} is not stored"))),
            }
        }
        Ok(Observation::Done(store.describe()))
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let stored = self.read(context).await?;
        let mut entries = stored.entries;
        entries.extend(self.wanted(context)?);
        context.before_effect().await?;
        context
            .store()
            .replace(Document::Record, &entries, &stored.revision)
            .await?;
        Ok(())
    }

    fn summary(&self, store: &String) -> String {
        format!("stored in {store}")
    }
}

impl SaveSecrets<'_> {
    fn wanted(&self, context: &Context) -> Result<Entries> {
        let text = super::configuration::talosconfig(context, self.identity)?;
        Ok(Entries::from([(Artifact::Talosconfig.to_string(), text)]))
    }

    async fn read(&self, context: &Context) -> Result<Versioned> {
        let store = context.store().as_ref();
        store.read(Document::Record).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "read the cluster record")
                .with_target(store.describe())
                .with_message("the record was removed during the run")
                .with_hint("Restore the record; its secrets are still in the output directory.")
        })
    }
}
