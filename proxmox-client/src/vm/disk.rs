//! Hard disks as property strings.

use std::fmt;
use std::str::FromStr;

use super::size::Size;
use crate::error::{Error, Result};
use crate::id::{StorageName, VolumeId};
use crate::property::PropertyString;

/// Where the bytes of a disk come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskSource {
    /// A new, empty volume.
    New {
        /// The storage, which must be configured for images.
        storage: StorageName,
        /// The size in GiB.
        size_gib: u32,
    },
    /// A new volume with the content, and the size, of another one.
    Import {
        /// The storage of the new volume.
        storage: StorageName,
        /// A volume of content `import` or `images`.
        from: VolumeId,
    },
    /// A volume that exists and belongs to the VM; what a configuration reads back.
    Volume(VolumeId),
}

impl DiskSource {
    /// The storage.
    #[must_use]
    pub fn storage(&self) -> StorageName {
        match self {
            Self::New { storage, .. } | Self::Import { storage, .. } => storage.clone(),
            Self::Volume(volume) => volume.storage(),
        }
    }

    pub(super) fn to_property(&self) -> PropertyString {
        match self {
            // A number without unit: with a unit the server takes it for the name of a volume.
            Self::New { storage, size_gib } => {
                PropertyString::with_bare(format_args!("{storage}:{size_gib}"))
            }
            Self::Import { storage, from } => {
                let mut text = PropertyString::with_bare(format_args!("{storage}:0"));
                text.push("import-from", from);
                text
            }
            Self::Volume(volume) => file_property(volume),
        }
    }

    pub(super) fn take(parsed: &mut PropertyString) -> Result<Self> {
        let file = take_file(parsed)?;
        let volume = VolumeId::new(file)?;
        if let Some(from) = parsed.take_parsed("import-from")? {
            return Ok(Self::Import {
                storage: volume.storage(),
                from,
            });
        }
        Ok(match volume.name().parse() {
            Ok(size_gib) => Self::New {
                storage: volume.storage(),
                size_gib,
            },
            Err(_) => Self::Volume(volume),
        })
    }
}

impl fmt::Display for DiskSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_property().fmt(f)
    }
}

impl FromStr for DiskSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::take(&mut PropertyString::parse(text)?)
    }
}

/// The volume as the value without key, unless its name has a `=`: the server would read a key then.
pub(super) fn file_property(volume: &VolumeId) -> PropertyString {
    PropertyString::with_default("file", volume)
}

/// The default key, under one of its three spellings, or a volume name with `=` that was printed without its key.
pub(super) fn take_file(parsed: &mut PropertyString) -> Result<String> {
    parsed
        .take_default(&["file", "volume"])?
        .or_else(|| {
            let key = parsed
                .iter()
                .map(|(key, _)| key)
                .find(|key| key.contains(':'))?;
            let key = key.to_owned();
            let rest = parsed.take(&key)?;
            Some(format!("{key}={rest}"))
        })
        .ok_or_else(|| {
            let problem = "file: property is missing and it is not optional";
            Error::field("parse property string", "value", problem)
        })
}

/// A hard disk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// Where its bytes come from.
    pub source: DiskSource,
    /// An I/O thread of its own (SCSI with `virtio-scsi-single`, or virtio).
    pub iothread: Option<bool>,
    /// Shown to the guest as solid state (not on virtio).
    pub ssd: Option<bool>,
    /// Passes discard requests on to the storage.
    pub discard: Option<bool>,
    /// Included in backups.
    pub backup: Option<bool>,
    /// Included in storage replication.
    pub replicate: Option<bool>,
    /// `raw`, `qcow2`, `vmdk`; only for storages of files.
    pub format: Option<String>,
    /// The size that the server reads back.
    pub size: Option<Size>,
    /// Options that this crate has no name for.
    pub other: Vec<(String, String)>,
}

impl Disk {
    /// A new disk of this size.
    #[must_use]
    pub fn new(storage: StorageName, size_gib: u32) -> Self {
        Self::from_source(DiskSource::New { storage, size_gib })
    }

