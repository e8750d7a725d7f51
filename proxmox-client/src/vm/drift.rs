//! Comparing what was wanted with what the server has, in spite of all it rewrites: it sorts tags,
//! ends the description with a line break, adds sizes, names volumes and makes up MAC addresses.

mod same;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Agent, Bios, Machine, OsType, ScsiController, Tags, VmConfig, VmSpec};

use same::{same_drive, same_efi_disk, same_network};

/// One option whose value on the server differs from the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diff {
    /// The server's name of the option.
    pub path: String,
    /// The value on the server; `None` when the option is not set.
    pub from: Option<String>,
    /// The value of the specification.
    pub to: String,
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, from, to } = self;
        match from {
            Some(from) => write!(f, "{path} is {from} instead of {to}"),
            None => write!(f, "{path} is not set instead of {to}"),
        }
    }
}

#[derive(Default)]
struct Comparison(Vec<Diff>);

impl Comparison {
    fn note(&mut self, field: &str, wanted: &dyn fmt::Display, found: Option<&dyn fmt::Display>) {
        self.0.push(Diff {
            path: field.to_owned(),
            from: found.map(ToString::to_string),
            to: wanted.to_string(),
        });
    }

    /// Compares with an option that has a default when it is not set.
    fn scalar<T: PartialEq + fmt::Display>(
        &mut self,
        field: &str,
        wanted: &T,
        found: Option<&T>,
        default: &T,
    ) {
        if found.unwrap_or(default) != wanted {
            self.note(field, wanted, found.map(|found| found as _));
        }
    }
}

impl VmSpec {
    /// What of this specification the configuration does not fulfil. Options that the
    /// specification does not set are not compared, nor are volume names. A disk differs in size
    /// only when it is smaller than wanted: growing is the owner's business. `cipassword` is never compared, because the
    /// server masks it (Proxmox VE 8.4.21 and 9.2.11).
    #[must_use]
    pub fn drift(&self, config: &VmConfig) -> Vec<Diff> {
        let mut result = Comparison::default();
        self.compare_basics(config, &mut result);
        self.compare_texts(config, &mut result);
        self.compare_devices(config, &mut result);
        let others = self.other.iter().filter(|(name, _)| *name != "cipassword");
        for (name, wanted) in others {
            let found = config.other.get(name);
            if found != Some(wanted) {
                result.note(name, wanted, found.map(|found| found as _));
            }
        }
        result.0
    }

    fn compare_basics(&self, config: &VmConfig, result: &mut Comparison) {
        let os_type = config.os_type.as_ref();
        result.scalar("ostype", &self.os_type, os_type, &OsType::Unspecified);
        let default = Machine::new("pc");
        let machine = config.machine.as_ref();
        if !self.machine.is_fulfilled_by(machine.unwrap_or(&default)) {
            result.note(
                "machine",
                &self.machine,
                machine.map(|machine| machine as _),
            );
        }
        result.scalar("bios", &self.bios, config.bios.as_ref(), &Bios::SeaBios);
        let controller = config.scsi_controller.as_ref();
        result.scalar(
            "scsihw",
            &self.scsi_controller,
            controller,
            &ScsiController::Lsi,
        );
        result.scalar("sockets", &self.sockets, config.sockets.as_ref(), &1);
        result.scalar("cores", &self.cores, config.cores.as_ref(), &1);
        result.scalar("memory", &self.memory_mib, config.memory_mib.as_ref(), &512);
        if let Some(cpu) = &self.cpu {
            let plain = |text: &str| text.trim_start_matches("cputype=").to_owned();
            let found = config.cpu.as_deref().map(plain);
            result.scalar("cpu", &plain(cpu), found.as_ref(), &"kvm64".to_owned());
        }
        if let Some(balloon) = &self.balloon_mib {
            result.scalar(
                "balloon",
                balloon,
                config.balloon_mib.as_ref(),
                &self.memory_mib,
            );
        }
        if let Some(on_boot) = self.on_boot {
            let found = config.on_boot.map(u8::from);
            result.scalar("onboot", &u8::from(on_boot), found.as_ref(), &0);
        }
    }

