//! The talosconfig and the kubeconfig, kept beside the secrets bundle in the store of the cluster record.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::kubernetes::Kubeconfig;
use crate::state::artifacts::Artifact;
use crate::state::store::{Document, Entries, Versioned};

pub(crate) struct SaveSecrets<'a> {
    pub(crate) identity: &'a Identity,
    /// `None` where the run has none of its own: the caller gave the access, or none was fetched yet.
    pub(crate) kubeconfig: Option<SecretString>,
    pub(crate) replace: Replace,
}

/// Which stored kubeconfig is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replace {
    /// One that does not serve any more. Another good one stays: each output directory may have one of its own.
    Useless,
    /// Any other one.
    Other,
}

impl Step for SaveSecrets<'_> {
    const ID: StepId = StepId::SaveSecrets;
    const KIND: Kind = Kind::Act;
    /// The name of the store.
    type Output = String;

    fn enabled(&self, context: &Context) -> bool {
        context.desired().openbao.is_some()
    }

    /// The bundle is in the record since the claim. The others are compared by content.
    async fn observe(&self, context: &Context) -> Result<Observation<String>> {
        let store = context.store().as_ref();
        let stored = self.read(context).await?;
        let wanted = self.wanted(context)?;
        for (name, text) in &wanted {
            match stored.entries.get(name) {
                Some(found) if found.expose_secret() == text.expose_secret() => {}
                Some(found) if self.replace == Replace::Useless && serves_as(found, text) => {}
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

/// Whether a kubeconfig opens the same cluster to the same user, and not only for a short while.
fn serves_as(stored: &SecretString, wanted: &SecretString) -> bool {
    let (Ok(stored), Ok(wanted)) = (Kubeconfig::parse(stored), Kubeconfig::parse(wanted)) else {
        return false;
    };
    let lasts = stored
        .validity()
        .is_some_and(|validity| !validity.is_due(Timestamp::now()));
    lasts
        && stored.context() == wanted.context()
        && stored.server() == wanted.server()
        && stored.certificate_authority() == wanted.certificate_authority()
}

impl SaveSecrets<'_> {
    fn wanted(&self, context: &Context) -> Result<Entries> {
        let text = super::configuration::talosconfig(context, self.identity)?;
        let mut entries = Entries::from([(Artifact::Talosconfig.to_string(), text)]);
        if let Some(text) = &self.kubeconfig {
            entries.insert(Artifact::Kubeconfig.to_string(), text.clone());
        }
        Ok(entries)
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
