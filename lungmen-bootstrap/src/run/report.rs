//! The name of a cluster, and what a finished run knows about it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use url::Url;

use crate::run::engine::StepReport;
use crate::spec::machine::Role;
use crate::state::artifacts::ArtifactFile;

/// The name of a cluster: a DNS name of at most 63 characters, because it becomes part of kubeconfig contexts,
/// certificate subjects and Argo CD cluster names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct ClusterName(String);

/// The text is no cluster name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a DNS name: lower-case letters, digits, '-' and '.', at most 63 characters")]
pub struct InvalidClusterName;

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = InvalidClusterName;

    fn from_str(text: &str) -> Result<Self, InvalidClusterName> {
        let good = text.len() <= 63 && text.split('.').all(is_label);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClusterName)
        }
    }
}

fn is_label(label: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.as_bytes().iter().all(inner)
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

/// A machine of the finished cluster.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct MachineInfo {
    /// Its name on Proxmox VE.
    pub name: String,
    /// Its VM id.
    pub vm_id: u32,
    /// What it does.
    pub role: Role,
    /// Where it is reached.
    pub address: IpAddr,
}

/// An application of the cluster in Argo CD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ApplicationInfo {
    /// Its name.
    pub name: String,
    /// Its sync status, `Synced`.
    pub sync: String,
    /// Its health, `Healthy`.
    pub health: String,
}

/// A cluster at the end of a complete run. It holds no secrets: those are in `files` and in OpenBao.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// The endpoint of its Kubernetes API.
    pub endpoint: Url,
    /// The Talos version of the nodes.
    pub talos_version: String,
    /// The Kubernetes version that the API server reported.
    pub kubernetes_version: String,
    /// The ID of the image schematic.
    pub schematic_id: String,
    /// The ISO volume the machines were booted from.
    pub iso: String,
    /// The installer image of the machine configurations.
    pub installer: String,
    /// The machines, control plane first, in the order of the specification.
    pub machines: Vec<MachineInfo>,
    /// The folder of the files.
    pub output: PathBuf,
    /// The files with their modes.
    pub files: Vec<ArtifactFile>,
    /// Where the secrets are in OpenBao.
    pub secrets: Option<String>,
    /// The name of the cluster in Argo CD.
    pub argocd_cluster: Option<String>,
    /// The applications of the cluster.
    pub applications: Vec<ApplicationInfo>,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// What the user should know although the run succeeded.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// Whether no step had anything to do.
    #[must_use]
    pub fn was_complete(&self) -> bool {
        self.steps
            .iter()
            .all(|report| report.outcome != crate::run::event::Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names() {
        for good in ["lungmen.akn", "a", "a-1.b"] {
            assert!(good.parse::<ClusterName>().is_ok(), "{good}");
        }
        for bad in ["", "Lungmen", "a..b", "-a", "a-", "a_b", &"a".repeat(64)] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
    }
}
