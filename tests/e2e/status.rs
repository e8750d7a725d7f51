//! `status`: what exists and how it is, by reads alone.

use lungmen_bootstrap::mock::openbao::OpenBaoMode;
use lungmen_bootstrap::{Action, ClusterStatus, DestroyOptions, EtcdState, Seen, StepId, Verdict};
use proxmox_client::credentials::ApiToken;
use talos_client::Code;
use talos_client::mock::{Fault, Route};

use crate::requests::Requests;
use crate::support::{World, spec, vm};
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

/// A status rests on the observation of a plan, and asks only for what a plan does not look at.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_has_asked_a_status_does_not_ask_again() {
    const MORE: [(&str, usize); 7] = [
        ("argocd GET /api/v1/applications", 1),
        ("openbao GET /v1/auth/token/lookup-self", 1),
        ("proxmox GET /access/users/lungmen@pve/token", 1),
        // The stage of the machine.
        ("talos 2411000 /cosi.resource.State/Get", 1),
        // Whether its member of etcd votes.
        ("talos 2411000 /machine.MachineService/EtcdMemberList", 1),
        ("talos 2411000 /machine.MachineService/EtcdStatus", 1),
        // The first of the checks of the cluster.
        ("kubernetes GET /version", 1),
    ];
    let world = World::new().await;
    world.run().await.unwrap();
    let bootstrap = world.bootstrap();
    let begin = Requests::of(&world.lab);
    bootstrap.plan().await;
    let middle = Requests::of(&world.lab);
    let plan = middle.since(&begin);

    bootstrap.status().await;

    let status = Requests::of(&world.lab).since(&middle);
    for (what, count) in status.since(&plan).iter() {
        let is_check = what.starts_with("kubernetes ") && plan.count(what) == 0;
        assert!(
            is_check || MORE.contains(&(what, count)),
            "{count} more: {what}\n{plan:#?}\n{status:#?}"
        );
    }
    for (what, _) in MORE {
        assert!(status.count(what) > plan.count(what), "{what}");
    }
}

/// Whoever has the store has the cluster: the kubeconfig beside the record is used where no folder has one.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_the_kubeconfig_of_the_store_is_used() {
    let world = World::new().await;
    world.run().await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let nowhere = world.lab.bootstrap(spec()).without_output();
    let nowhere = nowhere.build().unwrap();
    let other = world.lab.bootstrap(spec()).output(elsewhere.path());
    let other = other.build().unwrap();

    let status = nowhere.status().await;
    assert!(status.is_healthy(), "{status}");
    assert_eq!(status.expiries.len(), 6, "{status}");
    let plan = nowhere.plan().await;
    assert_eq!(plan.verdict(), Verdict::Nothing, "{plan}");

    let status = other.status().await;
    assert!(status.kubernetes.exists().is_some(), "{status}");
    let plan = other.plan().await;
    let file = elsewhere.path().join("kubeconfig");
    let missing = plan.action(StepId::Kubeconfig, file.to_str().unwrap());
    assert!(matches!(missing, Some(Action::Create { .. })), "{plan}");
    let registered = plan.action(StepId::Register, "lungmen.akn");
    assert!(matches!(registered, Some(Action::Nothing { .. })), "{plan}");
    assert!(!file.exists());

    // A kubeconfig whose machines are gone says nothing.
    let options = DestroyOptions::confirmed("lungmen.akn").despite_applications();
    other.destroy(&options).await.unwrap();
    let plan = nowhere.plan().await;
    let gone = plan.action(StepId::Kubeconfig, "kubeconfig");
    assert!(matches!(gone, Some(Action::Create { .. })), "{plan}");
}
