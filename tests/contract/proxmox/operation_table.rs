//! Every operation of the client: the exact request, and a part of what it returns.

use std::pin::Pin;
use std::time::Duration;

use http::Method;
use proxmox_client::id::{BridgeName, VolumeId};
use proxmox_client::storage::{Checksum, Content, DownloadRequest};
use proxmox_client::vm::{
    Agent, Cdrom, ConfigUpdate, Disk, Drive, EfiDisk, NetworkDevice, Slot, VmSpec,
};
use proxmox_client::{Client, Result, TaskId};
use serde_json::{Value, json};

use super::{node, storage, vm_id};

pub(super) const UPID: &str =
    "UPID:pve-01:0003A2F1:01C2D3E4:66A1B2C3:qmcreate:2411000:ci@pve!boot:";
const UPID_IN_PATH: &str =
    "UPID%3Apve-01%3A0003A2F1%3A01C2D3E4%3A66A1B2C3%3Aqmcreate%3A2411000%3Aci%40pve%21boot%3A";

type Outcome = Pin<Box<dyn Future<Output = Result<String>> + Send>>;

pub(super) struct Operation {
    pub(super) name: &'static str,
    /// Method, path with query, form body.
    pub(super) request: (&'static str, String, &'static str),
    pub(super) answer: Value,
    pub(super) call: fn(Client) -> Outcome,
    /// A part of the debug text of what the call returns.
    pub(super) returns: &'static str,
}

/// Makes an operation whose result is compared as its debug text.
macro_rules! operation {
    ($name:literal, $request:expr, $answer:expr, $returns:literal, |$client:ident| $call:expr) => {
        $crate::proxmox::operation_table::Operation {
            name: $name,
            request: $request,
            answer: $answer,
            returns: $returns,
            call: |$client| Box::pin(async move { $call.await.map(|value| format!("{value:?}")) }),
        }
    };
}

pub(super) use operation;

pub(super) fn get(path: &str) -> (&'static str, String, &'static str) {
    ("GET", path.to_owned(), "")
}

pub(super) fn put(path: &str, body: &'static str) -> (&'static str, String, &'static str) {
    ("PUT", path.to_owned(), body)
}

pub(super) fn post(path: &str, body: &'static str) -> (&'static str, String, &'static str) {
    ("POST", path.to_owned(), body)
}

pub(super) fn delete(path: &str) -> (&'static str, String, &'static str) {
    ("DELETE", path.to_owned(), "")
}

pub(super) fn operations() -> Vec<Operation> {
    let mut all = cluster_operations();
    all.extend(storage_operations());
    all.push(creation());
    all.extend(vm_operations());
    all.extend(power_operations());
    all.extend(task_operations());
    all.extend(super::operations_node::operations());
    all.extend(super::operations_cluster::operations());
    all.extend(super::operations_vm::operations());
    all.extend(super::operations_guest::operations());
    all
}

fn cluster_operations() -> Vec<Operation> {
    vec![
        operation!(
            "version",
            get("/version"),
            json!({ "version": "9.1.2", "release": "9.1" }),
            "major: 9, minor: 1",
            |c| c.version()
        ),
        operation!(
            "permissions",
            get("/access/permissions"),
            json!({ "/vms": { "VM.Audit": 1 } }),
            "VM.Audit",
            |c| c.permissions()
        ),
        operation!(
            "next id",
            get("/cluster/nextid"),
            json!("104"),
            "VmId(104)",
            |c| c.cluster().next_vm_id()
        ),
        operation!(
            "check id",
            get("/cluster/nextid?vmid=2411000"),
            json!("2411000"),
            "true",
            |c| c.cluster().is_vm_id_free(vm_id())
        ),
        operation!(
            "resources",
            get("/cluster/resources?type=vm"),
            json!([{ "id": "qemu/104", "type": "qemu", "vmid": 104, "node": "pve-01", "name": 7, "tags": "a;b" }]),
            "tags: [\"a\", \"b\"]",
            |c| c.cluster().guests()
        ),
        operation!(
            "nodes",
            get("/nodes"),
            json!([{ "node": "pve-01", "status": "online", "maxmem": "1024" }]),
            "memory_total: Some(1024)",
            |c| c.nodes()
        ),
        operation!(
            "node status",
            get("/nodes/pve-01/status"),
            json!({ "uptime": 5, "loadavg": ["0.1"], "rootfs": { "total": 9, "free": 5, "avail": 4 } }),
            "available: Some(4)",
            |c| c.node(node()).status()
        ),
        operation!(
            "networks",
            get("/nodes/pve-01/network"),
            json!([{ "iface": "eno1", "type": "eth", "active": 1 }]),
            "active: true",
            |c| c.node(node()).networks()
        ),
        operation!(
            "bridges",
            get("/nodes/pve-01/network?type=any_bridge"),
            json!([{ "iface": "vmbr1", "type": "bridge", "bridge_vlan_aware": "1" }]),
            "vlan_aware: true",
            |c| c.node(node()).bridges()
        ),
        operation!(
            "storages",
            get("/nodes/pve-01/storage"),
            json!([{ "storage": "local", "type": "dir", "content": "iso,images" }]),
            "[\"iso\", \"images\"]",
            |c| c.node(node()).storages()
        ),
        operation!(
            "VMs",
            get("/nodes/pve-01/qemu"),
            json!([{ "vmid": "104", "name": "a", "status": "running" }]),
            "vmid: VmId(104)",
            |c| c.node(node()).vms()
        ),
    ]
}

