//! Operations on VMs: configuration, disks, copies, snapshots, power.

use std::time::Duration;

use proxmox_client::id::{NodeName, VmId, VolumeId};
use proxmox_client::vm::{
    CloneRequest, ConfigUpdate, Feature, MigrateRequest, MoveDiskRequest, ResizeRequest,
    RestoreRequest, Size, Slot, SnapshotRequest,
};
use proxmox_client::{Client, Vm};
use serde_json::json;

use super::operation_table::{Operation, UPID, delete, get, operation, post, put};
use super::{node, storage, vm_id};

fn machine(client: &Client) -> Vm {
    client.node(node()).vm(vm_id())
}

#[allow(
    clippy::too_many_lines,
    reason = "a table with one row for each operation"
)]
pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation!(
            "running config",
            get("/nodes/pve-01/qemu/2411000/config?current=1"),
            json!({ "memory": "2048" }),
            "memory_mib: Some(2048)",
            |c| async { machine(&c).running_config().await }
        ),
        operation!(
            "pending",
            get("/nodes/pve-01/qemu/2411000/pending"),
            json!([{ "key": "memory", "value": "2048", "pending": "4096" }, { "key": "cores", "value": 2 }]),
            "pending: Some(\"4096\")",
            |c| async { machine(&c).pending().await }
        ),
        operation!(
            "set",
            put("/nodes/pve-01/qemu/2411000/config", "cores=4&delete=tags"),
            json!(null),
            "()",
            |c| async {
                machine(&c)
                    .set(&ConfigUpdate::new().option("cores", 4).delete("tags"))
                    .await
            }
        ),
        operation!(
            "revert",
            put("/nodes/pve-01/qemu/2411000/config", "revert=memory%2Ccores"),
            json!(null),
            "()",
            |c| async { machine(&c).revert(&["memory", "cores"]).await }
        ),
        operation!(
            "resize",
            put("/nodes/pve-01/qemu/2411000/resize", "disk=scsi0&size=64G"),
            json!(UPID),
            "UPID",
            |c| async {
                machine(&c)
                    .resize_disk(Slot::Scsi(0), &ResizeRequest::to(Size::gib(64)))
                    .await
            }
        ),
        operation!(
            "grow",
            put("/nodes/pve-01/qemu/2411000/resize", "disk=scsi0&size=%2B1G"),
            json!(UPID),
            "UPID",
            |c| async {
                machine(&c)
                    .resize_disk(Slot::Scsi(0), &ResizeRequest::by(Size::gib(1)))
                    .await
            }
        ),
        operation!(
            "restore",
            post(
                "/nodes/pve-01/qemu",
                "vmid=2411000&archive=local%3Abackup%2Fvzdump-qemu-104-2025_10_09-08_00_00.vma.zst\
                 &storage=nvme-lvm&bwlimit=1024&memory=4096&unique=1&start=1"
            ),
            json!(UPID),
            "UPID",
            |c| async {
                let archive = "local:backup/vzdump-qemu-104-2025_10_09-08_00_00.vma.zst";
                let restore = RestoreRequest::new(vm_id(), archive.parse::<VolumeId>().unwrap())
                    .storage(storage("nvme-lvm"))
                    .bytes_per_second("1M".parse().unwrap())
                    .memory_mib(4096_u32)
                    .unique()
                    .start();
                c.node(node()).restore_vm(&restore).await
            }
        ),
        operation!(
            "move disk",
            post(
                "/nodes/pve-01/qemu/2411000/move_disk",
                "disk=scsi0&storage=local&delete=1"
            ),
            json!(UPID),
            "UPID",
            |c| async {
                machine(&c)
                    .move_disk(
                        Slot::Scsi(0),
                        &MoveDiskRequest::new(storage("local")).delete_source(),
                    )
                    .await
            }
        ),
        operation!(
            "detach",
            put("/nodes/pve-01/qemu/2411000/unlink", "idlist=scsi1"),
            json!(null),
            "()",
            |c| async { machine(&c).detach_disks(&["scsi1"]).await }
        ),
        operation!(
            "delete disks",
            put(
                "/nodes/pve-01/qemu/2411000/unlink",
                "idlist=unused0%2Cunused1&force=1"
            ),
            json!(null),
            "()",
            |c| async { machine(&c).delete_disks(&["unused0", "unused1"]).await }
        ),
        operation!(
            "cloud-init",
            get("/nodes/pve-01/qemu/2411000/cloudinit"),
            json!([{ "key": "ciuser", "value": "root" }]),
            "ciuser",
            |c| async { machine(&c).cloud_init().await }
        ),
        operation!(
            "regenerate cloud-init",
            put("/nodes/pve-01/qemu/2411000/cloudinit", ""),
            json!(null),
            "()",
            |c| async { machine(&c).regenerate_cloud_init().await }
        ),
        operation!(
            "dump cloud-init",
            get("/nodes/pve-01/qemu/2411000/cloudinit/dump?type=user"),
            json!("#cloud-config"),
            "#cloud-config",
            |c| async { machine(&c).cloud_init_dump("user").await }
        ),
        operation!(
            "feature",
            get("/nodes/pve-01/qemu/2411000/feature?feature=snapshot"),
            json!({ "nodes": ["pve-01"], "hasFeature": 0 }),
            "has_feature: false",
            |c| async { machine(&c).feature(Feature::Snapshot).await }
        ),
        operation!(
            "clone",
            post(
                "/nodes/pve-01/qemu/2411000/clone",
                "newid=2411001&name=tal02&storage=local&full=1"
            ),
            json!(UPID),
            "UPID",
            |c| async {
                machine(&c)
                    .clone_vm(
                        &CloneRequest::new(VmId::new(2_411_001).unwrap())
                            .name("tal02")
                            .storage(storage("local"))
                            .full(),
                    )
                    .await
            }
        ),
        operation!(
            "template",
            post("/nodes/pve-01/qemu/2411000/template", ""),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).make_template().await }
        ),
        operation!(
            "base disk",
            post("/nodes/pve-01/qemu/2411000/template", "disk=scsi0"),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).make_base_disk(Slot::Scsi(0)).await }
        ),
        operation!(
            "check migration",
            get("/nodes/pve-01/qemu/2411000/migrate?target=pve-02"),
            json!({ "running": 0, "allowed_nodes": ["pve-02"], "local_disks": [], "local_resources": [] }),
            "allowed_nodes: [NodeName(\"pve-02\")]",
            |c| async {
                machine(&c)
                    .check_migration(Some(&"pve-02".parse().unwrap()))
                    .await
            }
        ),
        operation!(
            "migrate",
            post(
                "/nodes/pve-01/qemu/2411000/migrate",
                "target=pve-02&online=1&with-local-disks=1"
            ),
            json!(UPID),
            "UPID",
            |c| async {
                machine(&c)
                    .migrate(
                        &MigrateRequest::new("pve-02".parse::<NodeName>().unwrap())
                            .online()
                            .with_local_disks(),
                    )
                    .await
            }
        ),
        operation!(
            "snapshots",
            get("/nodes/pve-01/qemu/2411000/snapshot"),
            json!([{ "running": 0, "digest": "x", "name": "current", "description": "You are here!" }]),
            "You are here!",
            |c| async { machine(&c).snapshots().await }
        ),
        operation!(
            "create snapshot",
            post(
                "/nodes/pve-01/qemu/2411000/snapshot",
                "snapname=before&description=x&vmstate=1"
            ),
            json!(UPID),
            "UPID",
            |c| async {
                machine(&c)
                    .create_snapshot(
                        &SnapshotRequest::new("before")
                            .description("x")
                            .with_memory(),
                    )
                    .await
            }
        ),
        operation!(
            "snapshot config",
            get("/nodes/pve-01/qemu/2411000/snapshot/before/config"),
            json!({ "cores": 4 }),
            "cores: Some(4)",
            |c| async { machine(&c).snapshot_config("before").await }
        ),
        operation!(
            "roll back",
            post("/nodes/pve-01/qemu/2411000/snapshot/before/rollback", ""),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).roll_back("before").await }
        ),
        operation!(
            "roll back and start",
            post(
                "/nodes/pve-01/qemu/2411000/snapshot/before/rollback",
                "start=1"
            ),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).roll_back_and_start("before").await }
        ),
        operation!(
            "delete snapshot",
            delete("/nodes/pve-01/qemu/2411000/snapshot/before"),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).delete_snapshot("before").await }
        ),
        operation!(
            "shutdown or stop",
            post(
                "/nodes/pve-01/qemu/2411000/status/shutdown",
                "timeout=9&forceStop=1"
            ),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).shutdown_or_stop(Duration::from_secs(9)).await }
        ),
        operation!(
            "reboot",
            post("/nodes/pve-01/qemu/2411000/status/reboot", "timeout=9"),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).reboot(Duration::from_secs(9)).await }
        ),
        operation!(
            "suspend",
            post("/nodes/pve-01/qemu/2411000/status/suspend", ""),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).suspend().await }
        ),
        operation!(
            "hibernate",
            post("/nodes/pve-01/qemu/2411000/status/suspend", "todisk=1"),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).hibernate().await }
        ),
        operation!(
            "resume",
            post("/nodes/pve-01/qemu/2411000/status/resume", ""),
            json!(UPID),
            "UPID",
            |c| async { machine(&c).resume().await }
        ),
    ]
}
