//! The declared address on a nocloud drive: Talos has it from the first boot on, without DHCP.
//!
//! Proxmox VE writes the drive at every start of the VM. Talos reads it at every boot as the platform's layer of the network,
//! below that of the machine configuration, and takes the host name from it: the name of the VM up to its first dot.

use std::net::IpAddr;

use proxmox_client::vm::Slot;

use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{MachineSpec, StaticAddress};

/// Where the drive is attached.
pub(crate) const DRIVE: Slot = Slot::Ide(0);

/// The options that Proxmox VE writes to the drive; none without a static address, `None` when it is not valid.
pub(super) fn options(
    path: &str,
    machine: &MachineSpec,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<(String, String)>> {
    let Some(wanted) = &machine.static_address else {
        return Some(Vec::new());
    };
    check(
        &format!("{path}.staticAddress"),
        machine.address,
        wanted,
        diagnostics,
    )?;
    let mut options = vec![("ipconfig0".to_owned(), ip_config(machine.address, wanted))];
    if !wanted.name_servers.is_empty() {
        let servers: Vec<String> = wanted
            .name_servers
            .iter()
            .map(ToString::to_string)
            .collect();
        options.push(("nameserver".to_owned(), servers.join(" ")));
    }
    if let Some(domain) = &wanted.search_domain {
        options.push(("searchdomain".to_owned(), domain.clone()));
    }
    Some(options)
}

fn ip_config(address: IpAddr, wanted: &StaticAddress) -> String {
    let (ip, gw) = if address.is_ipv4() {
        ("ip", "gw")
    } else {
        ("ip6", "gw6")
    };
    let mut text = format!("{ip}={address}/{}", wanted.prefix_length);
    if let Some(gateway) = wanted.gateway {
        text.push_str(&format!(",{gw}={gateway}"));
    }
    text
}

fn check(
    path: &str,
    address: IpAddr,
    wanted: &StaticAddress,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let before = diagnostics.len();
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = wanted.prefix_length;
    if !(1..=longest).contains(&prefix) {
        diagnostics.add(Diagnostic::new(
            format!("{path}.prefixLength"),
            prefix,
            format!("must be 1 to {longest} for the address {address}"),
        ));
    } else if let Some(gateway) = wanted.gateway
        && !is_neighbour(address, gateway, prefix)
    {
        diagnostics.add(Diagnostic::new(
            format!("{path}.gateway"),
            gateway,
            format!("must be another address of the network of {address}/{prefix}"),
        ));
    }
    if let Some(domain) = &wanted.search_domain
        && (domain.is_empty() || domain.contains(|c: char| c.is_whitespace() || c == ','))
    {
        diagnostics.add(Diagnostic::new(
            format!("{path}.searchDomain"),
            domain,
            "must be one DNS domain, for example example.org",
        ));
    }
    (diagnostics.len() == before).then_some(())
}

/// Whether the gateway can be reached on the link: another address of the same network, or a link-local one of IPv6.
fn is_neighbour(address: IpAddr, gateway: IpAddr, prefix: u8) -> bool {
    let same = |address: u128, gateway: u128, bits: u32| {
        address != gateway
            && (address ^ gateway)
                .checked_shr(bits - u32::from(prefix))
                .unwrap_or(0)
                == 0
    };
    match (address, gateway) {
        (IpAddr::V4(address), IpAddr::V4(gateway)) => {
            same(u32::from(address).into(), u32::from(gateway).into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(gateway)) => {
            gateway.is_unicast_link_local() || same(address.into(), gateway.into(), 128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::machine::Network;

    fn machine(address: &str, wanted: StaticAddress) -> MachineSpec {
        MachineSpec::new("a", 100, address.parse().unwrap(), Network::new("vmbr0"))
            .static_address(wanted)
    }

    fn found(machine: &MachineSpec) -> Vec<String> {
        let mut diagnostics = Diagnostics::default();
        let options = options("m", machine, &mut diagnostics);
        assert_eq!(options.is_none(), !diagnostics.is_empty());
        diagnostics.iter().map(|found| found.path.clone()).collect()
    }

    #[test]
    fn options_are_those_of_the_family_of_the_address() {
        let mut diagnostics = Diagnostics::default();
        let four = StaticAddress::new(24)
            .gateway(IpAddr::from([10, 0, 2, 1]))
            .name_server(IpAddr::from([10, 0, 2, 1]))
            .name_server(IpAddr::from([10, 0, 2, 2]))
            .search_domain("a.b");
        let six = StaticAddress::new(64).gateway("fe80::1".parse().unwrap());

        let four = options("m", &machine("10.0.2.10", four), &mut diagnostics).unwrap();
        let six = options("m", &machine("2001:db8::10", six), &mut diagnostics).unwrap();

        let texts: Vec<String> = four
            .iter()
            .chain(&six)
            .map(|(k, v)| format!("{k}: {v}"))
            .collect();
        assert_eq!(
            texts,
            [
                "ipconfig0: ip=10.0.2.10/24,gw=10.0.2.1",
                "nameserver: 10.0.2.1 10.0.2.2",
                "searchdomain: a.b",
                "ipconfig0: ip6=2001:db8::10/64,gw6=fe80::1",
            ]
        );
    }

    #[test]
    fn an_address_that_cannot_work_is_found() {
        let gateway =
            |prefix, text: &str| StaticAddress::new(prefix).gateway(text.parse().unwrap());

        for (address, wanted, path) in [
            (
                "10.0.2.10",
                StaticAddress::new(0),
                "m.staticAddress.prefixLength",
            ),
            (
                "10.0.2.10",
                StaticAddress::new(33),
                "m.staticAddress.prefixLength",
            ),
            (
                "10.0.2.10",
                gateway(24, "10.0.3.1"),
                "m.staticAddress.gateway",
            ),
            (
                "10.0.2.10",
                gateway(24, "10.0.2.10"),
                "m.staticAddress.gateway",
            ),
            (
                "10.0.2.10",
                gateway(24, "fe80::1"),
                "m.staticAddress.gateway",
            ),
            (
                "10.0.2.10",
                StaticAddress::new(24).search_domain("a b"),
                "m.staticAddress.searchDomain",
            ),
        ] {
            assert_eq!(found(&machine(address, wanted)), [path]);
        }
        assert!(found(&machine("10.0.2.10", gateway(23, "10.0.3.1"))).is_empty());
    }
}
