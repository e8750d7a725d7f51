//! What is attached in a slot: a hard disk, or a CD drive and what is in it.

use std::fmt;
use std::str::FromStr;

use super::disk::{Disk, file_property, take_file};
use crate::error::{Error, Result};
use crate::id::VolumeId;
use crate::property::PropertyString;

/// A CD drive and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cdrom {
    /// An ISO image (or a cloud-init drive, which the server makes as one).
    Image(VolumeId),
    /// Nothing.
    Empty,
    /// The drive of the host.
    Physical,
}

impl fmt::Display for Cdrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(volume) => write!(f, "{},media=cdrom", file_property(volume)),
            Self::Empty => f.write_str("none,media=cdrom"),
            Self::Physical => f.write_str("cdrom,media=cdrom"),
        }
    }
}

/// What is attached in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drive {
    /// A hard disk.
    Disk(Disk),
    /// A CD drive.
    Cdrom(Cdrom),
}

impl fmt::Display for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(disk) => disk.fmt(f),
            Self::Cdrom(cdrom) => cdrom.fmt(f),
        }
    }
}

impl FromStr for Cdrom {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse()? {
            Drive::Cdrom(cdrom) => Ok(cdrom),
            Drive::Disk(_) => Err(Error::field(
                "parse property string",
                "media",
                format!("`{text}` is not a CD drive"),
            )),
        }
    }
}

impl FromStr for Drive {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        if parsed.get("media") != Some("cdrom") {
            return text.parse().map(Self::Disk);
        }
        Ok(Self::Cdrom(match take_file(&mut parsed)?.as_str() {
            "none" => Cdrom::Empty,
            "cdrom" => Cdrom::Physical,
            volume => Cdrom::Image(VolumeId::new(volume)?),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::DiskSource;

    #[test]
    fn a_cd_drive_is_told_by_its_medium() {
        for (text, printed) in [
            (
                "local:iso/x.iso,media=cdrom,size=4K",
                "local:iso/x.iso,media=cdrom",
            ),
            ("none,media=cdrom", "none,media=cdrom"),
            ("file=none,media=cdrom", "none,media=cdrom"),
            ("cdrom,media=cdrom", "cdrom,media=cdrom"),
        ] {
            let drive: Drive = text.parse().unwrap();
            assert!(matches!(drive, Drive::Cdrom(_)), "{text}");
            assert_eq!(drive.to_string(), printed);
        }
    }

    #[test]
    fn a_volume_name_with_an_equals_sign_is_printed_with_its_key_and_read_either_way() {
        let volume = VolumeId::new("local:iso/a=b.iso").unwrap();
        let cdrom = Drive::Cdrom(Cdrom::Image(volume.clone()));
        let disk = Disk::from_source(DiskSource::Volume(volume)).ssd();

        assert_eq!(cdrom.to_string(), "file=local:iso/a=b.iso,media=cdrom");
        assert_eq!(disk.to_string(), "file=local:iso/a=b.iso,ssd=1");
        for text in [
            "file=local:iso/a=b.iso,media=cdrom",
            "local:iso/a=b.iso,media=cdrom,size=4K",
        ] {
            assert_eq!(text.parse::<Drive>().unwrap(), cdrom, "{text}");
        }
    }

    #[test]
    fn a_drive_without_a_file_is_refused() {
        assert!("iothread=1".parse::<Drive>().is_err());
    }
}
