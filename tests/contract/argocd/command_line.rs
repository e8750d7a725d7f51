//! What the command line asks of the server beside applications and clusters: manifests of local files, repositories, keys, tokens of
//! roles. The mock does what was read in the sources of 3.5.1 where nothing is recorded.

use std::time::Duration;

use argocd_client::account::NewToken;
use argocd_client::application::AppRef;
use argocd_client::mock::{ArgoCdMock, GitRepository, Route};
use argocd_client::project::ProjectRole;
use argocd_client::{Client, ErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const REPOSITORY: &str = "https://git.example.test/apps.git";

pub(super) async fn get(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
) -> argocd_client::Result<Value> {
    client.raw(Method::GET, path, query, None).await
}

pub(super) fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "one-ns"},
        "data": {"key": value},
    })
}

pub(super) fn secret(value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "one-ns"},
        "data": {"key": STANDARD.encode(value)},
    })
}

/// An application with a config map and a Secret, deployed.
pub(super) async fn deployed() -> (ArgoCdMock, Client) {
    let repository = GitRepository::new(REPOSITORY)
        .revision("main", "77b3efc188c2e6488850cf435e05d9e5a63d0795")
        .folder("ok", [config_map("ok", "value"), secret("old")]);
    let argocd = ArgoCdMock::builder().git(repository).start().await;
    let client = argocd.client();
    let application = json!({
        "metadata": {"name": "one"},
        "spec": {
            "project": "default", "destination": {"name": "in-cluster", "namespace": "one-ns"},
            "source": {"repoURL": REPOSITORY, "path": "ok", "targetRevision": "main"},
        },
    });
    client
        .raw(
            Method::POST,
            "/api/v1/applications",
            &[],
            Some(&application),
        )
        .await
        .unwrap();
    let one = AppRef::new("one");
    let request = argocd_client::application::SyncRequest::new().option("CreateNamespace=true");
    client.applications().sync(&one, &request).await.unwrap();
    let poll = argocd_client::Poll::every(Duration::from_millis(5));
    let wait = argocd_client::application::WaitFor::nothing()
        .synced()
        .operation_finished();
    let poll = poll.deadline(Duration::from_secs(10));
    client
        .applications()
        .wait(&one, &wait, poll)
        .await
        .unwrap()
        .into_ready()
        .unwrap();
    (argocd, client)
}

