//! Settings that a document and the `v1alpha1` document both make.

use super::findings::quoted;
use super::quantity::parse_duration;
use super::view::View;
use crate::config::{Document, VersionContract};

/// The conflict of one document with the `v1alpha1` document; only the first is reported.
pub(super) fn check(
    document: &Document,
    v1alpha1: View<'_>,
    release: VersionContract,
) -> Option<String> {
    let view = View::new(Some(document.node()));
    let since = |minimum: VersionContract| release >= minimum;
    match document.kind() {
        "VolumeConfig" if since(VersionContract::V1_11) => volume(view, v1alpha1),
        "HostnameConfig" => hostname(v1alpha1),
        "ResolverConfig" => resolver(view, v1alpha1, release),
        "TimeSyncConfig" => time_sync(v1alpha1.at("machine.time")),
        "KubeSpanConfig" => set(
            v1alpha1,
            "machine.network.kubespan",
            "kubespan is already configured in v1alpha1 machine.network.kubespan",
        ),
        _ if since(VersionContract::V1_14) => newer(document.kind(), v1alpha1),
        _ => None,
    }
}

fn set(v1alpha1: View<'_>, path: &str, text: &str) -> Option<String> {
    v1alpha1.at(path).is_set().then(|| text.to_owned())
}

fn volume(document: View<'_>, v1alpha1: View<'_>) -> Option<String> {
    let name = document.get("name").text();
    let legacy = match name {
        "STATE" => "machine.systemDiskEncryption.state",
        "EPHEMERAL" => "machine.systemDiskEncryption.ephemeral",
        _ => return None,
    };
    let encrypts = !matches!(document.at("encryption.provider").text(), "" | "none");
    (encrypts && v1alpha1.at(legacy).is_set()).then(|| {
        format!(
            "system disk encryption for {} is configured in both v1alpha1.Config and VolumeConfig",
            quoted(name)
        )
    })
}

fn hostname(v1alpha1: View<'_>) -> Option<String> {
    if v1alpha1.at("machine.network.hostname").has_text() {
        return Some("static hostname is already set in v1alpha1 config".to_owned());
    }
    v1alpha1
        .at("machine.features.stableHostname")
        .is_true()
        .then(|| "stable hostname is already set in v1alpha1 config".to_owned())
}

fn resolver(document: View<'_>, v1alpha1: View<'_>, release: VersionContract) -> Option<String> {
    let network = v1alpha1.at("machine.network");
    let already = |path: &str| Some(format!(".machine.{path} is already set in v1alpha1 config"));
    if network.get("searchDomains").has_content() {
        return already("network.searchDomains");
    }
    if network.get("nameservers").has_content() {
        return already("network.nameservers");
    }
    if network.get("disableSearchDomain").is_true() {
        return already("network.disableSearchDomain");
    }
    let host_dns = document.get("hostDNS").has_content();
    if release >= VersionContract::V1_14
        && host_dns
        && v1alpha1.at("machine.features.hostDNS").is_set()
    {
        return already("features.hostDNS");
    }
    None
}

fn time_sync(time: View<'_>) -> Option<String> {
    let both = |what: &str| Some(format!("{what} in both v1alpha1 and new-style configuration"));
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

/// Kinds of v1.14, which replace parts of the `v1alpha1` document.
fn newer(_kind: &str, _v1alpha1: View<'_>) -> Option<String> {
    None
}
