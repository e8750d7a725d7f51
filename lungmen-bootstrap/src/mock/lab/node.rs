//! From VMs to Talos nodes: the consequences of starting, stopping and deleting VMs, and of the events of a node.

use std::net::IpAddr;
use std::sync::Arc;

use factory_client::mock::ImageIdentity;
use futures_util::StreamExt as _;
use proxmox_client::id::VmId;
use proxmox_client::mock::{MockEvent as PveEvent, VmRecord};
use proxmox_client::vm::guest::GuestInterface;
use proxmox_client::vm::{BootDevice, Drive};
use talos_client::cosi::Stage;
use talos_client::mock::{BootOrder, Delays as TalosDelays, MockDisk, MockEvent, TalosMock};

use super::cluster;
use super::firmware::{self, Boot};
use super::nocloud::Nocloud;
use super::pace::Delays;
use super::servers::{LabEvent, Machine, Servers};

const GUEST_AGENT: &str = "siderolabs/qemu-guest-agent";
/// The prefix length of the lab's network.
const PREFIX: u8 = 24;

/// Simulates the hardware of all VMs until the lab ends.
pub(super) async fn follow_machines(servers: Arc<Servers>) {
    let mut events = Box::pin(servers.pve.events());
    while let Some(event) = events.next().await {
        match event {
            PveEvent::VmStarted { vmid } => power_on(&servers, vmid).await,
            PveEvent::VmReset { vmid } => {
                power_off(&servers, vmid);
                power_on(&servers, vmid).await;
            }
            PveEvent::CloudInitWritten { vmid } => insert_drive(&servers, vmid),
            PveEvent::VmStopped { vmid } => power_off(&servers, vmid),
            PveEvent::VmDeleted { vmid } => {
                power_off(&servers, vmid);
                servers.remove_machine(vmid);
            }
            _ => {}
        }
    }
}

fn power_off(servers: &Servers, vm: VmId) {
    if let Some(machine) = servers.machine(vm) {
        machine.talos.power_off();
    }
}

async fn power_on(servers: &Arc<Servers>, vm: VmId) {
    let Some(record) = servers.pve.vm(vm) else {
        return;
    };
    if let Some(machine) = servers.machine(vm) {
        machine.talos.set_boot_order(boot_order(&record));
        insert_drive(servers, vm);
        machine.talos.power_on();
        return;
    }
    match firmware::boot(&servers.pve, &record) {
        Boot::Iso(image) => first_boot(servers, &record, &image).await,
        Boot::Nothing(reason) => servers.emit_no_boot(vm, &reason),
    }
}

/// The node reads its cloud-init drive at each boot, as it is then.
fn insert_drive(servers: &Servers, vm: VmId) {
    if let (Some(machine), Some(record)) = (servers.machine(vm), servers.pve.vm(vm)) {
        let drive = Nocloud::read(&record);
        let user_data = drive.and_then(|drive| drive.user_data);
        machine.talos.set_user_data(user_data);
    }
}

async fn first_boot(servers: &Arc<Servers>, record: &VmRecord, image: &ImageIdentity) {
    let nocloud = Nocloud::read(record);
    let first = match nocloud.as_ref().and_then(|drive| drive.address) {
        Some(address) => address,
        None => servers.next_dhcp_address(),
    };
    let declared = servers.declared_address(record.id, first);
    let hostname = nocloud.and_then(|drive| drive.hostname);
    let mut builder = build(record, image, declared, &servers.delays()).network(&servers.network);
    if let Some(hostname) = &hostname {
        builder = builder.hostname(hostname);
    }
    let talos = builder.start().await;
    let machine = Machine {
        talos: talos.clone(),
        first,
        declared,
        hostname,
        has_agent: image.has_extension(GUEST_AGENT)
            && record
                .config
                .agent
                .as_ref()
                .is_some_and(|agent| agent.enabled),
        version: image.version.to_string(),
    };
    servers.add_machine(record.id, machine.clone());
    servers.emit(LabEvent::Booted { vm: record.id });
    servers.spawn(follow_node(Arc::downgrade(servers), record.id, machine));
    insert_drive(servers, record.id);
    talos.power_on();
}

