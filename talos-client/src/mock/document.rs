//! What a mock node takes from its configuration.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::identity::Signer;
use crate::config::{
    Diagnostic, MachineConfig, Mode, TalosVersion, ValidationOptions, parse_duration,
};
use crate::go::text::multi_error;
use crate::go::yaml::Node;

/// Why a configuration is refused, in the words of the reference.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be read.
    Unreadable(String),
    /// It breaks rules.
    Invalid(String),
}

/// Certificate and, on control plane nodes, key of an authority, in PEM.
#[derive(Debug, Clone)]
pub(super) struct AuthorityPem {
    pub(super) certificate: String,
    pub(super) key: Option<SecretString>,
}

impl AuthorityPem {
    pub(super) fn signer(&self) -> Option<Signer> {
        Signer::from_pem(&self.certificate, self.key.as_ref()?).ok()
    }
}

/// One year, the default of `cluster.adminKubeconfig.certLifetime`.
const KUBECONFIG_LIFETIME: Duration = Duration::from_hours(8760);

/// What the mock acts upon; the rest of the text is only kept.
#[derive(Debug)]
pub(super) struct NodeConfig {
    pub(super) text: SecretString,
    pub(super) is_control_plane: bool,
    pub(super) talos_ca: AuthorityPem,
    pub(super) accepted_cas: Vec<String>,
    pub(super) sans: Vec<String>,
    pub(super) hostname: Option<String>,
    pub(super) cluster_name: String,
    pub(super) cluster_endpoint: String,
    pub(super) kubernetes_ca: Option<AuthorityPem>,
    /// How long the certificate of a kubeconfig lasts.
    pub(super) kubeconfig_lifetime: Duration,
    pub(super) install: Option<Install>,
    pub(super) has_cni: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Install {
    pub(super) target: InstallTarget,
    pub(super) image: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InstallTarget {
    Disk(String),
    Selector,
    Missing,
}

/// A configuration that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    /// `None` without a v1alpha1 document: it is kept, and the node goes on waiting.
    pub(super) config: Option<NodeConfig>,
    pub(super) warnings: Vec<String>,
}

/// Reads a configuration as a node of this version does.
pub(super) fn read(
    text: &SecretString,
    version: &TalosVersion,
    platform: &str,
) -> Result<Accepted, Refusal> {
    let mode = if platform == "metal" {
        Mode::Metal
    } else {
        Mode::Cloud
    };
    let unreadable = |error: crate::Error| Refusal::Unreadable(error.message().to_owned());
    let config = MachineConfig::load(text.expose_secret(), version).map_err(unreadable)?;
    if config.documents().is_empty() {
        return Err(Refusal::Unreadable("config not found".to_owned()));
    }

    let validation = config.validate(&ValidationOptions::new(mode, version));
    if !validation.is_valid() {
        return Err(Refusal::Invalid(multi_error(&messages(
            validation.errors(),
        ))));
    }
    Ok(Accepted {
        config: config
            .v1alpha1()
            .is_some()
            .then(|| NodeConfig::new(text, &config)),
        warnings: messages(validation.warnings()),
    })
}

fn messages<'a>(found: impl Iterator<Item = &'a Diagnostic>) -> Vec<String> {
    found.map(|found| found.message.clone()).collect()
}

impl NodeConfig {
    fn new(text: &SecretString, config: &MachineConfig) -> Self {
        let document = |kind: &str| {
            config
                .of_kind(kind)
                .next()
                .map(|found| found.node().clone())
        };
        let main = config.v1alpha1();
        let cluster_document = document("KubeClusterConfig");
        let in_main = |path: &[&str]| main.and_then(|node| string(node, path));
        let in_cluster = |key: &str| {
            cluster_document
                .as_ref()
                .and_then(|node| string(node, &[key]))
        };

        let talos_ca = main.and_then(|node| authority(node, &["machine", "ca"]));
        Self {
            text: text.clone(),
            is_control_plane: matches!(
                in_main(&["machine", "type"]).as_deref(),
                Some("controlplane" | "init")
            ),
            accepted_cas: main.map(accepted_cas).unwrap_or_default(),
            sans: main
                .map(|node| strings(node, &["machine", "certSANs"]))
                .unwrap_or_default(),
            hostname: in_main(&["machine", "network", "hostname"]).or_else(|| {
                document("HostnameConfig").and_then(|node| string(&node, &["hostname"]))
            }),
            cluster_name: in_main(&["cluster", "clusterName"])
                .or_else(|| in_cluster("clusterName"))
                .unwrap_or_default(),
            cluster_endpoint: in_main(&["cluster", "controlPlane", "endpoint"])
                .or_else(|| in_cluster("endpoint"))
                .unwrap_or_default(),
            kubernetes_ca: main
                .and_then(|node| authority(node, &["cluster", "ca"]))
                .or_else(|| {
                    document("KubeAPIServerCAConfig").and_then(|node| plain_authority(&node))
                }),
            kubeconfig_lifetime: in_main(&["cluster", "adminKubeconfig", "certLifetime"])
                .and_then(|text| parse_duration(&text))
                .and_then(|nanos| u64::try_from(nanos).ok())
                .map_or(KUBECONFIG_LIFETIME, Duration::from_nanos),
            install: install(main, document("UnattendedInstallConfig").as_ref()),
            has_cni: in_main(&["cluster", "network", "cni", "name"]).as_deref() != Some("none"),
            talos_ca: talos_ca.unwrap_or(AuthorityPem {
                certificate: String::new(),
                key: None,
            }),
        }
    }

