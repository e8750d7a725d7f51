//! Secrets bundle, machine configurations and talosconfig, as files.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::secrets::SecretsBundle;
use talos_client::talosconfig::Talosconfig;

use crate::desired::DesiredCluster;
use crate::error::Result;
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::progress::Progress;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::artifacts::Artifact;
use crate::state::secrets as known_secrets;

pub(crate) struct Configure {
    pub(crate) nodes: BTreeMap<String, FoundNode>,
}

/// How long before its end a certificate is replaced.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

/// What the cluster is configured with.
pub(crate) struct Configured {
    pub(crate) identity: Identity,
    /// One for each machine, in the order of the specification.
    pub(crate) nodes: Vec<Progress>,
}

impl Step for Configure {
    const ID: StepId = StepId::Configuration;
    const KIND: Kind = Kind::Act;
    type Output = Configured;

    async fn observe(&self, context: &Context) -> Result<Observation<Configured>> {
        let Some(bundle) = known_secrets::from_file(context)? else {
            return Ok(Observation::absent("secrets.yaml is missing"));
        };
        let files = Files::of(context, bundle)?;
        match files.first_difference(context)? {
            None => Ok(Observation::Done(self.configured(context, files))),
            Some(artifact) => Ok(Observation::absent(format!(
                "{artifact} is missing, outdated or readable by others"
            ))),
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let bundle = match known_secrets::find(context).await? {
            Some(bundle) => bundle,
            None if self.any_is_configured() => return Err(known_secrets::lost()),
            None => SecretsBundle::generate(context.desired().talos.contract()).await?,
        };
        // First of all: nothing else here cannot be made again.
        context
            .artifacts()
            .write(&Artifact::Secrets, &bundle.to_yaml())?;
        let files = Files::of(context, bundle)?;
        if self.any_is_configured() {
            self.warn_about_changes(context, &files)?;
        }
        for (artifact, text) in files.all() {
            if context.artifacts().write(artifact, text)? {
                context.note(format!("wrote {artifact}"));
            }
        }
        Ok(())
    }

    fn summary(&self, configured: &Configured) -> String {
        format!(
            "{} machine configuration(s); the admin certificate is valid until {}",
            configured.nodes.len(),
            configured.identity.admin.not_after()
        )
    }
}

impl Configure {
    fn any_is_configured(&self) -> bool {
        self.nodes.values().any(FoundNode::is_configured)
    }

    fn configured(&self, context: &Context, files: Files) -> Configured {
        let machines = &context.desired().machines;
        let nodes = machines
            .iter()
            .zip(files.configs)
            .filter_map(|(machine, (_, config))| {
                Some(Progress {
                    found: self.nodes.get(&machine.spec.name)?.clone(),
                    machine: machine.clone(),
                    config,
                })
            });
        Configured {
            nodes: nodes.collect(),
            identity: files.identity,
        }
    }

    fn warn_about_changes(&self, context: &Context, files: &Files) -> Result<()> {
        for (artifact, text) in files.machine_configs() {
            let old = context.artifacts().read(artifact)?;
            if old.is_some_and(|old| old.expose_secret() != text.expose_secret()) {
                context.warn(format!(
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
    fn of(context: &Context, bundle: SecretsBundle) -> Result<Self> {
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

    fn first_difference(&self, context: &Context) -> Result<Option<&Artifact>> {
        for (artifact, text) in self.all() {
            if !context.artifacts().has(artifact, text)? {
                return Ok(Some(artifact));
            }
        }
        Ok(None)
    }
}

/// The file as it is, while its certificate belongs to the cluster and lasts; else a new one.
fn talosconfig(context: &Context, identity: &Identity) -> Result<SecretString> {
    if let Some(text) = context.artifacts().read(&Artifact::Talosconfig)?
        && is_current(&text, context.desired(), identity)
    {
        return Ok(text);
    }
    Ok(fresh_talosconfig(context.desired(), identity)?.to_yaml())
}

fn fresh_talosconfig(desired: &DesiredCluster, identity: &Identity) -> Result<Talosconfig> {
    let nodes = desired
        .machines
        .iter()
        .map(|machine| machine.spec.address.to_string());
    let mut config = Talosconfig::for_cluster(desired.cluster.as_str(), &identity.admin);
    config.set_endpoints(None, desired.control_plane_addresses())?;
    config.set_nodes(None, nodes)?;
    Ok(config)
}

fn is_current(text: &SecretString, desired: &DesiredCluster, identity: &Identity) -> bool {
    let Ok(config) = Talosconfig::parse(text.expose_secret()) else {
        return false;
    };
    let Some(context) = config.context(desired.cluster.as_str()) else {
        return false;
    };
    let certificate = context.client_certificate().ok().flatten();
    certificate.is_some_and(|certificate| {
        certificate.ca_pem() == identity.admin.ca_pem()
            && !certificate.expires_within(Timestamp::now(), RENEW_BEFORE)
    })
}
