//! Specifications and changes of VMs with all options.

use proxmox_client::id::{BridgeName, MacAddress, VolumeId};
use proxmox_client::vm::{
    Agent, Bios, BootDevice, BootOrder, Cdrom, ConfigUpdate, Disk, DiskSource, Drive, EfiDisk,
    EfiType, Machine, NetworkDevice, NetworkModel, OsType, ScsiController, Slot, Smbios, Tags,
    TpmState, VmSpec,
};

use super::dice::Dice;
use super::vm::{node, pool, slot, storage, vm_id};
use super::{Builder, builder};

pub(super) fn builders() -> Vec<Builder> {
    vec![
        builder!("create", 20, |c, d| {
            let target = c.node(node(&mut d));
            async move { target.create_vm(&spec(&mut d)).await }
        }),
        builder!("update", 8, |c, d| {
            let vm = c.node(node(&mut d)).vm(vm_id(&mut d));
            async move { vm.update(&update(&mut d)).await }
        }),
        builder!("set", 4, |c, d| {
            let vm = c.node(node(&mut d)).vm(vm_id(&mut d));
            async move { vm.set(&update(&mut d)).await }
        }),
    ]
}

fn volume(d: &mut Dice, folder: &str) -> VolumeId {
    let name = d.word("-_.=+~", 30);
    VolumeId::new(format!("{}:{folder}{name}", storage(d))).unwrap()
}

fn source(d: &mut Dice) -> DiskSource {
    match d.within(0, 2) {
        0 => DiskSource::New {
            storage: storage(d),
            size_gib: d.number(1, 100_000),
        },
        1 => DiskSource::Import {
            storage: storage(d),
            from: volume(d, "import/"),
        },
        _ => DiskSource::Volume(volume(d, "104/")),
    }
}

fn disk(d: &mut Dice, slot: Slot) -> Disk {
    let mut disk = Disk::from_source(source(d));
    let queued = matches!(slot, Slot::Scsi(_) | Slot::Virtio(_));
    if queued {
        disk = d.maybe(disk, |disk, _| disk.iothread());
    }
    disk = match (d.within(0, 2), slot) {
        (0, Slot::Ide(_) | Slot::Sata(_) | Slot::Scsi(_)) => disk.ssd(),
        (1, Slot::Ide(_) | Slot::Sata(_) | Slot::Scsi(_)) => disk.without_ssd(),
        _ => disk,
    };
    disk = d.maybe(disk, |disk, d| {
        if d.flip() {
            disk.discard()
        } else {
            disk.without_discard()
        }
    });
    disk = d.maybe(disk, |disk, d| {
        if d.flip() {
            disk.backup()
        } else {
            disk.without_backup()
        }
    });
    disk = d.maybe(disk, |disk, d| {
        disk.format(d.pick(&["raw", "qcow2", "vmdk"]))
    });
    disk.replicate = d.option(Dice::flip);
    d.maybe(disk, |disk, d| {
        let (key, value) = d.pick(&[
            ("cache", "none"),
            ("cache", "directsync"),
            ("aio", "io_uring"),
            ("serial", "disk%20one"),
            ("mbps_rd", "1.5"),
            ("iops_wr_max_length", "60"),
            ("detect_zeroes", "0"),
            ("werror", "enospc"),
        ]);
        disk.option(key, value)
    })
}

fn cdrom(d: &mut Dice) -> Cdrom {
    match d.within(0, 2) {
        0 => Cdrom::Empty,
        1 => Cdrom::Physical,
        _ => Cdrom::Image(volume(d, "iso/")),
    }
}

fn network(d: &mut Dice) -> NetworkDevice {
    let bridge = BridgeName::new(d.word("-_.", 15)).unwrap();
    let mut card = NetworkDevice::virtio(bridge);
    let virtio = d.flip();
    if !virtio {
        card = card.model(d.pick(&[
            NetworkModel::E1000,
            NetworkModel::E1000e,
            NetworkModel::Rtl8139,
            NetworkModel::Vmxnet3,
        ]));
    }
    card = d.maybe(card, |card, d| {
        let pairs: Vec<String> = (0..5).map(|_| d.hex(2)).collect();
        let mac = format!("{:02x}:{}", d.within(0, 127) * 2, pairs.join(":"));
        card.mac(MacAddress::new(mac).unwrap())
    });
    card = d.maybe(card, |card, d| card.vlan(d.number(1, 4094)));
    card = d.maybe(card, |card, d| {
        if d.flip() {
            card.firewall()
        } else {
            card.without_firewall()
        }
    });
    card = d.maybe(card, |card, _| card.link_down());
    if virtio {
        card = d.maybe(card, |card, d| card.mtu(d.number(1, 65520)));
    }
    card.queues = d.option(|d| d.number(0, 64));
    d.maybe(card, |card, d| {
        let (key, value) = d.pick(&[("rate", "12.5"), ("trunks", "2;3;10-20")]);
        card.option(key, value)
    })
}

