//! Registration that neither duplicates nor destroys.

use std::iter::once;
use std::time::Duration;

use http::Method;

use super::{CLUSTERS, Cluster, ClusterSpec, ClusterUpdate, Clusters, OnExisting};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};

/// The cluster after its registration, and what was done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Registration {
    /// The entry as the server shows it.
    pub cluster: Cluster,
    /// What was done.
    pub outcome: RegistrationOutcome,
}

/// What a registration did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationOutcome {
    /// There was no entry for the address.
    Created,
    /// The entry existed; these fields were changed.
    Updated(Vec<&'static str>),
    /// The entry existed and was as wanted.
    Unchanged,
}

pub(super) async fn register(clusters: &Clusters, spec: &ClusterSpec) -> Result<Registration> {
    spec.check()?;
    match existing(clusters, spec).await? {
        Some(cluster) => reconcile(clusters, spec, cluster).await,
        None => create(clusters, spec).await,
    }
}

/// The entry for our address, after making sure that name and address belong together.
async fn existing(clusters: &Clusters, spec: &ClusterSpec) -> Result<Option<Cluster>> {
    let by_server = clusters.find(&spec.server).await?;
    let by_name = clusters.find_by_name(&spec.name).await?;
    if let Some(other) = by_name
        .as_ref()
        .filter(|cluster| !cluster.is_at(&spec.server))
    {
        // The server would accept it, and every application that uses the name would break with
        // "there are 2 clusters with the same name".
        return Err(conflict(
            spec,
            format!("the name {:?} belongs to {}", spec.name, other.server),
        ));
    }
    // An entry made by hand may spell the address differently; the name finds it then.
    let entry = by_server.or(by_name);
    match &entry {
        Some(cluster) if cluster.name != spec.name && !spec.rename => Err(conflict(
            spec,
            format!("the address is registered as {:?}", cluster.name),
        )),
        _ => Ok(entry),
    }
}

fn conflict(spec: &ClusterSpec, message: String) -> Error {
    Error::new(ErrorKind::Conflict, "register cluster")
        .with_target(spec.server.as_str())
        .with_message(message)
}

async fn reconcile(
    clusters: &Clusters,
    spec: &ClusterSpec,
    cluster: Cluster,
) -> Result<Registration> {
    if spec.on_existing == OnExisting::Fail {
        return Err(Error::new(ErrorKind::AlreadyExists, "register cluster")
            .with_target(spec.server.as_str())
            .with_message(format!("registered already as {:?}", cluster.name)));
    }
    let update = ClusterUpdate::between(&cluster, spec);
    if update.is_empty() {
        return Ok(Registration {
            cluster,
            outcome: RegistrationOutcome::Unchanged,
        });
    }
    let outcome = RegistrationOutcome::Updated(update.fields());
    let cluster = clusters.put(&cluster.server, &update).await?;
    Ok(Registration { cluster, outcome })
}

async fn create(clusters: &Clusters, spec: &ClusterSpec) -> Result<Registration> {
    let call = Call::new("create cluster", Method::POST, CLUSTERS, &[])
        .target(spec.server.as_str())
        .talks_to_cluster()
        .body(&spec.body())?;
    match clusters.transport.send::<Cluster>(&call).await {
        Ok(cluster) => Ok(Registration {
            cluster,
            outcome: RegistrationOutcome::Created,
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            raced(clusters, spec, error).await
        }
        Err(error) if error.may_have_taken_effect() => look_up(clusters, spec, error).await,
        Err(error) => Err(error),
    }
}

/// Somebody registered the address between our look and our request.
async fn raced(clusters: &Clusters, spec: &ClusterSpec, error: Error) -> Result<Registration> {
    match existing(clusters, spec).await? {
        Some(cluster) => reconcile(clusters, spec, cluster).await,
        None => Err(error),
    }
}

/// The answer was lost: a proxy gives up before Argo CD does. The entry tells what happened; it
/// may appear a moment later.
async fn look_up(clusters: &Clusters, spec: &ClusterSpec, error: Error) -> Result<Registration> {
    for delay in once(Duration::ZERO).chain(clusters.transport.retry.schedule()) {
        tokio::time::sleep(delay).await;
        match clusters.find(&spec.server).await {
            Ok(Some(cluster)) if cluster.name == spec.name => {
                return Ok(Registration {
                    cluster,
                    outcome: RegistrationOutcome::Created,
                });
            }
            Ok(_) => {}
            Err(look) if look.is_retryable() => {}
            Err(look) => return Err(look),
        }
    }
    Err(error)
}
