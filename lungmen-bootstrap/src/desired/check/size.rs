//! Memory and disks below what Talos asks for. A node says so on its console, and works badly.

use talos_client::config::{TalosVersion, VersionContract};

use crate::spec::diagnostic::Diagnostic;
use crate::spec::machine::{MachineSpec, Role};

/// The least memory of a node in MiB (Talos v1.10 to v1.14, `pkg/minimal`; the node takes 150 MiB off for the kernel).
const CONTROL_PLANE_MEMORY: u64 = 1848;
const WORKER_MEMORY: u64 = 1024;
/// The least size of the EPHEMERAL partition in MiB (the same place).
const EPHEMERAL: u64 = 6 * 1024;

/// The partitions before EPHEMERAL in MiB: EFI with the boot images, META and STATE. v1.11 doubled the boot part.
fn system_partitions(version: &TalosVersion) -> u64 {
    let boot = match version.contract() >= VersionContract::V1_11 {
        true => 2000,
        false => 1000,
    };
    100 + 1 + boot + 1 + 100
}

/// Warnings about the machines, each with the Talos version that it runs.
pub(super) fn check<'a>(
    machines: impl IntoIterator<Item = (&'a MachineSpec, &'a TalosVersion)>,
) -> Vec<Diagnostic> {
    let machines = machines.into_iter().enumerate();
    machines
        .flat_map(|(index, (machine, version))| {
            let path = format!("machines[{index}]");
            [memory(&path, machine), disk(&path, machine, version)]
        })
        .flatten()
        .collect()
}

fn memory(path: &str, machine: &MachineSpec) -> Option<Diagnostic> {
    let (least, role) = match machine.role {
        Role::ControlPlane => (CONTROL_PLANE_MEMORY, "a control plane"),
        Role::Worker => (WORKER_MEMORY, "a worker"),
    };
    let message = format!(
        "{} MiB are less than the {least} MiB that Talos asks for {role}",
        machine.memory_mib
    );
    (machine.memory_mib < least).then(|| {
        warning(
            format!("{path}.memoryMiB"),
            message,
            "give the machine at least 2048 MiB; Talos recommends 4096 MiB for a control plane and 2048 MiB for a worker",
        )
    })
}

fn disk(path: &str, machine: &MachineSpec, version: &TalosVersion) -> Option<Diagnostic> {
    let size = u64::from(machine.disks.first()?.size_gib);
    let system = system_partitions(version);
    let least = (EPHEMERAL + system).div_ceil(1024);
    let message = format!(
        "{size} GiB leave less than the {} GiB that Talos asks for images, pods and etcd beside its own {system} MiB",
        EPHEMERAL / 1024
    );
    (size < least).then(|| {
        let help = format!("give the system disk at least {least} GiB");
        warning(format!("{path}.disks[0].sizeGiB"), message, &help)
    })
}

fn warning(path: String, message: String, help: &str) -> Diagnostic {
    Diagnostic::problem(path, message, Some(help.to_owned())).into_warning()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::machine::{Disk, Network};

    fn paths(memory: u64, disk: u32, role: Role, version: &str) -> Vec<String> {
        let address = std::net::Ipv4Addr::new(10, 0, 0, 1).into();
        let machine = MachineSpec::new("a", 100, address, Network::new("vmbr0"))
            .memory_mib(memory)
            .disks([Disk::new(disk)])
            .role(role);
        let found = check([(&machine, &TalosVersion::parse(version).unwrap())]);
        found.into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn the_least_of_talos_is_enough_and_less_is_not() {
        let none: [&str; 0] = [];
        assert_eq!(paths(1848, 8, Role::ControlPlane, "v1.10.7"), none);
        assert_eq!(paths(1024, 9, Role::Worker, "v1.11.6"), none);
        assert_eq!(
            paths(1847, 7, Role::ControlPlane, "v1.10.7"),
            ["machines[0].memoryMiB", "machines[0].disks[0].sizeGiB"]
        );
        assert_eq!(
            paths(1023, 8, Role::Worker, "v1.11.6"),
            ["machines[0].memoryMiB", "machines[0].disks[0].sizeGiB"]
        );
    }
}
