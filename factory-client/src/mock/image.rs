//! The bytes of mock images: an ISO 9660 head that says which image it is, then filler up to the wanted size.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{SchematicId, hex};
use crate::image::{Compression, DiskFormat, Image, ImageRequest, Output};
use crate::platform::{Arch, Platform};
use crate::schematic::Schematic;
use crate::version::TalosVersion;

/// Sector 16 of an ISO 9660 file holds its primary volume descriptor.
const DESCRIPTOR: usize = 16 * 2048;
const MANIFEST: usize = 18 * 2048;
/// Everything that identifies an image lies before this offset.
const HEAD: usize = 64 * 1024;
const MAGIC: &str = "factory-mock-image\n";

/// Which image some bytes are; the answer of [`inspect_image`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ImageIdentity {
    /// The schematic's ID.
    pub schematic_id: SchematicId,
    /// What the schematic asks for.
    pub schematic: Schematic,
    /// The Talos version.
    pub version: TalosVersion,
    /// Platform, architecture, flavour and kind.
    pub request: ImageRequest,
}

impl ImageIdentity {
    /// The platform.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.request.platform()
    }

    /// The architecture.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.request.architecture()
    }

    /// Whether it is the secure boot flavour.
    #[must_use]
    pub fn is_secure_boot(&self) -> bool {
        self.request.is_secure_boot()
    }

    /// Whether it is a bootable ISO.
    #[must_use]
    pub fn is_iso(&self) -> bool {
        self.request.output() == Output::Iso
    }

    /// Whether the image contains an extension, by its name in the catalogue.
    #[must_use]
    pub fn has_extension(&self, name: &str) -> bool {
        self.schematic.extensions().iter().any(|e| e == name)
    }
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    schematic_id: String,
    schematic: String,
    version: String,
    image: String,
}

/// Which image of a [`FactoryMock`](super::FactoryMock) these bytes are; the first 64 KiB are enough. `None` for
/// anything else, and for an image whose schematic was tampered with.
#[must_use]
pub fn inspect_image(bytes: &[u8]) -> Option<ImageIdentity> {
    let text = bytes.get(MANIFEST..bytes.len().min(HEAD))?;
    let text = text.strip_prefix(MAGIC.as_bytes())?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let manifest: Manifest = serde_json::from_slice(&text[..end]).ok()?;
    Some(ImageIdentity {
        schematic_id: SchematicId::parse(manifest.schematic_id).ok()?,
        schematic: Schematic::parse(&manifest.schematic).ok()?,
        version: TalosVersion::parse(&manifest.version).ok()?,
        request: manifest.image.parse().ok()?,
    })
}

/// The content of one image, produced piece by piece.
#[derive(Debug, Clone)]
pub(super) struct Content {
    head: Bytes,
    filler: Bytes,
    pub(super) length: u64,
}

impl Content {
    /// The image of `canonical`, at least as long as its head.
    pub(super) fn new(image: &Image, canonical: &str, length: u64) -> Self {
        let head = head(image, canonical);
        let filler = filler(&head);
        Self {
            length: length.max(head.len() as u64),
            head,
            filler,
        }
    }

    /// The bytes from `offset` on, in chunks.
    pub(super) fn from(self, offset: u64) -> impl Iterator<Item = Bytes> {
        let mut position = offset;
        std::iter::from_fn(move || {
            let left = self.length.checked_sub(position).filter(|left| *left > 0)?;
            let source = if position < HEAD as u64 {
                &self.head
            } else {
                &self.filler
            };
            let start = usize::try_from(position % HEAD as u64).ok()?;
            let end = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .saturating_add(start)
                .min(HEAD);
            let chunk = source.slice(start..end);
            position += chunk.len() as u64;
            Some(chunk)
        })
    }

    /// A validator for conditional requests, as object storage has it.
    pub(super) fn etag(&self) -> String {
        format!("\"{}\"", &hex(&Sha256::digest(&self.head))[..32])
    }

    pub(super) fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for chunk in self.clone().from(0) {
            hasher.update(&chunk);
        }
        hex(&hasher.finalize())
    }
}

