//! High availability of both releases, against the mock. The sentences were read in pve-ha-manager.

use proxmox_client::cluster::{
    HaAffinity, HaGroupRequest, HaGroupUpdate, HaResourceRequest, HaResourceUpdate, HaRuleRequest,
    HaRuleUpdate,
};
use proxmox_client::id::VmId;
use proxmox_client::mock::PveMock;
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
