//! Firewall rules.

use super::super::findings::Findings;
use super::super::view::View;
use crate::config::VersionContract;
use crate::go::address::parse_prefix;

pub(super) fn check(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    if let Err(error) = rule(document) {
        findings.error(error);
    }
}

fn rule(document: View<'_>) -> Result<(), String> {
    if !document.get("name").has_text() {
        return Err("name is required".to_owned());
    }
    let mut ranges: Vec<(i64, i64)> = document
        .at("portSelector.ports")
        .items()
        .filter_map(range)
        .collect();
    if ranges.is_empty() {
        return Err("portSelector.ports is required".to_owned());
    }
    ranges.sort_by_key(|(low, _)| *low);
    let mut previous: Option<(i64, i64)> = None;
    for (low, high) in ranges {
        if low > high {
            return Err(format!("invalid port range: {low}-{high}"));
        }
        if let Some((other_low, other_high)) = previous
            && (low == other_low || low <= other_high)
        {
            return Err(format!(
                "invalid port range: {low}-{high}, overlaps with {other_low}-{other_high}"
            ));
        }
        previous = Some((low, high));
    }
    for source in document.get("ingress").items() {
        // Only an empty subnet gets here: the loader refuses what is no prefix.
        if parse_prefix(source.get("subnet").text()).is_none() {
            return Err("invalid subnet: invalid Prefix".to_owned());
        }
    }
    Ok(())
}

/// A port, or two joined by a dash.
fn range(ports: View<'_>) -> Option<(i64, i64)> {
    let text = ports.text();
    match text.split_once('-') {
        Some((low, high)) => Some((low.parse().ok()?, high.parse().ok()?)),
        None => Some((ports.int(), ports.int())),
    }
}
