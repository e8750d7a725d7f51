//! The secrets bundle of the cluster, wherever it still is.
//!
//! A bundle is made once. Every place that may hold it is asked before another one is made.

use secrecy::{ExposeSecret as _, SecretString};
use talos_client::config::MachineConfig;
use talos_client::secrets::SecretsBundle;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::state::artifacts::Artifact;

/// The bundle of `secrets.yaml` in the output directory.
pub(crate) fn from_file(context: &Context) -> Result<Option<SecretsBundle>> {
    context
        .artifacts()
        .read(&Artifact::Secrets)?
        .map(|text| parse(&text, "secrets.yaml"))
        .transpose()
}

/// The bundle of the file, of OpenBao, or of a control plane configuration that is still there.
pub(crate) async fn find(context: &Context) -> Result<Option<SecretsBundle>> {
    if let Some(bundle) = from_file(context)? {
        return Ok(Some(bundle));
    }
    if let Some(bundle) = from_openbao(context).await? {
        context.note("took the secrets bundle from OpenBao");
        return Ok(Some(bundle));
    }
    let bundle = from_control_plane(context)?;
    if bundle.is_some() {
        context.note("took the secrets bundle from the control plane configuration");
    }
    Ok(bundle)
}

async fn from_openbao(context: &Context) -> Result<Option<SecretsBundle>> {
    let (Some(client), Some(target)) = (&context.clients().openbao, &context.desired().openbao)
    else {
        return Ok(None);
    };
    let stored = match client.kv(&target.mount).read(&target.path).await {
        Ok(secret) => secret,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    stored
        .data
        .get(&Artifact::Secrets.to_string())
        .map(|text| parse(text, "the secret in OpenBao"))
        .transpose()
}

fn from_control_plane(context: &Context) -> Result<Option<SecretsBundle>> {
    let desired = context.desired();
    for machine in desired.control_planes() {
        let artifact = desired.artifact_of(machine);
        if let Some(text) = context.artifacts().read(&artifact)? {
            let config = MachineConfig::parse(text.expose_secret())?;
            return Ok(Some(SecretsBundle::from_controlplane_config(&config)?));
        }
    }
    Ok(None)
}

fn parse(text: &SecretString, place: &str) -> Result<SecretsBundle> {
    SecretsBundle::parse(text.expose_secret()).map_err(|error| {
        Error::from(error).with_hint(format!(
            "{place} is not a secrets bundle; it is never replaced by a new one: restore it"
        ))
    })
}

/// A node is configured, but nobody has its secrets.
pub(crate) fn lost() -> Error {
    Error::new(ErrorKind::SecretsLost, "find the secrets bundle")
        .with_message("a node is configured, but neither the output directory nor OpenBao has its secrets")
        .with_hint(
            "restore secrets.yaml or the control plane configuration into the output directory, or delete the VM \
             yourself to begin anew",
        )
}
