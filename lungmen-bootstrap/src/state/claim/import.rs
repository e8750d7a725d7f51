//! Taking over the secrets of an existing cluster. Never by accident: only by these calls.

use secrecy::{ExposeSecret as _, SecretString};
use talos_client::config::MachineConfig;
use talos_client::secrets::SecretsBundle;

use super::{Claimed, Wanted, claim, claimed, foreign, record_of};
use crate::error::{Error, ErrorKind, Result};
use crate::state::claim::Origin;
use crate::state::record::{ClusterRecord, RECORD_ENTRY, SECRETS_ENTRY};
use crate::state::store::{Document, SecretStore};

const OPERATION: &str = "import secrets";

/// Where the secrets of an existing cluster are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Import {
    /// The text of a `secrets.yaml`.
    SecretsYaml(SecretString),
    /// The text of the machine configuration of a control plane.
    ControlPlaneConfig(SecretString),
    /// The entry `secrets.yaml` of the record document in the store itself, which has no `cluster.json` yet.
    Stored,
}

/// Claims the cluster with an existing bundle. Other entries of the store stay. May be repeated: with the same bundle it
/// adopts the record. Machines that were created with this bundle before the record was lost are the cluster's own again.
///
/// # Errors
/// `Conflict` when the store has a record with another bundle, which stays; `NotOurs` when the record belongs to another
/// cluster; `NotFound` when there is nothing to import; `Decode` or `Rejected` when the bundle cannot be read or is not
/// complete.
pub async fn import(store: &dyn SecretStore, wanted: &Wanted, source: Import) -> Result<Claimed> {
    let bundle = match source {
        Import::SecretsYaml(text) => SecretsBundle::parse(text.expose_secret())?,
        Import::ControlPlaneConfig(text) => from_config(&text)?,
        Import::Stored => return import_stored(store, wanted).await,
    };
    claim_with(store, wanted, bundle).await
}

async fn claim_with(
    store: &dyn SecretStore,
    wanted: &Wanted,
    bundle: SecretsBundle,
) -> Result<Claimed> {
    let imported = bundle.to_yaml();
    let claimed = claim(store, wanted, async || Ok(bundle)).await?;
    if claimed.record.bundle.to_yaml().expose_secret() == imported.expose_secret() {
        return Ok(claimed);
    }
    Err(Error::new(ErrorKind::Conflict, OPERATION)
        .with_target(store.describe())
        .with_message(format!(
            "cluster {} is recorded with another secrets bundle; nothing was changed",
            claimed.record.title()
        ))
        .with_hint(
            "Import into an empty store, or remove the record yourself if it is not needed.",
        ))
}

async fn import_stored(store: &dyn SecretStore, wanted: &Wanted) -> Result<Claimed> {
    let missing = || {
        Error::new(ErrorKind::NotFound, OPERATION)
            .with_target(store.describe())
            .with_message(format!("there is no {SECRETS_ENTRY} to import"))
    };
    let found = store.read(Document::Record).await?.ok_or_else(missing)?;
    if found.entries.contains_key(RECORD_ENTRY) {
        let record = ClusterRecord::decode(&found.entries, &store.describe())?;
        return if wanted.is(&record) {
            Ok(claimed(wanted, record, Origin::Adopted))
        } else {
            Err(foreign(store, wanted, &record))
        };
    }
    let text = found.entries.get(SECRETS_ENTRY).ok_or_else(missing)?;
    let bundle = SecretsBundle::parse(text.expose_secret())?;
    let offer = record_of(wanted, bundle.clone());
    let written = store
        .replace(Document::Record, &offer.encode(), &found.revision)
        .await;
    // Whatever the response was: what is there now decides.
    super::exchange::outcome(written)?;
    claim_with(store, wanted, bundle).await
}

fn from_config(text: &SecretString) -> Result<SecretsBundle> {
    let config = MachineConfig::parse(text.expose_secret())?;
    let bundle = SecretsBundle::from_controlplane_config(&config)?;
    bundle.validate()?;
    Ok(bundle)
}
