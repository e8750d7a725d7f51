//! Where drives are attached, and the order in which the firmware tries them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::property::PropertyString;
use crate::wire;

/// A place for a drive: bus and index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Slot {
    /// `ide0` to `ide3`.
    Ide(u8),
    /// `sata0` to `sata5`.
    Sata(u8),
    /// `scsi0` to `scsi30`.
    Scsi(u8),
    /// `virtio0` to `virtio15`.
    Virtio(u8),
}

impl Slot {
    const fn parts(self) -> (&'static str, u8, u8) {
        match self {
            Self::Ide(index) => ("ide", index, 3),
            Self::Sata(index) => ("sata", index, 5),
            Self::Scsi(index) => ("scsi", index, 30),
            Self::Virtio(index) => ("virtio", index, 15),
        }
    }

    /// Whether the index exists on the bus.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        let (_, index, last) = self.parts();
        index <= last
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bus, index, _) = self.parts();
        write!(f, "{bus}{index}")
    }
}

impl FromStr for Slot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let slot = match split_index(text) {
            Some(("ide", index)) => Some(Self::Ide(index)),
            Some(("sata", index)) => Some(Self::Sata(index)),
            Some(("scsi", index)) => Some(Self::Scsi(index)),
            Some(("virtio", index)) => Some(Self::Virtio(index)),
            _ => None,
        };
        slot.filter(|slot| slot.is_valid()).ok_or_else(|| {
            let problem = format!("`{text}` is not ide0-3, sata0-5, scsi0-30 or virtio0-15");
            Error::field("check drive", "slot", problem)
        })
    }
}

/// `scsi12` as `scsi` and 12. Leading zeros do not count as the same name on the server.
pub(crate) fn split_index(text: &str) -> Option<(&str, u8)> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let (name, digits) = text.split_at(at);
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some((name, digits.parse().ok()?))
}

/// Something the firmware can boot from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BootDevice {
    /// A disk or CD drive.
    Drive(Slot),
    /// A network card, by the index of its `net` option.
    Network(u8),
    /// A USB device.
    Usb(u8),
    /// A PCI device of the host.
    HostPci(u8),
}

impl fmt::Display for BootDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drive(slot) => slot.fmt(f),
            Self::Network(index) => write!(f, "net{index}"),
            Self::Usb(index) => write!(f, "usb{index}"),
            Self::HostPci(index) => write!(f, "hostpci{index}"),
        }
    }
}

impl From<Slot> for BootDevice {
    fn from(slot: Slot) -> Self {
        Self::Drive(slot)
    }
}

impl FromStr for BootDevice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match split_index(text) {
            Some(("net", index)) if index <= 31 => Ok(Self::Network(index)),
            Some(("usb", index)) if index <= 13 => Ok(Self::Usb(index)),
            Some(("hostpci", index)) if index <= 15 => Ok(Self::HostPci(index)),
            _ => text.parse().map(Self::Drive).map_err(|_| {
                let problem = format!("invalid boot device '{text}'");
                Error::field("check boot order", "boot", problem)
            }),
        }
    }
}

/// The order in which the firmware tries devices.
///
/// For an installation from an ISO image the disk comes first: it is empty at first, so the
/// firmware goes on to the CD, and after the installation the disk wins without a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootOrder(Vec<BootDevice>);

impl BootOrder {
    /// This order.
    pub fn new<D: Into<BootDevice>>(devices: impl IntoIterator<Item = D>) -> Self {
        Self(devices.into_iter().map(Into::into).collect())
    }

    /// The devices in order.
    #[must_use]
    pub fn devices(&self) -> &[BootDevice] {
        &self.0
    }
}

impl fmt::Display for BootOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        // A key without a value is refused. The server splits `;` into no devices and accepts it (read in pve-common 9.2.1
        // and 8.3.8: the pattern of a key is `[^=]+=.+`, and a list is checked item by item; there is no recording of it).
        match devices.is_empty() {
            true => f.write_str("order=;"),
            false => write!(f, "order={}", devices.join(";")),
        }
    }
}

impl FromStr for BootOrder {
    type Err = Error;

    /// Reads `order=scsi0;ide2`. The old form with letters (`cdn`) has no device names and is
    /// refused.
    fn from_str(text: &str) -> Result<Self> {
        let mut parsed = PropertyString::parse(text)?;
        match parsed.take("order") {
            Some(list) => wire::split_list(&list)
                .map(str::parse)
                .collect::<Result<_>>()
                .map(Self),
            None => Err(Error::field(
                "check boot order",
                "boot",
                format!("`{text}` has no order="),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_of_nothing_is_read_back() {
        let nothing = BootOrder(Vec::new());

        assert_eq!(nothing.to_string().parse::<BootOrder>().unwrap(), nothing);
    }

    #[test]
    fn slots_have_the_servers_ranges() {
        for text in ["ide3", "sata5", "scsi30", "virtio15"] {
            assert_eq!(text.parse::<Slot>().unwrap().to_string(), text);
        }
        for text in [
            "ide4", "sata6", "scsi31", "virtio16", "scsi", "scsi01", "cdrom", "net0", "",
        ] {
            assert!(text.parse::<Slot>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_names_real_devices() {
        let order: BootOrder = "order=scsi0;ide2;net0".parse().unwrap();

        assert_eq!(order.to_string(), "order=scsi0;ide2;net0");
        assert_eq!(order.devices()[2], BootDevice::Network(0));
        let error = "order=cdrom".parse::<BootOrder>().unwrap_err();
        assert!(
            error.to_string().contains("invalid boot device 'cdrom'"),
            "{error}"
        );
    }
}
