//! A snapshot of etcd: a database of bbolt without buckets, and the hash that etcd appends.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::content::Content;
use super::machine::{Stream, data};
use crate::api::pb::common::Data;

const PAGE: usize = 4096;
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;

const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;

/// Pages: two of metadata, the list of free pages, the empty root.
const FREELIST_PAGE: u64 = 2;
const ROOT_PAGE: u64 = 3;
const PAGES: u64 = 4;

/// What a snapshot of a node holds.
#[derive(Debug, Clone)]
pub(super) struct Database {
    content: Content,
    /// Of the content, once a snapshot has come to its end.
    hash: Arc<OnceLock<[u8; 32]>>,
}

impl Default for Database {
    fn default() -> Self {
        Self::of_size(0)
    }
}

impl Database {
    /// A database of at least so many bytes, most of which are pages that were never used.
    pub(super) fn of_size(size: u64) -> Self {
        let pages = pages();
        let unused = size
            .next_multiple_of(PAGE as u64)
            .saturating_sub(pages.len() as u64);
        Self {
            content: Content::begun(pages, b"never used\n", unused),
            hash: Arc::default(),
        }
    }

    /// The database and its hash, as `talosctl etcd snapshot` and etcd can open it.
    pub(super) fn snapshot(&self) -> Stream<Data> {
        stream::iter(Snapshot {
            pieces: Some(self.content.pieces()),
            hasher: self.hash.get().is_none().then(Sha256::new),
            hash: Arc::clone(&self.hash),
        })
        .map(|piece| Ok(data(piece)))
        .boxed()
    }
}

/// The pieces of a snapshot.
struct Snapshot<I> {
    pieces: Option<I>,
    hasher: Option<Sha256>,
    hash: Arc<OnceLock<[u8; 32]>>,
}

impl<I: Iterator<Item = Bytes>> Iterator for Snapshot<I> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pieces.as_mut()?.next() {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            return Some(piece);
        }
        self.pieces = None;
        let hasher = self.hasher.take().unwrap_or_default();
        let hash = self.hash.get_or_init(|| hasher.finalize().into());
        Some(Bytes::copy_from_slice(hash))
    }
}

/// The pages of a database without buckets.
fn pages() -> Vec<u8> {
    let mut file = Vec::with_capacity(4 * PAGE);
    for (id, flags) in [
        (0, META),
        (1, META),
        (FREELIST_PAGE, FREELIST),
        (ROOT_PAGE, LEAF),
    ] {
        let mut page = header(id, flags);
        if flags == META {
            page.extend_from_slice(&meta(id));
        }
        page.resize(PAGE, 0);
        file.extend_from_slice(&page);
    }
    file
}

fn header(id: u64, flags: u16) -> Vec<u8> {
    let mut page = id.to_le_bytes().to_vec();
    page.extend_from_slice(&flags.to_le_bytes());
    // No elements, no overflow.
    page.extend_from_slice(&[0; 6]);
    page
}

fn meta(transaction: u64) -> Vec<u8> {
    let mut meta = Vec::with_capacity(64);
    for word in [MAGIC, VERSION, PAGE as u32, 0] {
        meta.extend_from_slice(&word.to_le_bytes());
    }
    for word in [ROOT_PAGE, 0, FREELIST_PAGE, PAGES, transaction] {
        meta.extend_from_slice(&word.to_le_bytes());
    }
    let checksum = fnv1a(&meta);
    meta.extend_from_slice(&checksum.to_le_bytes());
    meta
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whether the uploaded snapshot can be restored.
pub(super) fn check(snapshot: Option<&[u8]>, skip_hash: bool) -> Result<(), Status> {
    let Some(bytes) = snapshot else {
        return Err(Status::unknown(
            "error verifying recovery snapshot: open /var/lib/etcd.snapshot: no such file or directory",
        ));
    };
    if skip_hash {
        return Ok(());
    }
    let (database, hash) = bytes.split_at(bytes.len().saturating_sub(32));
    if bytes.len() % 512 == 32 && Sha256::digest(database).as_slice() == hash {
        Ok(())
    } else {
        Err(Status::unknown(
            "error verifying recovery snapshot: sha256 checksum mismatch",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_snapshot_ends_with_the_hash_of_its_database() {
        let database = Database::of_size(100_000);

        for _ in 0..2 {
            let pieces: Vec<_> = database.snapshot().collect().await;
            let pieces = pieces.into_iter().map(|piece| piece.unwrap().bytes);
            let snapshot: Vec<u8> = pieces.flatten().collect();

            assert_eq!(snapshot.len(), 25 * PAGE + 32);
            check(Some(&snapshot), false).unwrap();
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_reference() {
        // The published test vectors of FNV-1a.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
