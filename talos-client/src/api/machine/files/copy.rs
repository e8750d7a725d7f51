//! Copying files and directories of the node to a local directory.

use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::super::{Machine, blocks, machine_service};
use crate::api::pb::machine as pb;
use crate::{Error, ErrorKind, ResponseStream, Result};

const COPY: &str = "copy files";

/// What [`Machine::copy_to`] has written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CopyReport {
    /// Regular files.
    pub files: u64,
    /// Bytes of all regular files.
    pub bytes: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Devices, pipes and sockets, which are not copied.
    pub skipped: u64,
}

impl Machine {
    /// Streams a file or directory of the node as a gzipped tar archive (`talosctl copy <path> -`). Needs `os:admin`.
    ///
    /// The stream fails with [`ErrorKind::Server`] when the node cannot read something, also in the middle.
    pub fn archive(&self, path: &str) -> ResponseStream<Bytes> {
        let root_path = path.to_owned();
        self.bytes(COPY, move |service| async move {
            let request = pb::CopyRequest { root_path };
            machine_service(service).copy(request).await
        })
    }

    /// Copies a file or directory of the node into a local directory, which is created. Needs `os:admin`.
    ///
    /// `talosctl copy`. Existing files are overwritten. Memory does not grow with the size. Nothing is written outside
    /// of `directory`, whatever the archive names; devices, pipes and sockets are counted and left out.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when the node cannot read the path, [`ErrorKind::Decode`] for an archive that is cut short
    /// or names a path outside of `directory`, [`ErrorKind::Io`] when a local file cannot be written,
    /// [`ErrorKind::Forbidden`] without the role. What was written before stays.
    pub async fn copy_to(&self, path: &str, directory: impl Into<PathBuf>) -> Result<CopyReport> {
        let (sender, receiver) = blocks::channel();
        let directory = directory.into();
        let unpacking = tokio::task::spawn_blocking(move || unpack(receiver, &directory));
        let received = blocks::forward(self.archive(path), sender).await;
        let report = unpacking
            .await
            .map_err(|source| Error::new(ErrorKind::Io, COPY).with_source(source))?;
        received?;
        report.map_err(|error| error.with_target(self.target()))
    }
}

/// The archive as it arrives.
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl io::Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let part = self.current.split_to(count);
        buffer
            .get_mut(..count)
            .unwrap_or_default()
            .copy_from_slice(&part);
        Ok(count)
    }
}

fn unpack(receiver: mpsc::Receiver<Bytes>, directory: &Path) -> Result<CopyReport> {
    std::fs::create_dir_all(directory).map_err(local)?;
    let chunks = Chunks {
        receiver,
        current: Bytes::new(),
    };
    let mut archive = tar::Archive::new(GzDecoder::new(chunks));
    archive.set_preserve_permissions(true);
    let mut report = CopyReport::default();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        if !is_inside(&path) {
            return Err(Error::new(ErrorKind::Decode, COPY).with_message(format!(
                "the archive names a path outside of the directory: {path:?}"
            )));
        }
        let kind = entry.header().entry_type();
        match kind {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                report.files = report.files.saturating_add(1);
                report.bytes = report.bytes.saturating_add(entry.size());
            }
            tar::EntryType::Directory => report.directories = report.directories.saturating_add(1),
            tar::EntryType::Symlink => report.symlinks = report.symlinks.saturating_add(1),
            _ => {
                report.skipped = report.skipped.saturating_add(1);
                continue;
            }
        }
        // It refuses to write through a symbolic link that leads outside.
        let is_written = entry.unpack_in(directory).map_err(local)?;
        if !is_written {
            return Err(Error::new(ErrorKind::Decode, COPY).with_message(format!(
                "the archive names a path outside of the directory: {path:?}"
            )));
        }
    }
    Ok(report)
}

/// Whether a path of an archive stays below the directory that it is unpacked in.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn damaged(source: io::Error) -> Error {
    Error::new(ErrorKind::Decode, COPY)
        .with_message(format!("the archive cannot be read: {source}"))
        .with_source(source)
}

fn local(source: io::Error) -> Error {
    Error::new(ErrorKind::Io, COPY)
        .with_message(source.to_string())
        .with_source(source)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive with entries that the `tar` crate itself would refuse to build.
    fn archive(entries: &[(&[u8], tar::EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for (path, kind, link, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path);
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            if !link.is_empty() {
                header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            }
            header.set_cksum();
            encoder.write_all(header.as_bytes()).unwrap();
            encoder.write_all(content).unwrap();
            let padding = content.len().next_multiple_of(512) - content.len();
            encoder.write_all(&vec![0; padding]).unwrap();
        }
        encoder.write_all(&[0; 1024]).unwrap();
        encoder.finish().unwrap()
    }

    async fn unpacked(archive: Vec<u8>, directory: &Path) -> Result<CopyReport> {
        let (sender, receiver) = mpsc::channel(4);
        let directory = directory.to_owned();
        let unpacking = tokio::task::spawn_blocking(move || unpack(receiver, &directory));
        for chunk in archive.chunks(100) {
            if sender.send(Bytes::copy_from_slice(chunk)).await.is_err() {
                break;
            }
        }
        drop(sender);
        unpacking.await.unwrap()
    }

    #[tokio::test]
    async fn files_directories_and_links_are_written_and_counted() {
        let target = tempfile::tempdir().unwrap();
        let archive = archive(&[
            (b"log", tar::EntryType::Directory, "", b""),
            (b"log/etcd.log", tar::EntryType::Regular, "", b"hello"),
            (b"latest", tar::EntryType::Symlink, "log/etcd.log", b""),
            (b"pipe", tar::EntryType::Fifo, "", b""),
        ]);

        let report = unpacked(archive, target.path()).await.unwrap();

        assert_eq!((report.files, report.bytes), (1, 5));
        assert_eq!(
            (report.directories, report.symlinks, report.skipped),
            (1, 1, 1)
        );
        let text = std::fs::read_to_string(target.path().join("latest")).unwrap();
        assert_eq!(text, "hello");
        assert!(!target.path().join("pipe").exists());
    }

    #[tokio::test]
    async fn nothing_is_written_outside_of_the_directory() {
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        let absolute = outside.path().join("absolute");
        let link = outside.path().to_str().unwrap();
        let absolute_name = absolute.to_str().unwrap().as_bytes();
        let cases = [
            archive(&[(b"../escape", tar::EntryType::Regular, "", b"x")]),
            archive(&[(b"a/../../escape", tar::EntryType::Regular, "", b"x")]),
            archive(&[(absolute_name, tar::EntryType::Regular, "", b"x")]),
            archive(&[
                (b"door", tar::EntryType::Symlink, link, b""),
                (b"door/escape", tar::EntryType::Regular, "", b"x"),
            ]),
        ];

        for (case, archive) in cases.into_iter().enumerate() {
            let result = unpacked(archive, &target).await;

            assert!(result.is_err(), "case {case}");
            assert!(!outside.path().join("escape").exists(), "case {case}");
            assert!(!absolute.exists(), "case {case}");
        }
    }

    #[tokio::test]
    async fn an_archive_that_is_cut_short_is_an_error() {
        let target = tempfile::tempdir().unwrap();
        let mut bytes = archive(&[(b"file", tar::EntryType::Regular, "", &[7; 3000])]);
        bytes.truncate(bytes.len() / 2);

        let error = unpacked(bytes, target.path()).await.unwrap_err();

        assert!(
            matches!(error.kind(), ErrorKind::Decode | ErrorKind::Io),
            "{error}"
        );
    }
}
