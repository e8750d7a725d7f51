//! Volume groups, logical volumes and RAID arrays (v1.14).

use super::super::cel::{Environment, check_bool};
use super::super::findings::Findings;
use super::super::view::View;
use super::{Rule, require};
use crate::config::VersionContract;
use crate::config::schema::parse_disk_size;

const VOLUME_NAME_LIMIT: usize = 63;
const ARRAY_NAME_LIMIT: usize = 32;

pub(super) fn rule_for(kind: &str) -> Option<Rule> {
    Some(match kind {
        "LVMVolumeGroupConfig" => check_volume_group,
        "LVMLogicalVolumeConfig" => check_logical_volume,
        "RAIDArrayConfig" => check_array,
        _ => return None,
    })
}

fn check_name(document: View<'_>, limit: usize, findings: &mut Findings) {
    let name = document.get("name").text();
    require(document, "name", "name is required", findings);
    findings.error_if(
        name.is_empty() || name.len() > limit,
        format!("name must be between 1 and {limit} characters long"),
    );
    findings.error_if(
        !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')),
        "name can only contain ASCII letters, digits, hyphens and underscores",
    );
}

fn check_selector(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    let selector = document.at("provisioning.volumeSelector.match").text();
    if selector.is_empty() {
        findings.error("provisioning.volumeSelector.match is required");
    } else if let Err(error) = check_bool(selector, Environment::Volume, release) {
        findings.error(format!("provisioning.volumeSelector.match: {error}"));
    }
}

fn check_volume_group(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    check_name(document, VOLUME_NAME_LIMIT, findings);
    check_selector(document, release, findings);
}

fn check_array(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    check_name(document, ARRAY_NAME_LIMIT, findings);
    check_selector(document, release, findings);
}

fn check_logical_volume(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    check_name(document, VOLUME_NAME_LIMIT, findings);
    check_layout(document, findings);
    let provisioning = document.get("provisioning");
    require(
        provisioning,
        "volumeGroup",
        "provisioning.volumeGroup is required",
        findings,
    );
    let (min, max) = (
        provisioning.get("minSize").text(),
        provisioning.get("maxSize").text(),
    );
    findings.error_if(max.is_empty(), "provisioning.maxSize is required");
    findings.error_if(
        max.starts_with('-'),
        "provisioning.maxSize must not be negative",
    );
    // A share of the group cannot be compared with a size in bytes.
    let bytes = |size: &str| parse_disk_size(size.trim_start_matches('-')).unwrap_or_default();
    findings.error_if(
        !min.is_empty() && !max.ends_with('%') && bytes(min) > bytes(max),
        "provisioning.minSize must not exceed provisioning.maxSize",
    );
}

/// Mirrors and stripes belong to the layouts that have them.
fn check_layout(document: View<'_>, findings: &mut Findings) {
    let layout = match document.get("type").text() {
        "" => "linear",
        layout => layout,
    };
    for (field, layouts, minimum) in [
        ("mirrors", ["raid1", "raid10"], 1),
        ("stripes", ["raid0", "raid10"], 2),
    ] {
        let count = document.get(field);
        if !count.is_set() {
            continue;
        }
        if !layouts.contains(&layout) {
            findings.error(format!(
                "{field} is only valid for {}, not {layout}",
                layouts.join("/")
            ));
        } else {
            findings.error_if(
                count.int() < minimum,
                format!("{field} must be at least {minimum}"),
            );
        }
    }
}
