//! Calls of a node.

use proxmox_client::cluster::BackupRequest;
use proxmox_client::task::TaskFilter;

use super::dice::Dice;
use super::storage::{retention, url};
use super::vm::{node, storage, vm_id};
use super::{Builder, builder};

fn backup(d: &mut Dice) -> BackupRequest {
    let mut request = BackupRequest::new(storage(d));
    request = d.maybe(request, |r, d| {
        r.mode(d.pick(&["snapshot", "suspend", "stop"]))
    });
    request = d.maybe(request, |r, d| {
        r.compress(d.pick(&["0", "lzo", "gzip", "zstd"]))
    });
    request = d.maybe(request, |r, d| {
        let good = d.text(200);
        r.notes(d.form(good))
    });
    request = d.maybe(request, |r, d| r.keep(retention(d)));
    d.maybe(request, |r, _| r.protected())
}

fn filter(d: &mut Dice) -> TaskFilter {
    let mut request = TaskFilter::new();
    request = d.maybe(request, |r, d| {
        r.source(d.pick(&["archive", "active", "all"]))
    });
    request = d.maybe(request, |r, d| r.vm(vm_id(d)));
    request = d.maybe(request, |r, d| r.worker(d.pick(&["qmcreate", "imgcopy"])));
    request = d.maybe(request, |r, d| r.user(d.text(20)));
    request = d.maybe(request, |r, d| r.since(d.within(0, 4_000_000_000)));
    request = d.maybe(request, |r, d| r.until(d.within(0, 4_000_000_000)));
    request = d.maybe(request, |r, d| r.start(d.within(0, u64::MAX - 1)));
    request = d.maybe(request, |r, d| r.limit(d.within(0, u64::MAX - 1)));
    d.maybe(request, |r, _| r.only_failed())
}

pub(super) fn builders() -> Vec<Builder> {
    vec![
        builder!("network", |c, d| {
            let good = format!("{}{}", d.word("_", 10), d.pick(&["", ".5", ":1"]));
            async move { c.node(node(&mut d)).network(&d.form(good)).await }
        }),
        builder!("bridges", |c, d| {
            let node = c.node(node(&mut d));
            async move { node.bridges().await }
        }),
        builder!("URL metadata", |c, d| {
            let good = format!("https://images.example.test/{}", d.word("-_.", 20));
            let url = url(&mut d, good);
            async move { c.node(node(&mut d)).url_metadata(&url).await }
        }),
        builder!("back up", 3, |c, d| {
            let vms: Vec<_> = (0..d.within(1, 4)).map(|_| vm_id(&mut d)).collect();
            async move { c.node(node(&mut d)).back_up(&vms, &backup(&mut d)).await }
        }),
        builder!("tasks", 3, |c, d| {
            let filter = filter(&mut d);
            async move { c.node(node(&mut d)).tasks(&filter).await }
        }),
        builder!("find task", |c, d| {
            let (vm, since) = (vm_id(&mut d), d.within(0, 4_000_000_000));
            async move { c.node(node(&mut d)).find_task("qmcreate", vm, since).await }
        }),
    ]
}
