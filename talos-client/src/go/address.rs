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
    let checked = match text.find(['.', ':', '%']).map(|at| text.as_bytes()[at]) {
        Some(b'.') => check_ipv4(text),
        Some(b':') => check_ipv6(text),
        Some(_) => fault("missing IPv6 address", ""),
        None => fault("unable to parse IP", ""),
    };
    checked.map_err(|AddressFault { problem, at }| {
        let place = if at.is_empty() {
            String::new()
        } else {
            format!(" (at {})", quoted(at))
        };
        format!("ParseAddr({}): {problem}{place}", quoted(text))
    })
}

/// What is wrong with an address, and from where on.
struct AddressFault<'a> {
    problem: &'static str,
    at: &'a str,
}

fn fault<'a>(problem: &'static str, at: &'a str) -> Result<(), AddressFault<'a>> {
    Err(AddressFault { problem, at })
}

fn check_ipv4(text: &str) -> Result<(), AddressFault<'_>> {
    let (mut value, mut digits, mut fields) = (0_u32, 0, 0);
    for (at, c) in text.char_indices() {
        if let Some(digit) = c.to_digit(10) {
            if digits == 1 && value == 0 {
                return fault("IPv4 field has octet with leading zero", "");
            }
            value = value * 10 + digit;
            digits += 1;
            if value > 255 {
                return fault("IPv4 field has value >255", "");
            }
        } else if c == '.' {
            if at == 0 || at == text.len() - 1 || text[..at].ends_with('.') {
                return fault("IPv4 field must have at least one digit", &text[at..]);
            }
            if fields == 3 {
                return fault("IPv4 address too long", "");
            }
            (value, digits, fields) = (0, 0, fields + 1);
        } else {
            return fault("unexpected character", &text[at..]);
        }
    }
    if fields < 3 {
        return fault("IPv4 address too short", "");
    }
    Ok(())
}

fn check_ipv6(text: &str) -> Result<(), AddressFault<'_>> {
    let (mut rest, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    if zone == Some("") {
        return fault("zone must be a non-empty string", "");
    }
    let (mut bytes, mut ellipsis) = (0, false);
    if let Some(behind) = rest.strip_prefix("::") {
        (rest, ellipsis) = (behind, true);
        if rest.is_empty() {
            return Ok(());
        }
    }
    while bytes < 16 {
        let digits = rest
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        if digits > 4 {
            return fault("each group must have 4 or less digits", rest);
        }
        if digits == 0 {
            return fault(
                "each colon-separated field must have at least one digit",
                rest,
            );
        }
        if rest[digits..].starts_with('.') {
            if !ellipsis && bytes != 12 {
                return fault(
                    "embedded IPv4 address must replace the final 2 fields of the address",
                    rest,
                );
            }
            if bytes + 4 > 16 {
                return fault(
                    "too many hex fields to fit an embedded IPv4 at the end of the address",
                    rest,
                );
            }
            check_ipv4(rest)?;
            (rest, bytes) = ("", bytes + 4);
            break;
        }
        bytes += 2;
        rest = &rest[digits..];
        if rest.is_empty() {
            break;
        }
        let Some(behind) = rest.strip_prefix(':') else {
            return fault("unexpected character, want colon", rest);
        };
        if behind.is_empty() {
            return fault("colon must be followed by more characters", rest);
        }
        rest = behind;
        if let Some(behind) = rest.strip_prefix(':') {
            if ellipsis {
                return fault("multiple :: in address", rest);
            }
            (rest, ellipsis) = (behind, true);
            if rest.is_empty() {
                break;
            }
        }
    }
    if !rest.is_empty() {
        return fault("trailing garbage after address", rest);
    }
    match (bytes < 16, ellipsis) {
        (true, false) => fault("address string too short", ""),
        (false, true) => fault("the :: must expand to at least one field of zeros", ""),
        _ => Ok(()),
    }
}

/// Checks `address:port` and gives the text of Go's `netip.ParseAddrPort`.
pub(crate) fn check_address_port(text: &str) -> Result<(), String> {
    let Some((address, port)) = text.rsplit_once(':') else {
        return Err("not an ip:port".to_owned());
    };
    if address.is_empty() {
        return Err("no IP".to_owned());
    }
    if port.is_empty() {
        return Err("no port".to_owned());
    }
    let bracketed = address.starts_with('[');
    let address = match address.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or("missing ]")?,
        None => address,
    };
    if port.parse::<u16>().is_err() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "invalid port {} parsing {}",
            quoted(port),
            quoted(text)
        ));
    }
    check_address(address)?;
    let is_v6 = address.contains(':');
    if bracketed && !is_v6 {
        return Err(format!(
            "invalid ip:port {}, square brackets can only be used with IPv6 addresses",
            quoted(text)
        ));
    }
    if !bracketed && is_v6 {
        return Err(format!(
            "invalid ip:port {}, IPv6 addresses must be surrounded by square brackets",
            quoted(text)
        ));
    }
    Ok(())
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
    let fail = |reason: &str| {
        if text.is_empty() {
            return Err(reason.to_owned());
        }
        Err(format!("address {text}: {reason}"))
    };
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
