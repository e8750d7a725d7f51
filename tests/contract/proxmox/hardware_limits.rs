//! What a node lacks for a VM: found before the VM is created, and as the start of the VM fails for it.

use proxmox_client::access::Requirement;
use proxmox_client::id::BridgeName;
use proxmox_client::mock::PveMock;
use proxmox_client::vm::{Disk, NetworkDevice, Slot, VmSpec};
use proxmox_client::{ErrorKind, Reason, Severity};

use super::{node, poll, storage, vm_id};

fn spec() -> VmSpec {
    VmSpec::new(vm_id(), "tal01")
}

fn card(bridge: &str) -> NetworkDevice {
    NetworkDevice::virtio(BridgeName::new(bridge).unwrap())
}

#[tokio::test]
async fn more_cores_than_the_node_has_are_found_before_and_refused_at_the_start() {
    let mock = PveMock::builder().cpus(4).start().await;
    let node = mock.client().node(node());
    let spec = spec().cores(3).sockets(2);

    let found = node.preflight_vm(&spec).await.unwrap();
    assert!(found.message_of("cores").unwrap().contains("6 vCPUs"));
    let fits = node.preflight_vm(&spec.clone().sockets(1)).await.unwrap();
    assert_eq!(fits.iter().count(), 0, "{fits:?}");

    let task = node.create_vm(&spec).await.unwrap();
    task.wait(poll()).await.unwrap();
    let task = node.vm(vm_id()).start().await.unwrap();
    let error = task.wait(poll()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    assert_eq!(error.reason(), Some(Reason::TooManyCores), "{error}");
}

#[tokio::test]
async fn a_bridge_that_the_node_does_not_have_is_an_error() {
    let mock = PveMock::start().await;
    let node = mock.client().node(node());
    let spec = spec().network(0, card("vmbr1")).network(1, card("vmbr9"));

    let found = node.preflight_vm(&spec).await.unwrap();
    let problems: Vec<_> = found.iter().collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].field, "net1");
    assert_eq!(problems[0].severity, Severity::Error);

    let task = node.create_vm(&spec).await.unwrap();
    task.wait(poll()).await.unwrap();
    let task = node.vm(vm_id()).start().await.unwrap();
    let error = task.wait(poll()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::BridgeMissing), "{error}");
}

#[tokio::test]
async fn a_storage_that_the_node_does_not_have_is_an_error() {
    let mock = PveMock::start().await;
    let spec = spec()
        .disk(Slot::Scsi(0), Disk::new(storage("nvme-lvm"), 8))
        .disk(Slot::Scsi(1), Disk::new(storage("nowhere"), 8))
        .disk(Slot::Scsi(2), Disk::new(storage("local"), 8));

    let found = mock
        .client()
        .node(node())
        .preflight_vm(&spec)
        .await
        .unwrap();

    assert_eq!(found.message_of("scsi0"), None);
    assert!(found.message_of("scsi1").unwrap().contains("no storage"));
    assert!(found.message_of("scsi2").unwrap().contains("images"));
}

#[tokio::test]
async fn a_bridge_needs_its_own_privilege() {
    let mock = PveMock::start().await;
    let version = mock.client().version().await.unwrap();
    let needed = spec()
        .network(0, card("vmbr1").vlan(2))
        .requirements(&version);

    let bridges: Vec<&Requirement> = needed
        .iter()
        .filter(|requirement| format!("{requirement:?}").contains("SDN.Use"))
        .collect();
    assert_eq!(bridges.len(), 1, "{needed:?}");
    assert!(
        format!("{bridges:?}").contains("/sdn/zones/localnetwork/vmbr1"),
        "{bridges:?}"
    );
}
