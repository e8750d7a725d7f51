//! Settings that a document and the `v1alpha1` document both make.

use super::decoded;
use super::view::View;
use crate::config::schema::{Schema, parse_duration};
use crate::config::{Document, MachineConfig, TalosVersion, VersionContract};
use crate::go::address::is_address;
use crate::go::text::quoted;

/// A setting of the `v1alpha1` document that another document of the configuration makes as well, so that a node refuses the
/// configuration. Patches in the form of an older release cause it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Conflict {
    /// The setting in the `v1alpha1` document, for example `machine.network.hostname`.
    pub field: &'static str,
    /// The kind of the document that makes it, for example `HostnameConfig`.
    pub kind: String,
    /// The text of the reference validator, which is also an error of
    /// [`validate`](crate::config::MachineConfig::validate).
    pub message: String,
}

impl MachineConfig {
    /// The settings that both the `v1alpha1` document and another document make, of each document the first one. Nothing is
    /// sent and nothing is changed.
    ///
    /// ```
    /// use talos_client::config::{MachineConfig, TalosVersion};
    ///
    /// let version = TalosVersion::parse("v1.12.11")?;
    /// let text = "machine: {network: {hostname: a}}\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: b\n";
    /// let conflicts = MachineConfig::parse(text)?.conflicts(&version);
    /// assert_eq!((conflicts[0].field, conflicts[0].kind.as_str()), ("machine.network.hostname", "HostnameConfig"));
    /// # Ok::<(), talos_client::Error>(())
    /// ```
    #[must_use]
    pub fn conflicts(&self, version: &TalosVersion) -> Vec<Conflict> {
        let release = version.generator();
        let decoded = decoded(self, Schema::of_minor(release.minor()));
        let Some(v1alpha1) = Legacy::of(self, &decoded) else {
            return Vec::new();
        };
        let others = decoded.documents().iter().filter(|it| !it.is_v1alpha1());
        others
            .filter_map(|document| check(document, v1alpha1, release))
            .collect()
    }
}

/// The `v1alpha1` document, as the release decodes it and as it is written.
#[derive(Clone, Copy)]
pub(super) struct Legacy<'a> {
    decoded: View<'a>,
    written: View<'a>,
}

impl<'a> Legacy<'a> {
    pub(super) fn of(written: &'a MachineConfig, decoded: &'a MachineConfig) -> Option<Self> {
        Some(Self {
            decoded: View::new(Some(decoded.v1alpha1()?)),
            written: View::new(written.v1alpha1()),
        })
    }

    pub(super) fn decoded(self) -> View<'a> {
        self.decoded
    }

    /// Whether a section is there; an empty mapping is one, although the release does not print it.
    fn has_section(self, path: &str) -> bool {
        self.decoded.at(path).is_set() || self.written.at(path).is_mapping()
    }
}

