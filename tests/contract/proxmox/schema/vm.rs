//! Calls of a VM.

use std::time::Duration;

use proxmox_client::cluster::{FirewallOptionsUpdate, FirewallRuleRequest, FirewallRuleUpdate};
use proxmox_client::id::{NodeName, StorageName, VmId, VolumeId};
use proxmox_client::vm::{
    CloneRequest, Feature, MigrateRequest, MoveDiskRequest, ResizeRequest, RestoreRequest, Size,
    Slot, SnapshotRequest,
};
use proxmox_client::{Client, Vm};

use super::dice::Dice;
use super::{Builder, builder};

pub(super) fn vm_id(d: &mut Dice) -> VmId {
    VmId::new(d.number(100, 999_999_999)).unwrap()
}

pub(super) fn node(d: &mut Dice) -> NodeName {
    let name = d.word("-", 20);
    NodeName::new(name).unwrap()
}

pub(super) fn storage(d: &mut Dice) -> StorageName {
    StorageName::new(d.word("-_.", 20)).unwrap()
}

fn vm(c: &Client, d: &mut Dice) -> Vm {
    c.node(node(d)).vm(vm_id(d))
}

pub(super) fn slot(d: &mut Dice) -> Slot {
    match d.within(0, 3) {
        0 => Slot::Ide(d.number(0, 3)),
        1 => Slot::Sata(d.number(0, 5)),
        2 => Slot::Scsi(d.number(0, 30)),
        _ => Slot::Virtio(d.number(0, 15)),
    }
}

fn size(d: &mut Dice) -> Size {
    let text = format!("{}{}", d.within(1, 4096), d.pick(&["", "K", "M", "G", "T"]));
    text.parse().unwrap()
}

fn snapshot(d: &mut Dice) -> String {
    let good = d.word("-_", 40);
    d.form(good)
}

fn option_name(d: &mut Dice) -> String {
    let good = d.pick(&[
        "scsi1",
        "net0",
        "description",
        "unused12",
        "serial0",
        "virtiofs3",
        "ha-managed",
    ]);
    d.form(good.to_owned())
}

fn seconds(d: &mut Dice) -> Duration {
    Duration::from_millis(d.within(0, 4_000_000_000))
}

fn clone(d: &mut Dice) -> CloneRequest {
    let mut request = CloneRequest::new(vm_id(d));
    request = d.maybe(request, |r, d| {
        let good = d.word("-", 30);
        r.name(d.form(good))
    });
    request = d.maybe(request, |r, d| r.description(d.text(200)));
    request = d.maybe(request, |r, d| {
        let good = pool(d);
        r.pool(d.form(good))
    });
    request = d.maybe(request, |r, d| r.storage(storage(d)));
    request = d.maybe(request, |r, d| r.format(d.pick(&["raw", "qcow2", "vmdk"])));
    request = d.maybe(request, |r, d| r.snapshot(snapshot(d)));
    request = d.maybe(request, |r, d| r.target(node(d)));
    request = d.maybe(request, |r, d| r.bandwidth_limit(d.within(0, u64::MAX - 1)));
    match d.within(0, 2) {
        0 => request.full(),
        1 => request.linked(),
        _ => request,
    }
}

pub(super) fn pool(d: &mut Dice) -> String {
    let levels = d.within(1, 3);
    let names: Vec<String> = (0..levels).map(|_| d.word("-_.", 12)).collect();
    names.join("/")
}

fn move_disk(d: &mut Dice) -> MoveDiskRequest {
    let request = MoveDiskRequest::new(storage(d));
    let request = d.maybe(request, |r, d| r.format(d.pick(&["raw", "qcow2", "vmdk"])));
    let request = d.maybe(request, |r, d| {
        let good = d.hex(40);
        r.digest(d.form(good))
    });
    let request = d.maybe(request, |r, d| r.bandwidth_limit(d.within(0, 1 << 40)));
    d.maybe(request, |r, _| r.delete_source())
}

fn migrate(d: &mut Dice) -> MigrateRequest {
    let request = MigrateRequest::new(node(d));
    let request = d.maybe(request, |r, d| {
        let one = storage(d);
        r.target_storage(match d.within(0, 2) {
            0 => "1".to_owned(),
            1 => one.to_string(),
            _ => format!("{one}:{}", storage(d)),
        })
    });
    let request = d.maybe(request, |r, d| r.bandwidth_limit(d.within(0, 1 << 40)));
    let request = d.maybe(request, |r, d| {
        let good = d.network();
        r.network(d.form(good))
    });
    let request = d.maybe(request, |r, _| r.online());
    d.maybe(request, |r, _| r.with_local_disks())
}

