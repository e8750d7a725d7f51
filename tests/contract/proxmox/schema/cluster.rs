//! Calls of the cluster and of pools.

use proxmox_client::cluster::{
    HaAffinity, HaGroupRequest, HaGroupUpdate, HaResourceRequest, HaResourceUpdate, HaRuleRequest,
    HaRuleUpdate, ResourceKind, VnetRequest, ZoneRequest,
};

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

fn resource_update(d: &mut Dice) -> HaResourceUpdate {
    let mut request = HaResourceUpdate::new();
    request = d.maybe(request, |r, d| r.state(d.pick(&["started", "stopped"])));
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
    request = d.maybe(request, |r, d| r.comment(comment(d)));
    request = d.maybe(request, |r, d| r.unset(unset(d)));
    d.maybe(request, |r, d| r.digest(digest(d)))
}

fn comment(d: &mut Dice) -> String {
    let good = d.text(200);
    d.form(good)
}

fn unset(d: &mut Dice) -> String {
    let good = d.list(1, 2, |d| d.pick(&["comment", "nodes"]).to_owned());
    d.form(good)
}

fn digest(d: &mut Dice) -> String {
    let good = d.hex(40);
    d.form(good)
}

fn ha_nodes(d: &mut Dice) -> String {
    let good = d.list(1, 3, |d| {
        let priority = d.option(|d| format!(":{}", d.within(0, 1000)));
        format!("{}{}", node(d), priority.unwrap_or_default())
    });
    d.form(good)
}

fn ha_name(d: &mut Dice) -> String {
    let good = d.word("-_", 20);
    d.form(good)
}

fn group(d: &mut Dice) -> HaGroupRequest {
    let mut request = HaGroupRequest::new(ha_nodes(d));
    request = d.maybe(request, |r, d| r.comment(comment(d)));
    request = d.maybe(request, |r, _| r.restricted());
    d.maybe(request, |r, _| r.no_failback())
}

fn group_update(d: &mut Dice) -> HaGroupUpdate {
    let mut request = HaGroupUpdate::new();
    request = d.maybe(request, |r, d| r.nodes(ha_nodes(d)));
    request = d.maybe(request, |r, d| r.comment(comment(d)));
    request = d.maybe(request, |r, d| r.unset(unset(d)));
    request = d.maybe(request, |r, d| r.digest(digest(d)));
    request = d.maybe(request, |r, _| r.restricted());
    request = d.maybe(request, |r, _| r.unrestricted());
    request = d.maybe(request, |r, _| r.no_failback());
    d.maybe(request, |r, _| r.fail_back())
}

fn ha_rule(d: &mut Dice) -> HaRuleRequest {
    let vms: Vec<_> = (0..d.within(1, 3)).map(|_| vm_id(d)).collect();
    let mut request = match d.flip() {
        true => HaRuleRequest::node_affinity(&vms, ha_nodes(d)),
        false => HaRuleRequest::resource_affinity(&vms, HaAffinity::Positive),
    };
    request = d.maybe(request, |r, d| r.comment(comment(d)));
    request = d.maybe(request, |r, _| r.strict());
    d.maybe(request, |r, _| r.disabled())
}

fn ha_rule_update(d: &mut Dice) -> HaRuleUpdate {
    let mut request = HaRuleUpdate::new(d.pick(&["node-affinity", "resource-affinity"]));
    request = d.maybe(request, |r, d| {
        let good = d.list(1, 3, |d| format!("vm:{}", vm_id(d)));
        r.resources(d.form(good))
    });
    request = d.maybe(request, |r, d| r.nodes(ha_nodes(d)));
    request = d.maybe(request, |r, d| {
        r.affinity(d.pick(&["positive", "negative"]))
    });
    request = d.maybe(request, |r, d| r.comment(comment(d)));
    request = d.maybe(request, |r, d| r.unset(unset(d)));
    request = d.maybe(request, |r, d| r.digest(digest(d)));
    request = d.maybe(request, |r, _| r.strict());
    request = d.maybe(request, |r, _| r.lenient());
    d.maybe(request, |r, _| r.disable())
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
            let (id, request) = (vm_id(&mut d), resource_update(&mut d));
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
    all.extend(high_availability());
    all
}

fn high_availability() -> Vec<Builder> {
    vec![
        builder!("HA resource", |c, d| {
            let id = vm_id(&mut d);
            async move { c.cluster().ha_resource(id).await }
        }),
        builder!("migrate HA resource", |c, d| {
            let (id, to) = (vm_id(&mut d), node(&mut d));
            async move { c.cluster().migrate_ha_resource(id, &to).await }
        }),
        builder!("relocate HA resource", |c, d| {
            let (id, to) = (vm_id(&mut d), node(&mut d));
            async move { c.cluster().relocate_ha_resource(id, &to).await }
        }),
        builder!("HA group", |c, d| {
            let name = ha_name(&mut d);
            async move { c.cluster().ha_group(&name).await }
        }),
        builder!("create HA group", 2, |c, d| {
            let (name, group) = (ha_name(&mut d), group(&mut d));
            async move { c.cluster().create_ha_group(&name, &group).await }
        }),
        builder!("change HA group", 2, |c, d| {
            let (name, update) = (ha_name(&mut d), group_update(&mut d));
            async move { c.cluster().update_ha_group(&name, &update).await }
        }),
        builder!("delete HA group", |c, d| {
            let name = ha_name(&mut d);
            async move { c.cluster().delete_ha_group(&name).await }
        }),
        builder!("HA rule", |c, d| {
            let name = ha_name(&mut d);
            async move { c.cluster().ha_rule(&name).await }
        }),
        builder!("create HA rule", 2, |c, d| {
            let (name, rule) = (ha_name(&mut d), ha_rule(&mut d));
            async move { c.cluster().create_ha_rule(&name, &rule).await }
        }),
        builder!("change HA rule", 2, |c, d| {
            let (name, update) = (ha_name(&mut d), ha_rule_update(&mut d));
            async move { c.cluster().update_ha_rule(&name, &update).await }
        }),
        builder!("delete HA rule", |c, d| {
            let name = ha_name(&mut d);
            async move { c.cluster().delete_ha_rule(&name).await }
        }),
    ]
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
