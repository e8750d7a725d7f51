//! Disks, volumes of LVM and arrays of software RAID.

use talos_client::ErrorKind;
use talos_client::machine::WipeRequest;
use talos_client::mock::{MockVolumeGroup, TalosMock};
use talos_client::secrets::Role;

use super::support::{client, client_with, configured, control_plane};

#[tokio::test]
async fn a_disk_is_wiped_unless_it_is_in_use() {
    let mock = configured(
        TalosMock::builder().version("v1.12.11"),
        &control_plane("v1.12.11"),
    )
    .await;
    let machine = client(&mock).machine();

    machine
        .wipe_devices(&WipeRequest::of(["sdb"]))
        .await
        .unwrap();

    for (device, kind, word) in [
        ("sda", ErrorKind::NotReady, "in use by volume"),
        ("sr0", ErrorKind::NotReady, "read-only"),
        ("sdx", ErrorKind::NotFound, "not found"),
    ] {
        let error = machine.wipe_devices(&WipeRequest::of([device])).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(word), "{error}");
    }
    let operator = client_with(&mock, Role::Operator).machine();
    let denied = operator.wipe_devices(&WipeRequest::of(["sdb"])).await;
    assert_eq!(denied.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn volumes_are_removed_once_and_in_their_order() {
    let group = MockVolumeGroup::new("vg0", ["/dev/sdb1"])
        .logical_volume("data")
        .logical_volume("media");
    let builder = TalosMock::builder()
        .version("v1.14.0-rc.1")
        .volume_group(group)
        .raid_array("/dev/md/fast");
    let mock = configured(builder, &control_plane("v1.14.0-rc.1")).await;
    let machine = client(&mock).machine();

    machine.remove_logical_volume("vg0", "data").await.unwrap();
    let again = machine.remove_logical_volume("vg0", "data").await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
    let used = machine.remove_physical_volume("/dev/sdb1").await;
    let used = used.unwrap_err();
    assert_eq!(used.kind(), ErrorKind::NotReady);
    assert_eq!(used.message(), "lvm: resource in use");
    machine.remove_volume_group("vg0").await.unwrap();
    let gone = machine.remove_logical_volume("vg0", "media").await;
    assert_eq!(gone.unwrap_err().message(), "lvm: resource not found");
    machine.remove_physical_volume("/dev/sdb1").await.unwrap();

    let relative = machine.destroy_raid_array("md/fast").await.unwrap_err();
    assert_eq!(relative.message(), "device must be a full /dev path");
    machine.destroy_raid_array("/dev/md/fast").await.unwrap();
    let again = machine.destroy_raid_array("/dev/md/fast").await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
}
