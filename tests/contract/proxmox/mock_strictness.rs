//! The mock refuses what the real server refuses, in its words.

use http::Method;
use proxmox_client::id::{BridgeName, VmId, VolumeId};
use proxmox_client::mock::{MockStorage, PveMock};
use proxmox_client::vm::{
    Agent, CloneRequest, ConfigUpdate, Disk, MoveDiskRequest, NetworkDevice, Slot, VmSpec,
};
use proxmox_client::{Error, ErrorKind, Reason};

use super::{node, poll, storage, vm_id};

async fn refused(mock: &PveMock, params: &[(&str, &str)]) -> Error {
    let created = mock
        .client()
        .raw(Method::POST, "/nodes/pve-01/qemu", params)
        .await;
    created.expect_err("refused")
}

async fn failed(mock: &PveMock, spec: &VmSpec) -> Error {
    let task = mock.client().node(node()).create_vm(spec).await.unwrap();
    task.wait(poll()).await.unwrap_err()
}

#[tokio::test]
async fn the_command_of_the_guide_is_refused_for_its_boot_order() {
    let mock = PveMock::start().await;

    let error = refused(
        &mock,
        &[
            ("vmid", "2411000"),
            ("name", "tal01.lungmen.akn.chezmoi.sh"),
            ("memory", "8192"),
            ("cores", "4"),
            ("sockets", "1"),
            ("cpu", "x86-64-v2-AES"),
            ("machine", "q35"),
            ("bios", "ovmf"),
            ("efidisk0", "nvme-lvm:1,format=raw"),
            ("scsi0", "nvme-lvm:32,format=raw,iothread=1"),
            ("scsihw", "virtio-scsi-single"),
            ("net0", "virtio,bridge=vmbr1,tag=2,firewall=1"),
            ("cdrom", "local:iso/talos.iso"),
            ("boot", "order=cdrom"),
            ("agent", "enabled=1"),
        ],
    )
    .await;

    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.diagnostics().len(), 1, "{error}");
    assert!(
        error
            .diagnostics()
            .message_of("boot")
            .unwrap()
            .contains("invalid boot device 'cdrom'"),
        "{error}"
    );
}

#[tokio::test]
async fn parameters_are_checked_by_name_and_type() {
    let mock = PveMock::start().await;

    let error = refused(&mock, &[("vmid", "99"), ("disk", "1"), ("onboot", "true")]).await;

    assert_eq!(
        error.diagnostics().message_of("vmid").unwrap(),
        "invalid format - value does not look like a valid VM ID"
    );
    assert_eq!(
        error.diagnostics().message_of("disk").unwrap(),
        "property is not defined in schema and the schema does not allow additional properties"
    );
    assert_eq!(
        error.diagnostics().message_of("onboot").unwrap(),
        "type check ('boolean') failed - got 'true'"
    );
}

#[tokio::test]
async fn options_of_pve_9_are_unknown_to_pve_8() {
    let params = [("vmid", "100"), ("allow-ksm", "0")];
    let old = PveMock::builder().version("8.4.10").start().await;
    let new = PveMock::start().await;

    assert!(
        refused(&old, &params)
            .await
            .diagnostics()
            .message_of("allow-ksm")
            .is_some()
    );
    assert!(
        new.client()
            .raw(Method::POST, "/nodes/pve-01/qemu", &params)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_unknown_call_is_named() {
    let mock = PveMock::start().await;

    let error = mock
        .client()
        .raw(Method::GET, "/cluster/ceph/status", &[])
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.message(),
        "Method 'GET /cluster/ceph/status' not implemented"
    );
}

#[tokio::test]
async fn what_only_root_may_set_is_refused_for_a_token() {
    let mock = PveMock::start().await;

    let error = refused(&mock, &[("vmid", "100"), ("args", "-cpu host")]).await;

    assert_eq!(error.reason(), Some(Reason::RootOnly));
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_taken_id_is_refused_at_once_even_while_the_other_is_being_created() {
    let mock = PveMock::builder().task_polls(100).start().await;
    let client = mock.client();
    let spec = VmSpec::new(vm_id(), "tal01");
    let _first = client.node(node()).create_vm(&spec).await.unwrap();

    let error = client.node(node()).create_vm(&spec).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.reason(), Some(Reason::VmIdTaken));
    // The start of a locked VM is a task that fails.
    let other = PveMock::start().await;
    other.add_vm(vm_id(), &[("lock", "backup")]);
    let started = other
        .client()
        .node(node())
        .vm(vm_id())
        .start()
        .await
        .unwrap();
    let error = started.wait(poll()).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::VmLocked));
}

