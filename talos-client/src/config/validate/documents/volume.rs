//! Volumes.

use super::super::cel::{Environment, check_bool};
use super::super::findings::Findings;
use super::super::view::View;
use crate::config::VersionContract;
use crate::config::schema::parse_disk_size;
use crate::go::text::{quoted, quoted_list};

/// A partition label holds 36 characters, two of which are the prefix of the volume kind.
const NAME_LIMIT: usize = 34;

/// Which parts of a provisioning block a volume kind knows.
#[derive(Debug, Clone, Copy)]
struct Provisioning {
    required: bool,
    sizes: bool,
}

pub(super) fn check_system(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    let allowed: &[&str] = if release < VersionContract::V1_11 {
        &["EPHEMERAL", "IMAGECACHE"]
    } else if release < VersionContract::V1_14 {
        &["STATE", "EPHEMERAL", "IMAGECACHE"]
    } else {
        &[
            "STATE",
            "EPHEMERAL",
            "IMAGECACHE",
            "ETCD",
            "CRI",
            "KUBELET",
            "LOG",
        ]
    };
    let name = document.get("name").text();
    if !allowed.contains(&name) {
        findings.error(format!(
            "only {} volumes are supported",
            quoted_list(allowed)
        ));
        return;
    }
    let not_allowed = |what: &str| not_allowed(what, name);
    if name == "STATE" {
        findings.error_if(
            has_provisioning(document),
            not_allowed("provisioning config"),
        );
        for key in document.at("encryption.keys").items() {
            findings.error_if(
                key.get("lockToState").is_true(),
                not_allowed("state-locked key"),
            );
        }
    }
    if release >= VersionContract::V1_14 {
        check_mount_and_filesystem(document, name, findings);
    }
    let parts = Provisioning {
        required: false,
        sizes: true,
    };
    check_provisioning(document, release, parts, findings);
    check_encryption(document, findings);
    check_maintenance(document, findings);
}

fn not_allowed(what: &str, name: &str) -> String {
    format!("{what} is not allowed for the {} volume", quoted(name))
}

/// What v1.13 takes without a look.
fn check_mount_and_filesystem(document: View<'_>, name: &str, findings: &mut Findings) {
    let mount = document.get("mount");
    let has_mount = mount.get("secure").is_set() || mount.get("disableAccessTime").is_set();
    findings.error_if(
        matches!(name, "STATE" | "IMAGECACHE") && has_mount,
        not_allowed("mount config", name),
    );
    // The other system volumes are directories unless they get a partition of their own.
    findings.error_if(
        matches!(name, "ETCD" | "CRI" | "KUBELET" | "LOG")
            && has_mount
            && !has_provisioning(document),
        format!(
            "mount config for the {} volume is only supported when it is provisioned onto a dedicated partition",
            quoted(name)
        ),
    );
    findings.error_if(
        name == "IMAGECACHE" && document.at("filesystem.xfs").is_set(),
        not_allowed("filesystem config", name),
    );
}

pub(super) fn check_user(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    check_name(document, Some(NAME_LIMIT), findings);
    let volume_type = document.get("volumeType").text().to_lowercase();
    match volume_type.as_str() {
        "directory" => check_directory(document, release, findings),
        "disk" | "partition" | "" => {
            let parts = Provisioning {
                required: true,
                sizes: volume_type != "disk",
            };
            check_provisioning(document, release, parts, findings);
            check_filesystem(document.get("filesystem"), findings);
            check_encryption(document, findings);
        }
        other => findings.error(format!("unsupported volume type {}", quoted(other))),
    }
    check_maintenance(document, findings);
}

fn check_directory(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    let filesystem = document.get("filesystem");
    let invalid = |what: &str| format!("{what} is invalid for volumeType directory");
    findings.error_if(has_provisioning(document), invalid("provisioning spec"));
    findings.error_if(
        has_provider(document) || document.at("encryption.keys").has_content(),
        invalid("encryption spec"),
    );
    findings.error_if(
        !matches!(filesystem.get("type").text(), "" | "none")
            || filesystem.get("projectQuotaSupport").is_set()
            || filesystem.get("xfs").is_set(),
        invalid("filesystem spec"),
    );
    let mount = document.get("mount");
    let has_access_time = mount.get("disableAccessTime").is_set();
    if release < VersionContract::V1_14 {
        findings.error_if(
            has_access_time || mount.get("secure").is_set(),
            invalid("mount spec"),
        );
    } else {
        findings.error_if(has_access_time, invalid("mount.disableAccessTime"));
    }
}

pub(super) fn check_raw(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    check_name(document, Some(NAME_LIMIT), findings);
    let parts = Provisioning {
        required: true,
        sizes: true,
    };
    check_provisioning(document, release, parts, findings);
    check_encryption(document, findings);
}

