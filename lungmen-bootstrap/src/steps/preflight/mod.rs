//! Credentials, privileges, storages and names at every server, checked before anything is changed. All servers are asked,
//! and everything that is found is one error.

mod places;
mod privileges;

pub(crate) use places::{another_storage, unusable};
pub(crate) use privileges::{Networks, requirements};

use crate::error::{Error, ErrorKind, Result, Server, all_of};
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::state::claim;

/// Checks the servers of the steps up to `last`.
pub(crate) struct Preflight {
    pub(crate) last: StepId,
}

impl Step for Preflight {
    const ID: StepId = StepId::Preflight;
    const KIND: Kind = Kind::Check;
    /// The servers that answered, with their versions.
    type Output = Vec<String>;

    async fn observe(&self, context: &Context) -> Result<Observation<Vec<String>>> {
        // A run that ends here was asked to check everything.
        let last = match self.last {
            StepId::Preflight => StepId::Applications,
            last => last,
        };
        let has_argocd = context.desired().argocd.is_some();
        // Boxed, because three checks at once make a large future.
        let (proxmox, store, argocd) = tokio::join!(
            when(last >= StepId::Image, Box::pin(proxmox(context))),
            when(last >= StepId::Claim, Box::pin(store(context))),
            when(
                last >= StepId::Register && has_argocd,
                Box::pin(argocd(context))
            ),
        );
        let answers = [
            (Server::ProxmoxVe, proxmox),
            (Server::SecretStore, store),
            (Server::ArgoCd, argocd),
        ];
        let asked = answers.into_iter().filter_map(|(server, answer)| {
            let at_server = |error: Error| error.at_server(server);
            Some(answer?.map_err(|error| at_server(error).with_each_other(at_server)))
        });
        Ok(Observation::Done(all_of(asked)?))
    }

    fn summary(&self, servers: &Vec<String>) -> String {
        servers.join(", ")
    }
}

/// Does the check where it is wanted.
pub(crate) async fn when<T>(is_wanted: bool, check: impl Future<Output = T>) -> Option<T> {
    match is_wanted {
        true => Some(check.await),
        false => None,
    }
}

/// Version, privileges, storages and pools; bridges that are not listed are warnings.
pub(crate) async fn proxmox(context: &Context) -> Result<String> {
    let client = &context.clients().proxmox;
    // A server that does not answer this does not answer the rest.
    let version = client.version().await?;
    let networks = Networks::read(context).await;
    let privileges = client
        .preflight(&requirements(context, &networks))
        .await
        .map_err(Error::from);
    let mut places = places::check(context).await;
    if privileges
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Forbidden)
    {
        // What the token may not see is explained by the privileges that it has not.
        places.retain(|error| error.kind() != ErrorKind::Forbidden);
    }
    let failed = places.into_iter().map(Err);
    all_of(std::iter::once(privileges).chain(failed))?;
    places::warn_about_bridges(context, &networks);
    Ok(format!("Proxmox VE {version}"))
}

/// Rights on the store, and the record in it: another cluster's record is found before anything is created.
pub(crate) async fn store(context: &Context) -> Result<String> {
    let store = context.store().as_ref();
    store.preflight().await?;
    if let Some(claimed) = claim::find(store, &context.wanted()).await? {
        crate::steps::claim::compare_file(context, &claimed.record)?;
    }
    Ok(store.describe())
}

pub(crate) async fn argocd(context: &Context) -> Result<String> {
    let (client, target) = crate::steps::register::argocd(context)?;
    let version = client.version().await?;
    if !client.user_info().await?.logged_in {
        return Err(Error::new(ErrorKind::Unauthenticated, "log in to Argo CD")
            .with_message("the server does not accept the token")
            .with_hint("Check the Argo CD token and that its account still exists."));
    }
    // A policy may allow exactly this address, which cannot be queried: a URL does not fit into that path.
    if !client.can_i("clusters", "create", "*").await? {
        context.warn("The Argo CD account may not create every cluster; it must at least be allowed this one.");
    }
    crate::steps::register::check_names(client, context, target).await?;
    Ok(format!("Argo CD {version}"))
}
