//! The files of a mock node: a small tree that follows from its state.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use tonic::Status;

use super::machine::{Stream, chunks};
use super::node::{Mode, Node, State};
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;

/// The bit by which Go marks a directory.
const DIRECTORY: u32 = 1 << 31;

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Directory,
    File(Vec<u8>),
}

type Tree = BTreeMap<String, Entry>;

fn tree(node: &Node) -> Tree {
    let state = node.state();
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("/etc/os-release".to_owned(), os_release(&state)),
        (
            "/proc/cmdline".to_owned(),
            format!(
                "talos.platform={} console=tty1 console=ttyS0 net.ifnames=0\n",
                node.setup.platform
            )
            .into_bytes(),
        ),
        (
            "/proc/sys/kernel/random/boot_id".to_owned(),
            boot_id(&state),
        ),
    ];
    if state.mode == Mode::Configured {
        for service in ["apid", "cri", "etcd", "kubelet", "machined"] {
            files.push((
                format!("/var/log/{service}.log"),
                format!("{service}: log of the mock\n").into_bytes(),
            ));
        }
    }
    if state.has_etcd_data {
        files.push(("/var/lib/etcd/member/snap/db".to_owned(), vec![0; 4096]));
        files.push((
            "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal".to_owned(),
            vec![0; 512],
        ));
    }
    let mut tree = Tree::new();
    for (path, content) in files {
        let mut parent = String::new();
        for part in path.split('/').skip(1) {
            let directory = if parent.is_empty() { "/" } else { &parent };
            tree.insert(directory.to_owned(), Entry::Directory);
            parent = format!("{parent}/{part}");
        }
        tree.insert(path, Entry::File(content));
    }
    tree
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

/// An absolute path without a slash at its end.
fn cleaned(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        "/".to_owned()
    } else if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

/// The path below a directory; `.` for the directory itself, `None` for what is elsewhere.
fn relative<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    if path == root {
        return Some(".");
    }
    let prefix = root.trim_end_matches('/');
    path.strip_prefix(prefix)?.strip_prefix('/')
}

fn depth(relative: &str) -> usize {
    if relative == "." {
        0
    } else {
        relative.matches('/').count().saturating_add(1)
    }
}

pub(super) fn list(node: &Node, request: &pb::ListRequest) -> Result<Stream<pb::FileInfo>, Status> {
    use pb::list_request::Type;
    let root = cleaned(&request.root);
    let tree = tree(node);
    if !tree.contains_key(&root) {
        return Err(Status::unknown(format!(
            "lstat {root}: no such file or directory"
        )));
    }
    let levels = match (request.recurse, request.recursion_depth) {
        (false, _) => 1,
        (true, 0) => usize::MAX,
        (true, levels) => usize::try_from(levels).unwrap_or(usize::MAX).max(1),
    };
    let is_asked = |entry: &Entry| {
        let kind = match entry {
            Entry::Directory => Type::Directory,
            Entry::File(_) => Type::Regular,
        };
        request.types.is_empty() || request.types.contains(&kind.into())
    };
    let booted = node
        .state()
        .booted
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let mut found = Vec::new();
    for (path, entry) in &tree {
        let Some(relative) = relative(&root, path) else {
            continue;
        };
        if depth(relative) > levels || !is_asked(entry) {
            continue;
        }
        let (size, mode, is_dir) = match entry {
            Entry::Directory => (4096, DIRECTORY | 0o755, true),
            Entry::File(content) => (content.len(), 0o644, false),
        };
        let relative = if path == &root && !is_dir {
            path.rsplit('/').next().unwrap_or_default()
        } else {
            relative
        };
        found.push(Ok(pb::FileInfo {
            name: path.clone(),
            relative_name: relative.to_owned(),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            mode,
            modified: i64::try_from(booted).unwrap_or_default(),
            is_dir,
            ..Default::default()
        }));
    }
    Ok(stream::iter(found).boxed())
}

