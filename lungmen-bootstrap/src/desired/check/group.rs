//! The machines as a group: what only shows when they are seen side by side.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::desired::vm::network_path;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{MachineSpec, Role};

/// What is wrong with the machines as a group.
pub(super) fn check_machines(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    let control_planes = machines
        .iter()
        .filter(|machine| machine.role == Role::ControlPlane)
        .count();
    if control_planes % 2 == 0 {
        diagnostics.add(Diagnostic::new(
            "machines",
            format!("{control_planes} control plane machines"),
            "must be an odd number of control plane machines: etcd needs a majority",
        ));
    }
    check_unique(
        machines,
        "vmId",
        |machine| machine.vm_id.to_string(),
        diagnostics,
    );
    check_unique(
        machines,
        "name",
        |machine| machine.name.clone(),
        diagnostics,
    );
    check_unique(
        machines,
        "address",
        |machine| machine.address.to_string(),
        diagnostics,
    );
    check_addresses(machines, diagnostics);
    check_file_names(machines, diagnostics);
    check_mac_addresses(machines, diagnostics);
    for (index, machine) in machines.iter().enumerate() {
        if machine.disks.is_empty() {
            diagnostics.add(Diagnostic::missing(
                format!("machines[{index}].disks"),
                "name at least the system disk",
            ));
        }
    }
}

/// No machine answers at such an address.
fn check_addresses(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    for (index, machine) in machines.iter().enumerate() {
        let address = machine.address;
        let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
        if address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || is_broadcast
        {
            diagnostics.add(Diagnostic::new(
                format!("machines[{index}].address"),
                address,
                "must be the address of one host on a network: not 0.0.0.0 or ::, no loopback, multicast or broadcast",
            ));
        }
    }
}

/// Machine configurations are named after the host, `tal01` of `tal01.a.b`: two of a role must differ there.
fn check_file_names(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    let mut seen = BTreeMap::new();
    for (index, machine) in machines.iter().enumerate() {
        let host = machine.name.split('.').next().unwrap_or_default();
        let key = (machine.role, host.to_ascii_lowercase());
        if let Some(first) = seen.insert(key, index)
            && machines[first].name != machine.name
        {
            diagnostics.add(Diagnostic::new(
                format!("machines[{index}].name"),
                &machine.name,
                format!(
                    "the part before the first dot must differ from that of machines[{first}], because the machine \
                     configuration file is named {}-{host}.yaml",
                    machine.role
                ),
            ));
        }
    }
}

/// Two network devices with one MAC address disturb each other, in the same VM or in two.
fn check_mac_addresses(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    let mut seen = BTreeMap::new();
    for (index, machine) in machines.iter().enumerate() {
        for (device, network) in machine.networks().enumerate() {
            let Some(mac) = &network.mac else { continue };
            let path = network_path(&format!("machines[{index}]"), device);
            let first = seen.entry(mac.to_ascii_uppercase());
            match first {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(path);
                }
                std::collections::btree_map::Entry::Occupied(entry) => {
                    diagnostics.add(Diagnostic::new(
                        format!("{path}.mac"),
                        mac,
                        format!("must be another one than that of {}", entry.get()),
                    ));
                }
            }
        }
    }
}

fn check_unique(
    machines: &[MachineSpec],
    field: &str,
    value: impl Fn(&MachineSpec) -> String,
    diagnostics: &mut Diagnostics,
) {
    let mut seen = BTreeMap::new();
    for (index, machine) in machines.iter().enumerate() {
        if let Some(first) = seen.insert(value(machine), index) {
            diagnostics.add(Diagnostic::new(
                format!("machines[{index}].{field}"),
                value(machine),
                format!("must be another one than that of machines[{first}]"),
            ));
        }
    }
}