#[tokio::test]
async fn unknown_nodes_and_storages_are_told_apart() {
    let mock = PveMock::start().await;
    let client = mock.client();
    let disk =
        |name: &str| VmSpec::new(vm_id(), "tal01").disk(Slot::Scsi(0), Disk::new(storage(name), 1));

    let error = client
        .node("pve-09".parse().unwrap())
        .storages()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::NotFound, Some(Reason::NodeMissing))
    );
    let error = client
        .node(node())
        .create_vm(&disk("nope"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::NotFound, Some(Reason::StorageMissing))
    );
    let error = client
        .node(node())
        .create_vm(&disk("local"))
        .await
        .unwrap_err();
    assert_eq!(
        error.diagnostics().message_of("storage").unwrap(),
        "storage 'local' does not support vm images"
    );
    assert_eq!(error.reason(), Some(Reason::StorageContent));
}

#[tokio::test]
async fn a_full_storage_fails_the_task_and_frees_everything() {
    let mock = PveMock::builder()
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")).size(40 << 30))
        .start()
        .await;
    let spec = VmSpec::new(vm_id(), "tal01")
        .disk(Slot::Scsi(0), Disk::new(storage("nvme-lvm"), 32))
        .disk(Slot::Scsi(1), Disk::new(storage("nvme-lvm"), 32));

    let error = failed(&mock, &spec).await;

    assert_eq!(error.reason(), Some(Reason::StorageFull));
    assert!(
        error
            .message()
            .starts_with("unable to create VM 2411000 - "),
        "{error}"
    );
    assert!(mock.vm(vm_id()).is_none() && mock.volumes().is_empty());
}

#[tokio::test]
async fn a_missing_image_fails_the_creation() {
    let mock = PveMock::start().await;
    let image = VolumeId::new("local:iso/talos.iso").unwrap();

    let error = failed(
        &mock,
        &VmSpec::new(vm_id(), "tal01").cdrom(Slot::Ide(2), image),
    )
    .await;

    assert_eq!(error.reason(), Some(Reason::VolumeMissing));
}

#[tokio::test]
async fn an_unknown_bridge_is_noticed_only_at_the_start() {
    let mock = PveMock::start().await;
    let bridge = NetworkDevice::virtio(BridgeName::new("vmbr9").unwrap());
    let spec = VmSpec::new(vm_id(), "tal01").network(0, bridge);
    let client = mock.client();
    client
        .node(node())
        .create_vm(&spec)
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();

    let task = client.node(node()).vm(vm_id()).start().await.unwrap();
    let error = task.wait(poll()).await.unwrap_err();

    assert_eq!(error.reason(), Some(Reason::BridgeMissing));
}

#[tokio::test]
async fn the_guest_agent_has_its_four_states() {
    let mock = PveMock::start().await;
    let client = mock.client();
    let bare = VmId::new(100).unwrap();
    mock.add_vm(bare, &[]);
    mock.add_vm(vm_id(), &[("agent", &Agent::enabled().to_string())]);
    let ask = async |id| client.node(node()).vm(id).guest_interfaces().await;

    assert_eq!(
        ask(bare).await.unwrap_err().reason(),
        Some(Reason::AgentNotConfigured)
    );
    assert_eq!(ask(vm_id()).await.unwrap_err().kind(), ErrorKind::Conflict);
    client
        .node(node())
        .vm(vm_id())
        .start()
        .await
        .unwrap()
        .wait(poll())
        .await
        .unwrap();
    assert_eq!(ask(vm_id()).await.unwrap_err().kind(), ErrorKind::NotReady);
    mock.set_guest_interfaces(vm_id(), Some(Vec::new()));
    assert_eq!(ask(vm_id()).await.unwrap(), []);
}

