//! The options of `gen config`.

use super::bundle::GeneratedConfigs;
use super::endpoint::Endpoint;
use super::machine_type::MachineType;
use super::mirrors::Mirrors;
use super::plan::Plan;
use crate::config::{ConfigPatch, MachineConfig, TalosVersion, VersionContract};
use crate::error::{Error, Result};
use crate::secrets::{Role, SecretsBundle};
use crate::talosconfig::Talosconfig;

/// What to generate machine configuration from. Setters are named after the options of `talosctl gen config`.
///
/// With the same bundle and the same options the result is always the same. Nothing is sent anywhere, and the input can be
/// generated from as often as needed.
///
/// ```
/// use talos_client::config::{ConfigPatch, GenerateInput, MachineType, TalosVersion, VersionContract};
/// use talos_client::secrets::SecretsBundle;
///
/// # fn main() -> Result<(), talos_client::Error> {
/// let bundle = SecretsBundle::generate_blocking(VersionContract::new(1, 6))?;
///
/// let config = GenerateInput::new("lungmen.akn", "https://10.0.2.10:6443", &bundle)?
///     .talos_version(TalosVersion::parse("v1.10.7")?)
///     .install_disk("/dev/vda")
///     .config_patch(ConfigPatch::new("machine: {network: {hostname: tal01}}"))
///     .generate(MachineType::ControlPlane)?;
///
/// let machine = config.v1alpha1().unwrap().get("machine").unwrap();
/// assert_eq!(machine.path(&["kubelet", "image"]).unwrap().as_str(), Some("ghcr.io/siderolabs/kubelet:v1.33.4"));
/// assert_eq!(machine.path(&["network", "hostname"]).unwrap().as_str(), Some("tal01"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct GenerateInput {
    pub(super) cluster_name: String,
    pub(super) endpoint: Endpoint,
    pub(super) secrets: SecretsBundle,
    pub(super) talos_version: TalosVersion,
    pub(super) contract: Option<VersionContract>,
    pub(super) kubernetes_version: Option<String>,
    pub(super) additional_sans: Vec<String>,
    pub(super) dns_domain: String,
    pub(super) install_disk: String,
    pub(super) install_image: Option<String>,
    pub(super) persist: bool,
    pub(super) cluster_discovery: bool,
    pub(super) kubespan: bool,
    pub(super) kubernetes: bool,
    pub(super) mirrors: Mirrors,
    pub(super) with_docs: bool,
    pub(super) with_examples: bool,
    patches: Vec<ConfigPatch>,
    control_plane_patches: Vec<ConfigPatch>,
    worker_patches: Vec<ConfigPatch>,
}

impl GenerateInput {
    /// Input with the defaults of `talosctl` for everything else, for the newest final Talos release this crate knows.
    ///
    /// `endpoint` is the URL of the Kubernetes API: `https://`, a host, and a port.
    ///
    /// # Errors
    /// `InvalidInput` with the reference's text when the endpoint is not such a URL.
    pub fn new(
        cluster_name: impl Into<String>,
        endpoint: &str,
        secrets: &SecretsBundle,
    ) -> Result<Self> {
        Ok(Self {
            cluster_name: cluster_name.into(),
            endpoint: Endpoint::parse(endpoint)?,
            secrets: secrets.clone(),
            talos_version: TalosVersion::latest(),
            contract: None,
            kubernetes_version: None,
            additional_sans: Vec::new(),
            dns_domain: "cluster.local".to_owned(),
            install_disk: "/dev/sda".to_owned(),
            install_image: None,
            persist: true,
            cluster_discovery: true,
            kubespan: false,
            kubernetes: true,
            mirrors: Mirrors::default(),
            with_docs: false,
            with_examples: false,
            patches: Vec::new(),
            control_plane_patches: Vec::new(),
            worker_patches: Vec::new(),
        })
    }

    /// Checks an endpoint as [`GenerateInput::new`] does, for callers that generate the secrets afterwards.
    ///
    /// # Errors
    /// As [`GenerateInput::new`].
    pub fn check_endpoint(endpoint: &str) -> Result<()> {
        Endpoint::parse(endpoint).map(drop)
    }

