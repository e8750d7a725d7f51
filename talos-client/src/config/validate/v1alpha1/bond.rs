//! Bond settings of an interface.

use super::super::findings::Findings;
use super::super::view::View;

const MODES: [&str; 7] = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];

/// Field, what the error calls it, and its values; the first is the default.
const CHOICES: [(&str, &str, &[&str]); 7] = [
    (
        "xmitHashPolicy",
        "xmit hash policy",
        &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"],
    ),
    ("lacpRate", "lacp rate", &["slow", "fast"]),
    (
        "arpValidate",
        "arp_validate mode",
        &["none", "active", "backup", "all"],
    ),
    ("arpAllTargets", "arp_all_targets mode", &["any", "all"]),
    (
        "primaryReselect",
        "primary_reselect mode",
        &["always", "better", "failure"],
    ),
    (
        "failOverMac",
        "fail_over_mac value",
        &["none", "active", "follow"],
    ),
    (
        "adSelect",
        "ad_select mode",
        &["stable", "bandwidth", "count"],
    ),
];

pub(super) fn check(bond: View<'_>, findings: &mut Findings) {
    // An unknown mode counts as the default for the rules below.
    let written = bond.get("mode").text();
    let known = MODES.into_iter().find(|mode| *mode == written);
    findings.error_if(
        known.is_none() && !written.is_empty(),
        format!("invalid bond type {written}"),
    );
    let mode = known.unwrap_or(MODES[0]);
    for (field, what, values) in CHOICES {
        let value = bond.get(field).text();
        findings.error_if(
            !value.is_empty() && !values.contains(&value),
            format!("invalid {what} {value}"),
        );
    }
    delays(bond, findings);
    availability(bond, mode, findings);
}

fn delays(bond: View<'_>, findings: &mut Findings) {
    let monitoring = bond.get("miimon").int();
    for (field, name) in [("updelay", "upDelay"), ("downdelay", "downDelay")] {
        let delay = bond.get(field).int();
        if monitoring == 0 {
            findings.error_if(
                delay != 0,
                format!("bond.{name} can't be set if miiMon is zero"),
            );
        } else {
            findings.error_if(
                delay % monitoring != 0,
                format!("bond.{name} should be a multiple of miiMon"),
            );
        }
    }
}

fn availability(bond: View<'_>, mode: &str, findings: &mut Findings) {
    let lacp = mode == "802.3ad";
    let adaptive = matches!(mode, "balance-alb" | "balance-tlb");
    let unavailable = |name: &str| format!("bond.{name} is not available in {mode} mode");
    let lacp_only = |name: &str| format!("bond.{name} is only available in 802.3ad mode");
    findings.error_if(
        bond.get("arpIPTarget").has_content(),
        "bond.arpIPTarget is not supported",
    );
    findings.error_if(
        bond.get("lacpRate").has_text() && !lacp,
        lacp_only("lacpRate"),
    );
    findings.error_if(
        bond.get("adActorSystem").has_text(),
        "bond.adActorSystem is not supported",
    );
    findings.error_if(
        bond.get("arpValidate").has_text() && (lacp || adaptive),
        unavailable("arpValidate"),
    );
    findings.error_if(
        bond.get("primary").has_text() && !(adaptive || mode == "active-backup"),
        unavailable("primary"),
    );
    findings.error_if(
        bond.get("arpInterval").int() > 0 && (lacp || adaptive),
        unavailable("arpInterval"),
    );
    findings.error_if(
        bond.get("packetsPerSlave").int() > 1 && mode != MODES[0],
        unavailable("packetsPerSlave"),
    );
    findings.error_if(
        bond.get("tlbDynamicLb").int() > 0 && !adaptive,
        unavailable("tlbDynamicTLB"),
    );
    for field in ["adActorSysPrio", "adUserPortKey"] {
        findings.error_if(bond.get(field).int() > 0 && !lacp, lacp_only(field));
    }
}