fn head(image: &Image, canonical: &str) -> Bytes {
    let manifest = Manifest {
        schematic_id: image.schematic().to_string(),
        schematic: canonical.to_owned(),
        version: image.version().to_string(),
        image: image.request().to_string(),
    };
    let manifest = serde_json::to_string(&manifest).unwrap_or_default();
    let mut head = vec![0; HEAD];
    if image.request().output() == Output::Iso {
        let volume = format!("TALOS_{}", image.version()).to_uppercase();
        put(&mut head, DESCRIPTOR, b"\x01CD001\x01\0");
        put(
            &mut head,
            DESCRIPTOR + 40,
            format!("{volume:32}").as_bytes(),
        );
        put(&mut head, DESCRIPTOR + 2048, b"\xffCD001\x01");
    }
    put(&mut head, 0, signature(image.request().output()));
    put(&mut head, MANIFEST, MAGIC.as_bytes());
    put(&mut head, MANIFEST + MAGIC.len(), manifest.as_bytes());
    Bytes::from(head)
}

/// The first bytes of the formats that have fixed ones; written here once more, so that the client's check is tested.
fn signature(output: Output) -> &'static [u8] {
    match output {
        Output::Uki => b"MZ",
        Output::Disk(_, Compression::Gzip | Compression::TarGzip) => b"\x1f\x8b\x08",
        Output::Disk(_, Compression::Xz) => b"\xfd7zXZ\0",
        Output::Disk(_, Compression::Zstd) => b"\x28\xb5\x2f\xfd",
        Output::Disk(DiskFormat::Qcow2, Compression::None) => b"QFI\xfb\0\0\0\x03",
        _ => b"",
    }
}

/// Copies as much of `bytes` as fits before the terminating zero of the head.
fn put(head: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(HEAD - 1);
    head[at..end].copy_from_slice(&bytes[..end - at]);
}

/// A block that no two images share, so that mixing them up is noticed.
fn filler(head: &[u8]) -> Bytes {
    let mut block = Vec::with_capacity(HEAD);
    let mut seed = Sha256::digest(head);
    while block.len() < HEAD {
        block.extend_from_slice(&seed);
        seed = Sha256::digest(seed);
    }
    Bytes::from(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_what_it_is() {
        let schematic = Schematic::builder()
            .extension("siderolabs/qemu-guest-agent")
            .build()
            .unwrap();
        let image = ImageRequest::iso(Platform::Nocloud)
            .secure_boot()
            .of(schematic.local_id().unwrap(), TalosVersion::new(1, 10, 7));
        let content = Content::new(&image, &schematic.canonical(), 200_000);

        let bytes: Vec<u8> = content.clone().from(0).flatten().collect();
        let identity = inspect_image(&bytes).unwrap();

        assert_eq!(bytes.len(), 200_000);
        assert_eq!(&bytes[DESCRIPTOR + 1..DESCRIPTOR + 6], b"CD001");
        assert_eq!(&identity.schematic_id, image.schematic());
        assert_eq!(identity.request, image.request());
        assert!(identity.has_extension("siderolabs/qemu-guest-agent"));
        assert_eq!(inspect_image(&bytes[..HEAD]), Some(identity));
        assert_eq!(inspect_image(&bytes[..1000]), None);
        assert_eq!(inspect_image(&vec![0; 100_000]), None);
    }

    #[test]
    fn content_from_an_offset_is_the_rest_of_the_content() {
        let image = ImageRequest::iso(Platform::Metal)
            .of(SchematicId::of_text(""), TalosVersion::new(1, 10, 7));
        let content = Content::new(&image, "customization: {}\n", 300_001);
        let whole: Vec<u8> = content.clone().from(0).flatten().collect();

        for offset in [0, 1, 65_535, 65_536, 65_537, 300_000, 300_001] {
            let rest: Vec<u8> = content.clone().from(offset as u64).flatten().collect();
            assert!(rest == whole[offset..], "{offset}");
        }
    }
}
