//! The store in OpenBao, against the mock and, where it is installed, a real server.

use std::sync::Arc;

use lungmen_bootstrap::claim::{claim, find};
use lungmen_bootstrap::mock::openbao::OpenBaoMock;
use lungmen_bootstrap::openbao::{Client, Credentials};
use lungmen_bootstrap::services::ErrorKind;
use lungmen_bootstrap::store::{Document, OpenBaoStore, SecretStore};
use secrecy::SecretString;

use super::openbao_real::{ROOT, real_server};
use super::store_scenario::{self as scenario, bundle, entries, text, wanted};

/// The scenarios that need a server that a test may write to.
async fn hold_for(client: &Client) {
    scenario::holds(Arc::new(OpenBaoStore::new(client, "secret", "talos/all"))).await;
    keeps_the_keys_of_others(client).await;
    never_takes_a_deleted_record_for_absent(client).await;
    refuses_a_secret_of_others(client).await;
    tells_its_history(client).await;
}

async fn keeps_the_keys_of_others(client: &Client) {
    let store = OpenBaoStore::new(client, "secret", "talos/shared");
    claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
    let extra = entries(&[("talosconfig", "context: x")]);
    client
        .kv("secret")
        .add("talos/shared", &extra)
        .await
        .unwrap();

    lungmen_bootstrap::claim::choose_bootstrap(&store, "tal01", 1)
        .await
        .unwrap();

    let kept = client.kv("secret").read("talos/shared").await.unwrap();
    assert_eq!(text(&kept.data, "talosconfig"), "context: x");
    assert!(kept.data.contains_key("secrets.yaml"));
}

async fn never_takes_a_deleted_record_for_absent(client: &Client) {
    let store = OpenBaoStore::new(client, "secret", "talos/deleted");
    let first = claim(&store, &wanted("lungmen.akn"), bundle).await.unwrap();
    let kv = client.kv("secret");
    kv.delete_latest("talos/deleted").await.unwrap();

    let error = claim(&store, &wanted("lungmen.akn"), bundle)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("undelete"), "{error}");

    kv.undelete_versions("talos/deleted", &[1]).await.unwrap();
    let again = find(&store, &wanted("lungmen.akn")).await.unwrap().unwrap();
    assert_eq!(again.record, first.record);
}

async fn refuses_a_secret_of_others(client: &Client) {
    let store = OpenBaoStore::new(client, "secret", "talos/foreign");
    let foreign = entries(&[("password", "hunter2")]);
    client
        .kv("secret")
        .create("talos/foreign", &foreign)
        .await
        .unwrap();

    let error = claim(&store, &wanted("lungmen.akn"), bundle)
        .await
        .unwrap_err();

    assert!(error.to_string().contains("password"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"));
    let kept = client.kv("secret").read("talos/foreign").await.unwrap();
    assert_eq!(kept.version.version, 1);
}

async fn tells_its_history(client: &Client) {
    let store = OpenBaoStore::new(client, "secret", "talos/history");
    assert_eq!(store.history(Document::Record).await.unwrap(), Some(vec![]));
    let first = store
        .create(Document::Record, &entries(&[("a", "1")]))
        .await
        .unwrap();
    store
        .replace(Document::Record, &entries(&[("a", "2")]), &first)
        .await
        .unwrap();

    let history = store.history(Document::Record).await.unwrap().unwrap();

    assert_eq!(history.len(), 2);
    assert_eq!(history[0].revision, first);
    assert!(history.iter().all(|past| past.readable));
}

#[tokio::test]
async fn it_keeps_what_every_store_promises() {
    let mock = OpenBaoMock::start().await;
    hold_for(&mock.client()).await;
}

#[tokio::test]
async fn it_does_so_on_a_real_server() {
    let Some(server) = real_server().await else {
        return;
    };
    let address = format!("http://{}", server.host()).parse().unwrap();
    let client = Client::builder(address, Credentials::token(ROOT.into()))
        .build()
        .unwrap();

    hold_for(&client).await;
}

#[tokio::test]
async fn the_preflight_names_the_capability_that_is_missing() {
    let password = SecretString::from("p");
    let mock = OpenBaoMock::builder()
        .policy("narrow", "secret/data/talos/*", &["create", "read"])
        .policy("wide", "secret/data/talos/*", &["create", "read", "update"])
        .user("narrow", &password, "narrow")
        .user("wide", &password, "wide")
        .start()
        .await;
    let store = |user: &str| {
        let credentials = Credentials::password(user, password.clone());
        OpenBaoStore::new(&mock.client_with(credentials), "secret", "talos/a")
    };

    let error = store("narrow").preflight().await.unwrap_err();
    store("wide").preflight().await.unwrap();

    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("update"), "{error}");
    claim(&store("wide"), &wanted("lungmen.akn"), bundle)
        .await
        .unwrap();
}