pub(super) fn check_existing(
    document: View<'_>,
    release: VersionContract,
    findings: &mut Findings,
) {
    check_name(document, None, findings);
    let selector = document.at("discovery.volumeSelector.match").text();
    if selector.is_empty() {
        findings.error("volume selector is required");
    } else if let Err(error) = check_bool(selector, Environment::Volume, release) {
        findings.error(format!("volume selector is invalid: {error}"));
    }
    check_maintenance(document, findings);
}

pub(super) fn check_external(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_name(document, Some(NAME_LIMIT), findings);
    let filesystem = match document.get("filesystemType").text() {
        "" => "none",
        filesystem => filesystem,
    };
    if filesystem != "virtiofs" {
        findings.error(format!("invalid filesystem type: {filesystem}"));
        return;
    }
    let virtiofs = document.at("mount.virtiofs");
    if !virtiofs.is_set() {
        findings.error("virtiofs mount spec is required");
    } else if !virtiofs.get("tag").has_text() {
        findings.error("virtiofs tag is required");
    }
}

pub(super) fn check_zswap(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    findings.error_if(
        !(0..=100).contains(&document.get("maxPoolPercent").int()),
        "maxPoolPercent must be between 0 and 100",
    );
}

fn check_name(document: View<'_>, limit: Option<usize>, findings: &mut Findings) {
    let name = document.get("name").text();
    findings.error_if(name.is_empty(), "name is required");
    if let Some(limit) = limit {
        findings.error_if(
            name.is_empty() || name.len() > limit,
            format!("name must be between 1 and {limit} characters long"),
        );
    }
    findings.error_if(
        !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
        "name can only contain lowercase and uppercase ASCII letters, digits, and hyphens",
    );
}

fn has_provisioning(document: View<'_>) -> bool {
    let block = document.get("provisioning");
    block.get("grow").is_set()
        || ["minSize", "maxSize", "diskSelector.match"]
            .iter()
            .any(|field| block.at(field).has_text())
}

fn check_provisioning(
    document: View<'_>,
    release: VersionContract,
    parts: Provisioning,
    findings: &mut Findings,
) {
    let block = document.get("provisioning");
    let selector = block.at("diskSelector.match").text();
    if selector.is_empty() {
        findings.error_if(parts.required, "disk selector is required");
    } else if let Err(error) = check_bool(selector, Environment::Disk, release) {
        findings.error(format!("disk selector is invalid: {error}"));
    }
    let (min, max) = (block.get("minSize").text(), block.get("maxSize").text());
    if !parts.sizes {
        findings.error_if(
            !min.is_empty() || !max.is_empty() || block.get("grow").is_set(),
            "min size, max size and grow are not supported",
        );
        return;
    }
    // Percentages and sizes counted from the end of the disk cannot be compared with a size in bytes.
    let comparable = !max.is_empty() && !max.ends_with('%') && !max.starts_with('-');
    if !min.is_empty() && comparable {
        let bytes = |size: &str| parse_disk_size(size.trim_start_matches('-')).unwrap_or_default();
        findings.error_if(bytes(min) > bytes(max), "min size is greater than max size");
    } else {
        findings.error_if(
            parts.required && min.is_empty() && max.is_empty(),
            "min size or max size is required",
        );
    }
    findings.error_if(min.starts_with('-'), "min size cannot be negative");
}

fn check_filesystem(filesystem: View<'_>, findings: &mut Findings) {
    let written = filesystem.get("type").text().to_lowercase();
    let is_xfs = matches!(written.as_str(), "" | "none" | "xfs");
    if !is_xfs && !matches!(written.as_str(), "ext4" | "btrfs") {
        findings.error(format!("unsupported filesystem type: {written}"));
    } else if !is_xfs && filesystem.get("projectQuotaSupport").is_true() {
        findings.error("project quota support is only available for xfs filesystem");
    } else if !is_xfs && filesystem.get("xfs").is_set() {
        findings.error("xfs options are only available for xfs filesystem");
    }
}

fn has_provider(document: View<'_>) -> bool {
    !matches!(document.at("encryption.provider").text(), "" | "none")
}

fn check_encryption(document: View<'_>, findings: &mut Findings) {
    let keys = document.at("encryption.keys");
    if !has_provider(document) {
        if !keys.has_content() {
            return;
        }
        findings.error("unsupported encryption provider: none");
    }
    findings.error_if(!keys.has_content(), "encryption keys are required");
    let mut slots = Vec::new();
    for key in keys.items() {
        let slot = key.get("slot").int();
        findings.error_if(slots.contains(&slot), format!("duplicate key slot {slot}"));
        slots.push(slot);
        let has_source = ["static", "nodeID", "kms", "tpm"]
            .iter()
            .any(|source| key.get(source).is_set());
        findings.error_if(
            !has_source,
            format!("at least one encryption key type must be specified for slot {slot}"),
        );
    }
}

/// Per-volume trim and scrub schedules (v1.14).
fn check_maintenance(document: View<'_>, findings: &mut Findings) {
    super::system::check_intervals(document, findings);
}