fn boot(d: &mut Dice, devices: &[BootDevice]) -> Option<Vec<BootDevice>> {
    let mut left = devices.to_vec();
    let mut order = Vec::new();
    while !left.is_empty() && (order.is_empty() || d.flip()) {
        let next = d.pick(&left);
        left.retain(|device| *device != next);
        order.push(next);
    }
    (!order.is_empty()).then_some(order)
}

fn agent(d: &mut Dice) -> Agent {
    let mut agent = if d.flip() {
        Agent::enabled()
    } else {
        Agent::default()
    };
    if d.flip() {
        let (key, value) = d.pick(&[
            ("fstrim_cloned_disks", "1"),
            ("type", "isa"),
            ("freeze-fs-on-backup", "0"),
        ]);
        agent.other.push((key.to_owned(), value.to_owned()));
    }
    agent
}

fn smbios(d: &mut Dice) -> Smbios {
    let uuid = format!(
        "{}-{}-{}-{}-{}",
        d.hex(8),
        d.hex(4),
        d.hex(4),
        d.hex(4),
        d.hex(12)
    );
    let mut smbios = Smbios::with_uuid(&uuid).unwrap();
    if d.flip() {
        let serial = ("serial".to_owned(), "YWJjZA==".to_owned());
        smbios
            .other
            .extend([("base64".to_owned(), "1".to_owned()), serial]);
    }
    smbios
}

fn tags(d: &mut Dice) -> Tags {
    let list: Vec<String> = (0..d.within(0, 5)).map(|_| d.word("-_+.", 20)).collect();
    Tags::new(list).unwrap()
}

/// An option that has no setter, with a value that both releases accept.
fn other(d: &mut Dice) -> (String, String) {
    let fixed = [
        ("serial0", "socket"),
        ("vga", "serial0"),
        ("vga", "std,memory=64"),
        ("hotplug", "network,disk,usb"),
        ("hotplug", "0"),
        ("startup", "order=1,up=30,down=60"),
        ("numa", "1"),
        ("protection", "1"),
        ("rng0", "/dev/urandom,max_bytes=1024,period=1000"),
        ("watchdog", "i6300esb,action=reset"),
        ("citype", "nocloud"),
        ("ciuser", "root"),
        ("ipconfig31", "ip=10.0.0.2/24,gw=10.0.0.1,ip6=auto"),
        ("sshkeys", "ssh-ed25519%20AAAA%20a%40b"),
        ("nameserver", "10.0.0.1 fd00::1"),
        ("tablet", "0"),
        ("usb0", "host=1234:abcd,usb3=1"),
        ("hostpci15", "mapping=gpu,pcie=1"),
        ("audio0", "device=ich9-intel-hda,driver=none"),
        ("virtiofs9", "dirid=share,cache=auto"),
    ];
    let (name, value) = match d.within(0, 3) {
        0 => ("cpulimit", format!("{}.5", d.within(0, 127))),
        1 => ("cpuunits", d.within(1, 262_144).to_string()),
        _ => {
            let (name, value) = d.pick(&fixed);
            (name, value.to_owned())
        }
    };
    (name.to_owned(), value)
}

fn machine(d: &mut Dice) -> Machine {
    let machine =
        Machine::new(d.pick(&["q35", "pc", "pc-q35-9.2+pve1", "pc-i440fx-8.1", "virt-9.0"]));
    d.maybe(machine, |machine, d| {
        let (key, value) = d.pick(&[("viommu", "intel"), ("enable-s3", "1"), ("enable-s4", "0")]);
        machine.option(key, value)
    })
}

