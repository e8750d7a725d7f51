//! What the command line asks of the server beside applications and clusters: logs, differences, repositories, keys, tokens of
//! roles, rights. The mock does what was read in the sources of 3.5.1 where nothing is recorded.

use std::time::Duration;

use argocd_client::account::NewToken;
use argocd_client::application::{AppRef, LogRequest};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock, GitRepository, Route};
use argocd_client::project::ProjectRole;
use argocd_client::rbac::{MatchMode, Policy, Subject};
use argocd_client::{Client, ErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const REPOSITORY: &str = "https://git.example.test/apps.git";

async fn get(client: &Client, path: &str, query: &[(&str, &str)]) -> argocd_client::Result<Value> {
    client.raw(Method::GET, path, query, None).await
}

fn web() -> AppRef {
    AppRef::new("web")
}

/// Two pods of an application with logs.
async fn logging() -> ArgoCdMock {
    let argocd = ArgoCdMock::builder()
        .restricted_account("reader")
        .policy("p, reader, applications, get, */*, allow")
        .start()
        .await;
    argocd.add_application(ApplicationSeed::new("web").on_cluster("in-cluster"));
    for (pod, line) in [
        ("web-1", "Started"),
        ("web-1", "ready"),
        ("web-2", "started"),
        ("web-2", "error: disk"),
        ("web-2", "ready"),
    ] {
        argocd.add_log("web", pod, line);
    }
    argocd
}

async fn lines(client: &Client, request: LogRequest) -> Vec<String> {
    let lines: Vec<_> = client.applications().logs(&web(), request).collect().await;
    let line = |line: argocd_client::Result<argocd_client::application::LogLine>| {
        let line = line.unwrap();
        format!("{} {}", line.pod_name, line.content)
    };
    lines.into_iter().map(line).collect()
}

#[tokio::test]
async fn logs_are_cut_for_each_pod_and_then_filtered() {
    let argocd = logging().await;
    let client = argocd.client();
    let all = lines(&client, LogRequest::new()).await;
    assert_eq!(all.len(), 5);

    for (request, expected) in [
        (
            LogRequest::new().tail(1),
            &["web-1 ready", "web-2 ready"] as &[&str],
        ),
        (LogRequest::new().pod("web-1").tail(1), &["web-1 ready"]),
        (
            LogRequest::new().tail(0).pod("web-1"),
            &["web-1 Started", "web-1 ready"],
        ),
        // The last two lines of each pod, and then those that contain the text.
        (
            LogRequest::new().tail(2).containing("STARTED"),
            &["web-1 Started"],
        ),
        (
            LogRequest::new().containing("started"),
            &["web-1 Started", "web-2 started"],
        ),
        (
            LogRequest::new().containing("started").match_case(),
            &["web-2 started"],
        ),
        (
            LogRequest::new().pod("web-2").without("READY"),
            &["web-2 started", "web-2 error: disk"],
        ),
        (LogRequest::new().containing("nothing"), &[]),
        (LogRequest::new().pod("web-9"), &[]),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(lines(&client, request).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn logs_need_a_right_of_their_own_and_have_a_limit_of_pods() {
    let argocd = logging().await;
    let reader = argocd.client_of("reader");
    let mut refused = std::pin::pin!(reader.applications().logs(&web(), LogRequest::new()));
    let refused = refused.next().await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden, "{refused}");
    assert!(
        refused.message().contains("logs, get, default/web"),
        "{refused}"
    );

    for number in 3..=11 {
        argocd.add_log("web", &format!("web-{number}"), "x");
    }
    let client = argocd.client();
    let mut many = std::pin::pin!(client.applications().logs(&web(), LogRequest::new()));
    let many = many.next().await.unwrap().unwrap_err();
    assert_eq!(many.kind(), ErrorKind::Rejected, "{many}");
    let one = lines(&client, LogRequest::new().pod("web-11")).await;
    assert_eq!(one, ["web-11 x"]);
}

fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "one-ns"},
        "data": {"key": value},
    })
}

fn secret(value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "one-ns"},
        "data": {"key": STANDARD.encode(value)},
    })
}

/// An application with a config map and a Secret, deployed.
async fn deployed() -> (ArgoCdMock, Client) {
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

const DIFFERENCE: &str = "/api/v1/applications/one/server-side-diff";

fn live(state: &Value) -> String {
    let metadata = &state["metadata"];
    json!({
        "kind": state["kind"], "namespace": metadata["namespace"], "name": metadata["name"],
        "liveState": state.to_string(),
    })
    .to_string()
}

#[tokio::test]
async fn a_server_side_difference_pairs_live_states_with_manifests() {
    let (_argocd, client) = deployed().await;
    let (state, target) = (
        live(&config_map("ok", "value")),
        config_map("ok", "other").to_string(),
    );
    let unchanged = config_map("ok", "value").to_string();
    let new = json!({"kind": "ConfigMap", "namespace": "one-ns", "name": "new"}).to_string();
    let created = config_map("new", "x").to_string();

    let answer = get(
        &client,
        DIFFERENCE,
        &[
            ("liveResources", &state),
            ("liveResources", &state),
            ("liveResources", &new),
            ("liveResources", &state),
            ("targetManifests", &target),
            ("targetManifests", &unchanged),
            ("targetManifests", &created),
            ("targetManifests", "null"),
        ],
    )
    .await
    .unwrap();

    assert_eq!(answer["modified"], true);
    let modified: Vec<bool> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["modified"].as_bool().unwrap_or(false))
        .collect();
    assert_eq!(modified, [true, false, true, true]);
    let predicted: Value =
        serde_json::from_str(answer["items"][0]["targetState"].as_str().unwrap()).unwrap();
    assert_eq!(predicted["data"]["key"], "other");
    assert_eq!(answer["items"][2]["liveState"], "null");
    assert_eq!(answer["items"][3]["targetState"], "null");
}

