//! Installation, file system maintenance, discovery and runtime overrides (v1.14).

use super::super::cel::{Environment, check_bool};
use super::super::findings::Findings;
use super::super::v1alpha1::{check_runtime_spec, decode_base64};
use super::super::view::View;
use super::{Rule, require};
use crate::config::VersionContract;
use crate::config::schema::parse_duration;
use crate::go::url::Url;

const CLUSTER_SECRET_BYTES: usize = 32;

pub(super) fn rule_for(kind: &str) -> Option<Rule> {
    Some(match kind {
        "UnattendedInstallConfig" => check_install,
        "FilesystemTrimConfig" => check_trim,
        "FilesystemScrubConfig" => check_scrub,
        "DiscoveryServiceConfig" => check_discovery_service,
        "DiscoveryIdentityConfig" => check_discovery_identity,
        "CRIBaseRuntimeSpecConfig" => check_base_runtime_spec,
        _ => return None,
    })
}

fn check_install(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    if !document.at("installer.image").has_text() {
        findings.warning(
            "installer.image is not set, if Talos is not booted from asset built by Image Factory, installation will fail",
        );
    }
    let selector = document.at("provisioning.diskSelector.match").text();
    if selector.is_empty() {
        findings.error("provisioning.volumeSelector.match is required");
    } else if let Err(error) = check_bool(selector, Environment::Disk) {
        findings.error(format!("provisioning.volumeSelector.match: {error}"));
    }
}

fn check_trim(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    not_negative(document, "", findings);
}

fn check_scrub(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    not_negative(document, "", findings);
}

/// The schedule of one volume: `what` is `trim` or `scrub`.
pub(super) fn check_interval(schedule: View<'_>, what: &str, findings: &mut Findings) {
    not_negative(schedule, &format!("{what} "), findings);
}

fn not_negative(schedule: View<'_>, what: &str, findings: &mut Findings) {
    findings.error_if(
        parse_duration(schedule.get("interval").text()).is_some_and(|interval| interval < 0),
        format!("{what}interval cannot be negative"),
    );
}

fn check_discovery_service(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let endpoint = document.get("endpoint");
    let url = Url::parse(endpoint.text()).unwrap_or_default();
    let problem = if !document.get("name").has_text() {
        "name is required"
    } else if !endpoint.is_set() {
        "endpoint is required"
    } else if url.scheme.is_empty() {
        "endpoint scheme is required"
    } else if !matches!(url.scheme.as_str(), "http" | "https" | "grpc") {
        "endpoint scheme must be http://, https:// or grpc://"
    } else if url.hostname().is_empty() {
        "endpoint host is required"
    } else {
        return;
    };
    findings.error(problem);
}

/// The error texts name the length, never the secret.
fn check_discovery_identity(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let secret = document.get("clusterSecret").text();
    if !document.get("clusterID").has_text() {
        require(document, "clusterID", "clusterID is required", findings);
    } else if secret.is_empty() {
        findings.error("clusterSecret is required");
    } else {
        match decode_base64(secret) {
            Err(error) => findings.error(format!(
                "invalid clusterSecret: failed to decode from base64: {error}"
            )),
            Ok(bytes) => findings.error_if(
                bytes.len() != CLUSTER_SECRET_BYTES,
                format!(
                    "invalid clusterSecret: expected {CLUSTER_SECRET_BYTES} bytes, got {}",
                    bytes.len()
                ),
            ),
        }
    }
}

fn check_base_runtime_spec(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_runtime_spec(document.get("overrides"), findings);
}