    fn compare_texts(&self, config: &VmConfig, result: &mut Comparison) {
        let name = config.name.as_ref();
        result.scalar("name", &self.name, name, &format!("VM{}", self.id));
        if self.tags != config.tags {
            result.note("tags", &self.tags, found_tags(&config.tags));
        }
        if let Some(wanted) = &self.description {
            let found = config.description.as_deref().unwrap_or_default();
            if wanted.trim_end() != found.trim_end() {
                result.note(
                    "description",
                    wanted,
                    config.description.as_ref().map(|text| text as _),
                );
            }
        }
        if let Some(order) = &self.boot_order
            && config.boot_order.as_ref() != Some(order)
        {
            let found = config.boot_order.as_ref().map(|order| order as _);
            result.note("boot", order, found);
        }
        if let Some(agent) = &self.agent {
            result.scalar("agent", agent, config.agent.as_ref(), &Agent::default());
        }
        if let Some(uuid) = self.smbios.as_ref().and_then(|smbios| smbios.uuid.as_ref()) {
            let found = config
                .smbios
                .as_ref()
                .and_then(|smbios| smbios.uuid.as_ref());
            result.scalar("smbios1", uuid, found, &String::new());
        }
    }

    fn compare_devices(&self, config: &VmConfig, result: &mut Comparison) {
        if let Some(wanted) = &self.efi_disk {
            let found = config.efi_disk.as_ref();
            if !found.is_some_and(|found| same_efi_disk(wanted, found)) {
                result.note("efidisk0", wanted, found.map(|disk| disk as _));
            }
        }
        if let Some(wanted) = &self.tpm {
            let found = config.tpm.as_ref();
            if !found.is_some_and(|found| found.version == wanted.version) {
                result.note("tpmstate0", wanted, found.map(|tpm| tpm as _));
            }
        }
        for (slot, wanted) in &self.drives {
            let found = config.drives.get(slot);
            if !found.is_some_and(|found| same_drive(wanted, found)) {
                result.note(&slot.to_string(), wanted, found.map(|drive| drive as _));
            }
        }
        for (index, wanted) in &self.networks {
            let found = config.networks.get(index);
            if !found.is_some_and(|found| same_network(wanted, found)) {
                result.note(
                    &format!("net{index}"),
                    wanted,
                    found.map(|device| device as _),
                );
            }
        }
    }
}