#[tokio::test]
async fn a_changed_configuration_is_not_overwritten() {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), &[("cores", "1")]);
    let vm = mock.client().node(node()).vm(vm_id());
    let update = |cores: u8| ConfigUpdate::new().option("cores", cores);

    let error = vm
        .update(&update(2).digest("0".repeat(40)))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::Conflict, Some(Reason::ConfigChanged))
    );

    assert!(vm.update(&ConfigUpdate::new()).await.unwrap().is_none());
    vm.update(&update(2))
        .await
        .unwrap()
        .unwrap()
        .wait(poll())
        .await
        .unwrap();
    assert_eq!(vm.config().await.unwrap().cores, Some(2));
}

#[tokio::test]
async fn a_running_or_protected_vm_is_not_deleted() {
    let mock = PveMock::start().await;
    mock.add_vm(vm_id(), &[("protection", "1")]);
    let vm = mock.client().node(node()).vm(vm_id());

    assert_eq!(
        vm.delete().await.unwrap_err().reason(),
        Some(Reason::VmProtected)
    );
    vm.start().await.unwrap().wait(poll()).await.unwrap();
    assert_eq!(
        vm.delete().await.unwrap_err().reason(),
        Some(Reason::VmRunning)
    );
    let again = vm.start().await.unwrap().wait(poll()).await.unwrap_err();
    assert_eq!(again.reason(), Some(Reason::VmRunning));
    mock.stop_vm(vm_id());
    assert!(!vm.status().await.unwrap().is_running());
}

#[tokio::test]
async fn disks_go_only_to_storages_of_images_and_not_to_where_they_are() {
    let mock = PveMock::builder()
        .storage(MockStorage::directory(storage("local"), &["iso"]))
        .storage(MockStorage::directory(storage("files"), &["images"]))
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
        .start()
        .await;
    mock.add_file(VolumeId::new("local:iso/x.iso").unwrap(), "x");
    let drives = [
        ("scsi0", "nvme-lvm:1"),
        ("scsi1", "files:1"),
        ("ide2", "local:iso/x.iso,media=cdrom"),
        ("ide3", "none,media=cdrom"),
    ];
    mock.add_vm(vm_id(), &drives);
    let vm = mock.client().node(node()).vm(vm_id());
    let to = |name: &str| MoveDiskRequest::new(storage(name));

    for (slot, request, problem) in [
        (Slot::Scsi(7), to("files"), "disk 'scsi7' does not exist"),
        (Slot::Ide(2), to("files"), "you can't move a cdrom"),
        (Slot::Ide(3), to("files"), "you can't move a cdrom"),
        (
            Slot::Scsi(0),
            to("nvme-lvm"),
            "you can't move to the same storage with same format",
        ),
        (
            Slot::Scsi(1),
            to("files").format("raw"),
            "you can't move to the same storage with same format",
        ),
        (Slot::Scsi(0), to("nope"), "storage 'nope' does not exist"),
    ] {
        let error = vm.move_disk(slot, &request).await.unwrap_err();
        assert_eq!(error.message().trim_end(), problem);
        assert!(
            matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotFound),
            "{error:?}"
        );
    }
    let error = vm.move_disk(Slot::Scsi(0), &to("local")).await.unwrap_err();
    assert_eq!(
        error
            .diagnostics()
            .message_of("storage")
            .unwrap()
            .trim_end(),
        "storage 'local' does not support vm images"
    );
    let copy = CloneRequest::new(VmId::new(105).unwrap())
        .full()
        .storage(storage("local"));
    let error = vm.clone_vm(&copy).await.unwrap_err();
    assert!(
        error.diagnostics().message_of("storage").is_some(),
        "{error}"
    );

    for (slot, request) in [
        (Slot::Scsi(0), to("files")),
        (Slot::Scsi(1), to("files").format("qcow2")),
    ] {
        let task = vm.move_disk(slot, &request).await.unwrap();
        task.wait(poll()).await.unwrap();
    }
}
