//! The admin kubeconfig, fetched and accepted by the API server.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::Result;
use crate::nodes;
use crate::nodes::identity::Identity;
use crate::run::context::{Context, KubernetesAccess};
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait, within};
use crate::services;
use crate::services::kubernetes::{Client, Kubeconfig};
use crate::state::artifacts::Artifact;
use crate::state::credentials::{self, Found};

pub(crate) struct FetchKubeconfig<'a> {
    identity: &'a Identity,
    /// The kubeconfig of a run that writes no files: as the store had it, or as it was fetched.
    known: Mutex<Option<SecretString>>,
}

impl<'a> FetchKubeconfig<'a> {
    pub(crate) fn new(identity: &'a Identity) -> Self {
        Self {
            identity,
            known: Mutex::default(),
        }
    }

    /// The kubeconfig as it is now; `None` before it was fetched, and where the caller gives the access.
    pub(crate) fn text(&self, context: &Context) -> Result<Option<SecretString>> {
        if context.options().kubernetes.is_some() {
            return Ok(None);
        }
        let file = context.artifacts().read(&Artifact::Kubeconfig)?;
        Ok(file.or_else(|| self.known().clone()))
    }

    fn known(&self) -> MutexGuard<'_, Option<SecretString>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run without files finds the kubeconfig of the run before in the store.
    async fn recall(&self, context: &Context) -> Result<()> {
        if context.artifacts().folder().is_none() && self.known().is_none() {
            *self.known() = credentials::stored(context, &Artifact::Kubeconfig).await?;
        }
        Ok(())
    }

    /// A kubeconfig that the cluster accepts: that of the store, where it has a good one, or a new one.
    async fn obtain(&self, context: &Context) -> Result<SecretString> {
        if context.artifacts().read(&Artifact::Kubeconfig)?.is_none()
            && let Some(text) = credentials::stored(context, &Artifact::Kubeconfig).await?
            && let Ok(client) = client(context, &text)
            && ending(&client).is_none()
            && client.version().await.is_ok()
        {
            return Ok(text);
        }
        self.fetch(context).await
    }

    /// A new kubeconfig from the first control plane, as soon as the cluster accepts it.
    pub(crate) async fn fetch(&self, context: &Context) -> Result<SecretString> {
        let machine = context.desired().first_control_plane();
        // Every call makes a new client certificate; the node computes it from its configuration.
        let node = nodes::client(context, self.identity, machine)?.machine();
        let limit = context.timing().kubernetes;
        let text = within(limit, "fetch kubeconfig", node.kubeconfig()).await?;
        wait_until_accepted(context, || client(context, &text)).await?;
        Ok(text)
    }
}

impl Step for FetchKubeconfig<'_> {
    const ID: StepId = StepId::Kubeconfig;
    const KIND: Kind = Kind::Act;
    type Output = Client;

    async fn observe(&self, context: &Context) -> Result<Observation<Client>> {
        if let Some(access) = &context.options().kubernetes {
            let client = given(context, access)?;
            return Ok(match client.version().await {
                Ok(_) => Observation::Done(client),
                Err(error) => {
                    Observation::absent(format!("the given access does not work: {error}"))
                }
            });
        }
        self.recall(context).await?;
        let Some(text) = self.text(context)? else {
            return Ok(Observation::absent("kubeconfig is missing"));
        };
        let artifacts = context.artifacts();
        if artifacts.folder().is_some() && !artifacts.is_private(&Artifact::Kubeconfig) {
            return Ok(Observation::absent("others can read kubeconfig"));
        }
        let client = match client(context, &text) {
            Ok(client) => client,
            Err(error) => return Ok(Observation::absent(format!("kubeconfig: {error}"))),
        };
        if let Some(reason) = ending(&client) {
            return Ok(Observation::Absent(reason));
        }
        match client.version().await {
            Ok(_) => Ok(Observation::Done(client)),
            Err(error) => Ok(Observation::absent(format!(
                "kubeconfig does not work: {error}"
            ))),
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        if let Some(access) = &context.options().kubernetes {
            // Given credentials are waited for; they are not replaced by others.
            return wait_until_accepted(context, || given(context, access)).await;
        }
        let text = self.obtain(context).await?;
        context.artifacts().write(&Artifact::Kubeconfig, &text)?;
        if context.artifacts().folder().is_none() {
            *self.known() = Some(text);
        }
        Ok(())
    }

    fn summary(&self, client: &Client) -> String {
        format!("context {}", client.kubeconfig().context())
    }
}

/// The kubeconfig of the cluster, wherever it is kept; `None` before it was fetched, and where the caller gives the access.
pub(crate) async fn find(context: &Context) -> Result<Option<Found>> {
    if context.options().kubernetes.is_some() {
        return Ok(None);
    }
    credentials::find(context, &Artifact::Kubeconfig).await
}

/// Whether the store need not be asked for it.
pub(crate) fn is_at_hand(context: &Context) -> bool {
    let file = context.artifacts().read(&Artifact::Kubeconfig);
    context.options().kubernetes.is_some() || !matches!(file, Ok(None))
}

/// The Kubernetes API with what is at hand: the given access, or the kubeconfig of the cluster.
pub(crate) async fn access(context: &Context) -> Result<Option<Client>> {
    client_of(context, find(context).await?.as_ref()).transpose()
}

/// The same with the kubeconfig that [`find`] found.
pub(crate) fn client_of(context: &Context, found: Option<&Found>) -> Option<Result<Client>> {
    match &context.options().kubernetes {
        Some(access) => Some(given(context, access)),
        None => found.map(|found| client(context, &found.text)),
    }
}

/// Why the certificate of a file has to be replaced though it still works.
pub(crate) fn ending(client: &Client) -> Option<String> {
    let validity = client.kubeconfig().validity()?;
    validity
        .is_due(Timestamp::now())
        .then(|| format!("the certificate in kubeconfig ends at {}", validity.end))
}

fn given(context: &Context, access: &KubernetesAccess) -> Result<Client> {
    match access {
        KubernetesAccess::Client(client) => Ok(client.clone()),
        KubernetesAccess::Kubeconfig(kubeconfig) => {
            let machine = context.desired().first_control_plane();
            Ok(Client::builder((**kubeconfig).clone())
                .dial(super::kubernetes_socket(context, machine))
                .build()?)
        }
    }
}

async fn wait_until_accepted(
    context: &Context,
    client: impl Fn() -> Result<Client> + Send + Sync,
) -> Result<()> {
    let client = &client;
    Wait::new("the Kubernetes API", context, context.timing().kubernetes)
        .until(context, || async move {
            // A client for every probe, because the address may have moved since the last one.
            match client()?.version().await {
                Ok(_) => Ok(Probed::Ready(())),
                // The API server answers 401 and 403 for a moment while it starts.
                Err(error) if error.is_retryable() || is_starting(&error) => {
                    Ok(Probed::Retry(error.into()))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
}

fn is_starting(error: &services::Error) -> bool {
    matches!(
        error.kind(),
        services::ErrorKind::Unauthenticated | services::ErrorKind::Forbidden
    )
}

/// A client for the cluster through its first control plane node, so that DNS and load balancers may come later.
pub(crate) fn client(context: &Context, kubeconfig: &SecretString) -> Result<Client> {
    let machine = context.desired().first_control_plane();
    Ok(Client::builder(Kubeconfig::parse(kubeconfig)?)
        .dial(super::kubernetes_socket(context, machine))
        .timeout(context.timing().request)
        .build()?)
}
