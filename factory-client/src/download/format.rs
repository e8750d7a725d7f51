//! Which bytes an image starts with.
//!
//! Only formats whose start is fixed are checked. Kernel, initramfs and raw disk images are not: their first bytes
//! depend on architecture, compression and sector size.

use crate::image::{Compression, DiskFormat, Output};

/// The name of a format, and where its signature is.
struct Signature {
    name: &'static str,
    offset: usize,
    bytes: &'static [u8],
}

const fn signature(name: &'static str, offset: usize, bytes: &'static [u8]) -> Option<Signature> {
    Some(Signature {
        name,
        offset,
        bytes,
    })
}

const fn of(output: Output) -> Option<Signature> {
    match output {
        // Sector 16 of 2048 bytes holds the primary volume descriptor: a type byte, then the identifier.
        Output::Iso => signature("an ISO 9660 image", 16 * 2048 + 1, b"CD001"),
        Output::Uki => signature("an EFI executable", 0, b"MZ"),
        Output::Disk(_, Compression::Gzip | Compression::TarGzip) => {
            signature("a gzip file", 0, b"\x1f\x8b")
        }
        Output::Disk(_, Compression::Xz) => signature("an xz file", 0, b"\xfd7zXZ\0"),
        Output::Disk(_, Compression::Zstd) => signature("a zstd file", 0, b"\x28\xb5\x2f\xfd"),
        Output::Disk(DiskFormat::Qcow2, Compression::None) => {
            signature("a qcow2 image", 0, b"QFI\xfb")
        }
        _ => None,
    }
}

/// HTML is recognised within this many bytes.
const SNIFFED: usize = 64;

/// How many bytes decide about the format.
pub(super) fn head_length(output: Output) -> usize {
    of(output)
        .map_or(0, |signature| signature.offset + signature.bytes.len())
        .max(SNIFFED)
}

/// The name of the expected format, when these first bytes are not those of `output`.
pub(super) fn mismatch(output: Output, head: &[u8]) -> Option<&'static str> {
    let Signature {
        name,
        offset,
        bytes,
    } = of(output)?;
    let found = head.get(offset..offset + bytes.len());
    (found != Some(bytes)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iso_has_its_volume_descriptor_in_sector_16() {
        let mut head = vec![0; head_length(Output::Iso)];
        assert_eq!(mismatch(Output::Iso, &head), Some("an ISO 9660 image"));

        head[32_769..].copy_from_slice(b"CD001");

        assert_eq!(mismatch(Output::Iso, &head), None);
        assert!(mismatch(Output::Iso, &head[..32_770]).is_some());
    }

    #[test]
    fn compressed_images_start_with_the_signature_of_their_format() {
        let xz = Output::Disk(DiskFormat::Raw, Compression::Xz);
        let zstd = Output::Disk(DiskFormat::Raw, Compression::Zstd);
        let packed_xz = include_bytes!("../../data/tests/disk.raw.xz");
        let packed_zstd = include_bytes!("../../data/tests/disk.raw.zst");

        assert_eq!(mismatch(xz, packed_xz), None);
        assert_eq!(mismatch(zstd, packed_zstd), None);
        assert_eq!(mismatch(xz, packed_zstd), Some("an xz file"));
        assert_eq!(mismatch(zstd, packed_xz), Some("a zstd file"));
    }

    #[test]
    fn formats_without_a_fixed_start_are_not_checked() {
        let raw = Output::Disk(DiskFormat::Raw, Compression::None);
        for output in [raw, Output::Kernel, Output::Initramfs, Output::CommandLine] {
            assert_eq!(mismatch(output, b""), None, "{output:?}");
        }
    }
}
