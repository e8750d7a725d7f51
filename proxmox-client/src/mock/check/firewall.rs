//! Formats of the firewall, read in pve-firewall 6.0.

use std::net::IpAddr;

use super::pattern::matches;
use super::{Checked, unless};

const ALIAS: &str = r"[A-Za-z][A-Za-z0-9\-\_]+";

/// Checks a value against one of these formats; `None` for another format.
pub(super) fn check(name: &str, value: &str) -> Option<Checked> {
    Some(match name {
        "IPorCIDRorAlias" => unless(is_alias(value) || is_address(value), || {
            "value does not look like a valid IP address or CIDR network".to_owned()
        }),
        "pve-fw-addr-spec" => addresses(value),
        "pve-fw-sport-spec" => ports(value, false),
        "pve-fw-dport-spec" => ports(value, true),
        "pve-fw-protocol-spec" => {
            unless(PROTOCOLS.contains(&value) || is_number(value, 255), || {
                format!("unknown protocol '{value}'")
            })
        }
        "pve-fw-icmp-type-spec" => unless(ICMP_TYPES.contains(&value), || {
            format!("invalid icmp-type value '{value}'")
        }),
        _ => return None,
    })
}

fn is_alias(value: &str) -> bool {
    matches(&format!("(dc/|guest/)?{ALIAS}"), false, value)
}

fn is_address(value: &str) -> bool {
    let (address, prefix) = value.split_once('/').unwrap_or((value, "0"));
    match address.parse::<IpAddr>() {
        Ok(address) => is_number(prefix, if address.is_ipv4() { 32 } else { 128 }),
        Err(_) => false,
    }
}

fn is_number(text: &str, most: u32) -> bool {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    digits && text.parse::<u32>().is_ok_and(|number| number <= most)
}

/// An IP set, an alias, or a list of addresses and networks of one family; a range stands alone.
fn addresses(value: &str) -> Checked {
    if value.starts_with('+') && !value.contains(char::is_whitespace) && value.len() > 1 {
        return unless(value.len() <= 65, || "ipset name too long".to_owned());
    }
    if is_alias(value) {
        return unless(value.len() <= 64, || "alias name too long".to_owned());
    }
    let items: Vec<&str> = value.split(',').collect();
    if items.last().is_none_or(|last| last.is_empty()) {
        return Err("extraneous commas in list\n".to_owned());
    }
    let mut families = Vec::new();
    for item in &items {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        if !is_address(first) || !is_address(last) {
            return Err(format!("invalid IP address: Invalid IP address {item}\n"));
        }
        families.push(first.contains(':'));
    }
    families.dedup();
    if families.len() > 1 {
        return Err(format!(
            "detected mixed ipv4/ipv6 addresses in address list '{value}'\n"
        ));
    }
    unless(items.len() == 1 || !value.contains('-'), || {
        "you can't use a range in a list".to_owned()
    })
}

/// Numbers, ranges and names of services, at most 15; a destination can be a type of ICMP.
fn ports(value: &str, destination: bool) -> Checked {
    let items: Vec<&str> = value.split(',').collect();
    if items.last().is_none_or(|last| last.is_empty()) {
        return Err("extraneous commas in list\n".to_owned());
    }
    let (mut count, mut icmp) = (0, false);
    for item in items {
        match item.split_once(':') {
            Some((from, to)) => {
                count += 2;
                check_port(from)?;
                check_port(to)?;
                let number = |text: &str| text.parse::<u32>().unwrap_or_default();
                if number(from) > number(to) {
                    return Err(format!(
                        "backwards range '{from}:{to}' not allowed, did you mean '{to}:{from}'?\n"
                    ));
                }
            }
            None if destination && ICMP_TYPES.contains(&item) => icmp = true,
            // Which names there are depends on the node's list of services.
            None if matches("[a-z][a-z0-9-]*", false, item) => {}
            None => {
                count += 1;
                check_port(item)?;
            }
        }
    }
    if icmp && count > 0 {
        return Err("ICMP ports not allowed in port range\n".to_owned());
    }
    unless(count <= 15, || {
        "too many entries in port list (> 15 numbers)".to_owned()
    })
}

