//! The `cluster` section.

use super::super::findings::Findings;
use super::super::view::View;
use super::{Role, Subject};
use crate::config::VersionContract;
use crate::go::address::bad_filters;
use crate::go::text::quoted;
use crate::go::url::{Url, check_endpoint};

const DEFAULT_DISCOVERY_ENDPOINT: &str = "https://discovery.talos.dev/";
const AUTHORIZERS: [&str; 3] = ["Node", "RBAC", "Webhook"];

pub(super) fn check(subject: Subject<'_>, findings: &mut Findings) {
    let cluster = subject.cluster;
    if !cluster.is_set() {
        findings.error("cluster instructions are required");
        return;
    }
    let control_plane = cluster.get("controlPlane");
    let endpoint = control_plane.get("endpoint");
    // v1.14 moved the endpoint to a document of its own and only looks at the old place when it is used.
    let required = subject.release < VersionContract::V1_14 || control_plane.is_set();
    if required && !endpoint.is_set() {
        findings.error("cluster controlplane endpoint is required");
        return;
    }
    if endpoint.is_set()
        && let Err(error) = check_endpoint(endpoint.text())
    {
        findings.error(format!("invalid controlplane endpoint: {error}"));
    }
    let domain = cluster.at("network.dnsDomain").text();
    findings.error_if(
        !domain.is_empty() && !is_dns_name(domain),
        format!("{} is not a valid DNS name", quoted(domain)),
    );
    cloud_provider(cluster.get("externalCloudProvider"), findings);
    etcd(subject, findings);
    findings.error_if(
        subject.role != Role::ControlPlane && cluster.at("ca.key").has_text(),
        "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)",
    );
    inline_manifests(cluster.get("inlineManifests"), findings);
    discovery(cluster, findings);
    if let Err(error) = api_server(cluster.get("apiServer")) {
        findings.error(error);
    }
    for (field, component) in [
        ("controllerManager", "controller-manager"),
        ("scheduler", "scheduler"),
    ] {
        if let Err(error) = resources(cluster.get(field), component) {
            findings.error(error);
        }
    }
}

/// Labels of 1 to 63 characters that start with a letter, digit or underscore; a dot or underscore may end the name.
fn is_dns_name(name: &str) -> bool {
    if name.len() - name.matches('.').count() > 255 {
        return false;
    }
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().next().is_some_and(is_word)
            && label.bytes().all(|b| is_word(b) || b == b'-')
    };
    let all_labels = |name: &str| name.split('.').all(is_label);
    all_labels(name) || name.strip_suffix(['.', '_']).is_some_and(all_labels)
}

fn cloud_provider(provider: View<'_>, findings: &mut Findings) {
    let manifests = provider.get("manifests");
    if manifests.has_content() && !provider.get("enabled").is_true() {
        findings.error("external cloud provider is disabled, but manifests are provided");
        return;
    }
    for manifest in manifests.texts() {
        if let Err(error) = check_endpoint(manifest) {
            findings.error(format!(
                "invalid external cloud provider manifest url {}: {error}",
                quoted(manifest)
            ));
        }
    }
}

fn etcd(subject: Subject<'_>, findings: &mut Findings) {
    let etcd = subject.cluster.get("etcd");
    if !etcd.is_set() {
        return;
    }
    if subject.role != Role::ControlPlane {
        findings.error("etcd config is only allowed on control plane machines");
        return;
    }
    findings.error_if(
        !etcd.get("ca").is_set(),
        "key/cert combination should not be empty",
    );
    let legacy: Vec<&str> = Some(etcd.get("subnet").text())
        .filter(|subnet| !subnet.is_empty())
        .into_iter()
        .collect();
    let advertised: Vec<&str> = etcd.get("advertisedSubnets").texts().collect();
    let listen: Vec<&str> = etcd.get("listenSubnets").texts().collect();
    findings.error_if(
        !legacy.is_empty() && !advertised.is_empty(),
        "etcd subnet can't be set when advertised subnets are set",
    );
    // Without subnets to listen on the advertised ones count, so one bad subnet can be reported twice.
    let first_set = |choices: [&Vec<&'_ str>; 3]| -> Vec<String> {
        let chosen = choices.into_iter().find(|choice| !choice.is_empty());
        chosen
            .map(|subnets| bad_filters(subnets.iter().copied()).map(quoted).collect())
            .unwrap_or_default()
    };
    let none = Vec::new();
    for bad in first_set([&advertised, &legacy, &none]) {
        findings.error(format!("etcd advertised subnet is not valid: {bad}"));
    }
    for bad in first_set([&listen, &advertised, &none]) {
        findings.error(format!("etcd listen subnet is not valid: {bad}"));
    }
}