    /// The Talos release the nodes run: it decides the contract, the default Kubernetes version and the tag of the installer.
    ///
    /// Unlike here, `talosctl --talos-version` changes the contract only, and the other two follow the version of `talosctl`.
    pub fn talos_version(mut self, version: TalosVersion) -> Self {
        self.talos_version = version;
        self
    }

    /// Writes the documents for another contract than that of [`GenerateInput::talos_version`]. A newer one has no effect.
    ///
    /// This is what `talosctl` of that release does with `--talos-version`.
    pub const fn version_contract(mut self, contract: VersionContract) -> Self {
        self.contract = Some(contract);
        self
    }

    /// The Kubernetes version, with or without `v`, instead of the default of the Talos release.
    ///
    /// An empty one leaves all image fields out, which v1.14 refuses. From Talos v1.10 on, a version that the release does not
    /// support is refused, which `talosctl` itself leaves to the node.
    pub fn kubernetes_version(mut self, version: impl Into<String>) -> Self {
        self.kubernetes_version = Some(version.into());
        self
    }

    /// More names and addresses for the certificates of the Talos API and the Kubernetes API. Repeated calls add up.
    pub fn additional_sans<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.additional_sans
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// The DNS domain of the cluster instead of `cluster.local`.
    pub fn dns_domain(mut self, domain: impl Into<String>) -> Self {
        self.dns_domain = domain.into();
        self
    }

    /// The disk to install to instead of `/dev/sda`. An empty one leaves the field out, for a selector in a patch.
    pub fn install_disk(mut self, disk: impl Into<String>) -> Self {
        self.install_disk = disk.into();
        self
    }

    /// The installer image instead of [`TalosVersion::default_install_image`].
    pub fn install_image(mut self, image: impl Into<String>) -> Self {
        self.install_image = Some(image.into());
        self
    }

    /// The node loses its configuration at a reboot. Without effect from v1.13 on, where it always keeps it.
    pub const fn without_persistence(mut self) -> Self {
        self.persist = false;
        self
    }

    /// Nodes do not find each other through the discovery service.
    pub const fn without_cluster_discovery(mut self) -> Self {
        self.cluster_discovery = false;
        self
    }

    /// Nodes communicate through WireGuard.
    pub const fn kubespan(mut self) -> Self {
        self.kubespan = true;
        self
    }

    /// Leaves Kubernetes and etcd out (the hidden `--skip-k8s-etcd` of v1.14), for machines that only run Talos: the documents of
    /// Kubernetes, `cluster.etcd`, and the token of control planes. The bundle must be complete all the same. Without effect before
    /// v1.14, and the sections that an older [`GenerateInput::version_contract`] has in `v1alpha1` stay.
    pub const fn without_kubernetes(mut self) -> Self {
        self.kubernetes = false;
        self
    }

    /// Asks `url` for images of the registry `host`. A second URL of the same host replaces the first up to v1.11, and is added
    /// from v1.12 on.
    pub fn registry_mirror(mut self, host: impl Into<String>, url: impl Into<String>) -> Self {
        self.mirrors.push(host.into(), url.into());
        self
    }

    /// Like [`GenerateInput::registry_mirror`] with `host=url`, as the command line takes it.
    ///
    /// # Errors
    /// `InvalidInput` with the reference's text when there is no `=`.
    pub fn registry_mirror_spec(self, specification: &str) -> Result<Self> {
        let (host, url) = Mirrors::split(specification)?;
        Ok(self.registry_mirror(host, url))
    }

    /// Shows the empty containers that the reference shows when it writes comments (`--with-docs`, its default).
    ///
    /// The comments themselves are never written: Talos drops them. The containers are `machine.registries`,
    /// `cluster.extraManifests` and `cluster.inlineManifests`; Talos treats empty and missing alike.
    pub const fn with_docs(mut self) -> Self {
        self.with_docs = true;
        self
    }

    /// Like [`GenerateInput::with_docs`], for `--with-examples`: either switches the reference to its commented output.
    pub const fn with_examples(mut self) -> Self {
        self.with_examples = true;
        self
    }

    /// Applies a patch to all configurations, after those given before.
    pub fn config_patch(mut self, patch: ConfigPatch) -> Self {
        self.patches.push(patch);
        self
    }

