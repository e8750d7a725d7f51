//! Secrets bundle and talosconfig in OpenBao: created once, never replaced.

use secrecy::ExposeSecret as _;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::openbao::{Client, Secret, SecretMap, Stored};
use crate::spec::OpenBaoTarget;
use crate::state::artifacts::Artifact;

pub(crate) struct SaveSecrets;

/// The stored files. The machine configurations follow from them and from the specification.
const STORED: [Artifact; 2] = [Artifact::Secrets, Artifact::Talosconfig];

impl Step for SaveSecrets {
    const ID: StepId = StepId::SaveSecrets;
    const KIND: Kind = Kind::Act;
    /// The path of the secret.
    type Output = String;

    fn enabled(&self, context: &Context) -> bool {
        context.desired().openbao.is_some()
    }

    async fn observe(&self, context: &Context) -> Result<Observation<String>> {
        let (client, target) = openbao(context)?;
        match client.kv(&target.mount).read(&target.path).await {
            Ok(stored) => {
                compare(context, target, &stored)?;
                Ok(Observation::Done(location(target)))
            }
            Err(error) if error.is_not_found() => Ok(Observation::absent(format!(
                "{} does not exist",
                location(target)
            ))),
            Err(error) => Err(error.into()),
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let (client, target) = openbao(context)?;
        match client
            .kv(&target.mount)
            .store(&target.path, &files(context)?)
            .await?
        {
            // An older talosconfig may stay; `observe` distinguishes the two cases.
            Stored::Different { names, .. } if names.contains(&Artifact::Secrets.to_string()) => {
                Err(other_content(target, &names.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn summary(&self, location: &String) -> String {
        format!("stored in {location}")
    }
}

pub(super) fn openbao(context: &Context) -> Result<(&Client, &OpenBaoTarget)> {
    let client = context.clients().openbao.as_ref();
    let target = context.desired().openbao.as_ref();
    client.zip(target).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "find the OpenBao client").with_message("there is none")
    })
}

fn location(target: &OpenBaoTarget) -> String {
    format!("{}/{}", target.mount, target.path)
}

fn files(context: &Context) -> Result<SecretMap> {
    let mut data = SecretMap::new();
    for artifact in STORED {
        let text = context.artifacts().read(&artifact)?.ok_or_else(|| {
            Error::new(ErrorKind::Io, "read")
                .with_target(context.artifacts().path(&artifact).display().to_string())
                .with_message("the file is gone")
        })?;
        data.insert(artifact.to_string(), text);
    }
    Ok(data)
}

/// The bundle must be the same. The talosconfig may be an older one: its certificate is renewed now and then.
fn compare(context: &Context, target: &OpenBaoTarget, stored: &Secret) -> Result<()> {
    for (name, wanted) in files(context)? {
        let same = stored
            .data
            .get(&name)
            .is_some_and(|found| found.expose_secret() == wanted.expose_secret());
        if same {
            continue;
        }
        if name == Artifact::Secrets.to_string() {
            return Err(other_content(target, &name));
        }
        context.warn(format!(
            "{} has another {name} than the output directory; it is left alone",
            location(target)
        ));
    }
    Ok(())
}

fn other_content(target: &OpenBaoTarget, what: &str) -> Error {
    Error::new(ErrorKind::Conflict, "keep the secrets")
        .with_target(location(target))
        .with_message(format!("another {what} is there; nothing was written"))
        .with_hint("another cluster may use the path: choose another openbao.path, or remove the secret yourself")
}
