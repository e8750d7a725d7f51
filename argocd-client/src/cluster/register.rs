//! Registration that neither duplicates nor destroys.

use std::iter::once;
use std::time::Duration;

use http::Method;
use serde::Serialize;

use super::credential_test::{self, CredentialTest, is_rejection};
use super::{CLUSTERS, Cluster, ClusterSpec, ClusterUpdate, Clusters, OnExisting};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};

/// The cluster after its registration, and what was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Registration {
    /// The entry as the server shows it.
    pub cluster: Cluster,
    /// What was done.
    pub outcome: RegistrationOutcome,
}

/// What a registration did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RegistrationOutcome {
    /// No entry for the address existed.
    Created,
    /// The entry existed; these fields were changed.
    Updated(Vec<&'static str>),
    /// The entry existed and matched the specification, and the cluster accepts its credentials.
    Unchanged,
}

pub(super) async fn register(clusters: &Clusters, spec: &ClusterSpec) -> Result<Registration> {
    spec.check()?;
    match existing(clusters, spec).await? {
        Some(cluster) => reconcile(clusters, spec, cluster).await,
        None => create(clusters, spec).await,
    }
}

/// The entry for the address of the specification, after the check that name and address belong together.
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
    let may_heal = spec.on_existing == OnExisting::Update && !update.changes_credentials();
    if may_heal && credential_test::reported(&cluster).is_some() {
        return send(
            clusters,
            &cluster,
            update.with_credentials_of(&cluster, spec),
        )
        .await;
    }
    if update.is_empty() {
        return judge(clusters, spec, cluster, may_heal).await;
    }
    match send(clusters, &cluster, update.clone()).await {
        // The server tries the stored credentials before it stores a label.
        Err(error) if may_heal && is_rejection(&error) => {
            send(
                clusters,
                &cluster,
                update.with_credentials_of(&cluster, spec),
            )
            .await
        }
        result => result,
    }
}

/// Nothing differs as far as it can be read; the stored credentials are tried, because they cannot
/// be read and the annotation only says what was sent once.
async fn judge(
    clusters: &Clusters,
    spec: &ClusterSpec,
    cluster: Cluster,
    may_heal: bool,
) -> Result<Registration> {
    match credential_test::run(clusters, cluster.clone()).await? {
        CredentialTest::Accepted(cluster) | CredentialTest::NotTried(cluster) => {
            Ok(unchanged(cluster))
        }
        CredentialTest::Rejected(_) if may_heal => {
            let update = ClusterUpdate::new().with_credentials_of(&cluster, spec);
            send(clusters, &cluster, update).await
        }
        CredentialTest::Rejected(error) => Err(error),
    }
}

fn unchanged(cluster: Cluster) -> Registration {
    Registration {
        cluster,
        outcome: RegistrationOutcome::Unchanged,
    }
}

async fn send(
    clusters: &Clusters,
    cluster: &Cluster,
    update: ClusterUpdate,
) -> Result<Registration> {
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

/// Another client registered the address between the lookup and the request.
async fn raced(clusters: &Clusters, spec: &ClusterSpec, error: Error) -> Result<Registration> {
    match existing(clusters, spec).await? {
        Some(cluster) => reconcile(clusters, spec, cluster).await,
        None => Err(error),
    }
}

/// The response was lost: a proxy gives up before Argo CD does. The entry shows what happened; it
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
            Err(lookup) if lookup.is_retryable() => {}
            Err(lookup) => return Err(lookup),
        }
    }
    Err(error)
}