    /// Applies a patch to control plane configurations, after those for all.
    pub fn config_patch_control_plane(mut self, patch: ConfigPatch) -> Self {
        self.control_plane_patches.push(patch);
        self
    }

    /// Applies a patch to the worker configuration, after those for all.
    pub fn config_patch_worker(mut self, patch: ConfigPatch) -> Self {
        self.worker_patches.push(patch);
        self
    }

    /// Generates and patches the configuration of one machine type. It is not validated.
    ///
    /// Only this type's patches are read; [`GenerateInput::generate_all`] fails as `talosctl` does when any of them fails.
    ///
    /// # Errors
    /// `InvalidInput` for what cannot be generated from; `Validation` for an incomplete bundle; `InvalidDocument` for a patch,
    /// with the reference's text. A Kubernetes version that does not fit the release is generated, as the reference does it:
    /// [`MachineConfig::lint`] notices it.
    pub fn generate(&self, kind: MachineType) -> Result<MachineConfig> {
        let (_, own_patches) = self.patches_of(kind);
        self.check_patches(self.patches.iter().chain(own_patches))?;
        self.patched(&Plan::new(self)?, kind)
    }

    /// Generates and patches all three configurations, as `talosctl` does whichever of them it writes.
    ///
    /// # Errors
    /// As [`GenerateInput::generate`].
    pub fn generate_all(&self) -> Result<GeneratedConfigs> {
        let all = [
            &self.patches,
            &self.control_plane_patches,
            &self.worker_patches,
        ];
        self.check_patches(all.into_iter().flatten())?;
        let plan = Plan::new(self)?;
        Ok(GeneratedConfigs {
            init: self.patched(&plan, MachineType::Init)?,
            controlplane: self.patched(&plan, MachineType::ControlPlane)?,
            worker: self.patched(&plan, MachineType::Worker)?,
        })
    }

    /// A talosconfig with a new administrator certificate and no endpoints, as `gen config` writes it.
    ///
    /// # Errors
    /// As [`ClientCertificateRequest::issue`](crate::secrets::ClientCertificateRequest::issue).
    pub fn talosconfig(&self) -> Result<Talosconfig> {
        let certificate = self.secrets.client_certificate(Role::Admin).issue()?;
        Ok(Talosconfig::for_cluster(
            self.cluster_name.as_str(),
            &certificate,
        ))
    }

    fn patches_of(&self, kind: MachineType) -> (&'static str, &[ConfigPatch]) {
        match kind {
            MachineType::Worker => ("worker config", &self.worker_patches),
            _ => ("control plane configs", &self.control_plane_patches),
        }
    }

    fn check_patches<'a>(&self, patches: impl IntoIterator<Item = &'a ConfigPatch>) -> Result<()> {
        for patch in patches {
            patch
                .check(&self.talos_version)
                .map_err(|cause| explained(&cause, "error parsing config JSON patch"))?;
        }
        Ok(())
    }

    fn patched(&self, plan: &Plan<'_>, kind: MachineType) -> Result<MachineConfig> {
        let (name, own_patches) = self.patches_of(kind);
        let groups = [("configs", self.patches.as_slice()), (name, own_patches)];
        let mut config = plan
            .config(kind)?
            .patched_in_groups(&groups, &self.talos_version)
            .map_err(|cause| explained(&cause, "failed to generate config bundle"))?;
        if plan.has_comments()
            && !self.has_json_patch(own_patches)
            && let Some(root) = config.v1alpha1_mut()
        {
            plan.show_empty_containers(kind, root);
        }
        Ok(config)
    }

    /// The reference prints and reads the configuration again for a JSON patch, and loses the empty containers by it.
    fn has_json_patch(&self, own_patches: &[ConfigPatch]) -> bool {
        let mut patches = self.patches.iter().chain(own_patches);
        patches.any(|patch| patch.is_json(&self.talos_version))
    }
}

fn explained(cause: &Error, context: &str) -> Error {
    Error::new(cause.kind(), "generate machine configuration")
        .with_target(cause.target())
        .with_message(format!("{context}: {}", cause.message()))
}
