//! The scenarios against the mock, and the failures that only a mock has on demand.

use std::time::Duration;

use futures_util::StreamExt as _;
use lungmen_bootstrap::mock::Fault;
use lungmen_bootstrap::mock::openbao::{OpenBaoEvent, OpenBaoMock, OpenBaoMode, Route};
use lungmen_bootstrap::openbao::{Client, Credentials, Stored};
use lungmen_bootstrap::services::{ErrorKind, RetryPolicy};
use secrecy::SecretString;

use super::openbao_scenario::{self as scenario, values};

async fn started() -> (OpenBaoMock, Client) {
    let mock = OpenBaoMock::start().await;
    let client = mock.client();
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
        .await;
    let stranger = mock.client_with(Credentials::token("s.nobody".into()));
    for credentials in [
        Credentials::app_role("role", password.clone()),
        Credentials::password("alice", password.clone()),
        Credentials::jwt("boot", password.clone()),
        Credentials::kubernetes("boot", password.clone()),
    ] {
        let limited = mock.client_with(credentials);

        scenario::respects_policies(&limited, &stranger).await;

        limited.logout().await.unwrap();
        mock.client()
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
        .await;
    let client = mock.client_with(Credentials::password("alice", password));
    client
        .kv("secret")
        .store("a", &values(&[("k", "v")]))
        .await
        .unwrap();

    mock.expire_sessions();
    client.kv("secret").read("a").await.unwrap();

    mock.assert_called(Route::Login, 2);
}

#[tokio::test]
async fn a_write_whose_response_is_lost_is_found_by_the_same_call() {
    let (mock, client) = started().await;
    mock.fail_next(Route::Write, Fault::DropResponse);

    let stored = client
        .kv("secret")
        .store("a", &values(&[("k", "v")]))
        .await
        .unwrap();

    assert!(
        matches!(&stored, Stored::Created(version) if version.version == 1),
        "{stored:?}"
    );
    mock.assert_called(Route::Write, 1);
}

#[tokio::test]
async fn a_write_that_never_arrived_can_be_repeated() {
    let (mock, client) = started().await;
    mock.fail_next(Route::Write, Fault::Disconnect);

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
async fn every_fault_of_a_read_ends_in_an_error_that_names_the_server() {
    let (mock, _) = started().await;
    let faults = [
        (
            Fault::Status(403, "permission denied".to_owned()),
            ErrorKind::Forbidden,
        ),
        (
            Fault::RetryAfter(Duration::from_secs(3600)),
            ErrorKind::NotReady,
        ),
        (Fault::Stall, ErrorKind::Timeout),
        (Fault::StallBody(10), ErrorKind::Timeout),
        (Fault::Disconnect, ErrorKind::Interrupted),
        (Fault::DropResponse, ErrorKind::Interrupted),
        (Fault::TruncateBody(10), ErrorKind::Interrupted),
        (Fault::CorruptBody(0), ErrorKind::Decode),
        (Fault::Garbage, ErrorKind::Decode),
    ];
    let client = Client::builder(mock.endpoint(), Credentials::token(mock.root_token()))
        .timeout(Duration::from_millis(200))
        .retry(RetryPolicy::default().delays(Duration::from_millis(1), Duration::from_millis(1)))
        .build()
        .unwrap();
    let kv = client.kv("secret");
    kv.store("a", &values(&[("k", "v")])).await.unwrap();
    for (fault, kind) in faults {
        mock.fail_always(Route::Read, fault.clone());

        let error = kv.read("a").await.unwrap_err();

        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert_eq!(error.target(), "secret/a");
        assert_eq!(error.server(), Some(mock.endpoint().as_str()), "{fault:?}");
        mock.clear_faults();
        mock.fail_next(Route::Read, fault);
        assert_eq!(
            kv.read("a").await.is_ok(),
            error.is_retryable() && error.retry_after().is_none(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn events_report_logins_writes_and_deletions() {
    let password = SecretString::from("p");
    let mock = OpenBaoMock::builder()
        .policy("all", "secret/*", &["create", "read", "update", "delete"])
        .user("alice", &password, "all")
        .start()
        .await;
    let mut events = Box::pin(mock.events());
    let kv = mock
        .client_with(Credentials::password("alice", password))
        .kv("secret");

    kv.store("a", &values(&[("k", "v")])).await.unwrap();
    assert!(kv.delete_all("a").await.unwrap());
    assert!(!kv.delete_all("a").await.unwrap());

    let (mount, path) = ("secret".to_owned(), "a".to_owned());
    let expected = [
        OpenBaoEvent::LoggedIn {
            owner: "userpass-alice".to_owned(),
        },
        OpenBaoEvent::SecretWritten {
            mount: mount.clone(),
            path: path.clone(),
            version: 1,
        },
        OpenBaoEvent::SecretDeleted { mount, path },
    ];
    for event in expected {
        assert_eq!(events.next().await.unwrap(), event);
    }
}

#[tokio::test]
async fn a_lagging_node_is_asked_until_it_has_caught_up() {
    let mock = OpenBaoMock::builder().raft().start().await;
    let kv = mock.client().kv("secret");
    kv.create("a", &values(&[("k", "v")])).await.unwrap();
    mock.lag(1);

    assert!(kv.read("a").await.is_ok());
    mock.assert_called(Route::Read, 2);
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
    let mock = OpenBaoMock::builder().tls().start().await;
    scenario::stores_once(&mock.client()).await;
    let other = OpenBaoMock::builder().tls().start().await;
    let mistaken = Client::builder(mock.endpoint(), Credentials::token(mock.root_token()))
        .trust(other.trust())
        .build()
        .unwrap();

    let error = mistaken.health().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Certificate, "{error}");
    mock.assert_called(Route::Health, 1);
}

#[tokio::test]
async fn namespaces_and_old_engines_are_kept_apart() {
    let mock = OpenBaoMock::builder()
        .namespace("team")
        .mount_v1("old")
        .start()
        .await;
    let within = |name: &str| {
        Client::builder(mock.endpoint(), Credentials::token(mock.root_token()))
            .namespace(name)
            .build()
            .unwrap()
    };
    scenario::keeps_namespaces_apart(&within("/"), &within("team"), &within("nope")).await;

    let old = mock.client().kv("old").preflight("a").await.unwrap_err();
    assert_eq!(old.kind(), ErrorKind::NoSuchMount);
    assert!(old.message().contains("version 1"), "{old}");
}

#[tokio::test]
async fn what_the_mock_does_not_model_is_rejected_by_name() {
    let (mock, client) = started().await;

    for path in ["sys/mounts", "secret/config", "auth/token/lookup"] {
        let error = client.read(path).await.unwrap_err();
        assert_eq!(
            error.status(),
            Some(http::StatusCode::NOT_IMPLEMENTED),
            "{path}: {error}"
        );
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
