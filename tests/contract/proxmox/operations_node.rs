//! Operations on nodes and storages.

use proxmox_client::cluster::BackupRequest;
use proxmox_client::id::VolumeId;
use proxmox_client::storage::{PruneRequest, VolumeUpdate};
use proxmox_client::task::TaskFilter;
use proxmox_client::vm::Size;
use proxmox_client::{Client, Node, Storage};
use serde_json::json;

use super::operation_table::{Operation, UPID, delete, get, operation, post, put};
use super::{node, storage, vm_id};

fn place(client: &Client) -> Node {
    client.node(node())
}

fn disks(client: &Client) -> Storage {
    place(client).storage(storage("local"))
}

fn volume() -> VolumeId {
    VolumeId::new("local:iso/x.iso").unwrap()
}

#[allow(
    clippy::too_many_lines,
    reason = "a table with one row for each operation"
)]
pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation!(
            "node version",
            get("/nodes/pve-01/version"),
            json!({ "version": "9.2.11", "release": "9.2", "repoid": "14a22df3aabbccdd" }),
            "major: 9, minor: 2",
            |c| async { place(&c).version().await }
        ),
        operation!(
            "DNS",
            get("/nodes/pve-01/dns"),
            json!({ "dns1": "10.0.0.53" }),
            "first: Some(\"10.0.0.53\")",
            |c| async { place(&c).dns().await }
        ),
        operation!(
            "time",
            get("/nodes/pve-01/time"),
            json!({ "timezone": "UTC", "time": 1795650100, "localtime": 1795650100 }),
            "time: 1795650100",
            |c| async { place(&c).time().await }
        ),
        operation!(
            "services",
            get("/nodes/pve-01/services"),
            json!([{ "service": "pveproxy", "state": "running", "desc": "x" }]),
            "pveproxy",
            |c| async { place(&c).services().await }
        ),
        operation!(
            "certificates",
            get("/nodes/pve-01/certificates/info"),
            json!([{ "filename": "pve-ssl.pem", "san": ["127.0.0.1"], "notafter": 5 }]),
            "not_after: Some(5)",
            |c| async { place(&c).certificates().await }
        ),
        operation!(
            "CPU models",
            get("/nodes/pve-01/capabilities/qemu/cpu"),
            json!([{ "custom": 0, "vendor": "GenuineIntel", "name": "Penryn" }]),
            "is_custom: false",
            |c| async { place(&c).cpu_models().await }
        ),
        operation!(
            "machines",
            get("/nodes/pve-01/capabilities/qemu/machines"),
            json!([{ "id": "pc-q35-10.1", "type": "q35", "version": "10.1" }]),
            "pc-q35-10.1",
            |c| async { place(&c).machine_versions().await }
        ),
        operation!(
            "network",
            get("/nodes/pve-01/network/vmbr0"),
            json!({ "iface": "vmbr0", "type": "bridge", "cidr": "10.0.0.1/24" }),
            "10.0.0.1/24",
            |c| async { place(&c).network("vmbr0").await }
        ),
        operation!(
            "URL metadata",
            get("/nodes/pve-01/query-url-metadata?url=https%3A%2F%2Fa.example%2Fx.iso"),
            json!({ "filename": "x.iso", "size": "5" }),
            "size: Some(5)",
            |c| async {
                place(&c)
                    .url_metadata(&"https://a.example/x.iso".parse().unwrap())
                    .await
            }
        ),
        operation!(
            "tasks",
            get("/nodes/pve-01/tasks?source=all&vmid=2411000&limit=3"),
            json!([{ "upid": UPID, "type": "qmcreate", "id": "104", "user": "ci@pve", "status": "OK", "starttime": 5, "endtime": 6, "node": "pve-01", "pid": 1, "pstart": 2, "tokenid": "boot" }]),
            "worker: \"qmcreate\"",
            |c| async {
                place(&c)
                    .tasks(&TaskFilter::new().source("all").vm(vm_id()).limit(3_u64))
                    .await
            }
        ),
        operation!(
            "back up",
            post(
                "/nodes/pve-01/vzdump",
                "vmid=2411000&storage=local&mode=snapshot"
            ),
            json!(UPID),
            "UPID",
            |c| async {
                place(&c)
                    .back_up(
                        &[vm_id()],
                        &BackupRequest::new(storage("local")).mode("snapshot"),
                    )
                    .await
            }
        ),
        operation!(
            "disks of a VM",
            get("/nodes/pve-01/storage/local/content?vmid=2411000"),
            json!([{ "parent": null, "volid": "local:700/vm-700-disk-5.raw", "content": "images", "vmid": 700, "used": 4096, "ctime": 5, "format": "raw", "size": 67108864 }]),
            "vmid: Some(VmId(700))",
            |c| async { disks(&c).disks_of(vm_id()).await }
        ),
        operation!(
            "volume",
            get("/nodes/pve-01/storage/local/content/local%3Aiso%2Fx.iso"),
            json!({ "format": "raw", "size": 67108864, "path": "/x", "used": 4096 }),
            "used: Some(4096)",
            |c| async { disks(&c).volume(&volume()).await }
        ),
        operation!(
            "change volume",
            put(
                "/nodes/pve-01/storage/local/content/local%3Aiso%2Fx.iso",
                "notes=kept&protected=1"
            ),
            json!(null),
            "()",
            |c| async {
                disks(&c)
                    .update_volume(&volume(), &VolumeUpdate::new().notes("kept").protect())
                    .await
            }
        ),
        operation!(
            "allocate",
            post(
                "/nodes/pve-01/storage/local/content",
                "vmid=2411000&filename=vm-2411000-disk-5.raw&size=65536"
            ),
            json!("local:2411000/vm-2411000-disk-5.raw"),
            "vm-2411000-disk-5",
            |c| async {
                disks(&c)
                    .allocate(
                        vm_id(),
                        "vm-2411000-disk-5.raw",
                        Size::gib(1).min("64M".parse().unwrap()),
                    )
                    .await
            }
        ),
        operation!(
            "prunable backups",
            get("/nodes/pve-01/storage/local/prunebackups?prune-backups=keep-last%3D3"),
            json!([{ "volid": "local:backup/a.vma", "mark": "remove", "ctime": 5, "type": "qemu", "vmid": 104 }]),
            "mark: \"remove\"",
            |c| async {
                disks(&c)
                    .prunable_backups(&PruneRequest::new("keep-last=3"))
                    .await
            }
        ),
        operation!(
            "prune backups",
            delete("/nodes/pve-01/storage/local/prunebackups?prune-backups=keep-last%3D3"),
            json!(UPID),
            "UPID",
            |c| async {
                disks(&c)
                    .prune_backups(&PruneRequest::new("keep-last=3"))
                    .await
            }
        ),
    ]
}
