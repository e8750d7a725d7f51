//! The cluster in Argo CD, with its own service account.

use std::collections::BTreeSet;

use argocd_client::cluster::{
    Cluster, ClusterUpdate, CredentialTest, RegistrationOutcome, ServerUrl,
};
use argocd_client::{Client as ArgoCd, ClusterSpec};
use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::ErrorKind as ServiceErrorKind;
use crate::services::kubernetes::{ArgoCdAccess, Client as Kubernetes};
use crate::spec::ArgoCdTarget;

/// Annotation with the label keys that the specification manages, so that removed ones are found again.
pub(crate) const LABELS_ANNOTATION: &str = "lungmen.chezmoi.sh/managed-labels";

pub(crate) struct Register<'a> {
    pub(crate) kubernetes: &'a Kubernetes,
}

impl Step for Register<'_> {
    const ID: StepId = StepId::Register;
    const KIND: Kind = Kind::Act;
    type Output = ServerUrl;

    fn enabled(&self, context: &Context) -> bool {
        context.desired().argocd.is_some()
    }

    async fn observe(&self, context: &Context) -> Result<Observation<ServerUrl>> {
        let server = match self.look(context).await? {
            Observation::Done(server) => server,
            absent @ Observation::Absent(_) => return Ok(absent),
        };
        let (argocd, _) = argocd(context)?;
        // An update without a change, which makes Argo CD try its credentials.
        Ok(match argocd.clusters().test_credentials(&server).await? {
            CredentialTest::Rejected(error) => Observation::absent(format!(
                "Argo CD's credentials for the cluster are dead: {}",
                error.message()
            )),
            _ => Observation::Done(server),
        })
    }

    async fn look(&self, context: &Context) -> Result<Observation<ServerUrl>> {
        let (server, token) = match self.registration(context).await? {
            Observation::Done(registered) => registered,
            Observation::Absent(missing) => return Ok(Observation::Absent(missing)),
        };
        Ok(match self.dead_token(&token).await? {
            Some(reason) => Observation::Absent(reason),
            None => Observation::Done(server),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let (argocd, target) = argocd(context)?;
        let access = self
            .kubernetes
            .argocd_manager()
            .token_deadline(context.timing().token)
            .install()
            .await?;
        context.note("ServiceAccount kube-system/argocd-manager has cluster-admin rights.");
        let spec = cluster_spec(context, target, access)?;
        let removed = match argocd.clusters().find(&server(context)?).await? {
            Some(cluster) => removed_labels(&cluster, target),
            None => Vec::new(),
        };
        context.before_effect().await?;
        let registration = argocd.clusters().register(&spec).await?;
        remove_labels(context, argocd, &removed).await?;
        context.note(match registration.outcome {
            RegistrationOutcome::Created => "Registered the cluster in Argo CD.".to_owned(),
            RegistrationOutcome::Updated(fields) => {
                format!("Updated the registration: {}.", fields.join(", "))
            }
            _ => "The registration was up to date.".to_owned(),
        });
        Ok(())
    }

    fn summary(&self, server: &ServerUrl) -> String {
        format!("registered with {server}")
    }
}

impl Register<'_> {
    /// Compares the registration with the service account and the specification, by reads alone. The credentials are not
    /// tried: Argo CD tries them with an update.
    pub(crate) async fn registration(
        &self,
        context: &Context,
    ) -> Result<Observation<(ServerUrl, SecretString)>> {
        let (argocd, _) = argocd(context)?;
        match argocd.clusters().find(&server(context)?).await? {
            Some(cluster) => self.compare(context, &cluster).await,
            None => Ok(Observation::absent("the cluster is not registered")),
        }
    }

    /// The same for an entry that was read before.
    pub(crate) async fn compare(
        &self,
        context: &Context,
        cluster: &Cluster,
    ) -> Result<Observation<(ServerUrl, SecretString)>> {
        let (_, target) = argocd(context)?;
        let Some(access) = self.kubernetes.argocd_manager().find().await? else {
            return Ok(Observation::absent("the service account is incomplete"));
        };
        let server = server(context)?;
        if cluster.name != target.cluster_name {
            return Err(taken(&server, &cluster.name));
        }
        let removed = removed_labels(cluster, target);
        if !removed.is_empty() {
            return Ok(Observation::absent(format!(
                "labels are no longer in the specification: {}",
                removed.join(", ")
            )));
        }
        // A new cluster at the same address has another authority and another token.
        let token = access.bearer_token.clone();
        if !ClusterUpdate::between(cluster, &cluster_spec(context, target, access)?).is_empty() {
            return Ok(Observation::absent(
                "labels or credentials of the registration are outdated",
            ));
        }
        Ok(Observation::Done((server, token)))
    }

    /// Why the token is no longer good, though the registration reads as it was written: the annotation with the fingerprint
    /// says what was sent once, not what the cluster accepts today.
    async fn dead_token(&self, token: &SecretString) -> Result<Option<String>> {
        let manager = self.kubernetes.argocd_manager();
        match manager.permits_everything(token).await {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some("the token of argocd-manager lacks rights".to_owned())),
            Err(error) if error.kind() == ServiceErrorKind::Unauthenticated => Ok(Some(
                "the cluster rejects the token of argocd-manager".to_owned(),
            )),
            Err(error) => Err(error.into()),
        }
    }
}

