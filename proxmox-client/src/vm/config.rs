//! What the server says a VM is configured as.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::options::default_value;
use super::{
    Agent, Bios, BootOrder, Drive, EfiDisk, Machine, NetworkDevice, OsType, ScsiController, Slot,
    Smbios, Tags, TpmState, split_index,
};
use crate::id::VolumeId;
use crate::wire;

/// The configuration of a VM. Only options that were set explicitly are there; the server's
/// defaults are not filled in.
///
/// What this crate has no field for, or cannot read, is in [`other`](Self::other) as text, and
/// [`option`](Self::option) has the text of every option as the server sent it.
///
/// Serialized as the server has it: an object of option names and texts.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct VmConfig {
    /// SHA-1 of the configuration, for [`ConfigUpdate::digest`](super::ConfigUpdate::digest).
    pub digest: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The description, as stored (a line break is added at its end).
    pub description: Option<String>,
    /// The tags.
    pub tags: Tags,
    /// The guest operating system.
    pub os_type: Option<OsType>,
    /// The machine type with its options.
    pub machine: Option<Machine>,
    /// The firmware.
    pub bios: Option<Bios>,
    /// The SCSI controller.
    pub scsi_controller: Option<ScsiController>,
    /// Sockets.
    pub sockets: Option<u32>,
    /// Cores per socket.
    pub cores: Option<u32>,
    /// The CPU type with its options.
    pub cpu: Option<String>,
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// The least memory in MiB that ballooning leaves.
    pub balloon_mib: Option<u32>,
    /// UEFI variables.
    pub efi_disk: Option<EfiDisk>,
    /// TPM state.
    pub tpm: Option<TpmState>,
    /// Disks and CD drives.
    pub drives: BTreeMap<Slot, Drive>,
    /// Network cards by index.
    pub networks: BTreeMap<u8, NetworkDevice>,
    /// The boot order, unless it is in the old form.
    pub boot_order: Option<BootOrder>,
    /// The guest agent.
    pub agent: Option<Agent>,
    /// The SMBIOS identity.
    pub smbios: Option<Smbios>,
    /// Whether the VM starts with the node.
    pub on_boot: Option<bool>,
    /// Whether deletion is refused.
    pub protection: bool,
    /// Which task works on the VM: `create`, `clone` and so on.
    pub lock: Option<String>,
    /// Volumes of the VM that are not attached.
    pub unused: BTreeMap<u8, VolumeId>,
    /// Everything else, by the server's names.
    pub other: BTreeMap<String, String>,
    options: BTreeMap<String, String>,
}

impl VmConfig {
    /// Whether the VM bears the tag.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(tag)
    }

    /// The text of an option, as the server sent it; `None` when it is not set.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The names and texts of all options, as the server sent them, in alphabetical order.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        let options = self.options.iter();
        options.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    fn from_options(options: Map<String, Value>) -> Self {
        let mut config = Self::default();
        for (name, value) in options {
            let text = wire::text(&value).unwrap_or_else(|| value.to_string());
            if !config.take_scalar(&name, &text) && !config.take_device(&name, &text) {
                config.other.insert(name.clone(), text.clone());
            }
            config.options.insert(name, text);
        }
        config
    }

    /// Reads one option; false when it is not known or not readable.
    fn take_scalar(&mut self, name: &str, text: &str) -> bool {
        match name {
            "digest" => set(&mut self.digest, text),
            "name" => set(&mut self.name, text),
            "description" => set(&mut self.description, text),
            "tags" => text.parse().map(|tags| self.tags = tags).is_ok(),
            "ostype" => set(&mut self.os_type, text),
            "machine" => set(&mut self.machine, text),
            "bios" => set(&mut self.bios, text),
            "scsihw" => set(&mut self.scsi_controller, text),
            "sockets" => set(&mut self.sockets, text),
            "cores" => set(&mut self.cores, text),
            "cpu" => set(&mut self.cpu, text),
            "memory" => {
                let current = default_value(text, "current");
                replace(
                    &mut self.memory_mib,
                    current.and_then(|text| text.parse().ok()),
                )
            }
            "balloon" => set(&mut self.balloon_mib, text),
            "boot" => set(&mut self.boot_order, text),
            "agent" => set(&mut self.agent, text),
            "smbios1" => set(&mut self.smbios, text),
            "onboot" => replace(&mut self.on_boot, wire::truth_of_text(text)),
            "protection" => wire::truth_of_text(text)
                .map(|value| self.protection = value)
                .is_some(),
            "lock" => set(&mut self.lock, text),
            _ => false,
        }
    }

    fn take_device(&mut self, name: &str, text: &str) -> bool {
        if let Ok(slot) = name.parse::<Slot>() {
            return insert(&mut self.drives, slot, text);
        }
        match split_index(name) {
            Some(("efidisk", 0)) => set(&mut self.efi_disk, text),
            Some(("tpmstate", 0)) => set(&mut self.tpm, text),
            Some(("net", index)) => insert(&mut self.networks, index, text),
            Some(("unused", index)) => insert(&mut self.unused, index, text),
            _ => false,
        }
    }
}

