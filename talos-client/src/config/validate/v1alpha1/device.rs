//! The interfaces of `machine.network`.

use super::super::findings::Findings;
use super::super::view::View;
use super::{Subject, bond};
use crate::go::address::{check_cidr, check_ip_or_cidr, contains_port, parse_ip};
use crate::go::base64;
use crate::go::text::quoted;

const SELECTOR_FIELDS: [&str; 6] = [
    "busPath",
    "hardwareAddr",
    "permanentAddr",
    "pciID",
    "driver",
    "physical",
];
const KUBESPAN_MINIMUM_MTU: i64 = 1280;

pub(super) fn check(subject: Subject<'_>, findings: &mut Findings) {
    let network = subject.machine.get("network");
    let devices = network.get("interfaces");
    let members = check_members(devices, findings);
    for device in devices.items() {
        if !device.is_set() {
            findings.error("empty device");
        } else if !device.get("ignore").is_true() {
            identity(device, findings);
            addressing(device, &members, findings);
            routes(device, findings);
        }
    }
    let kubespan = network.get("kubespan");
    let mtu = kubespan.get("mtu").int();
    findings.error_if(
        kubespan.get("enabled").is_true() && mtu != 0 && mtu < KUBESPAN_MINIMUM_MTU,
        format!("kubespan link MTU must be at least {KUBESPAN_MINIMUM_MTU}"),
    );
}

/// Shared addresses are held by control planes only.
pub(super) fn check_worker_vips(subject: Subject<'_>, findings: &mut Findings) {
    for device in subject.machine.at("network.interfaces").items() {
        let vlans = device.get("vlans");
        let holders = std::iter::once(device).chain(vlans.items());
        for _ in holders.filter(|holder| holder.get("vip").is_set()) {
            findings.error("virtual (shared) IP is not allowed on non-controlplane nodes");
        }
    }
}

/// Checks bonds and bridges against each other; returns the names of all their members.
fn check_members<'a>(devices: View<'a>, findings: &mut Findings) -> Vec<&'a str> {
    let mut owners: Vec<(&str, &str)> = Vec::new();
    for device in devices.items() {
        let (bond, bridge) = (device.get("bond"), device.get("bridge"));
        let name = device.get("interface").text();
        findings.error_if(
            bond.is_set() && bridge.is_set(),
            format!(
                "interface has both bridge and bond sections set {}: config sections are mutually exclusive",
                quoted(name)
            ),
        );
        findings.error_if(
            bond.get("interfaces").has_content() && bond.get("deviceSelectors").has_content(),
            format!(
                "interface {} has both interfaces and selectors set: config sections are mutually exclusive",
                quoted(name)
            ),
        );
        let master = if bridge.is_set() { bridge } else { bond };
        for member in master.get("interfaces").texts() {
            let owner = owners.iter_mut().find(|(known, _)| *known == member);
            let Some((_, owner)) = owner else {
                owners.push((member, name));
                continue;
            };
            findings.error_if(
                *owner != name,
                format!(
                    "interface {} is declared as part of two separate links: {} and {}",
                    quoted(member),
                    quoted(owner),
                    quoted(name)
                ),
            );
            *owner = name;
        }
    }
    owners.into_iter().map(|(member, _)| member).collect()
}

fn identity(device: View<'_>, findings: &mut Findings) {
    const SECTIONS: &str =
        "[networking.os.device.interface], [networking.os.device.deviceSelector]";
    let selector = device.get("deviceSelector");
    match (device.get("interface").has_text(), selector.is_set()) {
        (false, false) => {
            findings.error(format!(
                "{SECTIONS}: required either config section to be set"
            ));
        }
        (true, true) => {
            findings.error(format!(
                "{SECTIONS}: config sections are mutually exclusive"
            ));
        }
        _ => {}
    }
    findings.error_if(
        selector.is_set() && !selector.has_any(&SELECTOR_FIELDS),
        "[networking.os.device.deviceSelector]: config section should contain at least one field",
    );
    let bond = device.get("bond");
    if bond.is_set() {
        bond::check(bond, findings);
    }
    let wireguard = device.get("wireguard");
    if wireguard.is_set() {
        check_wireguard(wireguard, findings);
    }
    vlans(device, findings);
}

