//! Whether a cluster may be removed: no application may target it.

use super::{Cluster, Clusters};
use crate::account;
use crate::application::{ApplicationFilter, Applications};
use crate::error::{Error, ErrorKind, Result};

/// Refuses the deletion while an application targets the cluster, or while rights hide applications.
///
/// The count that a cluster shows is about ten seconds old and says nothing about applications that
/// were created since.
pub(super) async fn refuse_while_targeted(clusters: &Clusters, cluster: &Cluster) -> Result<()> {
    let applications = Applications::new(clusters.transport.clone());
    let all = applications.list(&ApplicationFilter::all()).await?;
    let targeting: Vec<String> = all
        .iter()
        .filter(|application| cluster.is_target_of(&application.spec.destination))
        .map(|application| application.metadata.qualified_name())
        .collect();
    let error = |kind| Error::new(kind, "delete cluster").with_target(&cluster.server);
    if !targeting.is_empty() {
        return Err(error(ErrorKind::NotReady).with_message(format!(
            "{} applications target the cluster: {}",
            targeting.len(),
            targeting.join(", ")
        )));
    }
    if cluster.applications_count() > 0 {
        return Err(error(ErrorKind::NotReady).with_message(format!(
            "{} applications that the account cannot see target the cluster",
            cluster.applications_count()
        )));
    }
    if !account::allowed(&clusters.transport, "applications", "get", "*/*").await? {
        return Err(error(ErrorKind::Forbidden).with_message(
            "the account may not get applications */*: applications that it cannot see may target the cluster",
        ));
    }
    Ok(())
}
