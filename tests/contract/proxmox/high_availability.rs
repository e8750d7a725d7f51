//! High availability of both releases, against the mock. Order and sentences were read in pve-ha-manager 5.2.0 and 4.0.7.

use proxmox_client::cluster::{
    HaAffinity, HaGroupRequest, HaGroupUpdate, HaResourceRequest, HaResourceUpdate, HaRuleRequest,
    HaRuleUpdate,
};
use proxmox_client::id::VmId;
use proxmox_client::mock::{PveMock, Quorum};
use proxmox_client::{Cluster, ErrorKind, Reason};

use super::{node, vm_id};

fn other() -> VmId {
    VmId::new(104).unwrap()
}

async fn cluster(version: &str) -> (PveMock, Cluster) {
    let mock = PveMock::builder()
        .version(version)
        .node(node())
        .node("pve-02".parse().unwrap())
        .start()
        .await;
    for vm in [vm_id(), other()] {
        mock.add_vm(vm, &[]);
    }
    let cluster = mock.client().cluster();
    (mock, cluster)
}

#[tokio::test]
async fn groups_live_and_die_on_eight() {
    let (_mock, cluster) = cluster("8.4.21").await;
    let group = HaGroupRequest::new("pve-01:2,pve-02").restricted();
    cluster.create_ha_group("all", &group).await.unwrap();
    let taken = cluster.create_ha_group("all", &group).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");

    let update = HaGroupUpdate::new().comment("both").no_failback();
    cluster.update_ha_group("all", &update).await.unwrap();
    let read = cluster.ha_group("all").await.unwrap();
    assert!(read.restricted && read.no_failback);
    assert_eq!(read.comment.as_deref(), Some("both"));
    let update = HaGroupUpdate::new().unset("comment");
    cluster.update_ha_group("all", &update).await.unwrap();
    assert_eq!(cluster.ha_groups().await.unwrap()[0].comment, None);

    let resource = HaResourceRequest::new().group("all");
    cluster.add_ha_resource(vm_id(), &resource).await.unwrap();
    let used = cluster.delete_ha_group("all").await.unwrap_err();
    assert_eq!(used.kind(), ErrorKind::Conflict, "{used}");
    assert!(cluster.remove_ha_resource(vm_id()).await.unwrap());
    cluster.delete_ha_group("all").await.unwrap();
    cluster.delete_ha_group("all").await.unwrap();
    let missing = cluster.ha_group("all").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    let rules = cluster.ha_rules().await.unwrap_err();
    assert_eq!(rules.kind(), ErrorKind::Unsupported, "{rules}");
}

#[tokio::test]
async fn nine_has_rules_instead_of_groups() {
    let (_mock, cluster) = cluster("9.2.11").await;
    let group = HaGroupRequest::new("pve-01");
    let migrated = cluster.create_ha_group("all", &group).await.unwrap_err();
    assert_eq!(migrated.reason(), Some(Reason::HaGroupsMigrated));
    assert_eq!(migrated.kind(), ErrorKind::Unsupported);
    assert_eq!(
        cluster.ha_groups().await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );

    let apart = HaRuleRequest::resource_affinity(&[vm_id(), other()], HaAffinity::Negative);
    let unmanaged = cluster.create_ha_rule("apart", &apart).await.unwrap_err();
    assert_eq!(unmanaged.kind(), ErrorKind::Rejected, "{unmanaged}");
    for vm in [vm_id(), other()] {
        cluster
            .add_ha_resource(vm, &HaResourceRequest::new())
            .await
            .unwrap();
    }
    cluster.create_ha_rule("apart", &apart).await.unwrap();
    let taken = cluster.create_ha_rule("apart", &apart).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists, "{taken}");
    let home = HaRuleRequest::node_affinity(&[vm_id()], "pve-09");
    let nowhere = cluster.create_ha_rule("home", &home).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Rejected, "{nowhere}");

    let update = HaRuleUpdate::new("resource-affinity").disable();
    cluster.update_ha_rule("apart", &update).await.unwrap();
    assert!(cluster.ha_rule("apart").await.unwrap().disabled);
    let missing = cluster.update_ha_rule("home", &update).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");

    // A rule follows its guests.
    cluster.remove_ha_resource(other()).await.unwrap();
    let rule = cluster.ha_rule("apart").await.unwrap();
    assert_eq!(rule.resources, [format!("vm:{}", vm_id())]);
    cluster.remove_ha_resource(vm_id()).await.unwrap();
    assert!(cluster.ha_rules().await.unwrap().is_empty());
    cluster.delete_ha_rule("apart").await.unwrap();
}