fn inline_manifests(manifests: View<'_>, findings: &mut Findings) {
    let mut seen = Vec::new();
    for manifest in manifests.items() {
        let name = manifest.get("name").text();
        findings.error_if(
            name.trim().is_empty(),
            "inline manifest name can't be empty",
        );
        findings.error_if(
            seen.contains(&name),
            format!("inline manifest name {} is duplicate", quoted(name)),
        );
        seen.push(name);
    }
}

fn discovery(cluster: View<'_>, findings: &mut Findings) {
    let discovery = cluster.get("discovery");
    let service = discovery.at("registries.service");
    if !discovery.get("enabled").is_true() || service.get("disabled").is_true() {
        return;
    }
    let endpoint = match service.get("endpoint").text() {
        "" => DEFAULT_DISCOVERY_ENDPOINT,
        endpoint => endpoint,
    };
    match Url::parse_request(endpoint) {
        Err(error) => findings.error(format!(
            "cluster discovery service registry endpoint is invalid: {error}"
        )),
        Ok(url) => findings.error_if(
            !matches!(url.path, "" | "/"),
            "cluster discovery service path should be empty",
        ),
    }
    for field in ["id", "secret"] {
        findings.error_if(
            !cluster.get(field).has_text(),
            format!("cluster discovery service requires .cluster.{field}"),
        );
    }
}

/// Stops at the first problem.
fn api_server(api_server: View<'_>) -> Result<(), String> {
    let authorizers = api_server.get("authorizationConfig");
    if authorizers.is_set() {
        for (argument, _) in api_server.get("extraArgs").entries() {
            if argument == "authorization-mode" {
                return Err("authorization-mode cannot be used in conjunction with AuthorizationConfig, use eitherr AuthorizationConfig or authorization-mode".to_owned());
            }
            if argument.starts_with("authorization-webhook-") {
                return Err("authorization-webhook-* flags cannot be used in conjunction with AuthorizationConfig, use either AuthorizationConfig or authorization-webhook-* flags".to_owned());
            }
        }
    }
    for authorizer in authorizers.items() {
        let problem = match (authorizer.get("type").text(), authorizer.get("name").text()) {
            ("", _) => "authorizer type must be set".to_owned(),
            (_, "") => "authorizer name must be set".to_owned(),
            (ty, _) if !AUTHORIZERS.contains(&ty) => format!(
                "authorizer type {ty} is not allowed, allowed types are [{}]",
                AUTHORIZERS.join(" ")
            ),
            _ => continue,
        };
        return Err(format!(
            "apiserver authorization config validation failed: {problem}"
        ));
    }
    resources(api_server, "apiserver")
}

fn resources(component: View<'_>, name: &str) -> Result<(), String> {
    check_resources(component)
        .map_err(|error| format!("{name} resource validation failed: {error}"))
}

/// Pods may ask for processors and memory only.
pub(in super::super) fn check_resources(component: View<'_>) -> Result<(), String> {
    for list in ["resources.requests", "resources.limits"] {
        for (resource, _) in component.at(list).entries() {
            if !matches!(resource, "cpu" | "memory") {
                return Err(format!("unsupported pod resource {}", quoted(resource)));
            }
        }
    }
    Ok(())
}

/// The network plugin of a control plane; without a block it is flannel.
pub(super) fn check_cni(subject: Subject<'_>, findings: &mut Findings) {
    let cni = subject.cluster.at("network.cni");
    let name = cni.get("name").text();
    let (none, custom) = (name == "none", name == "custom");
    if !cni.is_set() {
        return;
    }
    if !none && !custom && name != "flannel" {
        findings.error("cni name should be one of [\"flannel\", \"custom\", \"none\"]");
        return;
    }
    let urls = cni.get("urls");
    if custom && !urls.has_content() {
        findings.warning("\"urls\" field should not be empty for \"custom\" CNI");
    }
    findings.error_if(
        !custom && urls.has_content(),
        format!("\"urls\" field should be empty for {} CNI", quoted(name)),
    );
    if none || custom {
        findings.error_if(
            cni.at("flannel.extraArgs").has_content(),
            format!(
                "\"flanneldExtraArgs\" field should be empty for {} CNI",
                quoted(name)
            ),
        );
        findings.error_if(
            subject.release >= VersionContract::V1_13
                && cni.at("flannel.kubeNetworkPoliciesEnabled").is_true(),
            format!(
                "\"flannelKubeNetworkPoliciesEnabled\" should not be enabled for {} CNI",
                quoted(name)
            ),
        );
    }
    if custom {
        for url in urls.texts() {
            if let Err(error) = check_endpoint(url) {
                findings.error(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_may_have_underscores_and_a_final_dot() {
        for good in [
            "cluster.local",
            "a",
            "_x.y-z",
            "cluster.local.",
            "cluster.local_",
        ] {
            assert!(is_dns_name(good), "{good}");
        }
        for bad in ["a b", "-a", "a..b", ".", &"x".repeat(65)] {
            assert!(!is_dns_name(bad), "{bad}");
        }
    }
}