/// What `argocd app manifests --local` sends: a packed folder and its checksum.
fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(encoder);
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn manifests_of_local_files_are_those_of_the_folder_of_the_application() {
    let (_argocd, client) = deployed().await;
    let first = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n";
    let packed = archive(&[
        ("ok/b.json", &config_map("b", "x").to_string()),
        ("ok/a.yaml", first),
        ("ok/notes.txt", "none"),
        ("elsewhere/c.yaml", first),
    ]);
    let digest = Sha256::digest(&packed);
    let checksum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let send = async |checksum: &str| {
        let body = json!({"name": "one", "checksum": checksum, "file": STANDARD.encode(&packed)});
        let path = "/api/v1/applications/manifestsWithFiles";
        client.raw(Method::POST, path, &[], Some(&body)).await
    };

    let answer = send(&checksum).await.unwrap();
    let damaged = send("00").await.unwrap_err();

    let names: Vec<String> = answer["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap())
        .map(|manifest| manifest["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(
        damaged.message().contains("file checksum validation error"),
        "{damaged}"
    );
}

#[tokio::test]
async fn a_repository_is_tried_without_being_stored() {
    let argocd = ArgoCdMock::builder()
        .restricted_account("reader")
        .policy("p, reader, repositories, get, *, allow")
        .start()
        .await;
    let path = |url: &str| {
        let encoded: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        format!("/api/v1/repositories/{encoded}/validate")
    };
    let validate = async |client: &Client, url: &str| {
        let body = json!("");
        client.raw(Method::POST, &path(url), &[], Some(&body)).await
    };

    validate(&argocd.client(), REPOSITORY).await.unwrap();
    let closed = validate(&argocd.client(), "https://git.example.test:1/x.git").await;
    let refused = validate(&argocd.client_of("reader"), REPOSITORY).await;

    let closed = closed.unwrap_err();
    assert!(closed.message().contains("connection refused"), "{closed}");
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Forbidden);
    assert!(
        argocd
            .client()
            .repositories()
            .list()
            .await
            .unwrap()
            .is_empty()
    );
    argocd.assert_called(Route::RepositoryValidate, 3);
}

const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFmUaEEBEACzXTDt6ZnyaVtueZASBzgnAmK13q9Urgch+sKYeIhdymjuMQta\n-----END PGP PUBLIC KEY BLOCK-----\n";

#[tokio::test]
async fn a_gpg_key_is_added_once_listed_without_its_text_and_removed_once() {
    let argocd = ArgoCdMock::builder()
        .restricted_account("nobody")
        .start()
        .await;
    let client = argocd.client();
    let keys = client.gpg_keys();

    let created = keys.create(KEY).await.unwrap();
    let again = keys.create(KEY).await.unwrap();
    let id = created[0].id.as_str();

    assert!(again.is_empty());
    let listed = get(&client, "/api/v1/gpgkeys", &[]).await.unwrap();
    assert_eq!(listed["items"][0]["keyID"], id);
    assert_eq!(listed["items"][0]["keyData"], Value::Null);
    let whole = get(&client, &format!("/api/v1/gpgkeys/{id}"), &[])
        .await
        .unwrap();
    assert_eq!(whole["keyData"], KEY);
    // A fingerprint ends with the id.
    let fingerprint = format!("{}{id}", "0".repeat(24));
    assert_eq!(keys.key(&fingerprint).await.unwrap().id, id);
    let wrong = keys.key("nonsense").await.unwrap_err();
    assert!(
        wrong.message().contains("is not a valid GnuPG key ID"),
        "{wrong}"
    );
    let empty = keys.create(" \n").await.unwrap_err();
    assert!(
        empty.message().contains("submitted key data is empty"),
        "{empty}"
    );
    let refused = argocd
        .client_of("nobody")
        .gpg_keys()
        .key(id)
        .await
        .unwrap_err();
    // The object of the right is empty, so that no key is named.
    assert!(
        refused.message().contains("gpgkeys, get, , sub"),
        "{refused}"
    );
    assert!(keys.delete(id).await.unwrap());
    assert!(!keys.delete(id).await.unwrap());
}

async fn with_role() -> (ArgoCdMock, Client) {
    let argocd = ArgoCdMock::builder()
        .restricted_account("reader")
        .policy("p, reader, projects, get, *, allow")
        .start()
        .await;
    let client = argocd.client();
    let role = ProjectRole::new(
        "deploy",
        ["p, proj:team:deploy, applications, sync, team/*, allow"],
    );
    let project = json!({
        "metadata": {"name": "team"}, "spec": {"sourceRepos": ["*"], "roles": [role]},
    });
    client.projects().create(&project).await.unwrap();
    (argocd, client)
}

#[tokio::test]
async fn tokens_of_roles_are_listed_by_their_time_and_revoked_by_it() {
    let (argocd, client) = with_role().await;
    let projects = client.projects();
    let week = Duration::from_secs(7 * 24 * 3600);
    let wanted = NewToken::new().id("ci").expires_in(week);

    let token = projects
        .create_token("team", "deploy", &wanted)
        .await
        .unwrap();
    let twice = projects
        .create_token("team", "deploy", &wanted)
        .await
        .unwrap_err();

    assert!(token.expose_secret().starts_with("eyJ"));
    assert_eq!(twice.kind(), ErrorKind::Rejected, "{twice}");
    assert!(
        twice.message().contains("Token id 'ci' has been used."),
        "{twice}"
    );
    let team = get(&client, "/api/v1/projects/team", &[]).await.unwrap();
    let listed = &team["status"]["jwtTokensByRole"]["deploy"]["items"];
    assert_eq!(listed, &team["spec"]["roles"][0]["jwtTokens"]);
    let (issued, expires) = (&listed[0]["iat"], &listed[0]["exp"]);
    assert_eq!(
        expires.as_u64().unwrap() - issued.as_u64().unwrap(),
        week.as_secs()
    );

    let issued = Duration::from_secs(issued.as_u64().unwrap());
    for _ in 0..2 {
        projects
            .delete_token("team", "deploy", issued)
            .await
            .unwrap();
    }
    projects
        .delete_token("team", "nobody", issued)
        .await
        .unwrap();
    let team = get(&client, "/api/v1/projects/team", &[]).await.unwrap();
    let listed = &team["status"]["jwtTokensByRole"]["deploy"]["items"];
    assert!(listed.as_array().is_none_or(Vec::is_empty), "{listed}");

    let reader = argocd.client_of("reader").projects();
    for (result, kind) in [
        (
            projects.create_token("team", "nobody", &wanted).await,
            ErrorKind::NotFound,
        ),
        (
            projects.create_token("nope", "deploy", &wanted).await,
            ErrorKind::NotFound,
        ),
        (
            reader.create_token("team", "deploy", &wanted).await,
            ErrorKind::Forbidden,
        ),
        // The role is looked for before the right.
        (
            reader.create_token("team", "nobody", &wanted).await,
            ErrorKind::NotFound,
        ),
    ] {
        assert_eq!(result.unwrap_err().kind(), kind);
    }
}
