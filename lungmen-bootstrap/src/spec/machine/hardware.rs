//! What a machine is made of: firmware, disks, network devices.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use super::role::UnknownWord;

/// The variable store of the firmware.
///
/// Only [`Efi::FourMib`] has Secure Boot variables; Proxmox VE itself defaults to 2m when nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, JsonSchema)]
#[non_exhaustive]
pub enum Efi {
    /// `efitype=4m`, in setup mode so that Talos enrolls its own keys.
    #[default]
    #[serde(rename = "4m")]
    FourMib,
    /// `efitype=2m`: no Secure Boot.
    #[serde(rename = "2m")]
    TwoMib,
}

impl FromStr for Efi {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "4m" => Ok(Self::FourMib),
            "2m" => Ok(Self::TwoMib),
            _ => Err(UnknownWord {
                text: text.to_owned(),
                allowed: "4m, 2m",
            }),
        }
    }
}

/// One disk of a machine. The first one is the system disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Disk {
    /// Size in GiB.
    pub size_gib: u32,
    /// Whether the guest sees an SSD.
    pub ssd: bool,
    /// Whether the disk has its own I/O thread.
    pub io_thread: bool,
    /// Whether freed blocks are handed back to the storage.
    pub discard: bool,
}

impl Disk {
    /// A disk of `size_gib` GiB with its own I/O thread.
    #[must_use]
    pub const fn new(size_gib: u32) -> Self {
        Self {
            size_gib,
            ssd: false,
            io_thread: true,
            discard: false,
        }
    }

    /// The guest sees an SSD.
    #[must_use]
    pub const fn ssd(mut self) -> Self {
        self.ssd = true;
        self
    }

    /// The disk shares the I/O thread of the machine.
    #[must_use]
    pub const fn without_io_thread(mut self) -> Self {
        self.io_thread = false;
        self
    }

    /// Freed blocks are handed back to the storage.
    #[must_use]
    pub const fn discard(mut self) -> Self {
        self.discard = true;
        self
    }
}

/// A network device of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Network {
    /// The bridge or vnet on the Proxmox node.
    pub bridge: String,
    /// VLAN tag, 1 to 4094.
    pub vlan: Option<u16>,
    /// Whether the Proxmox firewall filters the device.
    pub firewall: bool,
    /// The MAC address; `None` lets Proxmox VE make one up, which the VM keeps.
    pub mac: Option<String>,
    /// The MTU in bytes, 1 for that of the bridge; `None` is Proxmox VE's default, 1500.
    pub mtu: Option<u16>,
    /// The number of packet queues, 1 to 64; `None` is one queue.
    pub queues: Option<u8>,
}

impl Network {
    /// An untagged virtio device on `bridge`.
    #[must_use]
    pub fn new(bridge: impl Into<String>) -> Self {
        Self {
            bridge: bridge.into(),
            vlan: None,
            firewall: false,
            mac: None,
            mtu: None,
            queues: None,
        }
    }

    /// Tags the traffic with VLAN `tag`.
    #[must_use]
    pub const fn vlan(mut self, tag: u16) -> Self {
        self.vlan = Some(tag);
        self
    }

    /// Lets the Proxmox firewall filter the device.
    #[must_use]
    pub const fn firewall(mut self) -> Self {
        self.firewall = true;
        self
    }

    /// Gives the device this MAC address, `BC:24:11:00:00:01`, for example for a DHCP reservation.
    #[must_use]
    pub fn mac(mut self, mac: impl Into<String>) -> Self {
        self.mac = Some(mac.into());
        self
    }

    /// Sets the MTU in bytes; 1 takes that of the bridge.
    #[must_use]
    pub const fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Sets the number of packet queues.
    #[must_use]
    pub const fn queues(mut self, queues: u8) -> Self {
        self.queues = Some(queues);
        self
    }
}
