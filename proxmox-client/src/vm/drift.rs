//! Comparing what was wanted with what the server has, in spite of all it rewrites: it sorts tags,
//! ends the description with a line break, adds sizes, names volumes and makes up MAC addresses.

use std::fmt;

use super::{
    Agent, Bios, Cdrom, Disk, DiskSource, Drive, EfiDisk, NetworkDevice, OsType, ScsiController,
    Size, Tags, VmConfig, VmSpec,
};

/// One option that is not as specified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The server's name of the option.
    pub field: String,
    /// What the specification says.
    pub wanted: String,
    /// What the configuration says; `None` when the option is not set.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            wanted,
            found,
        } = self;
        let found = found.as_deref().unwrap_or("nothing");
        write!(f, "{field} is {found} instead of {wanted}")
    }
}

#[derive(Default)]
struct Comparison(Vec<Difference>);

impl Comparison {
    fn note(&mut self, field: &str, wanted: &dyn fmt::Display, found: Option<&dyn fmt::Display>) {
        self.0.push(Difference {
            field: field.to_owned(),
            wanted: wanted.to_string(),
            found: found.map(ToString::to_string),
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
    /// only when it is smaller than wanted: growing is the owner's business.
    #[must_use]
    pub fn drift(&self, config: &VmConfig) -> Vec<Difference> {
        let mut result = Comparison::default();
        self.compare_basics(config, &mut result);
        self.compare_texts(config, &mut result);
        self.compare_devices(config, &mut result);
        for (name, wanted) in &self.other {
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
        let machine = super::options::default_value(&self.machine, "type");
        let machine = machine.as_ref().unwrap_or(&self.machine);
        result.scalar(
            "machine",
            machine,
            config.machine.as_ref(),
            &"pc".to_owned(),
        );
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

fn same_efi_disk(wanted: &EfiDisk, found: &EfiDisk) -> bool {
    wanted.efi_type == found.efi_type
        && wanted.pre_enrolled_keys == found.pre_enrolled_keys
        && same_source(&wanted.source, &found.source)
}

fn same_drive(wanted: &Drive, found: &Drive) -> bool {
    match (wanted, found) {
        (Drive::Disk(wanted), Drive::Disk(found)) => same_disk(wanted, found),
        (Drive::Cdrom(Cdrom::Image(wanted)), Drive::Cdrom(Cdrom::Image(found))) => {
            // `STORAGE:cloudinit` becomes a volume of the server's choice.
            wanted == found || (wanted.name() == "cloudinit" && found.name().ends_with("cloudinit"))
        }
        (Drive::Cdrom(wanted), Drive::Cdrom(found)) => wanted == found,
        _ => false,
    }
}

fn same_disk(wanted: &Disk, found: &Disk) -> bool {
    let flag = |wanted: Option<bool>, found: Option<bool>, default: bool| {
        wanted.is_none_or(|wanted| found.unwrap_or(default) == wanted)
    };
    let large_enough = match (&wanted.source, found.size) {
        (DiskSource::New { size_gib, .. }, Some(size)) => size >= Size::gib(*size_gib),
        _ => true,
    };
    // Storages without a choice of formats drop `format=raw`.
    let format = match (&wanted.format, &found.format) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    };
    same_source(&wanted.source, &found.source)
        && large_enough
        && format
        && flag(wanted.iothread, found.iothread, false)
        && flag(wanted.ssd, found.ssd, false)
        && flag(wanted.discard, found.discard, false)
        && flag(wanted.backup, found.backup, true)
        && flag(wanted.replicate, found.replicate, true)
        && wanted
            .other
            .iter()
            .all(|option| found.other.contains(option))
}

fn same_source(wanted: &DiskSource, found: &DiskSource) -> bool {
    match wanted {
        DiskSource::Volume(_) => wanted == found,
        _ => wanted.storage() == found.storage(),
    }
}

fn same_network(wanted: &NetworkDevice, found: &NetworkDevice) -> bool {
    let flag = |wanted: Option<bool>, found: Option<bool>| {
        wanted.is_none_or(|wanted| found.unwrap_or(false) == wanted)
    };
    wanted.model == found.model
        && wanted
            .mac
            .as_ref()
            .is_none_or(|mac| found.mac.as_ref() == Some(mac))
        && wanted.bridge == found.bridge
        && wanted.vlan == found.vlan
        && flag(wanted.firewall, found.firewall)
        && flag(wanted.link_down, found.link_down)
        && wanted.mtu.is_none_or(|mtu| found.mtu == Some(mtu))
        && wanted
            .queues
            .is_none_or(|queues| found.queues == Some(queues))
        && wanted
            .other
            .iter()
            .all(|option| found.other.contains(option))
}
