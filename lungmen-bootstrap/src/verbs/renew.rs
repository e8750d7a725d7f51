//! `renew()`: certificates before they end, and the token of Argo CD.

use jiff::Timestamp;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use talos_client::talosconfig::Talosconfig;

use crate::error::{Error, ErrorKind, Result};
use crate::nodes::identity::Identity;
use crate::run::bootstrap::ClusterBootstrap;
use crate::run::context::Context;
use crate::run::engine::Run;
use crate::run::step::{Observation, Step as _, StepId};
use crate::services::Validity;
use crate::services::kubernetes::Kubeconfig;
use crate::state::artifacts::Artifact;
use crate::state::talosconfig;
use crate::state::{claim, record::ClusterRecord};
use crate::steps::configuration::new_talosconfig;
use crate::steps::kubeconfig::{self, FetchKubeconfig};
use crate::steps::register::{self, Register};
use crate::steps::save_secrets::{Replace, SaveSecrets};
use crate::verbs::destroy::error_of;

const OPERATION: &str = "renew the credentials";

/// Why a certificate stays.
const NOT_DUE: &str = "it does not end soon";

/// What is renewed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct RenewOptions {
    everything: bool,
    argocd_token: bool,
}

impl RenewOptions {
    /// The certificates that end within 30 days, or are in the last third of a shorter life.
    pub fn near_their_end() -> Self {
        Self::default()
    }

    /// Every certificate that can be renewed, whenever it ends.
    pub fn everything(mut self) -> Self {
        self.everything = true;
        self
    }

    /// Also the token with which Argo CD reaches the cluster. It has no end, so it is renewed only when this is called, for
    /// example because it may have become known. For a moment Argo CD cannot reach the cluster.
    pub fn argocd_token(mut self) -> Self {
        self.argocd_token = true;
        self
    }
}

/// What [`ClusterBootstrap::renew`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Renewed {
    /// The name of the cluster.
    pub cluster: String,
    /// What is new, in order.
    pub renewed: Vec<Renewal>,
    /// What stayed as it was.
    pub kept: Vec<Renewal>,
}

/// A certificate or token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Renewal {
    /// What it is, and where it is kept.
    pub what: String,
    /// When it ends; `None` without an end.
    pub until: Option<Timestamp>,
    /// Why it is new, or why it was kept.
    pub why: String,
}

impl ClusterBootstrap {
    /// Renews the admin certificates in the talosconfig (in the output directory, in the store beside the secrets bundle as a
    /// new version, and in the merged file) and in the kubeconfig, and on request the token of Argo CD. The secrets bundle and
    /// its authorities are never changed.
    ///
    /// The admin certificate of the talosconfig is derived from the bundle: there is a new one every half a year, and within it
    /// the same one. The lease of the cluster is held meanwhile. The call may be repeated, also after the process was killed: a
    /// run heals a registration that was interrupted.
    ///
    /// # Errors
    /// `NotFound` without a cluster record; `Conflict` while another run works on the cluster; the errors of the servers.
    pub async fn renew(&self, options: &RenewOptions) -> Result<Renewed> {
        let context = self.context();
        let store = context.store().as_ref();
        let Some(claimed) = claim::find(store, &context.wanted()).await? else {
            return Err(Error::new(ErrorKind::NotFound, OPERATION)
                .with_target(store.describe())
                .with_message("there is no record of the cluster, so there is nothing to renew")
                .with_hint(
                    "Use the store or output directory of the run that created the cluster.",
                ));
        };
        let mut run = Run::new(context.clone(), StepId::Applications);
        let lease = run.acquire_lease().await;
        let mut lease = lease.map_err(|stop| error_of(stop, OPERATION))?;
        run.adopt(claimed.record.clone())
            .map_err(|stop| error_of(stop, OPERATION))?;
        let mut renewing = Renewing::new(run.context().clone(), &claimed.record, options)?;
        // Boxed, because the future of the whole work is larger than a caller expects on the stack.
        let ended = lease.keep(Box::pin(renewing.perform())).await;
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "the lease was not released");
        }
        ended?;
        Ok(renewing.done)
    }
}

/// A renewal in progress.
struct Renewing<'a> {
    context: Context,
    identity: Identity,
    options: &'a RenewOptions,
    now: Timestamp,
    /// The kubeconfig of the cluster, once it was looked at; `None` where there is none of ours.
    kubeconfig: Option<SecretString>,
    done: Renewed,
}

impl<'a> Renewing<'a> {
    fn new(context: Context, record: &ClusterRecord, options: &'a RenewOptions) -> Result<Self> {
        let now = Timestamp::now();
        Ok(Self {
            identity: Identity::of(record.bundle.clone(), now)?,
            done: Renewed {
                cluster: context.cluster_name().to_owned(),
                renewed: Vec::new(),
                kept: Vec::new(),
            },
            context,
            options,
            now,
            kubeconfig: None,
        })
    }

    async fn perform(&mut self) -> Result<()> {
        self.talosconfig().await?;
        self.kubeconfig().await?;
        self.stored().await?;
        if self.options.argocd_token {
            self.argocd_token().await?;
        }
        Ok(())
    }

