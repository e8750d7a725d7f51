//! Links: physical, virtual and aliases.

use super::super::cel::{Environment, check_bool};
use super::super::findings::Findings;
use super::super::view::View;
use super::require;
use crate::config::VersionContract;
use crate::config::schema::parse_duration;
use crate::go::address::{parse_ip, parse_prefix};
use crate::go::base64;
use crate::go::text::quoted;

const NAME_REQUIRED: &str = "name must be specified";
const LONGEST_LINK_NAME: usize = 15;

pub(super) fn check_link(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", NAME_REQUIRED, findings);
    check_addressing(document, findings);
}

pub(super) fn check_bond(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", NAME_REQUIRED, findings);
    findings.error_if(
        !document.get("links").has_content(),
        "at least one link must be specified",
    );
    let mode = document.get("bondMode");
    findings.error_if(!mode.is_set(), "bond mode must be specified");
    if mode.text() == "802.3ad" {
        for field in ["miimon", "updelay", "downdelay"] {
            if !document.get(field).is_set() {
                findings.warning(format!("{field} was not specified for 802.3ad bond"));
            }
        }
    }
    check_addressing(document, findings);
}

pub(super) fn check_vlan(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", NAME_REQUIRED, findings);
    findings.error_if(
        !(1..=4094).contains(&document.get("vlanID").int()),
        "vlanID must be specified and between 1 and 4094",
    );
    require(document, "parent", "parent must be specified", findings);
    findings.error_if(
        !matches!(document.get("vlanMode").text(), "" | "802.1q" | "802.1ad"),
        "vlanMode must be either '802.1q' or '802.1ad'",
    );
    check_addressing(document, findings);
}

pub(super) fn check_vrf(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", NAME_REQUIRED, findings);
    let reserved = match document.get("table").text() {
        "" | "0" | "unspec" => Some("unspec"),
        "253" | "default" => Some("default"),
        "254" | "main" => Some("main"),
        "255" | "local" => Some("local"),
        _ => None,
    };
    if let Some(table) = reserved {
        findings.error(format!("cannot create vrf with reserved table {table}"));
    }
    check_addressing(document, findings);
}

pub(super) fn check_veth(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    let (name, peer) = (document.get("name").text(), document.get("peer"));
    let peer_name = peer.get("name").text();
    for (what, name) in [("name", name), ("peer name", peer_name)] {
        if let Err(problem) = check_link_name(name) {
            findings.error(format!("{what} {problem}"));
        }
    }
    findings.error_if(
        !name.is_empty() && name == peer_name,
        "name and peer name must be different",
    );
    check_addressing(document, findings);
    check_addressing(peer, findings);
}

/// A name that the kernel takes for a link.
fn check_link_name(name: &str) -> Result<(), String> {
    let is_visible = |c: char| !c.is_whitespace() && is_printable(c);
    if name.is_empty() {
        Err("must be specified".to_owned())
    } else if name.len() > LONGEST_LINK_NAME {
        Err(format!("must not exceed {LONGEST_LINK_NAME} bytes"))
    } else if matches!(name, "." | "..") {
        Err(format!("must not be {}", quoted(name)))
    } else if name.contains(['/', ':']) {
        Err("must not contain '/' or ':'".to_owned())
    } else if name.chars().all(is_visible) {
        Ok(())
    } else {
        Err("must not contain whitespace or non-printable characters".to_owned())
    }
}

/// Whether a character can be shown; the escape of `Debug` tells.
fn is_printable(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || c.escape_debug().count() == 1
}

pub(super) fn check_wireguard(document: View<'_>, _: VersionContract, findings: &mut Findings) {
    require(document, "name", NAME_REQUIRED, findings);
    let private = document.get("privateKey").text();
    if private.is_empty() {
        findings.error("wireguard private key must be specified");
    } else if let Err(error) = check_key(private) {
        findings.error(format!("wireguard private key is invalid: {error}"));
    }
    findings.error_if(
        !(0..=65535).contains(&document.get("listenPort").int()),
        "wireguard listen port must be between 0 and 65535",
    );
    for (index, peer) in document.get("peers").items().enumerate() {
        check_peer(peer, index, findings);
    }
    check_addressing(document, findings);
}

fn check_peer(peer: View<'_>, index: usize, findings: &mut Findings) {
    let public = peer.get("publicKey").text();
    if public.is_empty() {
        findings.error(format!(
            "wireguard peer public key must be specified (peer index {index})"
        ));
    } else if let Err(error) = check_key(public) {
        findings.error(format!(
            "wireguard peer public key is invalid (peer index {index}): {error}"
        ));
    }
    let shared = peer.get("presharedKey").text();
    if !shared.is_empty()
        && let Err(error) = check_key(shared)
    {
        findings.error(format!(
            "wireguard peer preshared key is invalid (peer index {index}): {error}"
        ));
    }
    let keepalive = parse_duration(peer.get("persistentKeepaliveInterval").text());
    findings.error_if(
        keepalive.is_some_and(|interval| interval < 0),
        format!(
            "wireguard peer persistent keepalive interval cannot be negative (peer index {index})"
        ),
    );
}

fn check_key(key: &str) -> Result<(), String> {
    if base64::decode(key)?.len() == 32 {
        Ok(())
    } else {
        Err("invalid wireguard key length".to_owned())
    }
}

pub(super) fn check_alias(document: View<'_>, release: VersionContract, findings: &mut Findings) {
    let name = document.get("name").text();
    require(document, "name", NAME_REQUIRED, findings);
    // Aliases for several links arrived with v1.13.
    if release >= VersionContract::V1_13
        && let Some((prefix, verb)) = name.split_once('%')
    {
        findings.error_if(
            verb != "d" || prefix.is_empty(),
            format!(
                "name {} contains an invalid format verb, use %d suffix",
                quoted(name)
            ),
        );
    }
    let selector = document.at("selector.match").text();
    if selector.is_empty() {
        findings.error("link selector is required");
    } else if let Err(error) = check_bool(selector, Environment::Link, release) {
        findings.error(format!("link selector is invalid: {error}"));
    }
}

/// Addresses and routes, which all kinds of links share.
fn check_addressing(document: View<'_>, findings: &mut Findings) {
    for (index, address) in document.get("addresses").items().enumerate() {
        let address = address.get("address").text();
        match parse_prefix(address) {
            _ if address.is_empty() => {
                findings.error(format!("address {index} must be specified"));
            }
            None => findings.error(format!("address {index} must be a valid IP prefix")),
            Some((ip, _)) => findings.error_if(
                ip.is_unspecified(),
                format!("address {index} must be a valid IP address"),
            ),
        }
    }
    for (index, route) in document.get("routes").items().enumerate() {
        let destination = route.get("destination").text();
        findings.error_if(
            !destination.is_empty()
                && parse_prefix(destination).is_none_or(|(ip, _)| ip.is_unspecified()),
            format!("route {index} destination must be a valid IP prefix"),
        );
        for field in ["gateway", "source"] {
            let address = route.get(field).text();
            findings.error_if(
                !address.is_empty() && parse_ip(address).is_some_and(|ip| ip.is_unspecified()),
                format!("route {index} {field} must be a valid IP address"),
            );
        }
    }
}