fn storage_operations() -> Vec<Operation> {
    vec![
        operation!(
            "storage status",
            get("/nodes/pve-01/storage/local/status"),
            json!({ "type": "dir", "content": "iso", "avail": 1e3 }),
            "available: Some(1000)",
            |c| c.node(node()).storage(storage("local")).status()
        ),
        operation!(
            "content",
            get("/nodes/pve-01/storage/local/content?content=iso"),
            json!([{ "volid": "local:iso/x.iso", "format": "iso", "size": 5 }]),
            "size: Some(5)",
            |c| c
                .node(node())
                .storage(storage("local"))
                .content(Some(Content::Iso))
        ),
        operation!(
            "delete volume",
            delete("/nodes/pve-01/storage/local/content/local%3Aiso%2Fx.iso"),
            json!(null),
            "None",
            |c| c
                .node(node())
                .storage(storage("local"))
                .delete(&VolumeId::new("local:iso/x.iso").unwrap())
        ),
        operation!(
            "backups",
            get("/nodes/pve-01/storage/local/content?content=backup&vmid=2411000"),
            json!([{ "volid": "local:backup/vzdump-qemu-104-2025_10_09-08_00_00.vma.zst", "format": "vma.zst" }]),
            "vma.zst",
            |c| c.node(node()).storage(storage("local")).backups_of(vm_id())
        ),
        operation!(
            "copy volume",
            post(
                "/nodes/pve-01/storage/local/content/local%3Aiso%2Fx.iso",
                "target=local%3Aiso%2Fy.iso&target_node=pve-01"
            ),
            json!(UPID),
            "UPID:pve-01",
            |c| copy(&c)
        ),
        operation!(
            "download",
            post(
                "/nodes/pve-01/storage/local/download-url",
                "content=iso&filename=talos.iso&url=https%3A%2F%2Ffactory.example%2Fa%3Fb%3D1\
                 &checksum-algorithm=sha256\
                 &checksum=abababababababababababababababababababababababababababababababab",
            ),
            json!(UPID),
            "UPID:pve-01",
            |c| download(&c)
        ),
    ]
}

async fn copy(client: &Client) -> Result<TaskId> {
    let volume = |text: &str| VolumeId::new(text).unwrap();
    let (from, to) = (volume("local:iso/x.iso"), volume("local:iso/y.iso"));
    let storage = client.node(node()).storage(storage("local"));
    let task = storage.copy_volume(&from, &to, Some(&node())).await?;
    Ok(task.id().clone())
}

async fn download(client: &Client) -> Result<TaskId> {
    let url = "https://factory.example/a?b=1".parse().unwrap();
    let request = DownloadRequest::new(url, Content::Iso, "talos.iso")
        .checksum(Checksum::sha256(&"ab".repeat(32))?);
    let task = client
        .node(node())
        .storage(storage("local"))
        .download_url(&request)
        .await?;
    Ok(task.id().clone())
}

fn spec() -> VmSpec {
    VmSpec::new(vm_id(), "tal01.lungmen.akn.chezmoi.sh")
        .cores(4)
        .memory_mib(8192)
        .cpu("x86-64-v2-AES")
        .uefi(EfiDisk::new(storage("nvme-lvm")))
        .disk(Slot::Scsi(0), Disk::new(storage("nvme-lvm"), 32).iothread())
        .disk(
            Slot::Scsi(1),
            Disk::new(storage("nvme-lvm"), 64).iothread().ssd(),
        )
        .cdrom(Slot::Ide(2), VolumeId::new("local:iso/talos.iso").unwrap())
        .network(
            0,
            NetworkDevice::virtio(BridgeName::new("vmbr1").unwrap())
                .vlan(2)
                .firewall(),
        )
        .boot_order([Slot::Scsi(0), Slot::Ide(2)])
        .agent(Agent::enabled())
        .tags("amd64;talos-linux".parse().unwrap())
        .description("<b>Talos</b> & more")
}

async fn create(client: &Client) -> Result<TaskId> {
    let task = client.node(node()).create_vm(&spec()).await?;
    Ok(task.id().clone())
}

async fn eject(client: &Client) -> Result<bool> {
    let update = ConfigUpdate::new()
        .drive(Slot::Ide(2), &Drive::Cdrom(Cdrom::Empty))
        .digest("abc");
    let task = client.node(node()).vm(vm_id()).update(&update).await?;
    Ok(task.is_some())
}