pub(super) fn content(node: &Node, asked: &pb::ReadRequest) -> Result<Stream<Data>, Status> {
    let path = &asked.path;
    match tree(node).remove(&cleaned(path)) {
        Some(Entry::File(content)) => Ok(chunks(&content)),
        Some(Entry::Directory) => Err(Status::unknown("path must be a regular file")),
        None => Err(Status::not_found(format!(
            "stat {path}: no such file or directory"
        ))),
    }
}

pub(super) fn copied(node: &Node, asked: &pb::CopyRequest) -> Result<Stream<Data>, Status> {
    Ok(chunks(&archive(node, &asked.root_path)?))
}

/// A gzipped tar archive of a file or directory.
fn archive(node: &Node, path: &str) -> Result<Vec<u8>, Status> {
    if !path.starts_with('/') {
        return Err(Status::unknown(format!("path is not absolute {path}")));
    }
    let root = cleaned(path);
    let tree = tree(node);
    if !tree.contains_key(&root) {
        return Err(Status::unknown(format!(
            "lstat {root}: no such file or directory"
        )));
    }
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    let failed = |error: std::io::Error| Status::unknown(error.to_string());
    for (path, entry) in &tree {
        let Some(name) = relative(&root, path) else {
            continue;
        };
        // The directory itself is left out, as by machined.
        if name == "." && *entry == Entry::Directory {
            continue;
        }
        let name = if name == "." {
            root.rsplit('/').next().unwrap_or_default()
        } else {
            name
        };
        let mut header = tar::Header::new_gnu();
        match entry {
            Entry::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                archive
                    .append_data(&mut header, name, std::io::empty())
                    .map_err(failed)?;
            }
            Entry::File(content) => {
                header.set_mode(0o644);
                header.set_size(content.len() as u64);
                archive
                    .append_data(&mut header, name, content.as_slice())
                    .map_err(failed)?;
            }
        }
    }
    archive
        .into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(failed)
}

pub(super) fn usage(
    node: &Node,
    request: &pb::DiskUsageRequest,
) -> Result<Stream<pb::DiskUsageInfo>, Status> {
    let tree = tree(node);
    let mut found = Vec::new();
    for root in request.paths.iter().map(|path| cleaned(path)) {
        if !tree.contains_key(&root) {
            found.push(Ok(pb::DiskUsageInfo {
                name: root.clone(),
                relative_name: root.clone(),
                error: format!("lstat {root}: no such file or directory"),
                ..Default::default()
            }));
            continue;
        }
        found.extend(sizes(&tree, &root, request).into_iter().map(Ok));
    }
    Ok(stream::iter(found).boxed())
}

/// Every directory after what is in it.
fn sizes(tree: &Tree, root: &str, request: &pb::DiskUsageRequest) -> Vec<pb::DiskUsageInfo> {
    let levels = usize::try_from(request.recursion_depth).unwrap_or_default();
    let below = tree
        .iter()
        .filter_map(|(path, entry)| Some((path, entry, relative(root, path)?)));
    let shown = below.filter(|(_, entry, relative)| {
        let is_deep = levels > 0 && depth(relative) >= levels;
        !is_deep && (request.all || **entry == Entry::Directory)
    });
    let mut sizes: Vec<pb::DiskUsageInfo> = shown
        .map(|(path, _, relative_name)| pb::DiskUsageInfo {
            name: path.clone(),
            relative_name: relative_name.to_owned(),
            size: total(tree, path),
            ..Default::default()
        })
        .filter(|info| match request.threshold {
            0 => true,
            1.. => info.size >= request.threshold,
            _ => info.size <= -request.threshold,
        })
        .collect();
    sizes.reverse();
    sizes
}

fn total(tree: &Tree, root: &str) -> i64 {
    let sizes = tree
        .iter()
        .filter(|(path, _)| relative(root, path).is_some())
        .map(|(_, entry)| match entry {
            Entry::Directory => 4096,
            Entry::File(content) => i64::try_from(content.len()).unwrap_or(i64::MAX),
        });
    sizes.sum()
}
