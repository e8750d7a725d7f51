//! Network settings of the machine: host name, resolver, time, addresses, rules and probes.

use super::super::findings::Findings;
use super::super::view::View;
use super::require;
use crate::config::VersionContract;
use crate::config::schema::{duration_text, parse_duration};
use crate::go::address::{bad_filters, check_address, check_prefix, is_address};
use crate::go::text::quoted;
use crate::go::url::Url;

const KUBESPAN_MINIMUM_MTU: i64 = 1280;
/// Priorities of the rules that the kernel and KubeSpan install.
const RESERVED_PRIORITIES: [u32; 4] = [0, 32500, 32766, 32767];

pub(super) fn check_ethernet(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name is required", findings);
}

pub(super) fn check_dhcp(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name must be specified", findings);
    let by_duid = document.get("clientIdentifier").text() == "duid";
    let has_duid = document.get("duidRaw").has_text();
    findings.error_if(
        has_duid && !by_duid,
        "duidRaw can only be set if clientIdentifier is 'duid'",
    );
    findings.error_if(
        by_duid && !has_duid,
        "duidRaw must be set if clientIdentifier is 'duid'",
    );
}

pub(super) fn check_hostname(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let auto = document.get("auto");
    let hostname = document.get("hostname").text();
    findings.error_if(
        !auto.is_set() && hostname.is_empty(),
        "either 'auto' or 'hostname' must be set",
    );
    findings.error_if(
        !matches!(auto.text(), "" | "off") && !hostname.is_empty(),
        "'auto' and 'hostname' cannot be set at the same time",
    );
    findings.error_if(
        !matches!(auto.text(), "" | "off" | "stable"),
        format!("invalid value for 'auto': {}", auto.text()),
    );
    if hostname.is_empty() {
        return;
    }
    findings.error_if(
        hostname.len() > 253,
        format!("fqdn is too long: {}", hostname.len()),
    );
    let first = hostname.split('.').next().unwrap_or_default();
    findings.error_if(
        first.is_empty() || first.len() > 63,
        format!("invalid hostname {}", quoted(first)),
    );
}

pub(super) fn check_static_host(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let name = document.get("name").text();
    findings.error_if(name.is_empty(), "name is required");
    findings.error_if(!is_address(name), "name must be a valid IP address");
    findings.error_if(
        !document.get("hostnames").has_content(),
        "at least one hostname is required",
    );
}

pub(super) fn check_resolver(
    document: View<'_>,
    release: VersionContract,
    findings: &mut Findings,
) {
    if release < VersionContract::V1_14 {
        return;
    }
    let host_dns = document.get("hostDNS");
    for field in ["forwardKubeDNSToHost", "resolveMemberNames"] {
        findings.error_if(
            host_dns.get(field).is_true() && !host_dns.get("enabled").is_true(),
            format!("hostDNS.{field} cannot be enabled when hostDNS.enabled is false"),
        );
    }
    let mut encrypted = 0;
    let nameservers = document.get("nameservers").items();
    let total = nameservers.len();
    for (index, nameserver) in nameservers.enumerate() {
        let protocol = nameserver.get("protocol").text();
        let has_server_name = nameserver.get("tlsServerName").has_text();
        if matches!(protocol, "DoT" | "DoH") {
            encrypted += 1;
            findings.error_if(
                !has_server_name,
                format!("tlsServerName must be set when protocol is {protocol}: entry {index}"),
            );
        } else {
            findings.error_if(
                has_server_name,
                format!("tlsServerName must be empty when protocol is Do53: entry {index}"),
            );
        }
        findings.error_if(
            !nameserver.get("address").has_text(),
            format!("nameserver address must be a valid IP: entry {index}"),
        );
    }
    if total > 0 && encrypted == total {
        findings.warning(
            "all configured nameservers use encrypted DNS (DoT or DoH): validating certificates requires a correct system clock, \
             so boot may stall when NTP servers are configured by hostname; consider keeping at least one plain-DNS fallback \
             or configuring NTP servers by IP address",
        );
    }
}

pub(super) fn check_time_sync(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    findings.error_if(
        parse_duration(document.get("bootTimeout").text()).is_some_and(|timeout| timeout < 0),
        "bootTimeout cannot be negative",
    );
    findings.error_if(
        document.get("ntp").is_set() && document.get("ptp").is_set(),
        "only one of ntp or ptp configuration can be specified",
    );
}