fn creation() -> Operation {
    operation!(
        "create",
        post(
            "/nodes/pve-01/qemu",
            "vmid=2411000&name=tal01.lungmen.akn.chezmoi.sh&ostype=l26&machine=q35&bios=ovmf\
                 &scsihw=virtio-scsi-single&sockets=1&cores=4&memory=8192&cpu=x86-64-v2-AES\
                 &efidisk0=nvme-lvm%3A1%2Cefitype%3D4m%2Cpre-enrolled-keys%3D0\
                 &ide2=local%3Aiso%2Ftalos.iso%2Cmedia%3Dcdrom\
                 &scsi0=nvme-lvm%3A32%2Ciothread%3D1&scsi1=nvme-lvm%3A64%2Ciothread%3D1%2Cssd%3D1\
                 &net0=virtio%2Cbridge%3Dvmbr1%2Cfirewall%3D1%2Ctag%3D2\
                 &boot=order%3Dscsi0%3Bide2&agent=enabled%3D1&tags=amd64%3Btalos-linux\
                 &description=%3Cb%3ETalos%3C%2Fb%3E+%26+more",
        ),
        json!(UPID),
        "UPID:pve-01",
        |c| create(&c)
    )
}

fn vm_operations() -> Vec<Operation> {
    let vm = |rest: &str| format!("/nodes/pve-01/qemu/2411000{rest}");
    vec![
        operation!(
            "config",
            get(&vm("/config")),
            json!({ "memory": "8192", "cores": 4 }),
            "memory_mib: Some(8192)",
            |c| c.node(node()).vm(vm_id()).config()
        ),
        operation!(
            "update",
            post(&vm("/config"), "ide2=none%2Cmedia%3Dcdrom&digest=abc"),
            json!(null),
            "false",
            |c| eject(&c)
        ),
        operation!(
            "status",
            get(&vm("/status/current")),
            json!({ "status": "stopped", "uptime": 0 }),
            "Stopped",
            |c| c.node(node()).vm(vm_id()).status()
        ),
    ]
}

fn power_operations() -> Vec<Operation> {
    let vm = |rest: &str| format!("/nodes/pve-01/qemu/2411000{rest}");
    vec![
        operation!(
            "start",
            post(&vm("/status/start"), ""),
            json!(UPID),
            "UPID",
            |c| c.node(node()).vm(vm_id()).start()
        ),
        operation!(
            "stop",
            post(&vm("/status/stop"), ""),
            json!(UPID),
            "UPID",
            |c| c.node(node()).vm(vm_id()).stop()
        ),
        operation!(
            "stop now",
            post(&vm("/status/stop"), "overrule-shutdown=1"),
            json!(UPID),
            "UPID",
            |c| c.node(node()).vm(vm_id()).stop_now()
        ),
        operation!(
            "shutdown",
            post(&vm("/status/shutdown"), "timeout=90"),
            json!(UPID),
            "UPID",
            |c| c.node(node()).vm(vm_id()).shutdown(Duration::from_secs(90))
        ),
        operation!(
            "reset",
            post(&vm("/status/reset"), ""),
            json!(UPID),
            "UPID",
            |c| c.node(node()).vm(vm_id()).reset()
        ),
        operation!("delete", delete(&vm("")), json!(UPID), "Some", |c| c
            .node(node())
            .vm(vm_id())
            .delete()),
        operation!(
            "purge",
            delete(&vm("?purge=1&destroy-unreferenced-disks=1")),
            json!(UPID),
            "Some",
            |c| c.node(node()).vm(vm_id()).purge()
        ),
        operation!(
            "guest interfaces",
            get(&vm("/agent/network-get-interfaces")),
            json!({ "result": [{ "name": "eth0", "ip-addresses": [{ "ip-address": "10.0.2.10", "prefix": 24 }] }] }),
            "10.0.2.10",
            |c| c.node(node()).vm(vm_id()).guest_interfaces()
        ),
    ]
}

fn task_operations() -> Vec<Operation> {
    let task = |rest: &str| format!("/nodes/pve-01/tasks/{UPID_IN_PATH}{rest}");
    vec![
        operation!(
            "task status",
            get(&task("/status")),
            json!({ "status": "stopped", "exitstatus": "OK" }),
            "Ok",
            |c| c.task(UPID.parse().unwrap()).status()
        ),
        operation!(
            "task log",
            get(&task("/log?start=3&limit=9")),
            json!([{ "n": 4, "t": "TASK OK" }]),
            "TASK OK",
            |c| c.task(UPID.parse().unwrap()).log(3, 9)
        ),
        operation!("stop task", delete(&task("")), json!(null), "()", |c| c
            .task(UPID.parse().unwrap())
            .abort()),
        operation!(
            "raw",
            (
                "PUT",
                "/nodes/pve-01/qemu/100/resize".to_owned(),
                "disk=scsi0&size=%2B1G"
            ),
            json!(UPID),
            "UPID",
            |c| raw(&c)
        ),
    ]
}

async fn raw(client: &Client) -> Result<Value> {
    let params = [("disk", "scsi0"), ("size", "+1G")];
    let envelope = client
        .raw(Method::PUT, "/nodes/pve-01/qemu/100/resize", &params)
        .await?;
    Ok(envelope.data)
}