/// The label keys that the specification manages.
fn managed_labels(target: &ArgoCdTarget) -> String {
    let keys: BTreeSet<&str> = target.labels.iter().map(|(key, _)| key.as_str()).collect();
    keys.into_iter().collect::<Vec<_>>().join(",")
}

/// Labels that an earlier specification added and this one does not have. Labels of others are never among them.
fn removed_labels(cluster: &Cluster, target: &ArgoCdTarget) -> Vec<String> {
    let managed = cluster.annotations.get(LABELS_ANNOTATION);
    managed
        .into_iter()
        .flat_map(|keys| keys.split(','))
        .filter(|key| cluster.labels.contains_key(*key))
        .filter(|key| !target.labels.iter().any(|(wanted, _)| wanted == key))
        .map(str::to_owned)
        .collect()
}

/// A label as it is, and as the specification wants it.
pub(crate) type LabelChange = (String, Option<String>, Option<String>);

/// The labels that a run sets, changes and removes; labels of others are never among them.
pub(crate) fn label_changes(cluster: &Cluster, target: &ArgoCdTarget) -> Vec<LabelChange> {
    let set = target.labels.iter().filter_map(|(key, value)| {
        let found = cluster.labels.get(key);
        (found != Some(value)).then(|| (key.clone(), found.cloned(), Some(value.clone())))
    });
    let removed = removed_labels(cluster, target)
        .into_iter()
        .map(|key| (key.clone(), cluster.labels.get(&key).cloned(), None));
    set.chain(removed).collect()
}

async fn remove_labels(context: &Context, argocd: &ArgoCd, removed: &[String]) -> Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    let server = server(context)?;
    let cluster = argocd.clusters().cluster(&server).await?;
    let (mut labels, mut annotations) = (cluster.labels, cluster.annotations);
    labels.retain(|key, _| !removed.contains(key));
    if let Some(keys) = annotations.get_mut(LABELS_ANNOTATION) {
        let kept = keys.split(',').filter(|key| labels.contains_key(*key));
        *keys = kept.collect::<Vec<_>>().join(",");
    }
    let update = ClusterUpdate::new().labels(labels).annotations(annotations);
    argocd.clusters().update(&server, &update).await?;
    context.note(format!("Removed the labels {}.", removed.join(", ")));
    Ok(())
}

/// The token and the authority only: the admin certificate would expire and cannot be revoked.
fn cluster_spec(
    context: &Context,
    target: &ArgoCdTarget,
    access: ArgoCdAccess,
) -> Result<ClusterSpec> {
    let spec = ClusterSpec::new(
        &target.cluster_name,
        server(context)?,
        access.bearer_token,
        access.certificate_authority,
    )
    .remember_credentials();
    let spec = match managed_labels(target) {
        keys if keys.is_empty() => spec,
        keys => spec.annotation(LABELS_ANNOTATION, keys),
    };
    Ok(target
        .labels
        .iter()
        .fold(spec, |spec, (key, value)| spec.label(key, value)))
}

pub(crate) fn argocd(context: &Context) -> Result<(&ArgoCd, &ArgoCdTarget)> {
    let client = context.clients().argocd.as_ref();
    let target = context.desired().argocd.as_ref();
    client.zip(target).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "find the Argo CD client")
            .with_message("no client is configured")
    })
}

pub(crate) fn server(context: &Context) -> Result<ServerUrl> {
    Ok(ServerUrl::parse(context.desired().endpoint.as_str())?)
}

pub(crate) fn taken(server: &ServerUrl, name: &str) -> Error {
    Error::new(ErrorKind::Conflict, "look for the cluster in Argo CD")
        .with_target(server.to_string())
        .with_message(format!("the address is already registered as {name:?}"))
        .with_hint("Set argocd.clusterName to that name, or remove the entry in Argo CD.")
}

/// Refuses a cluster name that another address has, and an address that another name has.
pub(crate) async fn check_names(
    argocd: &ArgoCd,
    context: &Context,
    target: &ArgoCdTarget,
) -> Result<()> {
    let server = server(context)?;
    if let Some(cluster) = argocd.clusters().find(&server).await?
        && cluster.name != target.cluster_name
    {
        return Err(taken(&server, &cluster.name));
    }
    match argocd.clusters().find_by_name(&target.cluster_name).await? {
        Some(cluster) if cluster.server != server.as_str() => Err(Error::new(
            ErrorKind::Conflict,
            "look for the cluster in Argo CD",
        )
        .with_target(target.cluster_name.clone())
        .with_message(format!("the name is already used for {}", cluster.server))
        .with_hint("Set argocd.clusterName to another name, or remove the entry in Argo CD.")),
        _ => Ok(()),
    }
}
