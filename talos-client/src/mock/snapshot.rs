//! A snapshot of etcd: a database of bbolt without buckets, and the hash that etcd appends.

use sha2::{Digest as _, Sha256};
use tonic::Status;

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

/// The file, as `talosctl etcd snapshot` and etcd can open it.
pub(super) fn empty() -> Vec<u8> {
    let mut file = Vec::with_capacity(4 * PAGE + 32);
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
    let hash = Sha256::digest(&file);
    file.extend_from_slice(&hash);
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

    #[test]
    fn the_size_tells_that_a_hash_is_appended() {
        assert_eq!(empty().len() % 512, 32);
    }

    #[test]
    fn the_checksum_is_that_of_the_reference() {
        // The published test vectors of FNV-1a.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
