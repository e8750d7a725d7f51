//! Calls of the cluster and of pools.

use proxmox_client::cluster::{HaResourceRequest, ResourceKind, VnetRequest, ZoneRequest};

use super::dice::Dice;
use super::vm::{node, pool, storage, vm_id};
use super::{Builder, builder};

fn resource(d: &mut Dice) -> HaResourceRequest {
    let mut request = HaResourceRequest::new();
    request = d.maybe(request, |r, d| {
        r.state(d.pick(&["started", "stopped", "enabled", "disabled", "ignored"]))
    });
    request = d.maybe(request, |r, d| {
        let good = d.word("-_", 20);
        r.group(d.form(good))
    });
    request = d.maybe(request, |r, d| {
        r.max_restart(d.number::<u32>(0, u64::from(u32::MAX)))
    });
    request = d.maybe(request, |r, d| {
        r.max_relocate(d.number::<u32>(0, u64::from(u32::MAX)))
    });
    d.maybe(request, |r, d| {
        let good = d.text(200);
        r.comment(d.form(good))
    })
}

fn sdn_name(d: &mut Dice) -> String {
    let good = d.word("", 8);
    d.form(good)
}

fn zone(d: &mut Dice) -> ZoneRequest {
    let kind = d.pick(&["simple", "vlan", "qinq", "vxlan", "evpn"]);
    let mut request = ZoneRequest::new(sdn_name(d), kind);
    request = d.maybe(request, |r, d| r.bridge(format!("vmbr{}", d.within(0, 99))));
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, |d| node(d).to_string());
        r.nodes(d.form(good))
    });
    request = d.maybe(request, |r, d| r.mtu(d.number::<u32>(1, 65520)));
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, Dice::address);
        r.peers(d.form(good))
    });
    d.maybe(request, |r, _| r.ipam("pve"))
}

fn vnet(d: &mut Dice) -> VnetRequest {
    let mut request = VnetRequest::new(sdn_name(d), sdn_name(d));
    request = d.maybe(request, |r, d| r.tag(d.number::<u32>(1, 16_777_215)));
    request = d.maybe(request, |r, d| {
        let good = d.word("-_. ()", 200);
        r.alias(d.form(good))
    });
    d.maybe(request, |r, _| r.vlan_aware())
}

fn pool_id(d: &mut Dice) -> String {
    let good = pool(d);
    d.form(good)
}

pub(super) fn builders() -> Vec<Builder> {
    let mut all = vec![
        builder!("check id", |c, d| {
            let id = vm_id(&mut d);
            async move { c.cluster().is_vm_id_free(id).await }
        }),
        builder!("resources", |c, d| {
            let kinds = [
                ResourceKind::Guest,
                ResourceKind::Storage,
                ResourceKind::Node,
                ResourceKind::Sdn,
            ];
            let kind = d.option(|d| d.pick(&kinds));
            async move { c.cluster().resources(kind).await }
        }),
        builder!("log", |c, d| {
            let limit = d.number(0, u64::from(u32::MAX));
            async move { c.cluster().log(limit).await }
        }),
        builder!("set option", |c, d| {
            let (name, value) = d.pick(&[
                ("keyboard", "de-ch"),
                ("mac_prefix", "BC:24:11"),
                ("migration", "secure,network=10.0.0.0/8"),
                ("next-id", "lower=200,upper=300"),
                ("max_workers", "4"),
            ]);
            async move { c.cluster().set_option(name, value).await }
        }),
        builder!("storage", |c, d| {
            let name = storage(&mut d);
            async move { c.cluster().storage(&name).await }
        }),
        builder!("add HA resource", 2, |c, d| {
            let (id, request) = (vm_id(&mut d), resource(&mut d));
            async move { c.cluster().add_ha_resource(id, &request).await }
        }),
        builder!("change HA resource", |c, d| {
            let (id, request) = (vm_id(&mut d), resource(&mut d));
            async move { c.cluster().update_ha_resource(id, &request).await }
        }),
        builder!("remove HA resource", |c, d| {
            let id = vm_id(&mut d);
            async move { c.cluster().remove_ha_resource(id).await }
        }),
        builder!("create zone", 3, |c, d| {
            let zone = zone(&mut d);
            async move { c.cluster().create_zone(&zone).await }
        }),
        builder!("create vnet", 2, |c, d| {
            let vnet = vnet(&mut d);
            async move { c.cluster().create_vnet(&vnet).await }
        }),
    ];
    all.extend(pools());
    all
}

fn pools() -> Vec<Builder> {
    vec![
        builder!("pool", |c, d| {
            let pool = c.pool(pool_id(&mut d));
            async move { pool.details().await }
        }),
        builder!("create pool", |c, d| {
            let (pool, comment) = (c.pool(pool_id(&mut d)), d.option(|d| d.text(40)));
            async move { pool.create(comment.as_deref()).await }
        }),
        builder!("add to pool", |c, d| {
            let pool = c.pool(pool_id(&mut d));
            async move {
                pool.add(&[vm_id(&mut d), vm_id(&mut d)], &[storage(&mut d)])
                    .await
            }
        }),
        builder!("remove from pool", |c, d| {
            let pool = c.pool(pool_id(&mut d));
            async move { pool.remove(&[vm_id(&mut d)], &[]).await }
        }),
        builder!("delete pool", |c, d| {
            let pool = c.pool(pool_id(&mut d));
            async move { pool.delete().await }
        }),
    ]
}
