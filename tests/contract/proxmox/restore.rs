//! Backups, and VMs made from them.

use proxmox_client::cluster::BackupRequest;
use proxmox_client::id::{VmId, VolumeId};
use proxmox_client::mock::{Acl, PveMock};
use proxmox_client::vm::{Drive, RestoreRequest, Slot};
use proxmox_client::{Client, ErrorKind, Node, Reason};

use super::{node, poll, storage, vm_id};

const OPTIONS: &[(&str, &str)] = &[
    ("memory", "4096"),
    ("scsi0", "nvme-lvm:8,iothread=1"),
    ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr1"),
    ("smbios1", "uuid=2b1f0d4e-0001-4a6b-9c1d-aabbccddeeff"),
];

/// A VM with a backup of it.
async fn backed_up() -> (PveMock, Node, VolumeId) {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), OPTIONS);
    let node = mock.client().node(node());
    let backup = BackupRequest::new(storage("local")).compress("zstd");
    let task = node.back_up(&[vm_id()], &backup).await.unwrap();
    task.wait(poll()).await.unwrap();
    let mut backups = node
        .storage(storage("local"))
        .backups_of(vm_id())
        .await
        .unwrap();
    assert_eq!(backups.len(), 1);
    (mock, node, backups.remove(0).id)
}

fn new_id() -> VmId {
    VmId::new(105).unwrap()
}

#[tokio::test]
async fn a_copy_of_a_backup_has_its_options_and_an_identity_of_its_own() {
    let (mock, node, archive) = backed_up().await;
    let restore = RestoreRequest::new(new_id(), archive)
        .unique()
        .cores(4_u32)
        .start();

    let task = node.restore_vm(&restore).await.unwrap();
    assert_eq!(task.id().worker(), "qmrestore");
    task.wait(poll()).await.unwrap();

    let vm = node.vm(new_id());
    assert!(vm.status().await.unwrap().is_running());
    let (old, new) = (
        node.vm(vm_id()).config().await.unwrap(),
        vm.config().await.unwrap(),
    );
    assert_eq!((new.memory_mib, new.cores), (Some(4096), Some(4)));
    assert_ne!(new.smbios, old.smbios);
    assert_ne!(new.networks[&0].mac, old.networks[&0].mac);
    let volume = |drive: &Drive| drive.to_string();
    assert_ne!(
        volume(&new.drives[&Slot::Scsi(0)]),
        volume(&old.drives[&Slot::Scsi(0)])
    );
    let path = format!("/nodes/pve-01/qemu/{}/config", new_id());
    let raw = mock.client().raw(http::Method::GET, &path, &[]).await;
    let disk = raw.unwrap().data["scsi0"].as_str().unwrap().to_owned();
    assert!(
        disk.contains("iothread=1") && disk.contains("size=8G"),
        "{disk}"
    );
}

#[tokio::test]
async fn an_id_is_taken_unless_the_vm_is_replaced_by_force() {
    let (_mock, node, archive) = backed_up().await;
    let plain = RestoreRequest::new(vm_id(), archive.clone());
    let taken = node.restore_vm(&plain).await.unwrap_err();
    assert_eq!(taken.reason(), Some(Reason::VmIdTaken), "{taken}");
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);

    let vm = node.vm(vm_id());
    vm.start().await.unwrap().wait(poll()).await.unwrap();
    let forced = RestoreRequest::new(vm_id(), archive).force();
    let task = node.restore_vm(&forced).await.unwrap();
    let running = task.wait(poll()).await.unwrap_err();
    assert_eq!(running.reason(), Some(Reason::VmRunning), "{running}");

    vm.stop().await.unwrap().wait(poll()).await.unwrap();
    let task = node.restore_vm(&forced).await.unwrap();
    task.wait(poll()).await.unwrap();
    assert_eq!(vm.config().await.unwrap().memory_mib, Some(4096));
}

#[tokio::test]
async fn drives_of_a_backup_are_not_replaced_and_files_are_not_restored_live() {
    let (_mock, node, archive) = backed_up().await;
    let with_drive = RestoreRequest::new(new_id(), archive.clone()).option("scsi0", "nvme-lvm:1");
    let error = node.restore_vm(&with_drive).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert!(error.diagnostics().message_of("scsi0").is_some());

    let live = RestoreRequest::new(new_id(), archive).live();
    let task = node.restore_vm(&live).await.unwrap();
    let error = task.wait(poll()).await.unwrap_err();
    assert!(error.message().contains("Proxmox Backup Server"), "{error}");
    assert!(node.vm(new_id()).find_config().await.unwrap().is_none());
}

async fn limited(privileges: &[&str], extra: Option<(&str, &[&str])>) -> (PveMock, Client) {
    let mut acl = Acl::none().grant("/", privileges);
    if let Some((path, privileges)) = extra {
        acl = acl.grant(path, privileges);
    }
    let mock = PveMock::builder()
        .token("ci@pve!backup", "secret", acl)
        .start()
        .await;
    mock.add_vm(vm_id(), OPTIONS);
    let client = mock.client();
    (mock, client)
}

#[tokio::test]
async fn a_backup_needs_rights_on_the_vm_and_on_the_storage() {
    let storage_right: &[&str] = &["Datastore.AllocateSpace"];
    let needs_prune = BackupRequest::new(storage("local")).keep("keep-last=3");
    for (privileges, extra, backup, missing) in [
        (
            &["Datastore.AllocateSpace"] as &[&str],
            None,
            BackupRequest::new(storage("local")),
            Some("VM.Backup"),
        ),
        (
            &["VM.Backup"],
            None,
            BackupRequest::new(storage("local")),
            Some("Datastore.AllocateSpace"),
        ),
        (
            &["VM.Backup"],
            Some(("/storage/local", storage_right)),
            BackupRequest::new(storage("local")),
            None,
        ),
        (
            &["VM.Backup", "Datastore.AllocateSpace"],
            None,
            needs_prune,
            Some("Datastore.Allocate"),
        ),
    ] {
        let (_mock, client) = limited(privileges, extra).await;
        let result = client.node(node()).back_up(&[vm_id()], &backup).await;
        match missing {
            None => drop(result.unwrap()),
            Some(privilege) => {
                let error = result.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
                let missing = &error.missing_permissions()[0];
                assert_eq!(missing.privileges, [privilege]);
            }
        }
    }
}
