//! Kubernetes components, which v1.14 moved out of the `v1alpha1` document.

use secrecy::SecretString;

use super::super::findings::Findings;
use super::super::labels::{check_annotations, check_domain, check_labels, check_taints};
use super::super::v1alpha1::{API_ROLES, PROTECTED_KUBELET_FIELDS, check_resources};
use super::super::view::View;
use super::registry::{check_identity, check_pem};
use super::{Rule, kubernetes_network, require};
use crate::config::VersionContract;
use crate::go::address::bad_filters;
use crate::go::text::quoted;
use crate::go::url::{Url, check_endpoint};
use crate::secrets::{KeyUse, check_certificate_text, check_key_text};

const AUTHORIZERS: [&str; 3] = ["Node", "RBAC", "Webhook"];

/// Arguments that documents of their own took over, by prefix and in sorted order.
const DENIED_API_SERVER_ARGUMENTS: [(&str, &str); 6] = [
    ("anonymous-auth", "KubeAuthenticationConfig"),
    ("authentication-config", "KubeAuthenticationConfig"),
    ("authorization-config", "KubeAuthorizationConfig"),
    ("authorization-mode", "KubeAuthorizationConfig"),
    ("authorization-webhook-", "KubeAuthorizationConfig"),
    ("oidc-", "KubeAuthenticationConfig"),
];

pub(super) fn rule_for(kind: &str) -> Option<Rule> {
    Some(match kind {
        "KubeClusterConfig" => check_cluster,
        "KubeNodeConfig" => check_node,
        "KubeletConfig" => check_kubelet,
        "KubeNetworkConfig" => kubernetes_network::check,
        "KubeAPIServerCAConfig" => check_api_server_ca,
        "KubePrismConfig" => check_kube_prism,
        "KubeAggregatorCAConfig" => check_aggregator_ca,
        "KubeAdmissionControlConfig" => check_admission_control,
        "KubeAuthorizerConfig" => check_authorizer,
        "KubeEtcdEncryptionConfig" => check_etcd_encryption,
        "KubeServiceAccountConfig" => check_service_account,
        "KubeAPIServerConfig" => check_api_server,
        "KubeControllerManagerConfig" => check_controller_manager,
        "KubeSchedulerConfig" => check_scheduler,
        "KubeProxyConfig" => check_proxy,
        "KubeFlannelCNIConfig" => check_flannel,
        "KubeTalosAPIAccessConfig" => check_api_access,
        "KubeExternalManifestConfig" | "KubeInlineManifestConfig" => check_manifest,
        "KubeStaticPodConfig" => check_static_pod,
        _ => return None,
    })
}

fn check_cluster(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(
        document,
        "clusterName",
        "clusterName must be specified",
        findings,
    );
    let endpoint = document.get("endpoint");
    if !endpoint.has_text() {
        findings.error("endpoint must be specified");
    } else if let Err(error) = check_endpoint(endpoint.text()) {
        findings.error(format!("cluster endpoint is invalid: {error}"));
    }
}

fn check_node(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    for bad in bad_filters(document.at("nodeIP.validSubnets").texts()) {
        findings.error(format!("nodeIP subnet is not valid: {}", quoted(bad)));
    }
    for (what, result) in [
        ("labels", check_labels(document.get("labels"))),
        (
            "annotations",
            check_annotations(document.get("annotations")),
        ),
        ("taints", check_taints(document.get("taints"))),
    ] {
        if let Err(error) = result {
            findings.error(format!("invalid node {what}: {error}"));
        }
    }
}

fn check_kubelet(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "image", "kubelet image cannot be empty", findings);
    let config = document.get("config").entries();
    for field in PROTECTED_KUBELET_FIELDS {
        findings.error_if(
            config.iter().any(|(key, _)| *key == field),
            format!(
                "kubelet configuration field {} can't be overridden",
                quoted(field)
            ),
        );
    }
}

fn check_api_server_ca(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_authority(document, findings);
}

fn check_aggregator_ca(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    findings.error_if(!document.get("issuingCA").is_set(), "issuing CA is not set");
    check_authority(document, findings);
}

fn check_authority(document: View<'_>, findings: &mut Findings) {
    let issuing = document.get("issuingCA");
    if issuing.is_set()
        && let Err(error) = check_identity(issuing).and_then(|()| check_loads(issuing))
    {
        findings.error(format!("issuing CA: {error}"));
    }
    for (index, accepted) in document.get("acceptedCAs").texts().enumerate() {
        if let Err(error) = check_pem(accepted, Some("CERTIFICATE")) {
            findings.error(format!("accepted CA #{index}: {error}"));
        }
    }
}

/// Checks that a certificate and a key can be read, not only that they are PEM text.
fn check_loads(identity: View<'_>) -> Result<(), String> {
    check_certificate_text(identity.get("cert").text())
        .map_err(|error| format!("certificate is invalid: {error}"))?;
    let key = SecretString::from(identity.get("key").text());
    check_key_text(&key, KeyUse::OfCertificate).map_err(|error| format!("key is invalid: {error}"))
}