fn check_wireguard(wireguard: View<'_>, findings: &mut Findings) {
    if let Err(error) = check_key(wireguard.get("privateKey").text()) {
        findings.error(format!("private key is invalid: {error}"));
    }
    for peer in wireguard.get("peers").items() {
        if let Err(error) = check_key(peer.get("publicKey").text()) {
            findings.error(format!("public key invalid: {error}"));
        }
        let endpoint = peer.get("endpoint").text();
        findings.error_if(
            !endpoint.is_empty() && !contains_port(endpoint),
            format!("peer endpoint {} is invalid", quoted(endpoint)),
        );
        for allowed in peer.get("allowedIPs").texts() {
            if let Err(error) = check_cidr(allowed) {
                findings.error(format!(
                    "peer allowed IP {} is invalid: {error}",
                    quoted(allowed)
                ));
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let raw = base64::decode(key)?;
    if raw.len() == 32 {
        return Ok(());
    }
    Err(format!("wrong key {} length: {}", quoted(key), raw.len()))
}

fn vlans(device: View<'_>, findings: &mut Findings) {
    const SECTION: &str = "networking.os.device.vlan";
    let interface = device.get("interface").text();
    for vlan in device.get("vlans").items() {
        let name = format!("{interface}.{}", vlan.get("vlanId").int());
        let cidr = vlan.get("cidr").text();
        let addresses = vlan.get("addresses");
        findings.error_if(
            addresses.has_content() && !cidr.is_empty(),
            format!("[{SECTION}] {name}: vlan can't have both .cidr and .addresses set"),
        );
        if !cidr.is_empty()
            && let Err(error) = check_ip_or_cidr(cidr)
        {
            findings.error(format!("[{SECTION}.CIDR] {name}: {error}"));
        }
        for address in addresses.texts() {
            if let Err(error) = check_ip_or_cidr(address) {
                findings.error(format!("[{SECTION}.addresses] {name}: {error}"));
            }
        }
    }
}

fn addressing(device: View<'_>, members: &[&str], findings: &mut Findings) {
    const SECTION: &str = "networking.os.device";
    let interface = device.get("interface").text();
    let name = quoted(interface);
    let cidr = device.get("cidr").text();
    let addresses = device.get("addresses");
    let vip = device.get("vip");
    let addressed =
        device.get("dhcp").is_true() || !cidr.is_empty() || addresses.has_content() || vip.is_set();
    findings.error_if(
        addressed && members.contains(&interface),
        format!("[{SECTION}] {name}: bonded/bridged interface shouldn't have any addressing methods configured"),
    );
    findings.error_if(
        addresses.has_content() && !cidr.is_empty(),
        format!("[{SECTION}] {name}: interface can't have both .cidr and .addresses set"),
    );
    if !cidr.is_empty() {
        if let Err(error) = check_ip_or_cidr(cidr) {
            findings.error(format!("[{SECTION}.CIDR] {name}: {error}"));
        }
        findings.warning(format!(
            "{name}: machine.network.interface.cidr is deprecated, please use machine.network.interface.addresses"
        ));
    }
    for address in addresses.texts() {
        if let Err(error) = check_ip_or_cidr(address) {
            findings.error(format!("[{SECTION}.addresses] {name}: {error}"));
        }
    }
    let shared = vip.get("ip").text();
    findings.error_if(
        vip.is_set() && parse_ip(shared).is_none(),
        format!(
            "[{SECTION}.vip] failed to parse {} as IP address",
            quoted(shared)
        ),
    );
}

fn routes(device: View<'_>, findings: &mut Findings) {
    for (index, route) in device.get("routes").items().enumerate() {
        let section = format!("networking.os.device.route[{index}]");
        let mut address = |field: &str, valid: fn(&str) -> bool| {
            let value = route.get(field).text();
            findings.error_if(
                !value.is_empty() && !valid(value),
                format!(
                    "[{section}.{field}] {}: invalid network address",
                    quoted(value)
                ),
            );
        };
        let is_ip = |text: &str| parse_ip(text).is_some();
        address("network", |text| check_cidr(text).is_ok());
        address("gateway", is_ip);
        findings.error_if(
            !route.get("gateway").has_text() && !route.get("network").has_text(),
            format!("[{section}]: either network or gateway should be set"),
        );
        let source = route.get("source").text();
        findings.error_if(
            !source.is_empty() && !is_ip(source),
            format!(
                "[{section}.source] {}: invalid network address",
                quoted(source)
            ),
        );
    }
}
