//! Installation, file system maintenance, discovery and runtime overrides (v1.14).

use super::super::cel::{Environment, check_bool};
use super::super::findings::Findings;
use super::super::labels::check_qualified_name;
use super::super::v1alpha1::check_runtime_spec;
use super::super::view::View;
use super::{Rule, require};
use crate::config::VersionContract;
use crate::config::schema::parse_duration;
use crate::go::base64;
use crate::go::text::quoted;
use crate::go::url::Url;

const CLUSTER_SECRET_BYTES: usize = 32;
const MINIMUM_SCRUB_NANOSECONDS: i64 = 10_000_000_000;
/// The name under which the settings of the `v1alpha1` document go.
const LEGACY_CRI_CUSTOMIZATION: &str = "customization";
const MANAGED_ETC_FILES: [&str; 7] = [
    "resolv.conf",
    "hosts",
    "machine-id",
    "extensions.yaml",
    "localtime",
    "os-release",
    "xattr.conf",
];
const MANAGED_ETC_FOLDERS: [&str; 12] = [
    "apparmor.d",
    "apparmor",
    "ca-certificates",
    "cni",
    "cri",
    "iscsi",
    "kubernetes",
    "lvm",
    "nvme",
    "pki",
    "selinux",
    "ssl",
];

pub(super) fn rule_for(kind: &str) -> Option<Rule> {
    Some(match kind {
        "UnattendedInstallConfig" => check_install,
        "FilesystemTrimConfig" => check_trim,
        "FilesystemScrubConfig" => check_scrub,
        "DiscoveryServiceConfig" => check_discovery_service,
        "DiscoveryIdentityConfig" => check_discovery_identity,
        "CRIBaseRuntimeSpecConfig" => check_base_runtime_spec,
        "CRICustomizationConfig" => check_cri_customization,
        "EtcFileConfig" => check_etc_file,
        "KernelModuleConfig" => check_kernel_module,
        "SysctlConfig" => check_sysctls,
        "SysfsConfig" => check_sysfs,
        _ => return None,
    })
}

fn check_install(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    if !document.at("installer.image").has_text() {
        findings.warning(
            "installer.image is not set, if Talos is not booted from asset built by Image Factory, installation will fail",
        );
    }
    let selector = document.at("provisioning.diskSelector.match").text();
    if selector.is_empty() {
        findings.error("provisioning.volumeSelector.match is required");
    } else if let Err(error) = check_bool(selector, Environment::Disk, release) {
        findings.error(format!("provisioning.volumeSelector.match: {error}"));
    }
}

fn check_trim(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    findings.error_if(interval(document) < 0, "interval cannot be negative");
}

fn check_scrub(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_scrub_interval(document, findings);
}

/// The schedules of one volume.
pub(super) fn check_intervals(document: View<'_>, findings: &mut Findings) {
    findings.error_if(
        interval(document.get("trim")) < 0,
        "trim interval cannot be negative",
    );
    check_scrub_interval(document.get("scrub"), findings);
}

fn interval(schedule: View<'_>) -> i64 {
    parse_duration(schedule.get("interval").text()).unwrap_or_default()
}

fn check_scrub_interval(schedule: View<'_>, findings: &mut Findings) {
    let interval = interval(schedule);
    findings.error_if(
        interval != 0 && interval < MINIMUM_SCRUB_NANOSECONDS,
        "scrub interval: minimum value is 10s",
    );
}

fn check_discovery_service(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let endpoint = document.get("endpoint");
    let url = Url::parse(endpoint.text()).unwrap_or_default();
    let problem = if !document.get("name").has_text() {
        "name is required"
    } else if !endpoint.has_text() {
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
        match base64::decode(secret) {
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

fn check_cri_customization(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let name = document.get("name").text();
    if let Err(error) = check_qualified_name(name) {
        findings.error(format!("invalid name: {error}"));
    }
    findings.error_if(
        name == LEGACY_CRI_CUSTOMIZATION,
        format!(
            "name {} is reserved for the legacy CRI customization",
            quoted(name)
        ),
    );
}

fn check_etc_file(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let path = document.get("name").text();
    let is_managed = MANAGED_ETC_FILES.contains(&path)
        || MANAGED_ETC_FOLDERS.iter().any(|folder| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    if path.is_empty() {
        findings.error("user etc file name cannot be empty");
    } else if path.starts_with('.') || !is_local(path) {
        findings.error(format!(
            "user etc file {} must be a local path",
            quoted(path)
        ));
    } else if is_managed {
        findings.error(format!(
            "user etc file {} is managed by Talos",
            quoted(path)
        ));
    }
}

/// A relative path that does not lead out of its folder.
fn is_local(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    !path.starts_with('/')
}

fn check_kernel_module(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name is required", findings);
}

fn check_sysctls(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_parameter_names(document, "sysctl", findings);
}

fn check_sysfs(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_parameter_names(document, "sysfs", findings);
}

fn check_parameter_names(document: View<'_>, what: &str, findings: &mut Findings) {
    for (key, _) in document.get("params").entries() {
        findings.error_if(key.is_empty(), format!("{what} key cannot be empty"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_paths_stay_in_their_folder() {
        for (path, expected) in [
            ("motd", true),
            ("a/b/../c", true),
            ("a//b/./c", true),
            ("/motd", false),
            ("a/../../b", false),
            ("..", false),
        ] {
            assert_eq!(is_local(path), expected, "{path}");
        }
    }
}