fn check_kube_prism(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let port = document.get("port").int();
    findings.error_if(
        !(1..=65535).contains(&port),
        format!("invalid port {port}: must be in range 1-65535"),
    );
}

fn check_admission_control(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(
        document,
        "name",
        "admission control plugin name is required",
        findings,
    );
}

fn check_authorizer(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let authorizer = document.get("type").text();
    let webhook = document.get("webhook").has_content();
    require(document, "name", "authorizer name is required", findings);
    require(document, "type", "authorizer type is required", findings);
    findings.error_if(
        !AUTHORIZERS.contains(&authorizer),
        format!(
            "authorizer type {authorizer} is not allowed, allowed types are [{}]",
            AUTHORIZERS.join(" ")
        ),
    );
    if authorizer == "Webhook" {
        findings.error_if(
            !webhook,
            "authorizer webhook configuration is required for Webhook authorizer type",
        );
    } else if webhook {
        findings.warning(
            "authorizer webhook configuration is not allowed non-Webhook authorizer types",
        );
    }
}

fn check_etcd_encryption(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    findings.error_if(
        !document.get("config").has_content(),
        "etcd encryption config is required",
    );
}

fn check_service_account(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let key = document.at("issuer.privateKey").text();
    if key.is_empty() {
        findings.error("service issuer private key is required");
    } else if let Err(error) = check_key_text(&SecretString::from(key), KeyUse::Bare) {
        findings.error(format!("service issuer private key is invalid: {error}"));
    }
    findings.error_if(
        !document.at("issuer.issuerURL").has_text(),
        "service issuer URL is required",
    );
}

fn check_api_server(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(
        document,
        "image",
        "kube-apiserver image cannot be empty",
        findings,
    );
    let arguments = document.get("extraArgs").entries();
    for (prefix, replacement) in DENIED_API_SERVER_ARGUMENTS {
        for (argument, _) in arguments
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
        {
            findings.error(format!(
                "kube-apiserver extra argument {} is not allowed: use {replacement}",
                quoted(argument)
            ));
        }
    }
    pod_resources(document, findings);
}

fn check_controller_manager(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_pod(document, "kube-controller-manager", findings);
}

fn check_scheduler(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_pod(document, "scheduler", findings);
}

/// A component that can be disabled, which silences its other rules.
fn check_pod(document: View<'_>, name: &str, findings: &mut Findings) {
    if document.get("enabled").bool() == Some(false) {
        return;
    }
    let text = format!("{name} image cannot be empty");
    require(document, "image", &text, findings);
    pod_resources(document, findings);
}

fn check_proxy(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    if document.get("enabled").bool() == Some(false) {
        return;
    }
    require(document, "image", "proxy image cannot be empty", findings);
    match document.get("mode").text() {
        "" | "nftables" => {}
        mode @ ("iptables" | "ipvs") => findings.warning(format!(
            "proxy mode {} is not recommended, please switch to nftables if possible",
            quoted(mode)
        )),
        mode => findings.error(format!(
            "invalid proxy mode {}: supported modes are iptables, ipvs and nftables",
            quoted(mode)
        )),
    }
    if document.get("extraArgs").has_content() {
        findings.warning(
            "extra arguments for kube-proxy may not work as expected, please use configuration instead",
        );
    }
    pod_resources(document, findings);
}

fn pod_resources(document: View<'_>, findings: &mut Findings) {
    if let Err(error) = check_resources(document) {
        findings.error(error);
    }
}

fn check_flannel(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(
        document,
        "backendType",
        "flannel backend type must be specified",
        findings,
    );
    pod_resources(document, findings);
}

fn check_api_access(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    for role in document.get("allowedRoles").texts() {
        findings.error_if(
            !API_ROLES.contains(&role),
            format!("invalid role {} in .allowedRoles", quoted(role)),
        );
    }
}

fn check_manifest(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_object_name(document, "manifest", findings);
    if document.get("kind").text() != "KubeExternalManifestConfig" {
        return;
    }
    let source = document.get("url");
    if !source.has_text() {
        findings.error("manifest URL is required");
        return;
    }
    let scheme = Url::parse(source.text()).unwrap_or_default().scheme;
    findings.error_if(
        !matches!(scheme.as_str(), "http" | "https"),
        format!(
            "manifest URL scheme must be http or https: {}",
            quoted(&scheme)
        ),
    );
}

fn check_static_pod(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_object_name(document, "static pod", findings);
    findings.error_if(
        !document.get("pod").has_content(),
        "static pod spec is required",
    );
}

fn check_object_name(document: View<'_>, what: &str, findings: &mut Findings) {
    let name = document.get("name").text();
    if name.is_empty() {
        findings.error(format!("{what} name is required"));
    } else if let Err(error) = check_domain(name) {
        findings.error(format!("{what} name is invalid: {error}"));
    }
}
