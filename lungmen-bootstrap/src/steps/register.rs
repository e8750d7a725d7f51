//! The cluster in Argo CD, with a service account of its own.

use argocd_client::cluster::{ClusterUpdate, RegistrationOutcome, ServerUrl};
use argocd_client::{Client as ArgoCd, ClusterSpec};

use crate::error::{Error, ErrorKind, Result};
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};
use crate::services::kubernetes::{ArgoCdAccess, Client as Kubernetes};
use crate::spec::ArgoCdTarget;

pub(crate) struct Register<'a> {
    pub(crate) kubernetes: &'a Kubernetes,
}

impl Step for Register<'_> {
    const ID: StepId = StepId::Register;
    type Output = ServerUrl;

    fn wanted(&self, world: &World) -> bool {
        world.blueprint().argocd.is_some()
    }

    async fn observe(&self, world: &World) -> Result<Observation<ServerUrl>> {
        let (argocd, target) = argocd(world)?;
        let Some(access) = self.kubernetes.argocd_manager().existing().await? else {
            return Ok(Observation::absent(
                "the account of Argo CD is not complete",
            ));
        };
        let server = server(world)?;
        let Some(cluster) = argocd.clusters().find_by_server(&server).await? else {
            return Ok(Observation::absent("the cluster is not registered"));
        };
        if cluster.name != target.cluster_name {
            return Err(taken(&server, &cluster.name));
        }
        // A cluster that was built anew at the same address has another authority and another token.
        if ClusterUpdate::between(&cluster, &cluster_spec(world, target, access)?).is_empty() {
            Ok(Observation::Done(server))
        } else {
            Ok(Observation::absent(
                "labels or credentials of the registration are outdated",
            ))
        }
    }

    async fn act(&self, world: &World) -> Result<()> {
        let (argocd, target) = argocd(world)?;
        let access = self
            .kubernetes
            .argocd_manager()
            .token_deadline(world.timing().token)
            .install()
            .await?;
        world.note("the service account may do everything on the cluster");
        let spec = cluster_spec(world, target, access)?;
        let registration = argocd.clusters().register(&spec).await?;
        world.note(match registration.outcome {
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
fn cluster_spec(world: &World, target: &ArgoCdTarget, access: ArgoCdAccess) -> Result<ClusterSpec> {
    let spec = ClusterSpec::new(
        &target.cluster_name,
        server(world)?,
        access.bearer_token,
        access.certificate_authority,
    )
    .remember_credentials();
    Ok(target
        .labels
        .iter()
        .fold(spec, |spec, (key, value)| spec.label(key, value)))
}

pub(super) fn argocd(world: &World) -> Result<(&ArgoCd, &ArgoCdTarget)> {
    let client = world.clients().argocd.as_ref();
    let target = world.blueprint().argocd.as_ref();
    client.zip(target).ok_or_else(|| {
        Error::new(ErrorKind::InvalidSpec, "find the Argo CD client").with_message("there is none")
    })
}

pub(super) fn server(world: &World) -> Result<ServerUrl> {
    Ok(ServerUrl::parse(world.blueprint().endpoint.as_str())?)
}

fn taken(server: &ServerUrl, name: &str) -> Error {
    Error::new(ErrorKind::Conflict, "look for the cluster in Argo CD")
        .with_target(server.to_string())
        .with_message(format!("it is registered as {name:?}"))
        .with_hint("set argocd.clusterName to that name, or remove the entry in Argo CD")
}
