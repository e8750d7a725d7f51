//! The typed operations on the recorded responses of Argo CD 3.5.1.

use argocd_client::account::NewToken;
use argocd_client::application::{
    AppRef, ApplicationPatch, ApplicationSpec, HealthStatus, LogRequest, ResourceRef, SyncRequest,
};
use argocd_client::repository::RepositorySpec;
use argocd_client::trust::{CertificateFilter, NewCertificate};
use argocd_client::{Client, ErrorKind, NotificationKind};
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{client, ok, requests, server};

const REPOSITORY: &str = "https://git.example.test/apps.git";

fn exchange(seq: u64) -> Value {
    let recording: Value = serde_json::from_str(super::recorded::RECORDED).unwrap();
    let exchanges = recording["exchanges"].as_array().unwrap();
    exchanges
        .iter()
        .find(|exchange| exchange["seq"] == seq)
        .unwrap_or_else(|| panic!("{seq} is not in the recording"))
        .clone()
}

/// A server that gives the recorded responses of these exchanges, and a client of it.
async fn replaying(numbers: &[u64]) -> (MockServer, Client) {
    let server = server().await;
    for seq in numbers {
        let exchange = exchange(*seq);
        let target = exchange["path"].as_str().unwrap();
        let (address, query) = target.split_once('?').unwrap_or((target, ""));
        let mut mock = Mock::given(method(exchange["method"].as_str().unwrap())).and(path(address));
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            mock = mock.and(query_param(name.into_owned(), value.into_owned()));
        }
        let status = u16::try_from(exchange["status"].as_u64().unwrap()).unwrap();
        let response = ResponseTemplate::new(status);
        let body = &exchange["response_body"];
        let response = if address.ends_with("/logs") {
            response.set_body_raw("", "application/json")
        } else {
            response.set_body_json(body)
        };
        mock.respond_with(response).mount(&server).await;
    }
    Mock::given(path("/api/v1/session/userinfo"))
        .respond_with(ok(json!({"loggedIn": true})))
        .mount(&server)
        .await;
    let client = client(&server);
    (server, client)
}

fn one() -> AppRef {
    AppRef::new("one")
}

fn config_map() -> ResourceRef {
    ResourceRef::new("v1", "ConfigMap", "one-ns", "ok-config")
}

#[tokio::test]
async fn the_tree_and_the_comparison_of_an_application_are_read() {
    let (_server, client) = replaying(&[174, 176, 178]).await;
    let applications = client.applications();

    let tree = applications.resource_tree(&one()).await.unwrap();
    let managed = applications.managed_resources(&one()).await.unwrap();
    let manifests = applications.manifests(&one(), None).await.unwrap();

    let service = tree
        .nodes
        .iter()
        .find(|node| node.kind == "Service")
        .unwrap();
    assert_eq!(
        service.health.as_ref().unwrap().status,
        HealthStatus::Healthy
    );
    assert!(service.other.contains_key("networkingInfo"));
    assert!(service.created_at.is_some());
    assert_eq!(managed.len(), 2);
    assert!(managed.iter().all(|resource| !resource.differs()));
    assert!(managed[0].live_state.contains("last-applied-configuration"));
    assert_eq!(manifests[1]["kind"], "Service");
}

