//! Backups, and VMs made from them.

use proxmox_client::cluster::BackupRequest;
use proxmox_client::id::{VmId, VolumeId};
use proxmox_client::mock::{Acl, PveMock};
use proxmox_client::vm::{ConfigUpdate, Drive, RestoreRequest, Slot};
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
    backed_up_with(&[]).await
}

/// A VM with some more options, and a backup of it.
async fn backed_up_with(more: &[(&str, &str)]) -> (PveMock, Node, VolumeId) {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), &[OPTIONS, more].concat());
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
    // The server cleans nothing up: a VM without options is left.
    let left = node.vm(new_id()).config().await.unwrap();
    assert_eq!((left.memory_mib, left.drives.len()), (None, 0));
    assert_eq!(left.lock, None);
}

#[tokio::test]
async fn what_a_backup_replaces_is_freed_and_the_rest_is_kept_unused() {
    let (mock, node, archive) = backed_up().await;
    let vm = node.vm(vm_id());
    let added = ConfigUpdate::new().option("scsi1", "nvme-lvm:1");
    vm.set(&added).await.unwrap();
    let before = vm.config().await.unwrap();
    let file = |drive: &Drive| {
        let text = drive.to_string();
        VolumeId::new(text.split(',').next().unwrap()).unwrap()
    };
    let kept = file(&before.drives[&Slot::Scsi(1)]);

    let forced = RestoreRequest::new(vm_id(), archive).force();
    let task = node.restore_vm(&forced).await.unwrap();
    task.wait(poll()).await.unwrap();

    let after = vm.config().await.unwrap();
    assert!(!after.drives.contains_key(&Slot::Scsi(1)));
    assert_eq!(after.unused[&0], kept);
    assert!(mock.volume(&kept).is_some());
    let disks = mock.volumes();
    let disks = disks.iter().filter(|volume| volume.content == "images");
    assert_eq!(disks.count(), 2);
}

#[tokio::test]
async fn drives_that_are_not_backed_up_become_a_note() {
    let (mock, node, archive) = backed_up_with(&[("scsi1", "nvme-lvm:1,backup=0")]).await;

    let restore = RestoreRequest::new(new_id(), archive);
    let task = node.restore_vm(&restore).await.unwrap();
    task.wait(poll()).await.unwrap();

    let config = node.vm(new_id()).config().await.unwrap();
    assert!(!config.drives.contains_key(&Slot::Scsi(1)));
    let notes = config.description.unwrap();
    assert!(notes.contains("scsi1: nvme-lvm:"), "{notes}");
    drop(mock);
}

#[tokio::test]
async fn a_protected_vm_and_a_locked_one_are_not_replaced() {
    let (mock, node, archive) = backed_up().await;
    let forced = RestoreRequest::new(vm_id(), archive).force();

    mock.set_vm_option(vm_id(), "protection", Some("1"));
    let task = node.restore_vm(&forced).await.unwrap();
    let protected = task.wait(poll()).await.unwrap_err();
    assert_eq!(protected.reason(), Some(Reason::VmProtected), "{protected}");

    mock.set_vm_option(vm_id(), "lock", Some("backup"));
    let locked = node.restore_vm(&forced).await.unwrap_err();
    assert_eq!(locked.reason(), Some(Reason::VmLocked), "{locked}");
    assert_eq!(locked.kind(), ErrorKind::Busy);
}

#[tokio::test]
async fn an_archive_that_is_none_is_refused_before_a_task_starts() {
    let (mock, node, _archive) = backed_up().await;
    mock.add_file(VolumeId::new("local:iso/x.iso").unwrap(), "x");
    for (archive, reason) in [
        (
            "local:backup/vzdump-qemu-7-2025_10_09-08_00_00.vma",
            Reason::VolumeMissing,
        ),
        ("local:iso/x.iso", Reason::ValueInvalid),
        (
            "nope:backup/vzdump-qemu-7-2025_10_09-08_00_00.vma",
            Reason::StorageMissing,
        ),
    ] {
        let restore = RestoreRequest::new(new_id(), VolumeId::new(archive).unwrap());
        let error = node.restore_vm(&restore).await.unwrap_err();
        assert_eq!(error.reason(), Some(reason), "{archive}: {error}");
    }
    assert_eq!(mock.vm_ids(), [vm_id()]);
}

/// The owner of the VM may read its backup without a right on the storage; others need one, and one on that VM.
#[tokio::test]
async fn a_backup_of_another_vm_needs_rights_on_it() {
    let create: &[&str] = &["VM.Allocate"];
    let (mock, client) = limited(create, None).await;
    let archive = {
        let admin = mock.add_backup(vm_id(), &storage("local"));
        admin.unwrap()
    };
    let node = client.node(node());

    let own = RestoreRequest::new(vm_id(), archive.clone()).force();
    let task = node.restore_vm(&own).await.unwrap();
    let no_space = task.wait(poll()).await.unwrap_err();
    assert_eq!(no_space.missing_permissions()[0].path, "/storage/nvme-lvm");

    let other = RestoreRequest::new(new_id(), archive);
    let error = node.restore_vm(&other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let missing = &error.missing_permissions()[0];
    assert_eq!(missing.path, "/storage/local");
    assert_eq!(missing.privileges, ["Datastore.AllocateSpace"]);
}

#[tokio::test]
async fn a_restore_that_starts_the_vm_needs_the_right_to_start_it() {
    let rights = &[
        "VM.Allocate",
        "Datastore.Allocate",
        "Datastore.AllocateSpace",
    ];
    let (mock, client) = limited(rights, None).await;
    let archive = mock.add_backup(vm_id(), &storage("local")).unwrap();

    let restore = RestoreRequest::new(new_id(), archive).start();
    let error = client.node(node()).restore_vm(&restore).await.unwrap_err();

    assert_eq!(error.missing_permissions()[0].privileges, ["VM.PowerMgmt"]);
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
