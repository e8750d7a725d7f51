//! The files of a mock node: a small tree that follows from its state.

use std::collections::BTreeMap;

use super::content::Content;
use super::control_groups;
use super::machine::logs;
use super::node::{Mode, Node, State};

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File(Content),
    /// A symbolic link to this.
    Link(String),
}

pub(super) type Tree = BTreeMap<String, Entry>;

pub(super) fn tree(node: &Node) -> Tree {
    let groups = control_groups::files(node);
    let state = node.state();
    let mut files: Vec<(String, Content)> = vec![
        ("/etc/os-release".to_owned(), os_release(&state).into()),
        (
            "/proc/cmdline".to_owned(),
            format!(
                "talos.platform={} console=tty1 console=ttyS0 net.ifnames=0\n",
                node.setup.platform
            )
            .into(),
        ),
        (
            "/proc/sys/kernel/random/boot_id".to_owned(),
            boot_id(&state).into(),
        ),
    ];
    if state.mode == Mode::Configured {
        for service in ["apid", "cri", "etcd", "kubelet", "machined"] {
            files.push((
                format!("/var/log/{service}.log"),
                logs::content(node, service, None),
            ));
        }
    }
    if state.has_etcd_data {
        let zeros = |size| Content::repeated(&[0], size);
        files.push(("/var/lib/etcd/member/snap/db".to_owned(), zeros(4096)));
        files.push((
            "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal".to_owned(),
            zeros(512),
        ));
    }
    let added = node.setup.files.iter();
    files.extend(added.map(|(path, content)| (path.clone(), content.clone())));
    files.extend(groups.into_iter().map(|(path, text)| (path, text.into())));
    let files = files
        .into_iter()
        .map(|(path, content)| (path, Entry::File(content)));
    let mut tree = Tree::new();
    for (path, entry) in files.chain(block_devices(node)) {
        let mut parent = String::new();
        for part in path.split('/').skip(1) {
            let directory = if parent.is_empty() { "/" } else { &parent };
            tree.insert(directory.to_owned(), Entry::Directory);
            parent = format!("{parent}/{part}");
        }
        tree.insert(path, entry);
    }
    tree
}

/// The kernel's links from the numbers of the block devices to their names.
fn block_devices(node: &Node) -> impl Iterator<Item = (String, Entry)> {
    node.setup.disks.iter().enumerate().map(|(index, disk)| {
        let name = disk.device.rsplit('/').next().unwrap_or_default();
        let number = if disk.is_cdrom {
            "11:0".to_owned()
        } else {
            format!("8:{}", index.saturating_mul(16))
        };
        let device = format!("../../devices/pci0000:00/0000:00:05.0/virtio1/block/{name}");
        (format!("/sys/dev/block/{number}"), Entry::Link(device))
    })
}

fn os_release(state: &State) -> Vec<u8> {
    let version = &state.image.version;
    format!("NAME=\"Talos\"\nID=talos\nVERSION_ID={version}\nPRETTY_NAME=\"Talos ({version})\"\n")
        .into_bytes()
}

/// Another one after every boot.
fn boot_id(state: &State) -> Vec<u8> {
    let since = state
        .booted
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let nanos = since.as_nanos();
    let (high, low) = (nanos >> 64, nanos & u128::from(u64::MAX));
    format!(
        "00000000-{:04x}-4000-8000-{:012x}\n",
        high & 0xffff,
        low & 0xffff_ffff_ffff
    )
    .into_bytes()
}
