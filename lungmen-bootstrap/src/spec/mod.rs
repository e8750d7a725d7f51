//! The YAML specification of a cluster.
//!
//! Reading collects every finding with its path; no server is called before the specification is valid.

pub(crate) mod address;
pub(crate) mod cluster_name;
pub(crate) mod diagnostic;
mod document;
mod fields;
pub mod machine;
pub(crate) mod patch;
mod reference;
pub(crate) mod release;
mod yaml;

use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use crate::error::{Error, Result};
use crate::run::builder::ClusterBootstrapBuilder;
use crate::spec::machine::{MachineSpec, Placement};
use crate::spec::patch::PatchSource;
use crate::spec::release::TalosRelease;

/// The mount of the secrets when a specification names none.
const DEFAULT_MOUNT: &str = "secret";

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
///
/// It serializes to the form of the file. Patches appear by their file names only, because they may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A cluster `name` with the https `endpoint` of its Kubernetes API, without machines.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        endpoint: impl Into<String>,
        release: TalosRelease,
        placement: Placement,
    ) -> Self {
        Self {
            name: name.into(),
            endpoint: endpoint.into(),
            release,
            factory: None,
            proxmox_endpoint: None,
            placement,
            machines: Vec::new(),
            patches: Vec::new(),
            openbao: None,
            argocd: None,
        }
    }

    /// Adds a machine.
    #[must_use]
    pub fn machine(mut self, machine: MachineSpec) -> Self {
        self.machines.push(machine);
        self
    }

    /// Adds a machine configuration patch for all machines.
    #[must_use]
    pub fn config_patch(mut self, patch: PatchSource) -> Self {
        self.patches.push(patch);
        self
    }

    /// Sets the OpenBao secret that keeps the secrets of the cluster.
    #[must_use]
    pub fn openbao(mut self, target: OpenBaoTarget) -> Self {
        self.openbao = Some(target);
        self
    }

    /// Registers the cluster in Argo CD.
    #[must_use]
    pub fn argocd(mut self, target: ArgoCdTarget) -> Self {
        self.argocd = Some(target);
        self
    }

    /// The JSON Schema (draft 2020-12) of a specification file, for editors and validators.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(document::SpecDocument).to_value()
    }

    /// Every field of a specification file with type, default and example, as a Markdown table.
    #[must_use]
    pub fn field_reference() -> String {
        reference::markdown(&Self::json_schema())
    }

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

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        document::SpecDocument::from(self).serialize(serializer)
    }
}

/// Reads what [`Serialize`] wrote, with all findings in the message. A specification with patches is refused, because
/// their files cannot be read here: use [`Spec::load`] or [`Spec::parse`].
impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_yaml::Value::deserialize(deserializer)?;
        let refuse = |_: &str| Err(std::io::Error::other("read with Spec::load or Spec::parse"));
        yaml::spec_from_value(value, &refuse).map_err(|error| {
            let findings: Vec<String> = error
                .diagnostics()
                .iter()
                .map(ToString::to_string)
                .collect();
            D::Error::custom(findings.join("\n"))
        })
    }
}

fn read_patch(folder: &Path, name: &str) -> std::io::Result<String> {
    std::fs::read_to_string(folder.join(PathBuf::from(name)))
}
