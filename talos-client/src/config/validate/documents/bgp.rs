//! BGP instances (v1.14).

use std::net::IpAddr;

use super::super::findings::Findings;
use super::super::view::View;
use super::require;
use crate::config::VersionContract;
use crate::config::schema::parse_duration;
use crate::go::address::{parse_ip, parse_prefix};
use crate::go::text::quoted;

type Prefix = (IpAddr, u8);

pub(super) fn check(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", "name must be specified", findings);
    findings.error_if(
        document.get("localASN").int() == 0,
        "localASN must be specified",
    );
    let router = document.get("routerID").text();
    findings.error_if(
        !router.is_empty() && !parse_ip(router).is_some_and(|ip| ip.is_ipv4()),
        "routerID must be an IPv4 address",
    );
    let neighbors = document.get("neighbors");
    if !neighbors.has_content() {
        findings.warning("BGPInstanceConfig has no neighbors configured");
    }
    let mut seen = Vec::new();
    for (index, neighbor) in neighbors.items().enumerate() {
        check_neighbor(document, index, neighbor, &mut seen, findings);
    }
    check_imports(document, findings);
}

fn check_neighbor<'a>(
    document: View<'_>,
    index: usize,
    neighbor: View<'a>,
    seen: &mut Vec<&'a str>,
    findings: &mut Findings,
) {
    let place = format!("neighbor[{index}]: ");
    let (address, link) = (neighbor.get("address").text(), neighbor.get("link").text());
    let key = match (address.is_empty(), link.is_empty()) {
        (false, true) => Some(address),
        (true, false) => Some(link),
        _ => None,
    };
    findings.error_if(
        key.is_none(),
        format!("{place}exactly one of address or link must be set"),
    );
    let mut not_negative = |field: &str| {
        findings.error_if(
            parse_duration(neighbor.at(field).text()).is_some_and(|duration| duration < 0),
            format!("{place}{field} must not be negative"),
        );
    };
    not_negative("holdTime");
    if neighbor.get("bfd").is_set() {
        findings.error_if(
            document.get("vrf").has_text(),
            format!("{place}bfd is not supported for VRF-bound BGP instances"),
        );
        let mut not_negative = |field: &str| {
            findings.error_if(
                parse_duration(neighbor.at(field).text()).is_some_and(|duration| duration < 0),
                format!("{place}{field} must not be negative"),
            );
        };
        not_negative("bfd.transmitInterval");
        not_negative("bfd.receiveInterval");
    }
    if let Some(key) = key {
        findings.error_if(
            seen.contains(&key),
            format!("{place}duplicate neighbor {}", quoted(key)),
        );
        seen.push(key);
    }
}

fn check_imports(document: View<'_>, findings: &mut Findings) {
    let own = document.get("name").text();
    let (mut sources, mut selected) = (Vec::new(), Vec::new());
    for (index, route) in document.get("importRoutes").items().enumerate() {
        let source = route.get("bgpInstance").text();
        if source.is_empty() {
            findings.error(format!(
                "importRoutes[{index}]: bgpInstance must be specified"
            ));
        } else {
            findings.error_if(
                source == own,
                format!(
                    "importRoutes[{index}]: cannot import from the same BGP instance {}",
                    quoted(own)
                ),
            );
        }
        let prefixes: Vec<Option<Prefix>> = route
            .get("prefixes")
            .items()
            .map(|prefix| parse_prefix(prefix.text()))
            .collect();
        check_prefixes(index, &prefixes, findings);
        if !source.is_empty() {
            findings.error_if(
                sources.contains(&source),
                format!(
                    "importRoutes[{index}]: duplicate source BGP instance {}",
                    quoted(source)
                ),
            );
            sources.push(source);
        }
        for prefix in prefixes.into_iter().flatten().filter(is_masked) {
            for (other_index, other) in &selected {
                findings.error_if(
                    *other_index != index && overlap(*other, prefix),
                    format!(
                        "importRoutes[{index}]: prefix {} overlaps importRoutes[{other_index}] prefix {}",
                        text(prefix),
                        text(*other)
                    ),
                );
            }
            selected.push((index, prefix));
        }
    }
}

fn check_prefixes(index: usize, prefixes: &[Option<Prefix>], findings: &mut Findings) {
    findings.error_if(
        prefixes.is_empty(),
        format!("importRoutes[{index}]: at least one prefix must be specified"),
    );
    for (at, prefix) in prefixes.iter().enumerate() {
        let place = format!("importRoutes[{index}].prefixes[{at}]: ");
        let Some(prefix) = *prefix else {
            findings.error(format!("{place}invalid prefix"));
            continue;
        };
        findings.error_if(
            !is_masked(&prefix),
            format!("{place}prefix {} must be masked", text(prefix)),
        );
        for (other_at, other) in prefixes[..at].iter().enumerate() {
            if let Some(other) = other.filter(|other| overlap(*other, prefix)) {
                findings.error(format!(
                    "{place}prefix {} overlaps prefixes[{other_at}] {}",
                    text(prefix),
                    text(other)
                ));
            }
        }
    }
}

fn text((address, bits): Prefix) -> String {
    format!("{address}/{bits}")
}

fn is_masked(prefix: &Prefix) -> bool {
    network(prefix.0, prefix.1) == bits_of(prefix.0)
}

fn overlap(left: Prefix, right: Prefix) -> bool {
    let bits = left.1.min(right.1);
    left.0.is_ipv4() == right.0.is_ipv4() && network(left.0, bits) == network(right.0, bits)
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        // In the upper half, so that prefixes cut both families from the same end.
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The first bits of an address, the others cleared.
fn network(address: IpAddr, bits: u8) -> u128 {
    let mask = u128::MAX
        .checked_shl(128 - u32::from(bits.min(128)))
        .unwrap_or(0);
    bits_of(address) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        parse_prefix(text).unwrap()
    }

    #[test]
    fn prefixes_overlap_when_one_holds_the_other() {
        for (left, right, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/9", "10.128.0.0/9", false),
            ("0.0.0.0/0", "192.0.2.0/24", true),
            ("::/0", "10.0.0.0/8", false),
            ("fd00::/8", "fd12::/16", true),
        ] {
            assert_eq!(
                overlap(prefix(left), prefix(right)),
                expected,
                "{left} {right}"
            );
        }
    }

    #[test]
    fn masked_prefixes_have_no_bits_behind_their_length() {
        for (text, expected) in [
            ("10.0.0.0/8", true),
            ("10.0.0.1/8", false),
            ("10.0.0.1/32", true),
            ("::/0", true),
            ("fd00::1/64", false),
        ] {
            assert_eq!(is_masked(&prefix(text)), expected, "{text}");
        }
    }
}
