//! A VM that would not boot on hardware does not boot in the Lab.

use futures_util::StreamExt as _;
use lungmen_bootstrap::StepId;
use lungmen_bootstrap::mock::LabEvent;
use proxmox_client::Poll;
use proxmox_client::id::{NodeName, VmId};
use std::time::Duration;
use talos_client::mock::MockEvent;

use crate::support::World;

const ISO: &str = "local:iso/talos-v1.10.7-nocloud-amd64-secureboot-88d1f7a5c4f1.iso,media=cdrom";

/// Starts a VM with these options on a lab that has the ISO, and waits for what becomes of it.
async fn start(options: &[(&str, &str)]) -> (World, VmId, LabEvent) {
    let world = World::new().await;
    world.run_until(StepId::Image).await.unwrap();
    let id = VmId::new(500).unwrap();
    world.lab.proxmox().add_vm(id, options);
    let mut events = Box::pin(world.lab.events());
    let vm = world
        .lab
        .proxmox()
        .client()
        .node(NodeName::new("pve-01").unwrap())
        .vm(id);
    let poll = Poll::every(Duration::from_millis(5)).deadline(Duration::from_secs(5));
    vm.start().await.unwrap().wait(poll).await.unwrap();
    let event = events.next().await.unwrap();
    (world, id, event)
}

#[track_caller]
fn assert_no_boot(event: &LabEvent, reason: &str) {
    match event {
        LabEvent::NotBooted { reason: found, .. } => assert!(found.contains(reason), "{found}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_2m_efi_disk_has_no_secure_boot() {
    let (_, _, event) = start(&[
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("efidisk0", "nvme-lvm:1,efitype=2m"),
        ("scsi0", "nvme-lvm:32"),
        ("ide2", ISO),
        ("boot", "order=scsi0;ide2"),
    ])
    .await;

    assert_no_boot(&event, "4m EFI disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn enrolled_keys_refuse_those_of_talos() {
    let (_, _, event) = start(&[
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("efidisk0", "nvme-lvm:1,efitype=4m,pre-enrolled-keys=1"),
        ("scsi0", "nvme-lvm:32"),
        ("ide2", ISO),
        ("boot", "order=scsi0;ide2"),
    ])
    .await;

    assert_no_boot(&event, "has keys already");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_iso_in_the_boot_order_nothing_boots() {
    let (_, _, event) = start(&[
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("efidisk0", "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0"),
        ("scsi0", "nvme-lvm:32"),
        ("ide2", ISO),
        ("boot", "order=scsi0"),
    ])
    .await;

    assert_no_boot(&event, "bootable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_iso_first_in_the_boot_order_stops_after_the_installation() {
    let (world, id, event) = start(&[
        ("machine", "q35"),
        ("bios", "ovmf"),
        ("efidisk0", "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0"),
        ("scsi0", "nvme-lvm:32"),
        ("ide2", ISO),
        ("boot", "order=ide2;scsi0"),
    ])
    .await;
    assert_eq!(event, LabEvent::Booted { vm: id });
    let talos = world.lab.talos(id).unwrap();
    talos
        .wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await;
    let bundle = talos_client::secrets::SecretsBundle::generate_blocking(
        talos_client::config::VersionContract::new(1, 6),
    )
    .unwrap();
    let config =
        talos_client::config::GenerateInput::new("a.b", "https://10.0.2.200:6443", &bundle)
            .unwrap()
            .talos_version(talos_client::config::TalosVersion::parse("v1.10.7").unwrap())
            .generate(talos_client::config::MachineType::ControlPlane)
            .unwrap();

    let client = talos.maintenance_client();
    client
        .apply_configuration(&config.to_yaml(), Default::default())
        .await
        .unwrap();

    let halted = talos
        .wait_for(|event| matches!(event, MockEvent::Halted { .. }))
        .await
        .unwrap();
    let MockEvent::Halted { reason } = halted else {
        unreachable!()
    };
    assert!(reason.contains("halt_if_installed"), "{reason}");
}