    /// The authorities whose client certificates are accepted.
    pub(super) fn client_authorities(&self) -> Vec<String> {
        let mut authorities = self.accepted_cas.clone();
        authorities.push(self.talos_ca.certificate.clone());
        authorities.retain(|pem| !pem.is_empty());
        authorities
    }
}

fn install(main: Option<&Node>, unattended: Option<&Node>) -> Option<Install> {
    if let Some(document) = unattended {
        let selector = string(document, &["provisioning", "diskSelector", "match"]);
        return Some(Install {
            target: selector.map_or(InstallTarget::Missing, |_| InstallTarget::Selector),
            image: string(document, &["installer", "image"]).unwrap_or_default(),
        });
    }
    let section = main?.get("machine")?.get("install")?;
    let target = match (string(section, &["disk"]), section.get("diskSelector")) {
        (_, Some(selector)) if selector.as_mapping().is_some() => InstallTarget::Selector,
        (Some(disk), _) if !disk.is_empty() => InstallTarget::Disk(disk),
        _ => InstallTarget::Missing,
    };
    Some(Install {
        target,
        image: string(section, &["image"]).unwrap_or_default(),
    })
}

fn at<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

fn string(node: &Node, path: &[&str]) -> Option<String> {
    at(node, path)?.as_str().map(ToOwned::to_owned)
}

fn strings(node: &Node, path: &[&str]) -> Vec<String> {
    let items = at(node, path)
        .and_then(Node::as_sequence)
        .unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item.as_str().map(ToOwned::to_owned))
        .collect()
}

fn accepted_cas(node: &Node) -> Vec<String> {
    let items = at(node, &["machine", "acceptedCAs"])
        .and_then(Node::as_sequence)
        .unwrap_or_default();
    items
        .iter()
        .filter_map(|item| decoded(&string(item, &["crt"])?))
        .collect()
}

/// `crt` and `key` in base64 of PEM.
fn authority(node: &Node, path: &[&str]) -> Option<AuthorityPem> {
    let section = at(node, path)?;
    Some(AuthorityPem {
        certificate: decoded(&string(section, &["crt"])?)?,
        key: string(section, &["key"])
            .and_then(|key| decoded(&key))
            .filter(|key| !key.is_empty())
            .map(SecretString::from),
    })
}

/// `issuingCA` in PEM, as v1.14 writes it.
fn plain_authority(node: &Node) -> Option<AuthorityPem> {
    Some(AuthorityPem {
        certificate: string(node, &["issuingCA", "cert"])?,
        key: string(node, &["issuingCA", "key"]).map(SecretString::from),
    })
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Refusal {
        let version = TalosVersion::parse("v1.10.7").unwrap();
        read(&text.into(), &version, "nocloud").unwrap_err()
    }

    #[test]
    fn refusals_are_worded_like_those_of_the_reference() {
        assert_eq!(
            refusal(""),
            Refusal::Unreadable("config not found".to_owned())
        );
        let Refusal::Unreadable(text) = refusal("version: v1alpha1\nmachine:\n    tokken: x\n")
        else {
            panic!("it has an unknown key")
        };
        assert!(
            text.contains("unknown keys found during decoding"),
            "{text}"
        );
        let Refusal::Invalid(text) = refusal("version: v1alpha1\ncluster: {}\n") else {
            panic!("it has no machine section")
        };
        assert_eq!(
            text,
            "1 error occurred:\n\t* machine instructions are required\n\n"
        );
    }
}