fn spec(d: &mut Dice) -> VmSpec {
    let good = d.word("-", 40);
    let memory: u32 = d.number(16, 4_000_000);
    let mut spec = VmSpec::new(vm_id(d), d.form(good))
        .cores(d.number(1, 128))
        .sockets(d.number(1, 4))
        .memory_mib(memory)
        .machine(machine(d))
        .os_type(d.pick(&[
            OsType::Linux,
            OsType::Unspecified,
            "win11".into(),
            "solaris".into(),
        ]));
    spec = d.maybe(spec, |s, d| s.balloon_mib(d.number(0, u64::from(memory))));
    spec = d.maybe(spec, |s, d| {
        let model = d.pick(&[
            "host",
            "max",
            "kvm64",
            "x86-64-v2-AES",
            "EPYC-Milan",
            "Icelake-Server-v5",
        ]);
        s.cpu(format!(
            "{model}{}",
            d.pick(&["", ",flags=+aes;-pcid", ",hidden=1", ",phys-bits=host"])
        ))
    });
    spec = d.maybe(spec, |s, d| {
        let mut disk = EfiDisk::new(storage(d)).efi_type(d.pick(&[EfiType::M4, EfiType::M2]));
        disk.source = source(d);
        s.uefi(if d.flip() {
            disk.pre_enrolled_keys()
        } else {
            disk
        })
    });
    spec = d.maybe(spec, |s, d| {
        let mut tpm = TpmState::new(storage(d));
        tpm.source = source(d);
        s.tpm(tpm)
    });
    spec = d.maybe(spec, |s, d| s.agent(agent(d)));
    spec = d.maybe(spec, |s, d| s.smbios(smbios(d)));
    spec = d.maybe(spec, |s, d| s.tags(tags(d)));
    spec = d.maybe(spec, |s, d| {
        let most = d.pick(&[40, 8192]);
        s.description(d.text(most))
    });
    spec = d.maybe(spec, |s, d| {
        if d.flip() {
            s.on_boot()
        } else {
            s.not_on_boot()
        }
    });
    spec = d.maybe(spec, |s, d| {
        let good = pool(d);
        s.pool(d.form(good))
    });
    spec = d.maybe(spec, |s, d| {
        let (name, value) = other(d);
        s.option(name, value)
    });
    with_devices(d, spec)
}

fn with_devices(d: &mut Dice, mut spec: VmSpec) -> VmSpec {
    let mut devices: Vec<BootDevice> = Vec::new();
    let mut threads = false;
    for _ in 0..d.within(0, 4) {
        let slot = slot(d);
        let is_virtio = matches!(slot, Slot::Virtio(_));
        spec = match d.within(0, 2) {
            0 if !is_virtio => spec.empty_cdrom(slot),
            1 if !is_virtio => spec.cdrom(slot, volume(d, "iso/")),
            _ => {
                let disk = disk(d, slot);
                threads |= disk.iothread == Some(true) && !is_virtio;
                spec.disk(slot, disk)
            }
        };
        devices.push(slot.into());
    }
    for _ in 0..d.within(0, 3) {
        // The bridge of the firewall has the longest name: the index has one digit for long ids.
        let index = d.number(0, 9);
        spec = spec.network(index, network(d));
        devices.push(BootDevice::Network(index));
    }
    if !threads {
        spec = spec.scsi_controller(d.pick(&[
            ScsiController::VirtioScsiSingle,
            ScsiController::VirtioScsi,
            ScsiController::Lsi,
            "pvscsi".into(),
        ]));
    }
    match d.option(|d| boot(d, &devices)).flatten() {
        Some(order) => spec.boot_order(order),
        None => spec,
    }
}

fn update(d: &mut Dice) -> ConfigUpdate {
    let mut update = ConfigUpdate::new();
    update = d.maybe(update, |u, d| {
        let slot = slot(d);
        match d.flip() {
            true => u.drive(slot, &Drive::Disk(disk(d, slot))),
            false => u.drive(slot, &Drive::Cdrom(cdrom(d))),
        }
    });
    update = d.maybe(update, |u, d| u.network(d.number(0, 31), &network(d)));
    update = d.maybe(update, |u, d| {
        let devices = [
            Slot::Scsi(0).into(),
            BootDevice::Network(3),
            BootDevice::Usb(13),
            BootDevice::HostPci(0),
        ];
        match boot(d, &devices) {
            Some(order) => u.boot_order(&BootOrder::new(order)),
            None => u,
        }
    });
    update = d.maybe(update, |u, d| u.description(&d.text(100)));
    update = d.maybe(update, |u, d| {
        let (name, value) = other(d);
        u.option(&name, value)
    });
    update = d.maybe(update, |u, d| {
        let good = d.pick(&["description", "net5", "scsi12"]).to_owned();
        u.delete(d.form(good))
    });
    update = d.maybe(update, |u, d| {
        let good = d.hex(40);
        u.digest(d.form(good))
    });
    // An update that changes nothing is not sent.
    update.option("bios", d.pick(&[Bios::Ovmf, Bios::SeaBios]))
}
