//! Cloud-init drives with files of `cicustom`, as the mock has them. No real server was recorded doing this: the texts are
//! those of qemu-server 9.2.6, pve-storage 9.1.7 and pve-common 9.2.1.

use proxmox_client::id::StorageName;
use proxmox_client::mock::{Acl, MockStorage, PveMock, PveMockBuilder};
use proxmox_client::storage::Content;
use proxmox_client::vm::{ConfigUpdate, Vm};
use tempfile::TempDir;

use super::{node, poll, vm_id};

const FILE: &str = "shared:snippets/a.yaml";

fn builder(folder: &TempDir) -> PveMockBuilder {
    let storage = |name| StorageName::new(name).unwrap();
    let shared = MockStorage::directory(storage("shared"), &["snippets"]).shared();
    PveMock::builder()
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
        .storage(shared.snippets_in(folder.path()))
}

/// A VM whose drive is made with a file of the folder.
async fn vm(folder: &TempDir) -> (PveMock, Vm) {
    let mock = builder(folder).start().await;
    let custom = format!("user={FILE}");
    mock.add_vm(
        vm_id(),
        &[("ide0", "nvme-lvm:cloudinit"), ("cicustom", &custom)],
    );
    let vm = mock.client().node(node()).vm(vm_id());
    (mock, vm)
}

async fn start(vm: &Vm) -> Result<(), String> {
    let task = vm.start().await.map_err(|error| error.to_string())?;
    let ended = task.wait(poll()).await;
    ended.map(drop).map_err(|error| error.to_string())
}

fn user_data(mock: &PveMock) -> Option<String> {
    let vm = mock.vm(vm_id()).unwrap();
    vm.user_data
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn a_vm_does_not_start_without_the_file_of_its_user_data() {
    let folder = tempfile::tempdir().unwrap();
    let (mock, vm) = vm(&folder).await;

    let missing = start(&vm).await.unwrap_err();
    std::fs::write(folder.path().join("a.yaml"), "x".repeat((1 << 20) + 1)).unwrap();
    let large = start(&vm).await.unwrap_err();
    std::fs::write(folder.path().join("a.yaml"), "text").unwrap();
    start(&vm).await.unwrap();

    assert!(
        missing.contains(&format!("volume '{FILE}' does not exist")),
        "{missing}"
    );
    assert!(large.contains("too long - aborting"), "{large}");
    assert_eq!(user_data(&mock).as_deref(), Some("text"));
}

#[tokio::test]
async fn a_running_vm_loses_its_user_data_when_the_drive_is_written_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let (mock, vm) = vm(&folder).await;
    std::fs::write(folder.path().join("a.yaml"), "text").unwrap();
    start(&vm).await.unwrap();

    let update = ConfigUpdate::new().delete("cicustom");
    vm.set(&update).await.unwrap();
    let before = user_data(&mock);
    vm.regenerate_cloud_init().await.unwrap();

    assert_eq!(before.as_deref(), Some("text"));
    assert_eq!(vm.config().await.unwrap().option("cicustom"), None);
    assert_eq!(user_data(&mock), None);
}

#[tokio::test]
async fn snippets_are_listed_and_removed_only_for_who_may_do_everything_with_the_storage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), "text").unwrap();
    std::fs::write(folder.path().join(".a.yaml.tmp"), "half").unwrap();
    for (privileges, expected) in [
        (&["Datastore.Audit", "Datastore.AllocateSpace"][..], 0),
        (&["Datastore.Audit", "Datastore.Allocate"][..], 1),
    ] {
        let acl = Acl::none().grant("/storage/shared", privileges);
        let mock = builder(&folder)
            .token("lungmen@pve!ci", "secret", acl)
            .start()
            .await;
        let node = mock.client().node(node());
        let storage = node.storage(StorageName::new("shared").unwrap());

        let listed = storage.content(Some(Content::Snippets)).await.unwrap();

        assert_eq!(listed.len(), expected, "{privileges:?}");
        if let Some(volume) = listed.first() {
            assert_eq!((volume.id.as_str(), volume.size), (FILE, Some(4)));
            assert_eq!(volume.format.as_deref(), Some("snippet"));
            let task = storage.delete(&volume.id).await.unwrap();
            task.unwrap().wait(poll()).await.unwrap();
        }
    }
    assert!(!folder.path().join("a.yaml").exists());
}