fn make_snapshot(d: &mut Dice) -> SnapshotRequest {
    let request = SnapshotRequest::new(snapshot(d));
    let request = d.maybe(request, |r, d| r.description(d.text(100)));
    d.maybe(request, |r, _| r.with_memory())
}

fn firewall_options(d: &mut Dice) -> FirewallOptionsUpdate {
    let policy = |d: &mut Dice| d.pick(&["ACCEPT", "REJECT", "DROP"]);
    let mut request = FirewallOptionsUpdate::new();
    request = d.maybe(request, |r, d| r.policy_in(policy(d)));
    request = d.maybe(request, |r, d| r.policy_out(policy(d)));
    request = d.maybe(request, |r, d| {
        let good = d.hex(40);
        r.digest(d.form(good))
    });
    request = d.maybe(request, |r, _| r.enable());
    request = d.maybe(request, |r, _| r.disable());
    request = d.maybe(request, |r, _| r.allow_dhcp());
    request = d.maybe(request, |r, _| r.forbid_dhcp());
    request = d.maybe(request, |r, _| r.filter_mac());
    d.maybe(request, |r, _| r.filter_ip())
}

fn firewall_name(d: &mut Dice, most: u64) -> String {
    let good = d.word("-_", most);
    d.form(good)
}

fn firewall_rule(d: &mut Dice) -> FirewallRuleRequest {
    let kind = d.pick(&["in", "out", "forward", "group"]);
    let action = match d.flip() {
        true => d.pick(&["ACCEPT", "REJECT", "DROP"]).to_owned(),
        false => firewall_name(d, 20),
    };
    let mut request = FirewallRuleRequest::new(kind, action);
    request = d.maybe(request, |r, d| r.preset(d.pick(&["SSH", "Web", "Ping"])));
    request = d.maybe(request, |r, d| r.protocol(d.pick(&["tcp", "udp", "icmp"])));
    request = d.maybe(request, |r, d| {
        let good = d.network();
        r.source(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 8, |d| {
            format!("10.0.{}.{}", d.within(0, 9), d.within(0, 9))
        });
        r.destination(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        r.source_ports(format!("{}", d.within(1, 65535)))
    });
    request = d.maybe(request, |r, d| {
        r.destination_ports("80,443:450".to_owned() + d.pick(&["", ",22"]))
    });
    request = d.maybe(request, |r, d| {
        let good = format!("net{}", d.within(0, 31));
        r.iface(d.form(good))
    });
    request = d.maybe(request, |r, d| r.comment(d.text(60)));
    request = d.maybe(request, |r, d| {
        let good = d.hex(40);
        r.digest(d.form(good))
    });
    d.maybe(request, |r, _| r.enable())
}

fn rule_update(d: &mut Dice) -> FirewallRuleUpdate {
    let mut request = FirewallRuleUpdate::new();
    request = d.maybe(request, |r, d| {
        r.kind(d.pick(&["in", "out", "forward", "group"]))
    });
    request = d.maybe(request, |r, d| r.action(firewall_name(d, 20)));
    request = d.maybe(request, |r, d| r.preset(d.pick(&["SSH", "Web", "Ping"])));
    request = d.maybe(request, |r, d| r.protocol(d.pick(&["tcp", "udp", "icmp"])));
    request = d.maybe(request, |r, d| {
        let good = d.network();
        r.source(d.form(good))
    });
    request = d.maybe(request, |r, d| r.destination(d.address()));
    request = d.maybe(request, |r, d| {
        r.source_ports(format!("{}", d.within(1, 65535)))
    });
    request = d.maybe(request, |r, _| r.destination_ports("80,443:450"));
    request = d.maybe(request, |r, d| {
        let good = format!("net{}", d.within(0, 31));
        r.iface(d.form(good))
    });
    request = d.maybe(request, |r, d| r.comment(d.text(60)));
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, |d| d.pick(&["comment", "dport"]).to_owned());
        r.unset(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        let good = d.hex(64);
        r.digest(d.form(good))
    });
    request = d.maybe(request, |r, _| r.enable());
    d.maybe(request, |r, _| r.disable())
}

