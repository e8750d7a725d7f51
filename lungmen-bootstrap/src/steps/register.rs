//! The cluster in Argo CD, with a service account of its own.

use argocd_client::cluster::{ClusterUpdate, RegistrationOutcome, ServerUrl};
use argocd_client::{Client as ArgoCd, ClusterSpec};

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::services::kubernetes::{ArgoCdAccess, Client as Kubernetes};
use crate::spec::ArgoCdTarget;

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
        let (argocd, target) = argocd(context)?;
        let Some(access) = self.kubernetes.argocd_manager().find().await? else {
            return Ok(Observation::absent(
                "the account of Argo CD is not complete",
            ));
        };
        let server = server(context)?;
        let Some(cluster) = argocd.clusters().find(&server).await? else {
            return Ok(Observation::absent("the cluster is not registered"));
        };
        if cluster.name != target.cluster_name {
            return Err(taken(&server, &cluster.name));
        }
        // A cluster that was built anew at the same address has another authority and another token.
        if ClusterUpdate::between(&cluster, &cluster_spec(context, target, access)?).is_empty() {
            Ok(Observation::Done(server))
        } else {
            Ok(Observation::absent(
                "labels or credentials of the registration are outdated",
            ))
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        let (argocd, target) = argocd(context)?;
        let access = self
            .kubernetes
            .argocd_manager()
            .token_deadline(context.timing().token)
            .install()
            .await?;
        context.note("the service account may do everything on the cluster");
        let spec = cluster_spec(context, target, access)?;
        let registration = argocd.clusters().register(&spec).await?;
        context.note(match registration.outcome {
            RegistrationOutcome::Created => "the cluster is new in Argo CD".to_owned(),
            RegistrationOutcome::Updated(fields) => format!("changed: {}", fields.join(", ")),
            _ => "the cluster was registered like this before".to_owned(),
        });
        Ok(())
    }

    fn summary(&self, server: &ServerUrl) -> String {
        format!("registered with {server}")
    }
}

/// The token and the authority only: the admin certificate would expire and cannot be taken back.
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
    Ok(target
        .labels
        .iter()
        .fold(spec, |spec, (key, value)| spec.label(key, value)))
}

pub(super) fn argocd(context: &Context) -> Result<(&ArgoCd, &ArgoCdTarget)> {
    let client = context.clients().argocd.as_ref();
    let target = context.desired().argocd.as_ref();
    client.zip(target).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "find the Argo CD client").with_message("there is none")
    })
}

pub(super) fn server(context: &Context) -> Result<ServerUrl> {
    Ok(ServerUrl::parse(context.desired().endpoint.as_str())?)
}

fn taken(server: &ServerUrl, name: &str) -> Error {
    Error::new(ErrorKind::Conflict, "look for the cluster in Argo CD")
        .with_target(server.to_string())
        .with_message(format!("it is registered as {name:?}"))
        .with_hint("set argocd.clusterName to that name, or remove the entry in Argo CD")
}
