//! The scenarios against the fake, and the troubles only a fake can have on demand.

use lungmen_bootstrap::mock::Fault;
use lungmen_bootstrap::mock::openbao::{OpenBaoMock, OpenBaoMode, OpenBaoRoute};
use lungmen_bootstrap::openbao::{Client, Credentials, ErrorKind, Stored};
use secrecy::SecretString;

use super::openbao_scenario::{self as scenario, values};

async fn started() -> (OpenBaoMock, Client) {
    let mock = OpenBaoMock::start().await.unwrap();
    let client = mock.client().unwrap();
    (mock, client)
}

#[tokio::test]
async fn the_scenarios_hold() {
    let (_mock, client) = started().await;

    scenario::stores_once(&client).await;
    scenario::adds_without_replacing(&client).await;
    scenario::respects_deleted_versions(&client).await;
    scenario::keeps_metadata(&client).await;
    scenario::knows_mounts(&client).await;
}

#[tokio::test]
async fn policies_hold_for_every_way_to_log_in() {
    let password = SecretString::from("canary");
    let mock = OpenBaoMock::builder()
        .policy("talos-create", "secret/data/talos/*", &["create", "read"])
        .app_role("role", &password, "talos-create")
        .user("alice", &password, "talos-create")
        .jwt("boot", &password, "talos-create")
        .kubernetes("boot", &password, "talos-create")
        .start()
        .await
        .unwrap();
    let stranger = mock
        .client_as(Credentials::Token("s.nobody".into()))
        .unwrap();
    for credentials in [
        Credentials::app_role("role", password.clone()),
        Credentials::user_pass("alice", password.clone()),
        Credentials::jwt("boot", password.clone()),
        Credentials::kubernetes("boot", password.clone()),
    ] {
        let limited = mock.client_as(credentials).unwrap();

        scenario::respects_policies(&limited, &stranger).await;

        limited.logout().await.unwrap();
        mock.client()
            .unwrap()
            .kv("secret")
            .delete_all("talos/limited")
            .await
            .unwrap();
    }
    assert!(!format!("{:?}", mock.calls()).contains("canary"));
}

#[tokio::test]
async fn an_expired_session_is_renewed_once() {
    let password = SecretString::from("p");
    let mock = OpenBaoMock::builder()
        .policy(
            "all",
            "secret/*",
            &["create", "read", "update", "delete", "list"],
        )
        .user("alice", &password, "all")
        .start()
        .await
        .unwrap();
    let client = mock
        .client_as(Credentials::user_pass("alice", password))
        .unwrap();
    client
        .kv("secret")
        .store("a", &values(&[("k", "v")]))
        .await
        .unwrap();

    mock.expire_sessions();
    client.kv("secret").read("a").await.unwrap();

    mock.assert_called(OpenBaoRoute::Login, 2);
}

#[tokio::test]
async fn a_write_whose_answer_got_lost_is_found_again() {
    let (mock, client) = started().await;
    mock.fail_next(OpenBaoRoute::Write, Fault::Disconnect);

    let lost = client
        .kv("secret")
        .store("a", &values(&[("k", "v")]))
        .await
        .unwrap_err();
    assert!(
        lost.may_have_taken_effect() && lost.is_retryable(),
        "{lost:?}"
    );
    let again = client
        .kv("secret")
        .store("a", &values(&[("k", "v")]))
        .await
        .unwrap();

    assert!(matches!(again, Stored::Created(_)));
}

#[tokio::test]
async fn a_lagging_node_is_asked_until_it_has_caught_up() {
    let mock = OpenBaoMock::builder().raft().start().await.unwrap();
    let kv = mock.client().unwrap().kv("secret");
    kv.create("a", &values(&[("k", "v")])).await.unwrap();
    mock.lag(1);

    assert!(kv.read("a").await.is_ok());
    mock.assert_called(OpenBaoRoute::Read, 2);
}

#[tokio::test]
async fn a_sealed_server_says_so() {
    let (mock, client) = started().await;
    for mode in [OpenBaoMode::Sealed, OpenBaoMode::Uninitialized] {
        mock.set_mode(mode);

        scenario::says_when_it_is_sealed(&client).await;
    }
}

#[tokio::test]
async fn a_cluster_without_active_node_reads_but_does_not_write() {
    let (mock, client) = started().await;
    let client_kv = client.kv("secret");
    client_kv.store("a", &values(&[("k", "v")])).await.unwrap();
    mock.set_mode(OpenBaoMode::NoActiveNode);

    assert!(client.health().await.unwrap().standby);
    assert!(client_kv.read("a").await.is_ok());
    let error = client_kv
        .store("b", &values(&[("k", "v")]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Standby);
    assert!(!error.may_have_taken_effect());
}

#[tokio::test]
async fn tls_is_verified_against_the_given_authority() {
    let mock = OpenBaoMock::builder().tls().start().await.unwrap();
    scenario::stores_once(&mock.client().unwrap()).await;
    let other = OpenBaoMock::builder().tls().start().await.unwrap();
    let mistaken = Client::builder(mock.endpoint(), Credentials::Token(mock.root_token()))
        .tls(other.trust())
        .build()
        .unwrap();

    let error = mistaken.health().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    mock.assert_called(OpenBaoRoute::Health, 1);
}

#[tokio::test]
async fn namespaces_and_old_engines_are_kept_apart() {
    let mock = OpenBaoMock::builder()
        .namespace("team")
        .mount_v1("old")
        .start()
        .await
        .unwrap();
    let within = |name: &str| {
        Client::builder(mock.endpoint(), Credentials::Token(mock.root_token()))
            .namespace(name)
            .build()
            .unwrap()
    };
    scenario::keeps_namespaces_apart(&within("/"), &within("team"), &within("nope")).await;

    let old = mock
        .client()
        .unwrap()
        .kv("old")
        .preflight("a")
        .await
        .unwrap_err();
    assert_eq!(old.kind(), ErrorKind::NoSuchMount);
    assert!(old.message().contains("version 1"), "{old}");
}

#[tokio::test]
async fn what_the_fake_does_not_model_is_refused_by_name() {
    let (mock, client) = started().await;

    for path in ["sys/mounts", "secret/config", "auth/token/lookup"] {
        let error = client.read(path).await.unwrap_err();
        assert_eq!(error.status(), Some(501), "{path}: {error}");
        assert!(
            error.message().starts_with("OpenBaoMock does not model"),
            "{error}"
        );
    }

    let old_path = client.read("secret/talos").await.unwrap_err();
    assert_eq!(old_path.kind(), ErrorKind::NoSuchMount);
    mock.stop().await;
    assert_eq!(
        client.health().await.unwrap_err().kind(),
        ErrorKind::Connect
    );
}