#[tokio::test]
async fn values_of_secrets_are_hidden_in_a_difference() {
    let (_argocd, client) = deployed().await;
    let (state, target) = (live(&secret("old")), secret("new").to_string());

    let pair = [
        ("liveResources", state.as_str()),
        ("targetManifests", &target),
    ];
    let answer = get(&client, DIFFERENCE, &pair).await.unwrap();

    let text = answer.to_string();
    assert!(!text.contains(&STANDARD.encode("old")) && !text.contains(&STANDARD.encode("new")));
    let of = |field: &str| -> Value {
        serde_json::from_str(answer["items"][0][field].as_str().unwrap()).unwrap()
    };
    // Two values that differ still differ.
    assert_ne!(
        of("liveState")["data"]["key"],
        of("targetState")["data"]["key"]
    );
    assert_eq!(answer["modified"], true);
}

#[tokio::test]
async fn a_difference_is_refused_for_what_the_application_does_not_manage() {
    let (_argocd, client) = deployed().await;
    let foreign = live(&config_map("foreign", "x"));
    let manifest = config_map("foreign", "x").to_string();
    let mut renamed: Value = serde_json::from_str(&live(&config_map("ok", "x"))).unwrap();
    renamed["name"] = json!("other");
    let renamed = renamed.to_string();
    let own = live(&config_map("ok", "value"));
    for (query, kind, text) in [
        (
            vec![
                ("liveResources", foreign.as_str()),
                ("targetManifests", &manifest),
            ],
            ErrorKind::Forbidden,
            "/ConfigMap foreign not found as part of application one",
        ),
        (
            vec![
                ("liveResources", renamed.as_str()),
                ("targetManifests", &manifest),
            ],
            ErrorKind::Rejected,
            "name mismatch: expected other, got ok for live resource /ConfigMap/other",
        ),
        (
            vec![("liveResources", own.as_str())],
            ErrorKind::Server,
            "left and right arrays have mismatched lengths",
        ),
        (
            vec![("targetManifests", manifest.as_str())],
            ErrorKind::Server,
            "runtime error: index out of range [0] with length 0",
        ),
    ] {
        let error = get(&client, DIFFERENCE, &query).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().ends_with(text), "{error}");
    }
    let missing = "/api/v1/applications/nope/server-side-diff";
    let error = get(&client, missing, &[]).await.unwrap_err();
    assert!(
        error.message().starts_with("error getting application: "),
        "{error}"
    );

    let old = ArgoCdMock::builder().version("v3.1.16").start().await;
    let error = get(&old.client(), DIFFERENCE, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
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

#[tokio::test]
async fn rights_are_asked_with_known_words_and_the_namespace_of_argo_cd_is_no_part_of_a_name() {
    let argocd = ArgoCdMock::builder()
        .restricted_account("dev")
        .policy("p, dev, applications, sync, team/web, allow")
        .start()
        .await;
    let dev = argocd.client_of("dev");

    for (object, allowed) in [
        ("team/web", true),
        ("team/argocd/web", true),
        ("team/elsewhere/web", false),
        ("team/db", false),
    ] {
        let answer = dev.can_i("applications", "sync", object).await.unwrap();
        assert_eq!(answer, allowed, "{object}");
    }
    for (resource, action) in [("applications", "fly"), ("planes", "get")] {
        let error = dev.can_i(resource, action, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    }
    // The gateway takes a colon for a verb.
    let address = "/api/v1/account/can-i/clusters/get/https:%2F%2Fh:6443";
    let error = get(&dev, address, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

/// The same policy, asked by the accounts themselves and computed for them.
#[tokio::test]
async fn a_computed_right_is_what_the_account_is_told() {
    let csv = "p, role:deployer, applications, *, team/*, allow\np, role:deployer, applications, delete, team/db, deny\n\
               g, dev, role:deployer\np, ops, clusters, get, https://10.*, allow\ng, ops, role:readonly";
    let argocd = ArgoCdMock::builder()
        .restricted_account("dev")
        .restricted_account("ops")
        .restricted_account("nobody")
        .policy(csv)
        .start()
        .await;
    let policy = Policy::built_in(MatchMode::Glob).with_csv(csv).unwrap();
    let mut allowed = 0;
    for account in ["dev", "ops", "nobody", "admin"] {
        let client = argocd.client_of(account);
        for (resource, objects) in [
            (
                "applications",
                &["team/web", "team/db", "other/web", "*"] as &[&str],
            ),
            ("clusters", &["*", "10.5.0.2"]),
            ("projects", &["team", "*"]),
            ("logs", &["team/web"]),
            ("exec", &["team/web"]),
        ] {
            for action in ["get", "create", "update", "delete", "sync"] {
                for object in objects {
                    let told = client.can_i(resource, action, object).await.unwrap();
                    let computed =
                        policy.allows(&Subject::account(account), resource, action, object);
                    assert_eq!(computed, told, "{account}: {resource}, {action}, {object}");
                    allowed += u32::from(told);
                }
            }
        }
    }
    assert!(allowed > 30, "{allowed}");
    // An address cannot be asked for.
    assert!(policy.allows(&"ops".into(), "clusters", "get", "https://10.5.0.2:6443"));
}
