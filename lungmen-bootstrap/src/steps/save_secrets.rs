//! Secrets bundle and talosconfig in OpenBao: created once, never replaced.

use secrecy::ExposeSecret as _;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};
use crate::services::openbao::{Client, Secret, SecretMap, Stored};
use crate::spec::OpenBaoTarget;
use crate::state::artifacts::Artifact;
use crate::state::talosconfig as merged_talosconfig;

pub(crate) struct Save;

/// What is kept. The machine configurations follow from it and from the specification.
const KEPT: [Artifact; 2] = [Artifact::Secrets, Artifact::Talosconfig];

impl Step for Save {
    const ID: StepId = StepId::Save;
    type Output = Places;

    fn wanted(&self, world: &World) -> bool {
        world.blueprint().openbao.is_some() || world.merge_talosconfig().is_some()
    }

    async fn observe(&self, world: &World) -> Result<Observation<Places>> {
        if let Some(missing) = not_kept(world).await? {
            return Ok(Observation::Absent(missing));
        }
        if let Some(path) = world.merge_talosconfig()
            && !merged_talosconfig::has_context(world, path)?
        {
            return Ok(Observation::absent(format!(
                "{} has no such context",
                path.display()
            )));
        }
        Ok(Observation::Done(Places {
            secret: world.blueprint().openbao.as_ref().map(place),
            talosconfig: world
                .merge_talosconfig()
                .map(|path| path.display().to_string()),
        }))
    }

    async fn act(&self, world: &World) -> Result<()> {
        if world.blueprint().openbao.is_some() {
            keep(world).await?;
        }
        match world.merge_talosconfig() {
            Some(path) => merged_talosconfig::merge(world, path),
            None => Ok(()),
        }
    }

    fn summary(&self, places: &Places) -> String {
        let places: Vec<&str> = [&places.secret, &places.talosconfig]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        format!("kept in {}", places.join(" and "))
    }
}

/// Where things were put.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The secret in OpenBao.
    pub(crate) secret: Option<String>,
    /// The talosconfig of the user's.
    talosconfig: Option<String>,
}

/// What is missing in OpenBao, if anything. Other content is an error.
async fn not_kept(world: &World) -> Result<Option<String>> {
    if world.blueprint().openbao.is_none() {
        return Ok(None);
    }
    let (client, target) = openbao(world)?;
    match client.kv(&target.mount).read(&target.path).await {
        Ok(stored) => compare(world, target, &stored).map(|()| None),
        Err(error) if error.is_not_found() => Ok(Some(format!("{} does not exist", place(target)))),
        Err(error) => Err(error.into()),
    }
}

async fn keep(world: &World) -> Result<()> {
    let (client, target) = openbao(world)?;
    match client
        .kv(&target.mount)
        .store(&target.path, &kept(world)?)
        .await?
    {
        // An older talosconfig may stay; `observe` tells the two cases apart.
        Stored::Different { names, .. } if names.contains(&Artifact::Secrets.to_string()) => {
            Err(other_content(target, &names.join(", ")))
        }
        _ => Ok(()),
    }
}

pub(super) fn openbao(world: &World) -> Result<(&Client, &OpenBaoTarget)> {
    let client = world.clients().openbao.as_ref();
    let target = world.blueprint().openbao.as_ref();
    client.zip(target).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "find the OpenBao client").with_message("there is none")
    })
}

fn place(target: &OpenBaoTarget) -> String {
    format!("{}/{}", target.mount, target.path)
}

fn kept(world: &World) -> Result<SecretMap> {
    let mut data = SecretMap::new();
    for artifact in KEPT {
        let text = world.artifacts().read(&artifact)?.ok_or_else(|| {
            Error::new(ErrorKind::Io, "read")
                .with_target(world.artifacts().path(&artifact).display().to_string())
                .with_message("the file is gone")
        })?;
        data.insert(artifact.to_string(), text);
    }
    Ok(data)
}

/// The bundle must be the same. The talosconfig may be an older one: its certificate is renewed now and then.
fn compare(world: &World, target: &OpenBaoTarget, stored: &Secret) -> Result<()> {
    for (name, wanted) in kept(world)? {
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
        world.warn(format!(
            "{} has another {name} than the output directory; it is left alone",
            place(target)
        ));
    }
    Ok(())
}

fn other_content(target: &OpenBaoTarget, what: &str) -> Error {
    Error::new(ErrorKind::Conflict, "keep the secrets")
        .with_target(place(target))
        .with_message(format!("another {what} is there; nothing was written"))
        .with_hint("another cluster may use the path: choose another openbao.path, or remove the secret yourself")
}
