//! Disks, kubelet, encryption, KubeSpan, logging, API access and registries.

use super::super::findings::Findings;
use super::super::view::View;
use super::{Role, Subject};
use crate::config::VersionContract;
use crate::config::schema::parse_disk_size;
use crate::go::address::{bad_filters, check_prefix};
use crate::go::text::quoted;
use crate::go::url::Url;

/// Fields of the kubelet configuration that Talos sets itself.
pub(in super::super) const PROTECTED_KUBELET_FIELDS: [&str; 13] = [
    "apiVersion",
    "authentication",
    "authorization",
    "cgroupRoot",
    "kind",
    "kubeletCgroups",
    "port",
    "protectKernelDefaults",
    "resolvConf",
    "rotateCertificates",
    "systemCgroups",
    "staticPodPath",
    "seccompDefault",
];
pub(in super::super) const API_ROLES: [&str; 5] = [
    "os:admin",
    "os:operator",
    "os:reader",
    "os:etcd:backup",
    "os:impersonator",
];

pub(super) fn check_disks(disks: View<'_>, findings: &mut Findings) {
    for (index, disk) in disks.items().enumerate() {
        if !disk.is_set() {
            findings.error(format!("machine.disks[{index}] is null"));
            continue;
        }
        let partitions = disk.get("partitions").items();
        let last = partitions.len();
        for (index, partition) in partitions.enumerate() {
            let whole_disk = parse_disk_size(partition.get("size").text()).unwrap_or_default() == 0;
            findings.error_if(
                whole_disk && index + 1 < last,
                format!(
                    "partition for disk {} is set to occupy full disk, but it's not the last partition in the list",
                    quoted(disk.get("device").text())
                ),
            );
        }
    }
}

pub(super) fn check_kubelet(kubelet: View<'_>, findings: &mut Findings) {
    for bad in bad_filters(kubelet.at("nodeIP.validSubnets").texts()) {
        findings.error(format!(
            "kubelet nodeIP subnet is not valid: {}",
            quoted(bad)
        ));
    }
    let extra = kubelet.get("extraConfig").entries();
    for field in PROTECTED_KUBELET_FIELDS {
        findings.error_if(
            extra.iter().any(|(key, _)| *key == field),
            format!(
                "kubelet configuration field {} can't be overridden",
                quoted(field)
            ),
        );
    }
}

pub(super) fn check_encryption(encryption: View<'_>, findings: &mut Findings) {
    for (field, partition) in [("ephemeral", "EPHEMERAL"), ("state", "STATE")] {
        let volume = encryption.get(field);
        if !volume.is_set() {
            continue;
        }
        let keys = volume.get("keys");
        findings.error_if(
            !keys.has_content(),
            format!("partition \"{partition}\": no encryption keys provided"),
        );
        let mut slots = Vec::new();
        for key in keys.items() {
            let slot = key.get("slot").int();
            findings.error_if(
                slots.contains(&slot),
                format!("partition \"{partition}\": encryption key slot {slot} is already in use"),
            );
            slots.push(slot);
            let has_source = ["nodeID", "static", "kms", "tpm"]
                .iter()
                .any(|source| key.get(source).is_set());
            findings.error_if(
                !has_source,
                format!("partition \"{partition}\": encryption key at slot {slot} doesn't have the configuration parameters"),
            );
        }
    }
}

pub(super) fn check_kubespan(subject: Subject<'_>, findings: &mut Findings) {
    let kubespan = subject.machine.at("network.kubespan");
    if !kubespan.get("enabled").is_true() {
        return;
    }
    let cluster = subject.cluster;
    if subject.release < VersionContract::V1_14 {
        findings.error_if(
            !cluster.at("discovery.enabled").is_true(),
            ".cluster.discovery should be enabled when .machine.network.kubespan is enabled",
        );
        for field in ["id", "secret"] {
            findings.error_if(
                !cluster.get(field).has_text(),
                format!(".cluster.{field} should be set when .machine.network.kubespan is enabled"),
            );
        }
    }
    let filter = if subject.release >= VersionContract::V1_12 {
        "filter"
    } else {
        "filer"
    };
    for bad in bad_filters(kubespan.at("filters.endpoints").texts()) {
        findings.error(format!(
            "KubeSpan endpoint {filter} is not valid: {}",
            quoted(bad)
        ));
    }
    if subject.release >= VersionContract::V1_12 {
        for network in kubespan.at("filters.excludeAdvertisedNetworks").texts() {
            findings.error_if(
                check_prefix(network).is_err(),
                format!(
                    "KubeSpan exclude advertised networks filter is not valid: {}",
                    quoted(network)
                ),
            );
        }
    }
}

pub(super) fn check_logging(logging: View<'_>, findings: &mut Findings) {
    for destination in logging.get("destinations").items() {
        let endpoint = destination.get("endpoint");
        if endpoint.is_set() {
            let url = Url::parse(endpoint.text()).unwrap_or_default();
            findings.error_if(url.host.is_empty(), "empty logging endpoint's host");
            findings.error_if(
                !matches!(url.scheme.as_str(), "tcp" | "udp"),
                format!("unexpected logging endpoint scheme {}", quoted(&url.scheme)),
            );
        } else {
            findings.error("empty logging endpoint");
        }
        let format = destination.get("format").text();
        findings.error_if(
            format != "json_lines",
            format!("unknown logging format {}", quoted(format)),
        );
    }
}

pub(super) fn check_api_access(subject: Subject<'_>, findings: &mut Findings) {
    let features = subject.machine.get("features");
    let access = features.get("kubernetesTalosAPIAccess");
    if !access.get("enabled").is_true() {
        return;
    }
    findings.error_if(
        subject.release < VersionContract::V1_12 && features.get("rbac").bool() == Some(false),
        "feature API RBAC should be enabled when Kubernetes Talos API Access feature is enabled",
    );
    findings.error_if(
        subject.role != Role::ControlPlane,
        "feature Kubernetes Talos API Access can only be enabled on control plane machines",
    );
    for role in access.get("allowedRoles").texts() {
        findings.error_if(
            !API_ROLES.contains(&role),
            format!(
                "invalid role {} in allowed roles for Kubernetes Talos API Access",
                quoted(role)
            ),
        );
    }
}

pub(super) fn check_address_sort(machine: View<'_>, findings: &mut Findings) {
    let algorithm = machine.at("features.nodeAddressSortAlgorithm").text();
    findings.error_if(
        !algorithm.is_empty() && !matches!(algorithm.to_lowercase().as_str(), "v1" | "v2"),
        format!("invalid node address sort algorithm: {algorithm} does not belong to AddressSortAlgorithm values"),
    );
}

pub(super) fn check_registries(registries: View<'_>, findings: &mut Findings) {
    for list in ["config", "mirrors"] {
        for (host, value) in registries.get(list).entries() {
            findings.error_if(
                !value.is_set(),
                format!("registries.{list}[{}] is null", quoted(host)),
            );
        }
    }
}