fn found_tags(tags: &Tags) -> Option<&dyn fmt::Display> {
    (!tags.is_empty()).then_some(tags as _)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::id::{BridgeName, StorageName, VmId, VolumeId};
    use crate::vm::{Disk, EfiDisk, NetworkDevice, Slot};

    fn spec() -> VmSpec {
        let storage = StorageName::new("nvme-lvm").unwrap();
        VmSpec::new(VmId::new(2_411_000).unwrap(), "tal01.example.org")
            .cores(4)
            .memory_mib(8192)
            .cpu("x86-64-v2-AES")
            .uefi(EfiDisk::new(storage.clone()))
            .disk(
                Slot::Scsi(0),
                Disk::new(storage, 32).iothread().format("raw"),
            )
            .cdrom(Slot::Ide(2), VolumeId::new("local:iso/talos.iso").unwrap())
            .network(
                0,
                NetworkDevice::virtio(BridgeName::new("vmbr1").unwrap())
                    .vlan(2)
                    .firewall(),
            )
            .boot_order([Slot::Scsi(0), Slot::Ide(2)])
            .agent(Agent::enabled())
            .tags("talos-linux,amd64".parse().unwrap())
            .description("text")
    }

    /// What the server makes of it.
    fn stored() -> Value {
        json!({
            "agent": "enabled=1", "bios": "ovmf", "boot": "order=scsi0;ide2", "cores": 4,
            "cpu": "x86-64-v2-AES", "description": "text\n", "machine": "q35", "memory": "8192",
            "name": "tal01.example.org", "ostype": "l26", "scsihw": "virtio-scsi-single",
            "efidisk0": "nvme-lvm:vm-2411000-disk-0,efitype=4m,pre-enrolled-keys=0,size=4M",
            "ide2": "local:iso/talos.iso,media=cdrom,size=106496K", "sockets": 1, "numa": 0,
            "net0": "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2",
            "scsi0": "nvme-lvm:vm-2411000-disk-1,iothread=1,size=32G",
            "tags": "amd64;talos-linux", "smbios1": "uuid=x", "vmgenid": "y", "meta": "z",
        })
    }

    fn fields(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut config = stored();
        change(&mut config);
        let config = serde_json::from_value(config).unwrap();
        spec()
            .drift(&config)
            .into_iter()
            .map(|diff| diff.path)
            .collect()
    }

    #[test]
    fn what_the_server_rewrites_is_no_difference() {
        assert!(fields(|_| {}).is_empty());
    }

    #[test]
    fn a_password_that_the_server_masks_is_neither_compared_nor_repeated() {
        let mut stored = stored();
        stored["cipassword"] = json!("**********");
        let config = serde_json::from_value(stored).unwrap();

        let wanted = spec().option("cipassword", "a password");

        assert!(wanted.drift(&config).is_empty());
    }

    #[test]
    fn defaults_that_are_not_stored_are_no_difference() {
        let none = fields(|config| {
            config.as_object_mut().unwrap().remove("sockets");
        });

        assert!(none.is_empty());
    }

    #[test]
    fn every_managed_option_is_compared() {
        for (name, value) in [
            ("cores", json!(2)),
            ("memory", json!("4096")),
            ("tags", json!("amd64")),
            ("description", json!("other")),
            ("boot", json!("order=ide2;scsi0")),
            ("agent", json!("0")),
            ("efidisk0", json!("nvme-lvm:vm-2411000-disk-0,efitype=2m")),
            ("scsi0", json!("nvme-lvm:vm-2411000-disk-1,size=32G")),
            (
                "scsi0",
                json!("other:vm-2411000-disk-1,iothread=1,size=32G"),
            ),
            (
                "scsi0",
                json!("nvme-lvm:vm-2411000-disk-1,iothread=1,size=16G"),
            ),
            (
                "net0",
                json!("virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=3"),
            ),
            ("ide2", json!("none,media=cdrom")),
            ("name", json!("tal02.example.org")),
        ] {
            assert_eq!(
                fields(|config| config[name] = value.clone()),
                [name],
                "{name}={value}"
            );
        }
    }

    #[test]
    fn a_cloud_init_volume_is_recognized_on_every_kind_of_storage() {
        let wanted = spec().cdrom(Slot::Ide(0), VolumeId::new("local:cloudinit").unwrap());
        let differs = |volume: &str| {
            let mut config = stored();
            config["ide0"] = json!(format!("{volume},media=cdrom,size=4M"));
            !wanted
                .drift(&serde_json::from_value(config).unwrap())
                .is_empty()
        };

        assert!(!differs("local:vm-2411000-cloudinit"));
        assert!(!differs("local:2411000/vm-2411000-cloudinit.qcow2"));
        assert!(differs("other:vm-2411000-cloudinit"));
        assert!(differs("local:iso/cloudinit.iso"));
    }

    #[test]
    fn options_of_the_machine_are_compared() {
        let wanted = spec().machine("q35,viommu=intel");
        let differs = |machine: &str| {
            let mut config = stored();
            config["machine"] = machine.into();
            !wanted
                .drift(&serde_json::from_value(config).unwrap())
                .is_empty()
        };

        assert!(!differs("q35,viommu=intel"));
        assert!(!differs("type=q35,viommu=intel"));
        assert!(!differs("viommu=intel,type=q35"));
        assert!(differs("q35"));
        assert!(differs("q35,viommu=virtio"));
    }

    #[test]
    fn a_grown_disk_is_no_difference() {
        let grown = json!("nvme-lvm:vm-2411000-disk-1,iothread=1,size=100G");

        assert!(fields(|config| config["scsi0"] = grown).is_empty());
    }

    #[test]
    fn a_difference_says_what_is_and_what_should_be() {
        let config = serde_json::from_value(json!({ "cores": 2 })).unwrap();
        let text: Vec<String> = spec()
            .drift(&config)
            .iter()
            .map(ToString::to_string)
            .collect();

        assert!(
            text.contains(&"cores is 2 instead of 4".to_owned()),
            "{text:?}"
        );
        assert!(text.contains(&"boot is not set instead of order=scsi0;ide2".to_owned()));
    }
}