fn digest(d: &mut Dice) -> Option<String> {
    d.option(|d| {
        let good = d.hex(40);
        d.form(good)
    })
}

fn resize(d: &mut Dice) -> ResizeRequest {
    let request = match d.flip() {
        true => ResizeRequest::to(size(d)),
        false => ResizeRequest::by(size(d)),
    };
    match digest(d) {
        Some(digest) => request.digest(digest),
        None => request,
    }
}

fn restore(d: &mut Dice) -> RestoreRequest {
    let archive = format!(
        "{}:backup/vzdump-qemu-{}-2025_10_09-08_00_00.vma{}",
        storage(d),
        vm_id(d),
        d.pick(&["", ".zst", ".gz", ".lzo"])
    );
    let archive: VolumeId = archive.parse().unwrap();
    let mut request = RestoreRequest::new(vm_id(d), archive);
    request = d.maybe(request, |r, d| r.storage(storage(d)));
    request = d.maybe(request, |r, d| {
        let good = pool(d);
        r.pool(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        r.bandwidth_limit(d.within(0, u64::from(u32::MAX)))
    });
    request = d.maybe(request, |r, d| r.bytes_per_second(size(d)));
    request = d.maybe(request, |r, d| {
        let good = d.word("-", 20);
        r.name(d.form(good))
    });
    request = d.maybe(request, |r, d| r.memory_mib(d.number::<u32>(16, 4_000_000)));
    request = d.maybe(request, |r, d| r.cores(d.number::<u32>(1, 512)));
    request = d.maybe(request, |r, d| {
        let good = d.text(300);
        r.description(d.form(good))
    });
    request = d.maybe(request, |r, d| r.option("onboot", d.pick(&["0", "1"])));
    request = d.maybe(request, |r, _| r.force());
    request = d.maybe(request, |r, _| r.unique());
    request = d.maybe(request, |r, _| r.live());
    d.maybe(request, |r, _| r.start())
}

fn entry(d: &mut Dice) -> String {
    let good = match d.within(0, 3) {
        0 => d.address(),
        1 => d.network(),
        2 => format!("dc/{}", d.word("-_", 10)),
        _ => d.word("-_", 10),
    };
    d.form(good)
}

pub(super) fn builders() -> Vec<Builder> {
    let mut all = configuration();
    all.extend(power());
    all.extend(agent());
    all.extend(firewall());
    all
}

fn configuration() -> Vec<Builder> {
    vec![
        builder!("clone", 4, |c, d| vm(&c, &mut d).clone_vm(&clone(&mut d))),
        builder!("make base disk", |c, d| vm(&c, &mut d)
            .make_base_disk(slot(&mut d))),
        builder!("move disk", 2, |c, d| vm(&c, &mut d)
            .move_disk(slot(&mut d), &move_disk(&mut d))),
        builder!("resize", 3, |c, d| vm(&c, &mut d)
            .resize_disk(slot(&mut d), &resize(&mut d))),
        builder!("restore", 4, |c, d| {
            let node = c.node(node(&mut d));
            async move { node.restore_vm(&restore(&mut d)).await }
        }),
        builder!("detach", |c, d| vm(&c, &mut d)
            .detach_disks(&[&option_name(&mut d), &option_name(&mut d)])),
        builder!("delete disks", |c, d| vm(&c, &mut d)
            .delete_disks(&[&option_name(&mut d)])),
        builder!("revert", |c, d| vm(&c, &mut d)
            .revert(&[&option_name(&mut d), &option_name(&mut d)])),
        builder!("cloud-init dump", |c, d| vm(&c, &mut d)
            .cloud_init_dump(d.pick(&["user", "network", "meta"]))),
        builder!("migrate", 2, |c, d| vm(&c, &mut d)
            .migrate(&migrate(&mut d))),
        builder!("check migration", |c, d| vm(&c, &mut d)
            .check_migration(d.option(node).as_ref())),
        builder!("create snapshot", 2, |c, d| vm(&c, &mut d)
            .create_snapshot(&make_snapshot(&mut d))),
        builder!("snapshot configuration", |c, d| vm(&c, &mut d)
            .snapshot_config(&snapshot(&mut d))),
        builder!("roll back", |c, d| vm(&c, &mut d)
            .roll_back(&snapshot(&mut d))),
        builder!("roll back and start", |c, d| vm(&c, &mut d)
            .roll_back_and_start(&snapshot(&mut d))),
        builder!("delete snapshot", |c, d| vm(&c, &mut d)
            .delete_snapshot(&snapshot(&mut d))),
        builder!("feature", |c, d| vm(&c, &mut d).feature(d.pick(&[
            Feature::Snapshot,
            Feature::Clone,
            Feature::Copy
        ]))),
        builder!("serial console", |c, d| {
            let port = d.option(|d| {
                let good = format!("serial{}", d.within(0, 3));
                d.form(good)
            });
            async move { vm(&c, &mut d).serial_console(port.as_deref()).await }
        }),
        builder!("key", |c, d| vm(&c, &mut d)
            .send_key(d.pick(&["ret", "ctrl-alt-f1"]))),
        builder!("monitor", |c, d| vm(&c, &mut d).monitor(&d.text(60))),
        builder!("delete", |c, d| vm(&c, &mut d).delete()),
        builder!("purge", |c, d| vm(&c, &mut d).purge()),
    ]
}

fn power() -> Vec<Builder> {
    vec![
        builder!("shut down", |c, d| vm(&c, &mut d).shutdown(seconds(&mut d))),
        builder!("shut down or stop", |c, d| vm(&c, &mut d)
            .shutdown_or_stop(seconds(&mut d))),
        builder!("reboot", |c, d| vm(&c, &mut d).reboot(seconds(&mut d))),
        builder!("stop now", |c, d| vm(&c, &mut d).stop_now()),
        builder!("hibernate", |c, d| vm(&c, &mut d).hibernate()),
    ]
}

fn agent() -> Vec<Builder> {
    vec![
        builder!("exec", |c, d| vm(&c, &mut d)
            .exec(&[&d.text(20), &d.text(20)])),
        builder!("exec status", |c, d| vm(&c, &mut d)
            .exec_status(d.within(0, u64::MAX - 1))),
        builder!("read file", |c, d| vm(&c, &mut d)
            .read_guest_file(&d.text(30))),
        builder!("write file", |c, d| vm(&c, &mut d)
            .write_guest_file(&d.text(30), &d.text(3000))),
    ]
}

fn firewall() -> Vec<Builder> {
    vec![
        builder!("firewall options", 2, |c, d| vm(&c, &mut d)
            .update_firewall_options(&firewall_options(&mut d))),
        builder!("firewall rule", 4, |c, d| vm(&c, &mut d)
            .add_firewall_rule(&firewall_rule(&mut d))),
        builder!("delete firewall rule", |c, d| {
            let (position, digest) = (d.number(0, u64::from(u32::MAX)), digest(&mut d));
            async move {
                vm(&c, &mut d)
                    .delete_firewall_rule(position, digest.as_deref())
                    .await
            }
        }),
        builder!("change firewall rule", 4, |c, d| vm(&c, &mut d)
            .update_firewall_rule(
                d.number(0, u64::from(u32::MAX)),
                &rule_update(&mut d)
            )),
        builder!("move firewall rule", |c, d| {
            let (position, to) = (d.number(0, 99), d.number(0, u64::from(u32::MAX)));
            let digest = digest(&mut d);
            async move {
                vm(&c, &mut d)
                    .move_firewall_rule(position, to, digest.as_deref())
                    .await
            }
        }),
        builder!("rename IP set", |c, d| {
            let digest = digest(&mut d);
            async move {
                let (name, new) = (firewall_name(&mut d, 64), firewall_name(&mut d, 64));
                vm(&c, &mut d)
                    .rename_ip_set(&name, &new, digest.as_deref())
                    .await
            }
        }),
        builder!("create IP set", |c, d| vm(&c, &mut d)
            .create_ip_set(&firewall_name(&mut d, 64))),
        builder!("read IP set", |c, d| vm(&c, &mut d)
            .ip_set(&firewall_name(&mut d, 64))),
        builder!("delete IP set", |c, d| vm(&c, &mut d)
            .delete_ip_set(&firewall_name(&mut d, 64))),
        builder!("add to IP set", |c, d| vm(&c, &mut d)
            .add_to_ip_set(&firewall_name(&mut d, 64), &entry(&mut d))),
        builder!("remove from IP set", |c, d| vm(&c, &mut d)
            .remove_from_ip_set(
                &firewall_name(&mut d, 64),
                &entry(&mut d),
                digest(&mut d).as_deref()
            )),
    ]
}
