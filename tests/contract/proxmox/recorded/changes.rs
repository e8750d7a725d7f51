//! The recorded answers of changing calls, with the typed calls that make them.

use std::time::Duration;

use bytes::Bytes;
use proxmox_client::access::{AclUpdate, TokenRequest, UserRequest};
use proxmox_client::storage::{Content, DownloadRequest, UploadRequest};
use proxmox_client::vm::{ConfigUpdate, ResizeRequest, Size, Slot, VmSpec};
use proxmox_client::{Client, Result, Storage, Vm};

use super::Exchange;

/// Drops the value of a call.
macro_rules! made {
    ($call:expr) => {
        Some($call.await.map(|value| drop(format!("{value:?}"))))
    };
}

/// The result of the typed call with this method and path; `None` when the client has none.
pub(super) async fn typed(
    client: &Client,
    exchange: &Exchange,
    segments: &[&str],
) -> Option<Result<()>> {
    let access = client.access();
    match (exchange.method.as_str(), segments) {
        ("POST", ["access", "users"]) => made!(access.create_user("a@pve", &UserRequest::new())),
        ("DELETE", ["access", "users", user]) => made!(access.delete_user(user)),
        ("POST", ["access", "users", user, "token", name]) => {
            made!(access.create_token(user, name, &TokenRequest::new()))
        }
        ("DELETE", ["access", "users", user, "token", name]) => {
            made!(access.delete_token(user, name))
        }
        ("POST", ["access", "roles"]) => made!(access.create_role("a", &["VM.Audit"])),
        ("DELETE", ["access", "roles", role]) => made!(access.delete_role(role)),
        ("PUT", ["access", "acl"]) => made!(access.update_acl(&AclUpdate::new("/vms", "a"))),
        ("POST", ["pools"]) => made!(client.pool("a").create(None)),
        ("PUT", ["pools"]) => made!(client.pool("a").add(&["104".parse().ok()?], &[])),
        ("DELETE", ["pools"]) => made!(client.pool("a").delete()),
        ("DELETE", ["nodes", _, "tasks", task]) => made!(client.task(task.parse().ok()?).abort()),
        ("POST", ["nodes", node, "qemu"]) => {
            let spec = VmSpec::new("104".parse().ok()?, "tal01");
            made!(client.node(node.parse().ok()?).create_vm(&spec))
        }
        (method, ["nodes", node, "qemu", id, rest @ ..]) => {
            let vm = client.node(node.parse().ok()?).vm(id.parse().ok()?);
            of_vm(&vm, method, rest).await
        }
        (method, ["nodes", node, "storage", name, rest @ ..]) => {
            let node = client.node(node.parse().ok()?);
            of_storage(&node.storage(name.parse().ok()?), method, rest).await
        }
        _ => None,
    }
}

async fn of_vm(vm: &Vm, method: &str, rest: &[&str]) -> Option<Result<()>> {
    let update = ConfigUpdate::new().option("cores", 2);
    let minute = Duration::from_secs(60);
    match (method, rest) {
        ("DELETE", []) => made!(vm.delete()),
        ("POST", ["config"]) => made!(vm.update(&update)),
        ("PUT", ["config"]) => made!(vm.set(&update)),
        ("PUT", ["resize"]) => {
            made!(vm.resize_disk(Slot::Scsi(0), &ResizeRequest::to(Size::gib(1))))
        }
        ("PUT", ["unlink"]) => made!(vm.detach_disks(&["scsi1"])),
        ("POST", ["status", "start"]) => made!(vm.start()),
        ("POST", ["status", "stop"]) => made!(vm.stop()),
        ("POST", ["status", "shutdown"]) => made!(vm.shutdown(minute)),
        ("POST", ["status", "reset"]) => made!(vm.reset()),
        ("POST", ["status", "suspend"]) => made!(vm.suspend()),
        ("POST", ["status", "resume"]) => made!(vm.resume()),
        ("POST", ["agent", "ping"]) => made!(vm.agent_ping()),
        _ => None,
    }
}

async fn of_storage(storage: &Storage, method: &str, rest: &[&str]) -> Option<Result<()>> {
    match (method, rest) {
        ("POST", ["content"]) => {
            made!(storage.allocate("700".parse().ok()?, "vm-700-disk-5", Size::gib(1)))
        }
        ("DELETE", ["content", ..]) => {
            made!(storage.delete(&format!("{}:iso/x.iso", storage.name()).parse().ok()?))
        }
        ("POST", ["download-url"]) => {
            let url = "https://images.example.test/x.iso".parse().ok()?;
            made!(storage.download_url(&DownloadRequest::new(url, Content::Iso, "x.iso")))
        }
        ("POST", ["upload"]) => {
            let upload = UploadRequest::from_bytes(Content::Iso, "x.iso", Bytes::from_static(b"x"));
            made!(storage.upload(upload))
        }
        _ => None,
    }
}