fn build(
    record: &VmRecord,
    image: &ImageIdentity,
    declared: IpAddr,
    delays: &Delays,
) -> talos_client::mock::TalosMockBuilder {
    let mut builder = TalosMock::builder()
        .version(image.version.to_string())
        .address(declared)
        .schematic(
            image.schematic_id.to_string(),
            image.schematic.extensions().to_vec(),
        )
        .disks(disks(record))
        .boot_order(boot_order(record))
        .not_ready_by_itself()
        .delays(talos_delays(delays))
        .powered_off();
    if image.is_secure_boot() {
        builder = builder.secure_boot();
    }
    if let Some(uuid) = record
        .config
        .smbios
        .as_ref()
        .and_then(|smbios| smbios.uuid.clone())
    {
        builder = builder.uuid(uuid);
    }
    if let Some(memory) = record.config.memory_mib {
        builder = builder.memory_mib(memory.into());
    }
    builder
}

fn talos_delays(delays: &Delays) -> TalosDelays {
    TalosDelays::all(delays.services)
        .boot(delays.boot)
        .install(delays.install)
        .reboot(delays.boot)
        .etcd(delays.etcd)
}

/// SCSI disks are `/dev/sda`, `/dev/sdb` and so on.
fn disks(record: &VmRecord) -> Vec<MockDisk> {
    let mut disks = Vec::new();
    for (drive, letter) in record
        .config
        .drives
        .values()
        .filter_map(disk_gib)
        .zip('a'..='z')
    {
        disks.push(MockDisk::new(format!("/dev/sd{letter}"), drive));
    }
    disks.push(MockDisk::cdrom("/dev/sr0"));
    disks
}

fn disk_gib(drive: &Drive) -> Option<u64> {
    match drive {
        Drive::Disk(disk) => Some(disk.size.map_or(0, |size| size.bytes() >> 30)),
        _ => None,
    }
}

fn boot_order(record: &VmRecord) -> BootOrder {
    let devices = record
        .config
        .boot_order
        .as_ref()
        .map(|order| order.devices());
    let kinds: Vec<bool> = devices
        .unwrap_or_default()
        .iter()
        .filter_map(|device| match device {
            BootDevice::Drive(slot) => record.config.drives.get(slot),
            _ => None,
        })
        .map(|drive| matches!(drive, Drive::Disk(_)))
        .collect();
    match kinds.as_slice() {
        [false, ..] => BootOrder::IsoFirst,
        all if !all.is_empty() && all.iter().all(|is_disk| *is_disk) => BootOrder::DiskOnly,
        _ => BootOrder::DiskFirst,
    }
}

/// Updates the other servers as the node boots, installs and is configured.
async fn follow_node(servers: std::sync::Weak<Servers>, vm: VmId, machine: Machine) {
    let mut events = machine.talos.events();
    let mut is_shutting_down = false;
    while let Some(event) = events.next().await {
        let Some(servers) = servers.upgrade() else {
            return;
        };
        match event {
            MockEvent::Maintenance { .. } => report_address(&servers, vm, &machine),
            MockEvent::Configured => {
                report_address(&servers, vm, &machine);
                let machine = machine.clone();
                // It ends with the health of etcd, which is one of the events that are read here.
                let configuring = Arc::downgrade(&servers);
                servers.spawn(async move {
                    if let Some(servers) = configuring.upgrade() {
                        cluster::configured(&servers, &machine).await;
                    }
                });
            }
            MockEvent::ConfigApplied { .. } | MockEvent::Halted { .. } => {
                servers.pve.set_guest_interfaces(vm, None)
            }
            MockEvent::Rebooting => {
                is_shutting_down = false;
                servers.pve.set_guest_interfaces(vm, None);
            }
            MockEvent::PoweredOff => {
                servers.pve.set_guest_interfaces(vm, None);
                // QEMU ends with a guest that shuts down by itself.
                if std::mem::take(&mut is_shutting_down) {
                    servers.pve.stop_vm(vm);
                }
            }
            MockEvent::EtcdHealthy => cluster::control_plane_is_up(&servers, &machine).await,
            MockEvent::StageChanged(Stage::Resetting | Stage::ShuttingDown) => {
                is_shutting_down = true;
            }
            MockEvent::Draining => {
                if let Some(kubernetes) = servers.kubernetes() {
                    kubernetes.drain(machine.declared);
                }
            }
            MockEvent::StageChanged(Stage::Running) => {
                is_shutting_down = false;
                cluster::report_ready(&servers);
            }
            _ => {}
        }
    }
}

/// The guest agent reports the address of the node to Proxmox VE.
fn report_address(servers: &Servers, vm: VmId, machine: &Machine) {
    if !machine.has_agent {
        return;
    }
    let mac = servers.pve.vm(vm).and_then(|record| {
        let device = record.config.networks.get(&0)?;
        device.mac.clone()
    });
    let interface = GuestInterface::new("eth0", mac.as_ref(), [(machine.address(), PREFIX)]);
    servers.pve.set_guest_interfaces(vm, Some(vec![interface]));
}
