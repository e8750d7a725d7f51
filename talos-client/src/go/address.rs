//! Addresses and URLs by the rules of Go's standard library, whose verdicts and texts the reference passes on.

use std::net::IpAddr;
use std::str::FromStr as _;

use super::text::quoted;

/// An address without zone.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    IpAddr::from_str(text).ok()
}

/// An address that may carry a zone: `fe80::1%eth0`.
pub(crate) fn is_address(text: &str) -> bool {
    match text.split_once('%') {
        Some((address, zone)) => {
            !zone.is_empty() && parse_ip(address).is_some_and(|ip| ip.is_ipv6())
        }
        None => parse_ip(text).is_some(),
    }
}

/// Checks an address and gives the text of Go's `netip.ParseAddr`.
pub(crate) fn check_address(text: &str) -> Result<(), String> {
    if is_address(text) {
        return Ok(());
    }
    let reason = if !text.contains(['.', ':', '%']) {
        "unable to parse IP"
    } else if text.contains(':') {
        "each colon-separated field must have at least one digit"
    } else if text
        .split('.')
        .any(|field| !field.chars().all(|c| c.is_ascii_digit()))
    {
        "unexpected character"
    } else if text.split('.').any(str::is_empty) {
        "IPv4 field must have at least one digit"
    } else if text
        .split('.')
        .any(|field| field.len() > 1 && field.starts_with('0'))
    {
        "IPv4 field has octet with leading zero"
    } else if text.split('.').any(|field| field.parse::<u8>().is_err()) {
        "IPv4 field has value >255"
    } else if text.split('.').count() < 4 {
        "IPv4 address too short"
    } else {
        "IPv4 address too long"
    };
    if reason == "unexpected character" {
        let at = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or_default();
        return Err(format!(
            "ParseAddr({}): unexpected character (at {})",
            quoted(text),
            quoted(&text[at..])
        ));
    }
    Err(format!("ParseAddr({}): {reason}", quoted(text)))
}

/// Address and prefix length of `10.0.0.0/8`; bits beyond the prefix may be set.
pub(crate) fn parse_prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address = parse_ip(address)?;
    if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = bits.parse().ok()?;
    let limit = if address.is_ipv4() { 32 } else { 128 };
    (bits <= limit).then_some((address, bits))
}

/// Checks a prefix and gives the text of Go's `netip.ParsePrefix`.
pub(crate) fn check_prefix(text: &str) -> Result<(), String> {
    let fail = |reason: &str| Err(format!("netip.ParsePrefix({}): {reason}", quoted(text)));
    let Some((address, bits)) = text.rsplit_once('/') else {
        return fail("no '/'");
    };
    if let Err(error) = check_address(address) {
        return fail(&error);
    }
    if address.contains('%') {
        return fail("IPv6 zones cannot be present in a prefix");
    }
    let leading_zero = bits.len() > 1 && !bits.starts_with(|c: char| ('1'..='9').contains(&c));
    if leading_zero || bits.parse::<u32>().is_err() {
        return fail(&format!("bad bits after slash: {}", quoted(bits)));
    }
    if parse_prefix(text).is_none() {
        return fail("prefix length out of range");
    }
    Ok(())
}

/// A subnet or an address, as node address filters take them.
pub(crate) fn is_subnet_or_address(text: &str) -> bool {
    check_prefix(text).is_ok() || is_address(text)
}

/// A filter is a subnet or address, negated by a leading `!`; the text without it is what errors show.
pub(crate) fn bad_filters<'a>(
    filters: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = &'a str> {
    filters
        .map(|filter| filter.strip_prefix('!').unwrap_or(filter))
        .filter(|filter| !is_subnet_or_address(filter))
}

/// Checks `address/bits` and gives the text of Go's `net.ParseCIDR`.
pub(crate) fn check_cidr(text: &str) -> Result<(), String> {
    parse_prefix(text)
        .map(drop)
        .ok_or_else(|| format!("invalid CIDR address: {text}"))
}

/// An interface address: with or without prefix length.
pub(crate) fn check_ip_or_cidr(text: &str) -> Result<(), String> {
    if text.contains('/') {
        return check_cidr(text);
    }
    parse_ip(text)
        .map(drop)
        .ok_or_else(|| format!("failed to parse IP address {}", quoted(text)))
}

/// Checks `host:port` and gives the text of Go's `net.SplitHostPort`.
pub(crate) fn check_host_port(text: &str) -> Result<(), String> {
    let fail = |reason: &str| Err(format!("address {text}: {reason}"));
    let Some(last_colon) = text.rfind(':') else {
        return fail("missing port in address");
    };
    let host = if let Some(rest) = text.strip_prefix('[') {
        let Some(end) = rest.find(']') else {
            return fail("missing ']' in address");
        };
        match rest[end + 1..].find(':') {
            Some(0) if end + 2 == last_colon => {}
            Some(0) => return fail("too many colons in address"),
            _ => return fail("missing port in address"),
        }
        &rest[..end]
    } else {
        if text[..last_colon].contains(':') {
            return fail("too many colons in address");
        }
        &text[..last_colon]
    };
    if host.contains('[') || text[last_colon..].contains('[') {
        return fail("unexpected '[' in address");
    }
    if text[last_colon..].contains(']') || (!text.starts_with('[') && text.contains(']')) {
        return fail("unexpected ']' in address");
    }
    Ok(())
}

/// Whether a peer address ends in a port.
pub(crate) fn contains_port(address: &str) -> bool {
    let trimmed = |text: &str| parse_ip(text.trim_matches(['[', ']'])).is_some();
    let Some((host, _)) = address.rsplit_once(':') else {
        return false;
    };
    if trimmed(address) {
        return false;
    }
    trimmed(host) || address.matches(':').count() == 1
}