pub(super) fn check_virtual_ip(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let name = document.get("name").text();
    if name.is_empty() {
        findings.error("name must be specified");
    } else if let Err(error) = check_address(name) {
        findings.error(format!("name must be a valid IP address: {error}"));
    }
    require(document, "link", "link must be specified", findings);
    if document.get("kind").text() == "HCloudVIPConfig" {
        require(document, "apiToken", "apiToken must be specified", findings);
    }
}

pub(super) fn check_kubespan(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let mtu = document.get("mtu");
    findings.error_if(
        mtu.is_set() && mtu.int() < KUBESPAN_MINIMUM_MTU,
        format!("kubespan link MTU must be at least {KUBESPAN_MINIMUM_MTU}"),
    );
    for bad in bad_filters(document.at("filters.endpoints").texts()) {
        findings.error(format!(
            "KubeSpan endpoint filter is not valid: {}",
            quoted(bad)
        ));
    }
}

pub(super) fn check_blackhole(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name must be specified", findings);
    if let Err(error) = check_prefix(document.get("name").text()) {
        findings.error(format!("name must be a valid address prefix: {error}"));
    }
}

pub(super) fn check_routing_rule(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let name = document.get("name").text();
    require(document, "name", "name must be specified", findings);
    let priority = match name.parse::<u32>() {
        Ok(priority) if !name.starts_with('+') => priority,
        _ => {
            let all_digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            let reason = if all_digits {
                "value out of range"
            } else {
                "invalid syntax"
            };
            findings.error(format!(
                "invalid name: must be priority parsable unsigned integer: strconv.ParseUint: parsing {}: {reason}",
                quoted(name)
            ));
            if all_digits { u32::MAX } else { 0 }
        }
    };
    let texts: Vec<String> = RESERVED_PRIORITIES.iter().map(u32::to_string).collect();
    findings.error_if(
        RESERVED_PRIORITIES.contains(&priority),
        format!(
            "priority must be between 1 and 32765 (excluding reserved priorities [{}])",
            texts.join(" ")
        ),
    );
    findings.error_if(
        matches!(document.get("table").text(), "" | "0" | "unspec")
            && matches!(document.get("action").text(), "" | "unspec" | "unicast"),
        "either table or a non-unicast action must be specified",
    );
    findings.error_if(
        document.get("fwMask").int() != 0 && document.get("fwMark").int() == 0,
        "fwMask requires fwMark to be set",
    );
}

pub(super) fn check_tcp_probe(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "probe name is required", findings);
    require(
        document,
        "endpoint",
        "TCP probe endpoint is required",
        findings,
    );
    check_not_negative(document, "timeout", "TCP probe timeout", findings);
    check_probe(document, findings);
}

pub(super) fn check_http_probe(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "probe name is required", findings);
    let text = document.get("url").text();
    let url = Url::parse(text).unwrap_or_default();
    if text.is_empty() {
        findings.error("HTTP probe URL is required");
    } else if !matches!(url.scheme.as_str(), "http" | "https") {
        findings.error(format!(
            "HTTP probe URL scheme must be http or https, got {}",
            quoted(&url.scheme)
        ));
    } else {
        findings.error_if(
            !url.opaque.is_empty() || url.hostname().is_empty(),
            "HTTP probe URL must be an absolute http or https URL with a non-empty host",
        );
    }
    check_not_negative(document, "timeout", "HTTP probe timeout", findings);
    check_probe(document, findings);
}

fn check_not_negative(document: View<'_>, field: &str, what: &str, findings: &mut Findings) {
    if let Some(duration @ ..0) = parse_duration(document.get(field).text()) {
        findings.error(format!(
            "{what} cannot be negative: {}",
            duration_text(duration)
        ));
    }
}

/// What all probes have.
fn check_probe(document: View<'_>, findings: &mut Findings) {
    check_not_negative(document, "interval", "probe interval", findings);
    let threshold = document.get("failureThreshold").int();
    findings.error_if(
        threshold < 0,
        format!("probe failure threshold cannot be negative: {threshold}"),
    );
}
