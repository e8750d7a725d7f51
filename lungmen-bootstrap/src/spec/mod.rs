//! The YAML specification of a cluster.
//!
//! Reading collects every finding with its path; no server is called before the specification is valid.

pub(crate) mod cluster_name;
pub(crate) mod diagnostic;
mod fields;
pub mod machine;
pub(crate) mod patch;
pub(crate) mod release;
mod yaml;

use std::path::{Path, PathBuf};

use url::Url;

use crate::error::{Error, Result};
use crate::run::builder::ClusterBootstrapBuilder;
use crate::spec::machine::{MachineSpec, Placement};
use crate::spec::patch::PatchSource;
use crate::spec::release::TalosRelease;

/// Where the secrets of the cluster are kept in OpenBao.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenBaoTarget {
    /// The KV version 2 mount, `secret`.
    pub mount: String,
    /// The path of the secret below the mount, `talos/lungmen.akn`.
    pub path: String,
    /// The server of the specification; the caller builds the client from it.
    pub address: Option<Url>,
}

impl OpenBaoTarget {
    /// The secret `path` of the KV version 2 engine at `mount`.
    #[must_use]
    pub fn new(mount: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            mount: mount.into(),
            path: path.into(),
            address: None,
        }
    }
}

/// How the cluster is registered in Argo CD.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArgoCdTarget {
    /// The name of the cluster in Argo CD.
    pub cluster_name: String,
    /// Labels of the cluster; ApplicationSets select on them.
    pub labels: Vec<(String, String)>,
    /// The Argo CD server of the specification; the caller builds the client from it.
    pub server: Option<String>,
}

impl ArgoCdTarget {
    /// Registers the cluster as `cluster_name`.
    #[must_use]
    pub fn new(cluster_name: impl Into<String>) -> Self {
        Self {
            cluster_name: cluster_name.into(),
            labels: Vec::new(),
            server: None,
        }
    }

    /// Adds a label to the cluster in Argo CD.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }
}

/// A cluster as a YAML file describes it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Spec {
    /// The name of the cluster.
    pub name: String,
    /// The endpoint of the Kubernetes API.
    pub endpoint: String,
    /// The Talos release.
    pub release: TalosRelease,
    /// The Image Factory, when it is not the public one.
    pub factory: Option<Url>,
    /// The Proxmox VE API of the file; the caller builds the client from it.
    pub proxmox_endpoint: Option<Url>,
    /// Where machines are placed.
    pub placement: Placement,
    /// The machines.
    pub machines: Vec<MachineSpec>,
    /// Patches for every machine, in order.
    pub patches: Vec<PatchSource>,
    /// Where secrets are kept.
    pub openbao: Option<OpenBaoTarget>,
    /// How the cluster is registered.
    pub argocd: Option<ArgoCdTarget>,
}

impl Spec {
    /// Reads the file and the patch files it names (relative to its folder).
    ///
    /// # Errors
    /// `InvalidSpec` with all diagnostics of the file; `Io` when a file cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::io("read the specification", &path.display().to_string(), error)
        })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(&text, |name| read_patch(&folder, name))
    }

    /// Reads a specification from text. `patch_file` gives the text of a patch file by the name in the
    /// specification.
    ///
    /// # Errors
    /// `InvalidSpec` with all diagnostics.
    pub fn parse(text: &str, patch_file: impl Fn(&str) -> std::io::Result<String>) -> Result<Self> {
        yaml::spec(text, &patch_file)
    }

    /// A builder that has everything of the specification; the clients are still to be given.
    pub fn bootstrap(self) -> ClusterBootstrapBuilder {
        ClusterBootstrapBuilder::from_spec(self)
    }
}

fn read_patch(folder: &Path, name: &str) -> std::io::Result<String> {
    std::fs::read_to_string(folder.join(PathBuf::from(name)))
}
