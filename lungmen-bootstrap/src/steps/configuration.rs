//! The files of the output directory: secrets bundle, machine configurations and talosconfig, derived from the record.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::secrets::{ClientCertificate, SecretsBundle};
use talos_client::talosconfig::Talosconfig;

use crate::desired::DesiredCluster;
use crate::error::{Error, Result};
use crate::nodes::identity::Identity;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::RENEW_BEFORE;
use crate::state::artifacts::Artifact;

pub(crate) struct Configure;

/// What the cluster is configured with.
pub(crate) struct Configured {
    pub(crate) identity: Identity,
    /// The configuration of each machine by its name.
    pub(crate) configs: BTreeMap<String, SecretString>,
}

impl Step for Configure {
    const ID: StepId = StepId::Configuration;
    const KIND: Kind = Kind::Act;
    type Output = Configured;

    async fn observe(&self, context: &Context) -> Result<Observation<Configured>> {
        let files = Files::of(context, context.record()?.bundle.clone())?;
        if let Some(artifact) = files.first_difference(context)? {
            return Ok(Observation::absent(format!(
                "{artifact} is missing, outdated or readable by others"
            )));
        }
        if let Some(path) = files.leftovers(context).first() {
            return Ok(Observation::absent(format!(
                "{} is not used any more",
                path.display()
            )));
        }
        Ok(Observation::Done(configured(context, files)))
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let files = Files::of(context, context.record()?.bundle.clone())?;
        for (artifact, text) in files.all() {
            if context.artifacts().write(artifact, text)? {
                context.note(format!("wrote {artifact}"));
            }
        }
        for path in files.leftovers(context) {
            std::fs::remove_file(&path)
                .map_err(|error| Error::io("remove", &path.display().to_string(), error))?;
            context.note(format!(
                "removed {}, which is not used any more",
                path.display()
            ));
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

fn configured(context: &Context, files: Files) -> Configured {
    let machines = context.desired().machines.iter();
    let configs = machines.zip(files.configs);
    Configured {
        configs: configs
            .map(|(machine, (_, config))| (machine.spec.name.clone(), config))
            .collect(),
        identity: files.identity,
    }
}

/// The files of the cluster with the content they must have.
pub(crate) struct Files {
    pub(crate) identity: Identity,
    configs: Vec<(Artifact, SecretString)>,
    secrets: SecretString,
    talosconfig: SecretString,
}

/// How a file of the output directory compares with what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has the content, and nobody else can read it; or no file is written at all.
    Current,
    Missing,
    Outdated,
    /// Others can read it.
    Exposed,
}

impl Files {
    pub(crate) fn of(context: &Context, bundle: SecretsBundle) -> Result<Self> {
        let desired = context.desired();
        let identity = Identity::of(bundle, Timestamp::now())?;
        let configs = desired
            .machines
            .iter()
            .map(|machine| {
                let config = desired.machine_config(machine, &identity.bundle)?;
                Ok((desired.artifact_of(machine), config.to_yaml()))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            secrets: identity.bundle.to_yaml(),
            talosconfig: talosconfig(context, &identity)?,
            configs,
            identity,
        })
    }

    fn all(&self) -> impl Iterator<Item = (&Artifact, &SecretString)> {
        [
            (&Artifact::Secrets, &self.secrets),
            (&Artifact::Talosconfig, &self.talosconfig),
        ]
        .into_iter()
        .chain(self.configs.iter().map(|(artifact, text)| (artifact, text)))
    }

    /// The configuration of a machine.
    pub(crate) fn config(&self, artifact: &Artifact) -> Option<&SecretString> {
        let mut configs = self.configs.iter();
        Some(&configs.find(|(other, _)| other == artifact)?.1)
    }

    /// Every file with whether the output directory has it as it must be.
    pub(crate) fn present(&self, context: &Context) -> Result<Vec<(&Artifact, Presence)>> {
        let artifacts = context.artifacts();
        self.all()
            .map(|(artifact, text)| {
                let presence = if artifacts.has(artifact, text)? {
                    Presence::Current
                } else if artifacts.read(artifact)?.is_none() {
                    Presence::Missing
                } else if !artifacts.is_private(artifact) {
                    Presence::Exposed
                } else {
                    Presence::Outdated
                };
                Ok((artifact, presence))
            })
            .collect()
    }

    fn first_difference(&self, context: &Context) -> Result<Option<&Artifact>> {
        for (artifact, text) in self.all() {
            if !context.artifacts().has(artifact, text)? {
                return Ok(Some(artifact));
            }
        }
        Ok(None)
    }

    /// Configurations of machines that were named otherwise, with the secrets of this cluster.
    pub(crate) fn leftovers(&self, context: &Context) -> Vec<PathBuf> {
        let wanted = context.desired().artifacts();
        let authority = self.identity.authority_in_configs();
        context.artifacts().leftovers(&wanted, &authority)
    }
}

/// The talosconfig of the cluster: endpoints, nodes and the admin certificate. The file is kept while it is exactly that,
/// with the certificate of this period or of the one before, while that lasts.
pub(super) fn talosconfig(context: &Context, identity: &Identity) -> Result<SecretString> {
    let desired = context.desired();
    let now = Timestamp::now();
    let fresh = new_talosconfig(desired, &identity.admin)?;
    let Some(text) = context.artifacts().read(&Artifact::Talosconfig)? else {
        return Ok(fresh);
    };
    let earlier = identity.earlier(now)?;
    let is_earlier = !earlier.expires_within(now, RENEW_BEFORE)
        && new_talosconfig(desired, &earlier)?.expose_secret() == text.expose_secret();
    Ok(if is_earlier { text } else { fresh })
}

/// The talosconfig with this admin certificate.
pub(crate) fn new_talosconfig(
    desired: &DesiredCluster,
    admin: &ClientCertificate,
) -> Result<SecretString> {
    let nodes = desired
        .machines
        .iter()
        .map(|machine| machine.spec.address.to_string());
    let mut config = Talosconfig::for_cluster(desired.cluster.as_str(), admin);
    config.set_endpoints(None, desired.control_plane_addresses())?;
    config.set_nodes(None, nodes)?;
    Ok(config.to_yaml())
}
