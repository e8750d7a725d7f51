//! Secrets bundle, machine configurations and talosconfig, as files.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::secrets::SecretsBundle;
use talos_client::talosconfig::Talosconfig;

use super::first_boot::FoundNode;
use crate::desired::Blueprint;
use crate::error::Result;
use crate::nodes::identity::Identity;
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};
use crate::state::artifacts::Artifact;
use crate::state::secrets as known_secrets;

pub(crate) struct Configure<'a> {
    pub(crate) found: &'a [FoundNode],
}

/// How long before its end a certificate is replaced.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// What the cluster is configured with.
pub(crate) struct Configured {
    pub(crate) identity: Identity,
    /// One for each machine, in the order of the blueprint.
    pub(crate) configs: Vec<SecretString>,
}

impl Step for Configure<'_> {
    const ID: StepId = StepId::Configuration;
    type Output = Configured;

    async fn observe(&self, world: &World) -> Result<Observation<Configured>> {
        let Some(bundle) = known_secrets::from_file(world)? else {
            return Ok(Observation::absent("secrets.yaml is missing"));
        };
        let files = Files::of(world, bundle)?;
        match files.first_difference(world)? {
            None => Ok(Observation::Done(files.into_configured())),
            Some(artifact) => Ok(Observation::absent(format!(
                "{artifact} is missing, outdated or readable by others"
            ))),
        }
    }

    async fn act(&self, world: &World) -> Result<()> {
        let bundle = match known_secrets::find(world).await? {
            Some(bundle) => bundle,
            None if self.any_is_configured() => return Err(known_secrets::lost()),
            None => SecretsBundle::generate(world.blueprint().talos.contract()).await?,
        };
        // First of all: nothing else here cannot be made again.
        world
            .artifacts()
            .write(&Artifact::Secrets, &bundle.to_yaml())?;
        let files = Files::of(world, bundle)?;
        if self.any_is_configured() {
            self.warn_about_changes(world, &files)?;
        }
        for (artifact, text) in files.all() {
            if world.artifacts().write(artifact, text)? {
                world.note(format!("wrote {artifact}"));
            }
        }
        Ok(())
    }

    fn summary(&self, configured: &Configured) -> String {
        format!(
            "{} machine configuration(s); the admin certificate is valid until {}",
            configured.configs.len(),
            configured.identity.admin.not_after()
        )
    }
}

impl Configure<'_> {
    fn any_is_configured(&self) -> bool {
        self.found.iter().any(FoundNode::is_configured)
    }

    fn warn_about_changes(&self, world: &World, files: &Files) -> Result<()> {
        for (artifact, text) in files.machine_configs() {
            let old = world.artifacts().read(artifact)?;
            if old.is_some_and(|old| old.expose_secret() != text.expose_secret()) {
                world.warn(format!(
                    "{artifact} changes, but the configured node keeps what it has: apply the new file with \
                     talosctl apply-config"
                ));
            }
        }
        Ok(())
    }
}

/// The files of the cluster with the content they must have.
struct Files {
    identity: Identity,
    configs: Vec<(Artifact, SecretString)>,
    secrets: SecretString,
    talosconfig: SecretString,
}

impl Files {
    fn of(world: &World, bundle: SecretsBundle) -> Result<Self> {
        let blueprint = world.blueprint();
        let identity = Identity::of(bundle, Timestamp::now())?;
        let configs = blueprint
            .machines
            .iter()
            .map(|machine| {
                let config = blueprint.machine_config(machine, &identity.bundle)?;
                Ok((blueprint.artifact_of(machine), config.to_yaml()))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            secrets: identity.bundle.to_yaml(),
            talosconfig: talosconfig(world, &identity)?,
            configs,
            identity,
        })
    }

    fn machine_configs(&self) -> impl Iterator<Item = (&Artifact, &SecretString)> {
        self.configs.iter().map(|(artifact, text)| (artifact, text))
    }

    fn all(&self) -> impl Iterator<Item = (&Artifact, &SecretString)> {
        [
            (&Artifact::Secrets, &self.secrets),
            (&Artifact::Talosconfig, &self.talosconfig),
        ]
        .into_iter()
        .chain(self.machine_configs())
    }

    fn first_difference(&self, world: &World) -> Result<Option<&Artifact>> {
        for (artifact, text) in self.all() {
            if !world.artifacts().has(artifact, text)? {
                return Ok(Some(artifact));
            }
        }
        Ok(None)
    }

    fn into_configured(self) -> Configured {
        Configured {
            identity: self.identity,
            configs: self.configs.into_iter().map(|(_, text)| text).collect(),
        }
    }
}

/// The file as it is, while its certificate belongs to the cluster and lasts; else a new one.
fn talosconfig(world: &World, identity: &Identity) -> Result<SecretString> {
    if let Some(text) = world.artifacts().read(&Artifact::Talosconfig)?
        && is_current(&text, world.blueprint(), identity)
    {
        return Ok(text);
    }
    Ok(fresh_talosconfig(world.blueprint(), identity)?.to_yaml())
}

fn fresh_talosconfig(blueprint: &Blueprint, identity: &Identity) -> Result<Talosconfig> {
    let nodes = blueprint
        .machines
        .iter()
        .map(|machine| machine.spec.address.to_string());
    let mut config = Talosconfig::for_cluster(blueprint.cluster.as_str(), &identity.admin);
    config.set_endpoints(None, blueprint.control_plane_addresses())?;
    config.set_nodes(None, nodes)?;
    Ok(config)
}

fn is_current(text: &SecretString, blueprint: &Blueprint, identity: &Identity) -> bool {
    let Ok(config) = Talosconfig::parse(text.expose_secret()) else {
        return false;
    };
    let Some(context) = config.context(blueprint.cluster.as_str()) else {
        return false;
    };
    let certificate = context.client_certificate().ok().flatten();
    certificate.is_some_and(|certificate| {
        certificate.ca_pem() == identity.admin.ca_pem()
            && !certificate.expires_within(Timestamp::now(), RENEW_BEFORE)
    })
}