#[tokio::test]
async fn a_guest_that_is_not_managed_is_said_to_be_none() {
    for version in ["8.4.21", "9.2.11"] {
        let (_mock, cluster) = cluster(version).await;

        assert!(!cluster.remove_ha_resource(vm_id()).await.unwrap());
        let update = HaResourceUpdate::new().state("stopped");
        let unknown = cluster.update_ha_resource(vm_id(), &update).await;
        assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
        for moved in [
            cluster.migrate_ha_resource(vm_id(), &node()).await,
            cluster.relocate_ha_resource(vm_id(), &node()).await,
        ] {
            assert_eq!(moved.unwrap_err().kind(), ErrorKind::NotFound);
        }
        let nobody = VmId::new(999).unwrap();
        let missing = cluster
            .add_ha_resource(nobody, &HaResourceRequest::new())
            .await;
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_managed_guest_is_changed_and_sent_elsewhere() {
    let (_mock, cluster) = cluster("9.2.11").await;
    let resource = HaResourceRequest::new().stay().max_restart(2_u32);
    cluster.add_ha_resource(vm_id(), &resource).await.unwrap();
    let twice = cluster.add_ha_resource(vm_id(), &resource).await;
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::AlreadyExists);

    let update = HaResourceUpdate::new()
        .state("stopped")
        .fail_back()
        .unset("max_restart");
    cluster.update_ha_resource(vm_id(), &update).await.unwrap();

    let read = cluster.ha_resource(vm_id()).await.unwrap();
    assert_eq!(read.state.as_deref(), Some("stopped"));
    assert_eq!((read.failback, read.max_restart), (Some(true), None));
    let to = "pve-02".parse().unwrap();
    cluster.migrate_ha_resource(vm_id(), &to).await.unwrap();
    cluster.relocate_ha_resource(vm_id(), &to).await.unwrap();
}

async fn managed(version: &str, nodes: &[&str], vms: u32) -> (PveMock, Cluster, Vec<VmId>) {
    let mut builder = PveMock::builder().version(version);
    for node in nodes {
        builder = builder.node(node.parse().unwrap());
    }
    let mock = builder.start().await;
    let cluster = mock.client().cluster();
    let ids: Vec<VmId> = (101..=100 + vms).map(|id| VmId::new(id).unwrap()).collect();
    for id in &ids {
        mock.add_vm(*id, &[]);
        let resource = HaResourceRequest::new();
        cluster.add_ha_resource(*id, &resource).await.unwrap();
    }
    (mock, cluster, ids)
}

/// A rule that is created when others exist, and the end of its refusal; none for a rule that is created.
type Attempt = (&'static str, HaRuleRequest, Option<&'static str>);

#[tokio::test]
async fn rules_that_contradict_each_other_are_refused_with_the_reason() {
    let (_mock, cluster, vms) = managed("9.2.11", &["pve-01", "pve-02"], 4).await;
    let together = |vms: &[VmId]| HaRuleRequest::resource_affinity(vms, HaAffinity::Positive);
    let apart = |vms: &[VmId]| HaRuleRequest::resource_affinity(vms, HaAffinity::Negative);
    let places = HaRuleRequest::node_affinity;
    let attempts: [Attempt; 10] = [
        (
            "alone",
            together(&vms[..1]),
            Some("rule is ineffective as there are less than two resources"),
        ),
        (
            "many",
            apart(&vms[..3]),
            Some("rule defines more resources than available nodes"),
        ),
        ("home", places(&vms[..1], "pve-01"), None),
        (
            "again",
            places(&vms[..2], "pve-02"),
            Some("resource 'vm:101' is already used in another node affinity rule"),
        ),
        ("second", places(&vms[1..2], "pve-01:0"), None),
        (
            "pair",
            together(&vms[..2]),
            Some("resources are in multiple node affinity rules"),
        ),
        (
            "spread",
            apart(&vms[..2]),
            Some(
                "two or more resources are restricted to less nodes than available to the resources",
            ),
        ),
        ("others", together(&vms[2..]), None),
        (
            "torn",
            apart(&vms[2..]),
            Some("rule shares two or more resources with a positive resource affinity rule"),
        ),
        (
            "ranked",
            places(&vms[2..3], "pve-01:2,pve-02:1"),
            Some(
                "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities",
            ),
        ),
    ];
    for (name, rule, refusal) in attempts {
        let created = cluster.create_ha_rule(name, &rule).await;
        let Some(reason) = refusal else {
            created.unwrap();
            continue;
        };
        let error = created.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{name}: {error}");
        let expected =
            format!("create ha rule failed: 400 Rule '{name}' is invalid.\nresources: {reason}");
        assert_eq!(error.message().trim_end(), expected);
    }
    let rules = cluster.ha_rules().await.unwrap();
    let names: Vec<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
    assert_eq!(names, ["home", "second", "others"]);
    assert_eq!(rules[1].nodes.as_deref(), Some("pve-01"));

    // A rule that has no effect contradicts nothing, until it gets its effect back.
    let torn = apart(&vms[2..]).disabled();
    cluster.create_ha_rule("torn", &torn).await.unwrap();
    let enable = HaRuleUpdate::new("resource-affinity").unset("disable");
    let error = cluster.update_ha_rule("torn", &enable).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
}

#[tokio::test]
async fn settings_that_a_rule_cannot_have_or_lose_are_refused() {
    let (_mock, cluster, vms) = managed("9.2.11", &["pve-01", "pve-02"], 2).await;
    let pair = HaRuleRequest::resource_affinity(&vms, HaAffinity::Positive);
    cluster.create_ha_rule("pair", &pair).await.unwrap();
    for (update, problem) in [
        (
            HaRuleUpdate::new("resource-affinity").nodes("pve-01"),
            "unexpected property 'nodes'",
        ),
        (
            HaRuleUpdate::new("node-affinity").comment("x"),
            "unexpected property 'type'",
        ),
        (
            HaRuleUpdate::new("resource-affinity").unset("affinity"),
            "unable to delete required option 'affinity'",
        ),
        (
            HaRuleUpdate::new("resource-affinity").unset("strict"),
            "no such option 'strict'",
        ),
        (
            HaRuleUpdate::new("resource-affinity")
                .comment("x")
                .unset("comment"),
            "cannot set and delete property 'comment' at the same time!",
        ),
    ] {
        let error = cluster.update_ha_rule("pair", &update).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        let expected = format!("update HA rules failed: {problem}");
        assert_eq!(error.message().trim_end(), expected);
    }
    let read = cluster.ha_rule("pair").await.unwrap();
    assert_eq!((read.comment, read.disabled), (None, false));
}

#[tokio::test]
async fn resources_that_go_together_or_apart_are_named_when_one_is_sent() {
    let (mock, _cluster, vms) = managed("9.2.11", &["pve-01", "pve-02"], 3).await;
    let cluster = mock.client().cluster();
    let pair = HaRuleRequest::resource_affinity(&vms[..2], HaAffinity::Positive);
    cluster.create_ha_rule("pair", &pair).await.unwrap();
    let apart = HaRuleRequest::resource_affinity(&vms[1..], HaAffinity::Negative);
    cluster.create_ha_rule("apart", &apart).await.unwrap();

    let path = "/cluster/ha/resources/vm:101/migrate";
    let to = |node: &'static str| vec![("node", node)];
    let send = async |node| {
        let raw = mock.client().raw(http::Method::POST, path, &to(node)).await;
        raw.unwrap().data
    };

    assert_eq!(
        send("pve-01").await,
        serde_json::json!({
            "sid": "vm:101", "requested-node": "pve-01", "comigrated-resources": ["vm:102"],
            "blocking-resources": [{ "sid": "vm:103", "cause": "resource-affinity" }],
        })
    );
    assert_eq!(
        send("pve-02").await,
        serde_json::json!({
            "sid": "vm:101", "requested-node": "pve-02", "comigrated-resources": ["vm:102"],
        })
    );
}

#[tokio::test]
async fn without_quorum_every_change_fails_and_passes_later() {
    let (mock, cluster, vms) = managed("9.2.11", &["pve-01", "pve-02"], 2).await;
    let pair = HaRuleRequest::resource_affinity(&vms, HaAffinity::Positive);
    cluster.create_ha_rule("pair", &pair).await.unwrap();
    mock.set_quorate(Quorum::Lost);

    let update = HaRuleUpdate::new("resource-affinity").comment("x");
    for result in [
        cluster.create_ha_rule("other", &pair).await,
        cluster.update_ha_rule("pair", &update).await,
        cluster.delete_ha_rule("pair").await,
        cluster.remove_ha_resource(vms[0]).await.map(drop),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::NoQuorum), "{error}");
        assert_eq!(error.kind(), ErrorKind::Busy);
    }
    assert_eq!(cluster.ha_rules().await.unwrap().len(), 1);
}