#[tokio::test]
async fn events_windows_and_logs_of_an_application_are_read() {
    let (_server, client) = replaying(&[180, 182, 189]).await;
    let applications = client.applications();

    let events = applications.events(&one()).await.unwrap();
    let windows = applications.sync_windows(&one()).await.unwrap();
    let lines: Vec<_> = applications
        .logs(&one(), LogRequest::new().tail(1))
        .collect()
        .await;

    assert_eq!(events[0].reason, "ResourceCreated");
    assert_eq!(events[0].message, "ci created application");
    assert_eq!(events[1].source.component, "argocd-application-controller");
    assert!(windows.can_sync);
    // No pod has ever run: the stream of the server is empty.
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn resources_and_their_actions_are_read() {
    let (server, client) = replaying(&[184, 186]).await;
    let applications = client.applications();
    let deployment = ResourceRef::new("apps/v1", "Deployment", "slow-ns", "slow");

    let object = applications.resource(&one(), &config_map()).await;
    let actions = applications
        .actions(&AppRef::new("slow"), &deployment)
        .await
        .unwrap();

    // The recorded request names the resource twice; ours does not.
    assert_eq!(object.unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(
        requests(&server).await[0],
        "GET /api/v1/applications/one/resource?namespace=one-ns&resourceName=ok-config&version=v1&kind=ConfigMap&group="
    );
    let names: Vec<_> = actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names, ["pause", "restart", "resume", "scale"]);
    assert!(actions[2].disabled);
    assert_eq!(actions[3].parameters[0].name, "replicas");
}

#[tokio::test]
async fn recorded_refusals_of_applications_have_kinds() {
    for (seq, kind) in [
        (56, ErrorKind::Rejected),
        (58, ErrorKind::Rejected),
        (60, ErrorKind::Rejected),
        (135, ErrorKind::Rejected),
        (55, ErrorKind::Rejected),
    ] {
        let (_server, client) = replaying(&[seq]).await;
        let sent = client
            .raw(
                http::Method::POST,
                "/api/v1/applications",
                &[],
                Some(&json!({})),
            )
            .await;
        assert_eq!(sent.unwrap_err().kind(), kind, "{seq}");
    }
    let (_server, client) = replaying(&[149, 164, 171, 185, 188, 193]).await;
    let applications = client.applications();
    let slow = AppRef::new("slow");
    let patch = ApplicationPatch::Merge(json!({}));
    let spec = ApplicationSpec::default();
    let kinds = [
        applications.patch(&one(), &patch).await.map(drop),
        applications
            .sync(&one(), &SyncRequest::new().revision("nope"))
            .await
            .map(drop),
        applications
            .sync(&slow, &SyncRequest::new().revision("0".repeat(40)))
            .await
            .map(drop),
        applications.revision(&one(), "main").await.map(drop),
        applications.update_spec(&one(), &spec).await.map(drop),
    ]
    .map(|result| result.unwrap_err().kind());

    assert_eq!(kinds, [ErrorKind::Rejected; 5]);
}

#[tokio::test]
async fn the_history_and_the_results_of_an_operation_are_read() {
    let (_server, client) = replaying(&[157]).await;

    let application = client.applications().application(&one()).await.unwrap();

    let deployment = application.deployment(0).unwrap();
    assert_eq!(
        deployment.revision,
        "77b3efc188c2e6488850cf435e05d9e5a63d0795"
    );
    assert_eq!(deployment.source.path, "ok");
    assert_eq!(
        application.deployment(7).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let result = application.status.operation_state.unwrap().sync_result;
    assert_eq!(result.resources[0].message, "namespace/one-ns created");
    assert_eq!(result.resources[0].sync_phase, "PreSync");
}

#[tokio::test]
async fn application_sets_are_read_and_a_missing_one_is_none() {
    let (_server, client) = replaying(&[100, 102, 246, 254, 255]).await;
    let sets = client.application_sets();

    let set = sets.application_set("cmp", None).await.unwrap();
    let missing = sets.find("nope", None).await.unwrap();
    let generated = sets
        .generate(&json!({"metadata": {"name": "g"}}))
        .await
        .unwrap();
    let tree = sets.resource_tree("set", None).await.unwrap();
    let events = sets.events("set", None).await.unwrap();

    assert_eq!(set.metadata.name, "cmp");
    assert!(missing.is_none());
    assert_eq!(generated[0].metadata.name, "a-x");
    assert_eq!(tree.nodes[0].parent_refs[0].name, "set");
    assert_eq!(events[1].reason, "created");
}

#[tokio::test]
async fn the_recorded_refusal_of_an_identical_set_is_looked_into() {
    let (server, client) = replaying(&[102]).await;
    let refusal = exchange(250)["response_body"].clone();
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(400).set_body_json(refusal))
        .mount(&server)
        .await;
    let mut manifest = exchange(101)["request_body"].clone();
    let sets = client.application_sets();

    let same = sets.create(&manifest).await.unwrap();
    manifest["spec"]["template"]["metadata"]["name"] = json!("other");
    let differs = sets.create(&manifest).await.unwrap_err();

    assert_eq!(same.metadata.name, "cmp");
    assert_eq!(differs.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn projects_are_read_and_their_refusals_have_kinds() {
    let (_server, client) = replaying(&[91, 92, 218, 221, 226]).await;
    let projects = client.projects();

    let default = projects.project("default").await.unwrap();
    let events = projects.events("team").await.unwrap();

    assert_eq!(default.spec.source_repos, ["*"]);
    assert!(default.spec.other.contains_key("clusterResourceWhitelist"));
    assert!(projects.find("nope").await.unwrap().is_none());
    assert_eq!(events[0].message, "ci created project");
    assert_eq!(
        projects.delete("default").await.unwrap_err().kind(),
        ErrorKind::Rejected
    );
    assert!(!projects.delete("nope").await.unwrap());

    let (_server, client) = replaying(&[214, 212]).await;
    let team = client.projects().project("team").await.unwrap();
    let stale = client.projects().update(&team).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    assert!(!stale.is_retryable());

    let (_server, client) = replaying(&[223]).await;
    assert_eq!(
        client.projects().delete("team").await.unwrap_err().kind(),
        ErrorKind::Rejected
    );
    let (_server, client) = replaying(&[225]).await;
    assert!(client.projects().delete("team").await.unwrap());
}

#[tokio::test]
async fn repositories_are_read_and_their_refusals_have_kinds() {
    let (_server, client) = replaying(&[232, 233, 234, 237, 238, 239, 243, 242]).await;
    let repositories = client.repositories();

    let listed = repositories.list().await.unwrap();
    let read = repositories.repository(REPOSITORY).await.unwrap();
    let missing = repositories
        .repository("https://missing.test/x.git")
        .await
        .unwrap_err();
    let refs = repositories.refs(REPOSITORY).await.unwrap();
    let apps = repositories
        .apps(REPOSITORY, "main", "one", "default")
        .await
        .unwrap();

    assert_eq!(listed[0].name, "apps");
    assert_eq!(read.repo, REPOSITORY);
    assert_eq!(missing.kind(), ErrorKind::NotFoundOrForbidden);
    assert_eq!(refs.branches, ["main"]);
    assert!(apps.is_empty());
    assert!(repositories.delete(REPOSITORY).await.unwrap());
    let templates = client.credential_templates();
    assert_eq!(templates.list().await.unwrap()[0].username, "u");
    templates
        .create("https://git.example.test", "u", &"p".into())
        .await
        .unwrap();

    let spec = RepositorySpec::git(REPOSITORY);
    for (seq, kind) in [(230, ErrorKind::AlreadyExists), (98, ErrorKind::Rejected)] {
        let (_server, client) = replaying(&[seq]).await;
        let error = client.repositories().create(&spec).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{seq}");
    }
}

#[tokio::test]
async fn accounts_and_their_tokens_are_read_and_written() {
    let (_server, client) = replaying(&[110, 111, 113, 115, 116, 118]).await;
    let accounts = client.accounts();

    let account = accounts.account("ci").await.unwrap();
    let token = accounts
        .create_token("ci", &NewToken::new().id("boot"))
        .await
        .unwrap();

    assert_eq!(account.capabilities, ["apiKey", "login"]);
    assert_eq!(
        account.tokens[0].issued_at().unwrap().as_second(),
        1_795_650_018
    );
    assert_eq!(account.tokens[0].expires_at(), None);
    assert!(accounts.find("nope").await.unwrap().is_none());
    assert_eq!(token.expose_secret(), "eyJ.PAYLOAD.SIGNATURE");
    let no_tokens = accounts
        .create_token("admin", &NewToken::new())
        .await
        .unwrap_err();
    assert_eq!(no_tokens.kind(), ErrorKind::Rejected);
    let unknown = accounts
        .create_token("nope", &NewToken::new())
        .await
        .unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    assert!(accounts.delete_token("ci", "boot").await.unwrap());

    let (_server, client) = replaying(&[114, 119]).await;
    let twice = client
        .accounts()
        .create_token("ci", &NewToken::new().id("boot"))
        .await
        .unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Rejected);
    assert!(!client.accounts().delete_token("ci", "boot").await.unwrap());
}

#[tokio::test]
async fn certificates_and_keys_are_read_and_their_refusals_have_kinds() {
    let (_server, client) = replaying(&[267, 269, 271, 272, 273, 274]).await;
    let host_key = NewCertificate::ssh("git.example.test", "ssh-ed25519", "AAAA");

    let listed = client
        .certificates()
        .list(&CertificateFilter::all())
        .await
        .unwrap();
    let added = client
        .certificates()
        .create_or_update(&[host_key])
        .await
        .unwrap();
    let keys = client.gpg_keys();

    assert_eq!(listed[0].server_name, "[ssh.github.com]:443");
    assert_eq!(added[0].algorithm, "ssh-ed25519");
    assert!(keys.list().await.unwrap().is_empty());
    assert!(
        keys.key("0000000000000000")
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(
        keys.create("nonsense").await.unwrap_err().kind(),
        ErrorKind::Rejected
    );
    assert!(!keys.delete("0000000000000000").await.unwrap());

    let (_server, client) = replaying(&[302]).await;
    let forbidden = client
        .certificates()
        .list(&CertificateFilter::all())
        .await
        .unwrap_err();
    assert_eq!(forbidden.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn settings_and_notifications_are_read() {
    let (_server, client) = replaying(&[6, 276]).await;

    let settings = client.settings().await.unwrap();

    assert_eq!(settings.url, "https://argocd.akn.chezmoi.sh");
    assert_eq!(settings.controller_namespace, "argocd");
    assert_eq!(settings.password_pattern, "^.{8,32}$");
    assert!(!settings.apps_in_any_namespace_enabled);
    assert!(
        client
            .notifications(NotificationKind::Triggers)
            .await
            .unwrap()
            .is_empty()
    );
}
