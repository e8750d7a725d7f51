//! Calls about the files of a mock node.

use std::io;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::Status;

use super::archive::{BLOCK, Gzip};
use super::content::{Content, Reader};
use super::file_tree::{Entry, Tree, tree};
use super::machine::{Stream, data, pieces};
use super::node::Node;
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;

/// The bits by which Go marks directories and symbolic links.
const DIRECTORY: u32 = 1 << 31;
const LINK: u32 = 1 << 27;

const DIRECTORY_SIZE: i64 = 4096;

impl Entry {
    fn size(&self) -> i64 {
        match self {
            Self::Directory => DIRECTORY_SIZE,
            Self::File(content) => i64::try_from(content.len()).unwrap_or(i64::MAX),
            Self::Link(target) => i64::try_from(target.len()).unwrap_or(i64::MAX),
        }
    }

    /// As Go's `os.FileMode`.
    const fn mode(&self) -> u32 {
        match self {
            Self::Directory => DIRECTORY | 0o755,
            Self::File(_) => 0o644,
            Self::Link(_) => LINK | 0o777,
        }
    }
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
            Entry::Link(_) => Type::Symlink,
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
        let is_dir = *entry == Entry::Directory;
        let relative = if path == &root && !is_dir {
            path.rsplit('/').next().unwrap_or_default()
        } else {
            relative
        };
        found.push(Ok(pb::FileInfo {
            name: path.clone(),
            relative_name: relative.to_owned(),
            size: entry.size(),
            mode: entry.mode(),
            modified: i64::try_from(booted).unwrap_or_default(),
            is_dir,
            link: match entry {
                Entry::Link(target) => target.clone(),
                Entry::Directory | Entry::File(_) => String::new(),
            },
            ..Default::default()
        }));
    }
    Ok(stream::iter(found).boxed())
}

pub(super) fn content(node: &Node, asked: &pb::ReadRequest) -> Result<Stream<Data>, Status> {
    let path = &asked.path;
    match tree(node).remove(&cleaned(path)) {
        Some(Entry::File(content)) => Ok(pieces(&content)),
        Some(Entry::Directory | Entry::Link(_)) => {
            Err(Status::unknown("path must be a regular file"))
        }
        None => Err(Status::not_found(format!(
            "stat {path}: no such file or directory"
        ))),
    }
}

/// Streams a gzipped tar archive of a file or directory.
pub(super) fn copied(node: &Node, asked: &pb::CopyRequest) -> Result<Stream<Data>, Status> {
    let path = &asked.root_path;
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
    let (sender, receiver) = mpsc::channel(16);
    tokio::task::spawn_blocking(move || {
        // A client that goes away ends the archive.
        let _ = Gzip::begin(sender).and_then(|gzip| archive(&tree, &root, gzip));
    });
    let blocks = stream::unfold(receiver, async |mut receiver| {
        let block: Bytes = receiver.recv().await?;
        Some((block, receiver))
    });
    let pieces = blocks.flat_map(|block| stream::iter(Content::from(block).pieces()));
    Ok(pieces.map(|piece| Ok(data(piece))).boxed())
}

/// Writes the archive.
fn archive(tree: &Tree, root: &str, gzip: Gzip) -> io::Result<()> {
    let buffered = io::BufWriter::with_capacity(BLOCK, gzip);
    let mut archive = tar::Builder::new(buffered);
    for (path, entry) in tree {
        let Some(name) = relative(root, path) else {
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
                archive.append_data(&mut header, name, io::empty())?;
            }
            Entry::File(content) => {
                header.set_mode(0o644);
                header.set_size(content.len());
                archive.append_data(&mut header, name, Reader::new(content.pieces()))?;
            }
            Entry::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                archive.append_link(&mut header, name, target)?;
            }
        }
    }
    let gzip = archive.into_inner()?.into_inner();
    gzip.map_err(io::IntoInnerError::into_error)?.finish()
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
        .map(|(_, entry)| entry.size());
    sizes.sum()
}