    /// A disk with this source.
    #[must_use]
    pub fn from_source(source: DiskSource) -> Self {
        Self {
            source,
            iothread: None,
            ssd: None,
            discard: None,
            backup: None,
            replicate: None,
            format: None,
            size: None,
            other: Vec::new(),
        }
    }

    /// Uses a separate I/O thread (SCSI with `virtio-scsi-single`, or virtio).
    #[must_use]
    pub fn iothread(mut self) -> Self {
        self.iothread = Some(true);
        self
    }

    /// Uses no separate I/O thread, which is the server's default.
    #[must_use]
    pub fn without_iothread(mut self) -> Self {
        self.iothread = Some(false);
        self
    }

    /// Presents the disk to the guest as a solid-state drive (not on virtio).
    #[must_use]
    pub fn ssd(mut self) -> Self {
        self.ssd = Some(true);
        self
    }

    /// Presents the disk as a rotating one, which is the server's default.
    #[must_use]
    pub fn without_ssd(mut self) -> Self {
        self.ssd = Some(false);
        self
    }

    /// Passes discard (trim) requests on to the storage.
    #[must_use]
    pub fn discard(mut self) -> Self {
        self.discard = Some(true);
        self
    }

    /// Ignores discard requests, which is the server's default.
    #[must_use]
    pub fn without_discard(mut self) -> Self {
        self.discard = Some(false);
        self
    }

    /// Includes the disk in backups, which is the server's default.
    #[must_use]
    pub fn backup(mut self) -> Self {
        self.backup = Some(true);
        self
    }

    /// Excludes the disk from backups.
    #[must_use]
    pub fn without_backup(mut self) -> Self {
        self.backup = Some(false);
        self
    }

    /// Sets the image format; LVM, ZFS and Ceph know `raw` only and drop it on read-back.
    #[must_use]
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.format = Some(format.into());
        self
    }

    /// Any other option of a drive.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.push((key.into(), value.into()));
        self
    }

    pub(super) fn to_property(&self) -> PropertyString {
        let mut text = self.source.to_property();
        text.push_flag("backup", self.backup);
        let discard = self.discard.map(|on| if on { "on" } else { "ignore" });
        text.push_some("discard", discard.as_ref());
        text.push_some("format", self.format.as_ref());
        text.push_flag("iothread", self.iothread);
        text.push_flag("replicate", self.replicate);
        text.push_flag("ssd", self.ssd);
        for (key, value) in &self.other {
            text.push(key, value);
        }
        text
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_property().fmt(f)
    }
}

impl FromStr for Disk {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        Ok(Self {
            source: DiskSource::take(&mut parsed)?,
            iothread: parsed.take_flag("iothread")?,
            ssd: parsed.take_flag("ssd")?,
            discard: parsed.take("discard").map(|value| value == "on"),
            backup: parsed.take_flag("backup")?,
            replicate: parsed.take_flag("replicate")?,
            format: parsed.take("format"),
            size: parsed.take_parsed("size")?,
            other: parsed.into_rest(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_disk_is_asked_for_by_a_plain_number_of_gib() {
        let storage = StorageName::new("nvme-lvm").unwrap();

        assert_eq!(
            Disk::new(storage, 64).iothread().ssd().to_string(),
            "nvme-lvm:64,iothread=1,ssd=1"
        );
    }

    #[test]
    fn a_disk_is_read_back_with_volume_and_size() {
        let disk: Disk = "nvme-lvm:vm-104-disk-1,aio=native,iothread=1,size=32G"
            .parse()
            .unwrap();

        assert_eq!(disk.source.storage().as_str(), "nvme-lvm");
        assert!(matches!(disk.source, DiskSource::Volume(_)));
        assert_eq!(disk.size, Some(Size::gib(32)));
        assert_eq!(disk.other, [("aio".to_owned(), "native".to_owned())]);
    }

    #[test]
    fn an_import_takes_its_size_from_the_source() {
        let disk: Disk = "nvme-lvm:0,import-from=local:import/talos.raw"
            .parse()
            .unwrap();

        assert!(matches!(disk.source, DiskSource::Import { .. }));
        assert_eq!(
            disk.to_string(),
            "nvme-lvm:0,import-from=local:import/talos.raw"
        );
    }
}