fn check_port(text: &str) -> Checked {
    unless(is_number(text, 65_535), || format!("invalid port '{text}'"))
}

/// `/etc/protocols` of Debian.
const PROTOCOLS: &[&str] = &[
    "ip",
    "icmp",
    "igmp",
    "ggp",
    "ipencap",
    "st",
    "tcp",
    "egp",
    "igp",
    "pup",
    "udp",
    "hmp",
    "xns-idp",
    "rdp",
    "iso-tp4",
    "dccp",
    "xtp",
    "ddp",
    "idpr-cmtp",
    "ipv6",
    "ipv6-route",
    "ipv6-frag",
    "idrp",
    "rsvp",
    "gre",
    "esp",
    "ah",
    "skip",
    "ipv6-icmp",
    "icmpv6",
    "ipv6-nonxt",
    "ipv6-opts",
    "rspf",
    "vmtp",
    "eigrp",
    "ospf",
    "ax.25",
    "ipip",
    "etherip",
    "encap",
    "pim",
    "ipcomp",
    "vrrp",
    "l2tp",
    "isis",
    "sctp",
    "fc",
    "mobility-header",
    "udplite",
    "mpls-in-ip",
    "manet",
    "hip",
    "shim6",
    "wesp",
    "rohc",
    "ethernet",
];

/// Those of IPv4 and of IPv6.
const ICMP_TYPES: &[&str] = &[
    "any",
    "echo-reply",
    "destination-unreachable",
    "network-unreachable",
    "host-unreachable",
    "protocol-unreachable",
    "port-unreachable",
    "fragmentation-needed",
    "source-route-failed",
    "network-unknown",
    "host-unknown",
    "network-prohibited",
    "host-prohibited",
    "TOS-network-unreachable",
    "TOS-host-unreachable",
    "communication-prohibited",
    "host-precedence-violation",
    "precedence-cutoff",
    "source-quench",
    "redirect",
    "network-redirect",
    "host-redirect",
    "TOS-network-redirect",
    "TOS-host-redirect",
    "echo-request",
    "router-advertisement",
    "router-solicitation",
    "time-exceeded",
    "ttl-zero-during-transit",
    "ttl-zero-during-reassembly",
    "parameter-problem",
    "ip-header-bad",
    "required-option-missing",
    "timestamp-request",
    "timestamp-reply",
    "address-mask-request",
    "address-mask-reply",
    "no-route",
    "beyond-scope",
    "address-unreachable",
    "failed-policy",
    "reject-route",
    "packet-too-big",
    "bad-header",
    "unknown-header-type",
    "unknown-option",
    "neighbor-solicitation",
    "neighbour-solicitation",
    "neighbor-advertisement",
    "neighbour-advertisement",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        for (format, good, bad) in [
            ("IPorCIDRorAlias", "dc/gateway", "dc/"),
            ("IPorCIDRorAlias", "10.0.0.0/24", "10.0.0.0/33"),
            ("pve-fw-addr-spec", "+admins", "+a b"),
            (
                "pve-fw-addr-spec",
                "10.0.0.1,10.0.0.0/8",
                "10.0.0.1,fd00::1",
            ),
            (
                "pve-fw-addr-spec",
                "10.0.0.1-10.0.0.9",
                "10.0.0.1-10.0.0.9,10.1.0.1",
            ),
            ("pve-fw-sport-spec", "80,443:450", "450:443"),
            ("pve-fw-sport-spec", "ssh", "65536"),
            ("pve-fw-dport-spec", "echo-request", "echo-request,80"),
            ("pve-fw-dport-spec", "80", "80,"),
            ("pve-fw-protocol-spec", "tcp", "tcpp"),
            ("pve-fw-icmp-type-spec", "echo-reply", "echo"),
        ] {
            assert_eq!(check(format, good), Some(Ok(())), "{format} {good}");
            assert!(matches!(check(format, bad), Some(Err(_))), "{format} {bad}");
        }
        assert_eq!(check("no-format", "x"), None);
    }
}