/// The field and the text of a conflict.
type Found = Option<(&'static str, String)>;

/// The conflict of one document with the `v1alpha1` document; only the first is reported.
pub(super) fn check(
    document: &Document,
    legacy: Legacy<'_>,
    release: VersionContract,
) -> Option<Conflict> {
    let v1alpha1 = legacy.decoded;
    let view = View::new(Some(document.node()));
    let since = |minimum: VersionContract| release >= minimum;
    let (field, message) = match document.kind() {
        "VolumeConfig" if since(VersionContract::V1_11) => volume(view, v1alpha1),
        "HostnameConfig" => hostname(v1alpha1),
        "ResolverConfig" => resolver(view, v1alpha1, release),
        "TimeSyncConfig" => time_sync(v1alpha1.at("machine.time")),
        "KubeSpanConfig" => set(
            v1alpha1,
            "machine.network.kubespan",
            "kubespan is already configured in v1alpha1 machine.network.kubespan",
        ),
        _ if since(VersionContract::V1_14) => newer(document.kind(), legacy),
        _ => None,
    }?;
    Some(Conflict {
        field,
        kind: document.kind().to_owned(),
        message,
    })
}

fn set(v1alpha1: View<'_>, path: &'static str, text: &str) -> Found {
    v1alpha1.at(path).is_set().then(|| (path, text.to_owned()))
}

fn volume(document: View<'_>, v1alpha1: View<'_>) -> Found {
    let name = document.get("name").text();
    let legacy = match name {
        "STATE" => "machine.systemDiskEncryption.state",
        "EPHEMERAL" => "machine.systemDiskEncryption.ephemeral",
        _ => return None,
    };
    let encrypts = !matches!(document.at("encryption.provider").text(), "" | "none");
    (encrypts && v1alpha1.at(legacy).is_set()).then(|| {
        let text = format!(
            "system disk encryption for {} is configured in both v1alpha1.Config and VolumeConfig",
            quoted(name)
        );
        (legacy, text)
    })
}

fn hostname(v1alpha1: View<'_>) -> Found {
    const STATIC: &str = "machine.network.hostname";
    const STABLE: &str = "machine.features.stableHostname";
    let already = |path, what: &str| {
        let text = format!("{what} hostname is already set in v1alpha1 config");
        Some((path, text))
    };
    if v1alpha1.at(STATIC).has_text() {
        already(STATIC, "static")
    } else if v1alpha1.at(STABLE).is_true() {
        already(STABLE, "stable")
    } else {
        None
    }
}

fn resolver(document: View<'_>, v1alpha1: View<'_>, release: VersionContract) -> Found {
    let network = v1alpha1.at("machine.network");
    let already = |path| Some((path, format!(".{path} is already set in v1alpha1 config")));
    if network.get("searchDomains").has_content() {
        return already("machine.network.searchDomains");
    }
    // Since v1.14 a name server that is no address counts as not set.
    let mut nameservers = network.get("nameservers").texts();
    if nameservers.any(|text| release < VersionContract::V1_14 || is_address(text)) {
        return already("machine.network.nameservers");
    }
    if network.get("disableSearchDomain").is_true() {
        return already("machine.network.disableSearchDomain");
    }
    let host_dns = document.get("hostDNS").has_content();
    if release >= VersionContract::V1_14
        && host_dns
        && v1alpha1.at("machine.features.hostDNS").is_set()
    {
        return already("machine.features.hostDNS");
    }
    None
}

fn time_sync(time: View<'_>) -> Found {
    let both = |what: &str| {
        let text = format!("{what} in both v1alpha1 and new-style configuration");
        Some(("machine.time", text))
    };
    if time.get("disabled").is_true() {
        return both("time sync cannot be disabled");
    }
    if time.get("servers").has_content() {
        return both("time servers cannot be specified");
    }
    if parse_duration(time.get("bootTimeout").text()).unwrap_or_default() != 0 {
        return both("boot timeout cannot be specified");
    }
    None
}

/// Kinds of v1.14 that replace a part of the `v1alpha1` document: the part, and the text when it is still there.
const REPLACED: [(&str, &str, &str); 32] = [
    (
        "UnattendedInstallConfig",
        "machine.install",
        "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)",
    ),
    (
        "KubeNodeConfig",
        "cluster.allowSchedulingOnControlPlanes",
        ".cluster.allowSchedulingOnControlPlanes is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "cluster.allowSchedulingOnMasters",
        ".cluster.allowSchedulingOnMasters is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "machine.kubelet.skipNodeRegistration",
        ".machine.kubelet.skipNodeRegistration is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "machine.kubelet.registerWithFQDN",
        ".machine.kubelet.registerWithFQDN is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "machine.kubelet.nodeIP",
        ".machine.kubelet.nodeIP is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "machine.nodeLabels",
        ".machine.nodeLabels is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "machine.nodeAnnotations",
        ".machine.nodeAnnotations is already set in v1alpha1 config",
    ),
    (
        "KubeNodeConfig",
        "machine.nodeTaints",
        ".machine.nodeTaints is already set in v1alpha1 config",
    ),
    (
        "KubeletConfig",
        "machine.kubelet",
        "kubelet config is already set in v1alpha1 config (.machine.kubelet)",
    ),
    (
        "KubeCredentialProviderConfig",
        "machine.kubelet",
        "cannot use KubeCredentialProviderConfig with legacy kubelet configuration (.machine.kubelet)",
    ),
    (
        "KubeClusterConfig",
        "cluster.clusterName",
        "cluster name is already set in the v1alpha1 config (.cluster.clusterName). Please remove it and use only the new KubeClusterConfig document to avoid conflicts",
    ),
    (
        "KubeClusterConfig",
        "cluster.controlPlane.endpoint",
        "cluster endpoint is already set in the v1alpha1 config (.cluster.controlPlane.endpoint). Please remove it and use only the new KubeClusterConfig document to avoid conflicts",
    ),
    (
        "KubeNetworkConfig",
        "cluster.network",
        "cluster network config is already set in the v1alpha1 config (.machine.cluster.network). Please remove it and use only the new KubeNetworkConfig document to avoid conflicts",
    ),
    (
        "KubeFlannelCNIConfig",
        "cluster.network",
        "cluster network config in v1alpha1 config (.machine.cluster.network) can't be used with KubeFlannelCNIConfig document, please remove it to avoid conflicts",
    ),
    (
        "KubeAPIServerConfig",
        "cluster.apiServer",
        "kube-apiserver config is already set in v1alpha1 config (.cluster.apiServer)",
    ),
    (
        "KubeAPIServerConfig",
        "cluster.controlPlane.localAPIServerPort",
        "kube-apiserver API port is already set in v1alpha1 config (.cluster.controlPlane.localAPIServerPort)",
    ),
    (
        "KubeControllerManagerConfig",
        "cluster.controllerManager",
        "kube-controller-manager config is already set in v1alpha1 config (.cluster.controllerManager)",
    ),
    (
        "KubeControllerManagerConfig",
        "machine.controlPlane.controllerManager",
        "kube-controller-manager config is already set in v1alpha1 config (.machine.controlplane.controllerManager)",
    ),
    (
        "KubeSchedulerConfig",
        "cluster.scheduler",
        "kube-scheduler config is already set in v1alpha1 config (.cluster.scheduler)",
    ),
    (
        "KubeSchedulerConfig",
        "machine.controlPlane.scheduler",
        "kube-scheduler config is already set in v1alpha1 config (.machine.controlplane.scheduler)",
    ),
    (
        "KubeProxyConfig",
        "cluster.proxy",
        "cluster proxy config in v1alpha1 config (.machine.cluster.proxy) can't be used with KubeProxyConfig document, please remove it to avoid conflicts",
    ),
    (
        "KubeCoreDNSConfig",
        "cluster.coreDNS",
        "CoreDNS config is already set in v1alpha1 config (.cluster.coreDNS)",
    ),
    (
        "KubePrismConfig",
        "machine.features.kubePrism",
        "KubePrism config in v1alpha1 config (.machine.features.kubePrism) can't be used with KubePrismConfig document, please remove it to avoid conflicts",
    ),
    (
        "KubeServiceAccountConfig",
        "cluster.serviceAccount",
        "service account is already set in v1alpha1 config (.cluster.serviceAccount)",
    ),
    (
        "KubeAPIServerCAConfig",
        "cluster.ca",
        "kube-apiserver CA is already set in v1alpha1 config (.cluster.ca)",
    ),
    (
        "KubeAggregatorCAConfig",
        "cluster.aggregatorCA",
        "kube-apiserver aggregator CA is already set in v1alpha1 config (.cluster.aggregatorCA), please remove it and use the new KubeAggregatorCAConfig document instead",
    ),
    (
        "KubeTalosAPIAccessConfig",
        "machine.features.kubernetesTalosAPIAccess",
        ".machine.features.kubernetesTalosAPIAccess is already set in v1alpha1 config",
    ),
    (
        "DiscoveryServiceConfig",
        "cluster.discovery",
        "discovery service is already configured in .cluster.discovery of the v1alpha1 config",
    ),
    (
        "DiscoveryIdentityConfig",
        "cluster.id",
        "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config",
    ),
    (
        "DiscoveryIdentityConfig",
        "cluster.secret",
        "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config",
    ),
    (
        "ImageCacheConfig",
        "machine.features.imageCache",
        "image cache config is already set in v1alpha1 config",
    ),
];

/// Parts that only count when they have content.
const REPLACED_CONTENT: [(&str, &str, &str); 4] = [
    (
        "KubeAdmissionControlConfig",
        "cluster.apiServer.admissionControl",
        "admission control plugin config is already set in v1alpha1 config",
    ),
    (
        "KubeAuthorizerConfig",
        "cluster.apiServer.admissionControl",
        "admission control plugin config is already set in v1alpha1 config",
    ),
    (
        "KubeAuditPolicyConfig",
        "cluster.apiServer.auditPolicy",
        "audit policy config is already set in v1alpha1 config",
    ),
    (
        "CRIBaseRuntimeSpecConfig",
        "machine.baseRuntimeSpecOverrides",
        "base runtime spec overrides are already set in v1alpha1 config",
    ),
];

fn newer(kind: &str, legacy: Legacy<'_>) -> Found {
    let v1alpha1 = legacy.decoded;
    let replaced = REPLACED
        .iter()
        .find(|(of, path, _)| *of == kind && legacy.has_section(path));
    let emptied = || {
        REPLACED_CONTENT
            .iter()
            .find(|(of, path, _)| *of == kind && v1alpha1.at(path).has_content())
    };
    if let Some((_, path, text)) = replaced.or_else(emptied) {
        return Some((path, (*text).to_owned()));
    }
    let secrets = [
        "cluster.secretboxEncryptionSecret",
        "cluster.aescbcEncryptionSecret",
    ];
    let secret = secrets
        .into_iter()
        .find(|path| v1alpha1.at(path).has_text())?;
    (kind == "KubeEtcdEncryptionConfig").then(|| {
        let text = "etcd encryption config is already set in v1alpha1 config";
        (secret, text.to_owned())
    })
}