    async fn talosconfig(&mut self) -> Result<()> {
        let context = self.context.for_step(StepId::Configuration);
        let artifact = Artifact::Talosconfig;
        let what = format!(
            "the admin certificate in {}",
            context.artifacts().path(&artifact)
        );
        let fresh = new_talosconfig(context.desired(), &self.identity.admin)?;
        let old = context.artifacts().read(&artifact)?;
        let old = old.and_then(|text| Talosconfig::parse(text.expose_secret()).ok());
        let validity = old.as_ref().and_then(talosconfig::validity);
        let end = validity.map(|validity| validity.end);
        let newest = self.identity.admin.not_after();
        if end != Some(newest) && self.is_wanted(validity) && context.artifacts().folder().is_some()
        {
            context.before_effect().await?;
            context.artifacts().write(&artifact, &fresh)?;
            self.renewed(what, Some(newest), end);
            self.merged(old.as_ref())?;
        } else {
            let why = match end {
                Some(end) if end == newest => {
                    "it is the newest one: there is one for each half a year"
                }
                Some(_) => NOT_DUE,
                None => "no file of the output directory has one",
            };
            self.kept(what, end, why);
        }
        Ok(())
    }

    /// The contexts with the old certificate get the new one, under the names that they have.
    fn merged(&mut self, old: Option<&Talosconfig>) -> Result<()> {
        let Some(path) = self.context.options().merge_talosconfig.clone() else {
            return Ok(());
        };
        let Some(old) = old.and_then(|old| old.current_context().ok()) else {
            return Ok(());
        };
        for name in talosconfig::renew(&path, old, &self.identity.admin)? {
            let what = format!("context {name} in {}", path.display());
            self.renewed(what, Some(self.identity.admin.not_after()), None);
        }
        Ok(())
    }

    /// The talosconfig and the kubeconfig beside the secrets bundle: a new version, in which only they differ.
    async fn stored(&mut self) -> Result<()> {
        let context = self.context.for_step(StepId::SaveSecrets);
        let identity = self.identity.clone();
        let step = SaveSecrets {
            identity: &identity,
            kubeconfig: self.kubeconfig.clone(),
            replace: Replace::Other,
        };
        if !step.enabled(&context) {
            return Ok(());
        }
        let what = format!(
            "the talosconfig and the kubeconfig in {}",
            context.store().describe()
        );
        match step.observe(&context).await? {
            Observation::Done(_) => self.kept(what, None, "they are the newest ones"),
            Observation::Absent(why) => {
                step.act(&context).await?;
                self.done.renewed.push(Renewal {
                    what,
                    until: None,
                    why,
                });
            }
        }
        Ok(())
    }

    async fn kubeconfig(&mut self) -> Result<()> {
        let context = self.context.for_step(StepId::Kubeconfig);
        let artifact = Artifact::Kubeconfig;
        let what = format!(
            "the admin certificate in {}",
            context.artifacts().path(&artifact)
        );
        if context.options().kubernetes.is_some() {
            self.kept(what, None, "the caller gives the access to Kubernetes");
            return Ok(());
        }
        let Some(found) = kubeconfig::find(&context).await? else {
            self.kept(what, None, "there is none; a run fetches one");
            return Ok(());
        };
        let validity = Kubeconfig::parse(&found.text)
            .ok()
            .and_then(|it| it.validity());
        let end = validity.map(|validity| validity.end);
        if !self.is_wanted(validity) {
            self.kept(what, end, NOT_DUE);
            self.kubeconfig = Some(found.text);
            return Ok(());
        }
        context.before_effect().await?;
        let fetching = FetchKubeconfig::new(&self.identity);
        let text = fetching.fetch(&context).await?;
        context.artifacts().write(&artifact, &text)?;
        let newest = Kubeconfig::parse(&text).ok().and_then(|it| it.expires());
        self.renewed(what, newest, end);
        self.kubeconfig = Some(text);
        Ok(())
    }

    /// A new account has a new token, and the old one is dead at once. Kubernetes signs the same token again for the same
    /// account (measured on 1.36.3), so a new Secret alone would change nothing.
    async fn argocd_token(&mut self) -> Result<()> {
        let context = self.context.for_step(StepId::Register);
        let (_, target) = register::argocd(&context)?;
        let Some(client) = kubeconfig::access(&context).await? else {
            return Err(Error::new(ErrorKind::NotFound, OPERATION)
                .with_message("there is no kubeconfig to make a token with")
                .with_hint("Run first; a run fetches the kubeconfig."));
        };
        client.version().await?;
        let what = format!("the token of {} in Argo CD", target.cluster_name);
        context.before_effect().await?;
        client.argocd_manager().delete().await?;
        let step = Register {
            kubernetes: &client,
        };
        step.act(&context).await?;
        self.renewed(what, None, None);
        Ok(())
    }

    fn is_wanted(&self, validity: Option<Validity>) -> bool {
        self.options.everything || validity.is_none_or(|validity| validity.is_due(self.now))
    }

    fn renewed(&mut self, what: String, until: Option<Timestamp>, before: Option<Timestamp>) {
        let why = match before {
            Some(end) => format!("the one before ends at {end}"),
            None => "it was asked for".to_owned(),
        };
        self.context.note(format!("renewed {what}"));
        self.done.renewed.push(Renewal { what, until, why });
    }

    fn kept(&mut self, what: String, until: Option<Timestamp>, why: &str) {
        self.done.kept.push(Renewal {
            what,
            until,
            why: why.to_owned(),
        });
    }
}