fn set<T: FromStr>(field: &mut Option<T>, text: &str) -> bool {
    replace(field, text.parse().ok())
}

fn replace<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    *field = value;
    field.is_some()
}

fn insert<K: Ord, T: FromStr>(map: &mut BTreeMap<K, T>, key: K, text: &str) -> bool {
    match text.parse() {
        Ok(value) => {
            map.insert(key, value);
            true
        }
        Err(_) => false,
    }
}

impl<'de> Deserialize<'de> for VmConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let options = Map::deserialize(deserializer)?;
        Ok(Self::from_options(options))
    }
}

impl Serialize for VmConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.options.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::vm::Cdrom;

    fn read(value: Value) -> VmConfig {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_stored_configuration_is_read_into_types() {
        let config = read(json!({
            "agent": "enabled=1", "bios": "ovmf", "boot": "order=scsi0;ide2", "cores": 4,
            "cpu": "x86-64-v2-AES", "description": "text\n", "memory": "8192", "sockets": 1,
            "efidisk0": "nvme-lvm:vm-2411000-disk-0,efitype=4m,pre-enrolled-keys=0,size=4M",
            "ide2": "local:iso/talos.iso,media=cdrom,size=106496K", "machine": "q35",
            "net0": "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2",
            "scsi0": "nvme-lvm:vm-2411000-disk-1,iothread=1,size=32G",
            "unused0": "nvme-lvm:vm-2411000-disk-9", "tags": "amd64;talos-linux", "numa": 0,
        }));

        assert_eq!(config.memory_mib, Some(8192));
        assert_eq!(config.cores, Some(4));
        assert_eq!(config.networks[&0].vlan, Some(2));
        assert!(matches!(
            config.drives[&Slot::Ide(2)],
            Drive::Cdrom(Cdrom::Image(_))
        ));
        assert!(config.has_tag("Talos-Linux"));
        assert_eq!(config.unused.len(), 1);
        assert_eq!(
            config.other,
            BTreeMap::from([("numa".to_owned(), "0".to_owned())])
        );
    }

    #[test]
    fn perl_shaped_scalars_are_read() {
        let config = read(json!({ "name": 100, "memory": 2048, "onboot": "1", "cores": "2" }));

        assert_eq!(config.name.as_deref(), Some("100"));
        assert_eq!(config.memory_mib, Some(2048));
        assert_eq!(config.on_boot, Some(true));
        assert_eq!(config.cores, Some(2));
    }

    #[test]
    fn what_cannot_be_read_is_kept_as_text() {
        let config = read(json!({ "boot": "cdn", "net0": "bridge=vmbr0", "scsi99": "x:y" }));

        assert!(config.boot_order.is_none() && config.networks.is_empty());
        assert_eq!(config.other.len(), 3);
    }

    #[test]
    fn nothing_that_was_read_is_lost() {
        let options = json!({
            "machine": "pc-q35-9.2+pve1,viommu=intel", "memory": "current=2048",
            "ide2": "local:iso/x.iso,aio=native,media=cdrom,size=4K", "agent": "1,type=isa",
            "tpmstate0": "local:104/vm-104-disk-2.raw,size=4M,version=v2.0", "wibble": "1",
        });

        let config = read(options.clone());

        assert_eq!(serde_json::to_value(&config).unwrap(), options);
        assert_eq!(
            config.machine.unwrap().other,
            [("viommu".to_owned(), "intel".to_owned())]
        );
    }
}
