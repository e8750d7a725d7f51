//! `status`: what exists and how it is, by reads alone.

use lungmen_bootstrap::mock::openbao::OpenBaoMode;
use lungmen_bootstrap::{ClusterStatus, EtcdState, Seen, Verdict};
use proxmox_client::credentials::ApiToken;
use talos_client::Code;
use talos_client::mock::{Fault, Route};

use crate::support::{World, vm};
use crate::writes::Writes;

impl World {
    async fn status(&self) -> ClusterStatus {
        let bootstrap = self.bootstrap();
        let before = Writes::of(&self.lab);
        let status = bootstrap.status().await;
        assert_eq!(Writes::of(&self.lab), before, "{status}");
        status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_cluster_is_healthy_and_its_certificates_have_ends() {
    let world = World::new().await;
    world.run().await.unwrap();

    let status = world.status().await;

    assert!(status.is_healthy(), "{status}\n{status:#?}");
    let node = status.machines[0].node.exists().unwrap();
    assert_eq!(node.talos_version, "v1.10.7");
    assert_eq!(node.etcd, Some(EtcdState::Member));
    assert_eq!(status.drift, Verdict::Nothing);
    let argocd = status.argocd.exists().unwrap();
    assert_eq!(argocd.connection, "successful");
    assert!(!argocd.applications.is_empty());
    // Two admin certificates and four authorities.
    assert_eq!(status.expiries.len(), 6, "{status}");
    assert!(status.expiries[0].what.starts_with("admin certificate"));
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(
        serde_json::from_str::<ClusterStatus>(&text).unwrap(),
        status
    );

    let server = argocd.server.as_str();
    world
        .lab
        .argocd()
        .set_connection_failure(server, Some("connection refused"));
    let status = world.status().await;
    assert!(!status.is_healthy(), "{status}");
    assert_eq!(
        status.argocd.exists().unwrap().message,
        "connection refused"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_cannot_be_asked_is_unknown_and_not_missing() {
    let world = World::new().await;
    world.run().await.unwrap();
    let silent = Fault::status(Code::Unavailable, "connection refused");
    let node = world.lab.talos(vm()).unwrap();
    node.fail_always(Route::EtcdStatus, silent);

    let status = world.status().await;

    let node = status.machines[0].node.exists().unwrap();
    let Some(EtcdState::Unknown { cause }) = &node.etcd else {
        panic!("{status}");
    };
    assert!(cause.contains("connection refused"), "{cause}");
    assert!(!status.is_healthy());
    assert!(status.to_string().contains("etcd unknown"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_run_nothing_exists() {
    let world = World::new().await;

    let status = world.status().await;

    assert!(!status.is_healthy());
    assert!(matches!(status.record, Seen::Absent { .. }), "{status}");
    assert!(matches!(status.kubernetes, Seen::Absent { .. }), "{status}");
    assert!(matches!(status.argocd, Seen::Absent { .. }), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_and_a_dead_node_are_unknown_and_the_rest_is_seen() {
    let world = World::new().await;
    world.run().await.unwrap();
    world.lab.openbao().set_mode(OpenBaoMode::Sealed);

    let status = world.status().await;

    assert!(!status.is_healthy());
    assert!(matches!(status.record, Seen::Unknown { .. }), "{status}");
    assert!(matches!(status.machines[0].node, Seen::Unknown { .. }));
    assert!(status.kubernetes.exists().is_some(), "{status}");
    assert!(status.argocd.exists().is_some(), "{status}");

    world.lab.openbao().set_mode(OpenBaoMode::Active);
    world.lab.talos(vm()).unwrap().power_off();
    let status = world.status().await;
    assert!(status.record.exists().is_some(), "{status}");
    assert!(
        matches!(status.machines[0].node, Seen::Unknown { .. }),
        "{status}"
    );
}

/// Tokens with an end, and how soon they end: within a month, or far away.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_end_are_listed_and_only_near_ends_count() {
    const DAY: u64 = 86_400;
    let world = World::new().await;
    world.run().await.unwrap();
    let pve = world.lab.proxmox();
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    for (days, soon) in [(10, true), (200, false)] {
        let name = format!("days{days}");
        let request = proxmox_client::access::TokenRequest::new()
            .expires_at(now + days * DAY)
            .unseparated();
        let access = pve.client().access();
        let token = access.create_token("root@pam", &name, &request).await;
        let token = token.unwrap();
        let token = ApiToken::new(&token.id, token.secret).unwrap();
        let client = pve.client_builder(token).build().unwrap();

        let status = world.builder().proxmox(client).build().unwrap();
        let status = status.status().await;

        let tokens = status.expiries.iter();
        let tokens: Vec<_> = tokens.filter(|it| it.what.starts_with("token")).collect();
        let texts: Vec<&str> = tokens.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(texts, [format!("token root@pam!{name} of Proxmox VE")]);
        assert_eq!(tokens[0].soon, soon, "{status}");
        assert_eq!(status.is_healthy(), !soon, "{status}");
    }
}
