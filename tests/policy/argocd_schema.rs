//! Every request to Argo CD is one that its own description allows, in the oldest and the newest
//! version, after the corrections of what the description gets wrong.
//!
//! The excerpts in `tests/data/argocd` hold the operations that the client uses, with their
//! parameters and the definitions of their bodies.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_client::account::NewToken;
use argocd_client::application::{
    AppRef, ApplicationFilter, ApplicationPatch, ApplicationSource, Cascade, Destination,
    LogRequest, NewApplication, Refresh, ResourceDeletion, ResourceRef, SyncRequest, WaitFor,
    WatchRequest,
};
use argocd_client::cluster::{ClusterSpec, ClusterUpdate, ServerUrl};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock, Call};
use argocd_client::project::ProjectRole;
use argocd_client::repository::RepositorySpec;
use argocd_client::trust::{CertificateFilter, NewCertificate};
use argocd_client::{Client, Credentials, NotificationKind, Poll};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde_json::{Value, json};

const VERSIONS: [(&str, &str); 2] = [
    ("v2.14.21", include_str!("../data/argocd/swagger-2.14.json")),
    ("v3.5.1", include_str!("../data/argocd/swagger-3.5.json")),
];

/// Definitions that stand for any JSON value, whatever the description says.
const ANY: [&str; 4] = [
    "v1FieldsV1",
    "v1JSON",
    "runtimeRawExtension",
    "intstrIntOrString",
];

/// An OpenAPI 2 description with the corrections applied.
pub(crate) struct Description {
    document: Value,
}

/// The descriptions of the oldest and the newest version, corrected.
pub(crate) fn descriptions() -> impl Iterator<Item = (&'static str, Description)> {
    VERSIONS
        .into_iter()
        .map(|(version, text)| (version, Description::corrected(text)))
}

impl Description {
    fn corrected(text: &str) -> Self {
        let mut document: Value = serde_json::from_str(text).unwrap();
        let definitions = &mut document["definitions"];
        for name in ANY {
            definitions[name] = json!({});
        }
        // The fields of the strategy are inline.
        definitions["v1alpha1SyncStrategyHook"] = definitions["v1alpha1SyncStrategyApply"].clone();
        // Numbers in bodies; only query parameters are text.
        definitions["applicationApplicationSyncRequest"]["properties"]["sourcePositions"]["items"] =
            json!({"type": "integer", "format": "int64"});
        // The generic gateway parameters of a cluster work on these, too.
        for action in ["rotate-auth", "invalidate-cache"] {
            let path = format!("/api/v1/clusters/{{id.value}}/{action}");
            if let Some(parameters) = document["paths"][&path]["post"]["parameters"].as_array_mut()
            {
                parameters.push(json!({"name": "id.type", "in": "query", "type": "string"}));
            }
        }
        Self { document }
    }

    /// The template and operation for a request.
    fn operation(&self, call: &Call) -> Option<(&str, &Value)> {
        let method = call.method.as_str().to_ascii_lowercase();
        let paths = self.document["paths"].as_object()?;
        // Literal segments win over parameters: `/session/userinfo` over `/session/{name}`.
        let mut matching: Vec<_> = paths
            .iter()
            .filter(|(template, operations)| {
                fits(template, &call.path) && operations.get(&method).is_some()
            })
            .collect();
        matching.sort_by_key(|(template, _)| template.matches('{').count());
        matching
            .first()
            .map(|(template, operations)| (template.as_str(), &operations[&method]))
    }

    /// What is wrong with a request; nothing when it is as described.
    pub(crate) fn problems(&self, call: &Call) -> Vec<String> {
        let Some((template, operation)) = self.operation(call) else {
            return vec![format!("{} {} is not described", call.method, call.path)];
        };
        let at = format!("{} {template}", call.method);
        let parameters = operation["parameters"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut problems = Vec::new();
        for (name, value) in &call.query {
            match parameters
                .iter()
                .find(|parameter| parameter["in"] == "query" && parameter["name"] == name.as_str())
            {
                None => problems.push(format!("{at}: no query parameter {name}")),
                Some(parameter)
                    if parameter["type"] == "boolean"
                        && !["true", "false"].contains(&value.as_str()) =>
                {
                    problems.push(format!("{at}: {name} is not a boolean"));
                }
                Some(_) => {}
            }
        }
        let body = parameters
            .iter()
            .find(|parameter| parameter["in"] == "body");
        match (body, &call.body) {
            (Some(parameter), Some(body)) => self.check(
                &parameter["schema"],
                body,
                &format!("{at}: body"),
                &mut problems,
            ),
            (Some(parameter), None)
                if parameter["required"] == true && !template.contains("{id.value}/") =>
            {
                problems.push(format!("{at}: no body"));
            }
            (None, Some(_)) => problems.push(format!("{at}: a body that is not described")),
            _ => {}
        }
        problems
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            return self.check(&self.document["definitions"][name], value, at, problems);
        }
        match (schema["type"].as_str(), value) {
            (None, _) | (Some("boolean"), Value::Bool(_)) => {}
            (Some("string"), Value::String(text)) if schema["format"] == "byte" => {
                if STANDARD.decode(text).is_err() {
                    problems.push(format!("{at}: not base64"));
                }
            }
            (Some("string"), Value::String(_)) => {}
            (Some("integer"), Value::Number(number)) if number.is_i64() => {}
            (Some("array"), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}[{index}]"), problems);
                }
            }
            (Some("object"), Value::Object(object)) => {
                for (key, value) in object {
                    let at = format!("{at}.{key}");
                    match (
                        schema["properties"].get(key),
                        schema.get("additionalProperties"),
                    ) {
                        (Some(schema), _) | (None, Some(schema)) => {
                            self.check(schema, value, &at, problems)
                        }
                        (None, None) => problems.push(format!("{at}: unknown field")),
                    }
                }
            }
            (Some(wanted), _) => problems.push(format!("{at}: not of type {wanted}")),
        }
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    // The object of a right is the rest of the path.
    let same_length = template.len() == path.len()
        || (template.last() == Some(&"{subresource}") && path.len() > template.len());
    same_length
        && template
            .iter()
            .zip(&path)
            .all(|(part, segment)| part.starts_with('{') || part == segment)
}

/// Uses every operation of the client at least once.
async fn use_everything(argocd: &ArgoCdMock, newest: bool) {
    let client = argocd.client();
    let login = Client::builder(argocd.endpoint(), Credentials::password("admin", "secret"))
        .build()
        .unwrap();
    assert!(login.user_info().await.unwrap().logged_in);
    client.version().await.unwrap();
    client.can_i("clusters", "create", "*").await.unwrap();
    use_clusters(&client).await;
    use_applications(argocd, &client).await;
    let project = json!({"metadata": {"name": "akn"}, "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}});
    client.projects().create(&project).await.unwrap();
    client.projects().project("akn").await.unwrap();
    client.projects().list().await.unwrap();
    let repository = RepositorySpec::helm("https://helm.cilium.io", "cilium")
        .password("u", "p".into())
        .project("akn");
    client.repositories().create(&repository).await.unwrap();
    client
        .repositories()
        .create(&RepositorySpec::git("ssh://git@g/r").ssh_private_key("key".into()))
        .await
        .unwrap();
    client.repositories().list().await.unwrap();
    let set = json!({
        "metadata": {"name": "clusters"},
        "spec": {
            "generators": [{"clusters": {"selector": {"matchLabels": {"environment": "prod"}}}}, {"list": {"elements": [{"any": {"thing": 1}}]}}],
            "template": {"metadata": {"name": "{{name}}"}, "spec": {"project": "akn", "source": {"repoURL": "r"}, "destination": {"name": "{{name}}"}}},
        },
    });
    client.application_sets().create(&set).await.unwrap();
    client.application_sets().generate(&set).await.unwrap();
    client
        .application_sets()
        .application_set("clusters", Some("argocd"))
        .await
        .unwrap();
    client.application_sets().list().await.unwrap();
    use_details(argocd, &client, newest).await;
    use_administration(&client, newest).await;
}

/// What an application has deployed, and what can be done to it.
async fn use_details(argocd: &ArgoCdMock, client: &Client, newest: bool) {
    argocd.add_application(ApplicationSeed::new("tree").on_cluster("in-cluster"));
    let applications = client.applications();
    let tree = AppRef::new("tree")
        .in_namespace("argocd")
        .in_project("default");
    let poll = Poll::every(Duration::from_millis(3)).deadline(Duration::from_secs(10));
    let ready = applications.wait(&tree, &WaitFor::default(), poll).await;
    ready.unwrap().into_ready().unwrap();
    applications.resource_tree(&tree).await.unwrap();
    let mut trees = Box::pin(applications.watch_tree(&tree));
    trees.next().await.unwrap().unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(50), trees.next()).await;
    applications.managed_resources(&tree).await.unwrap();
    applications.manifests(&tree, Some("HEAD")).await.unwrap();
    applications.events(&tree).await.unwrap();
    applications.links(&tree).await.unwrap();
    applications.sync_windows(&tree).await.unwrap();
    applications.revision(&tree, &"0".repeat(40)).await.unwrap();
    let request = LogRequest::new()
        .pod("web-0")
        .namespace("default")
        .container("main")
        .resource("apps", "Deployment", "tree")
        .tail(3)
        .since(Duration::from_secs(60))
        .containing("x")
        .previous();
    Box::pin(applications.logs(&tree, request)).next().await;
    let deployment = ResourceRef::new("apps/v1", "Deployment", "default", "tree");
    applications.resource(&tree, &deployment).await.unwrap();
    let patch = json!({"spec": {"replicas": 1}});
    applications
        .patch_resource(&tree, &deployment, &patch)
        .await
        .unwrap();
    applications.actions(&tree, &deployment).await.unwrap();
    applications
        .run_action(&tree, &deployment, "restart")
        .await
        .unwrap();
    if newest {
        applications
            .run_action_with(&tree, &deployment, "scale", &[("replicas", "2")])
            .await
            .unwrap();
    }
    for deletion in [ResourceDeletion::Force, ResourceDeletion::Orphan] {
        applications
            .delete_resource(&tree, &deployment, deletion)
            .await
            .unwrap();
    }
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    applications
        .patch(&tree, &ApplicationPatch::Merge(labels))
        .await
        .unwrap();
    applications
        .edit(&tree, |spec| spec.sync_policy = None)
        .await
        .unwrap();
    // The history of a seed is empty.
    assert!(applications.rollback(&tree, 1).await.is_err());
    applications.terminate(&tree).await.unwrap();
}

/// Accounts, projects, repositories and what they trust.
async fn use_administration(client: &Client, newest: bool) {
    let sets = client.application_sets();
    sets.resource_tree("clusters", Some("argocd"))
        .await
        .unwrap();
    if newest {
        sets.events("clusters", Some("argocd")).await.unwrap();
        let mut changes = Box::pin(sets.watch());
        let _ = tokio::time::timeout(Duration::from_millis(50), changes.next()).await;
    }
    sets.delete("clusters", Some("argocd")).await.unwrap();
    let projects = client.projects();
    let role = ProjectRole::new(
        "deploy",
        ["p, proj:akn:deploy, applications, sync, akn/*, allow"],
    );
    projects
        .edit("akn", |spec| spec.roles = vec![role.clone()])
        .await
        .unwrap();
    projects.events("akn").await.unwrap();
    let token = NewToken::new().id("ci").expires_in(Duration::from_secs(60));
    projects
        .create_token("akn", "deploy", &token)
        .await
        .unwrap();
    projects
        .delete_token("akn", "deploy", Duration::from_secs(1))
        .await
        .unwrap();
    // The applications of the set refer to the project until the controller has deleted them.
    for attempt in 0.. {
        match projects.delete("akn").await {
            Ok(_) => break,
            Err(error) => assert!(attempt < 200, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let accounts = client.accounts();
    accounts.list().await.unwrap();
    accounts.account("ci").await.unwrap();
    accounts.create_token("ci", &token).await.unwrap();
    accounts.delete_token("ci", "ci").await.unwrap();
    let wrong = accounts
        .set_password("ci", &"x".into(), &"correct horse".into())
        .await;
    assert!(wrong.is_err());
    let repositories = client.repositories();
    let url = "https://helm.cilium.io";
    repositories.repository(url).await.unwrap();
    repositories.refs(url).await.unwrap();
    repositories.apps(url, "HEAD", "web", "akn").await.unwrap();
    repositories.delete(url).await.unwrap();
    let templates = client.credential_templates();
    let password = "p".into();
    templates
        .create_or_update("https://git.example.com", "u", &password)
        .await
        .unwrap();
    templates.list().await.unwrap();
    templates.delete("https://git.example.com").await.unwrap();
    let filter = CertificateFilter::all().host("git.example.com").kind("ssh");
    let certificates = client.certificates();
    certificates
        .create_or_update(&[NewCertificate::ssh(
            "git.example.com",
            "ssh-ed25519",
            "AAAA",
        )])
        .await
        .unwrap();
    certificates.list(&filter).await.unwrap();
    certificates.delete(&filter).await.unwrap();
    let keys = client.gpg_keys();
    let armored = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    let key = keys.create(armored).await.unwrap().remove(0);
    keys.list().await.unwrap();
    keys.key(&key.id).await.unwrap();
    keys.delete(&key.id).await.unwrap();
    for kind in [
        NotificationKind::Services,
        NotificationKind::Templates,
        NotificationKind::Triggers,
    ] {
        client.notifications(kind).await.unwrap();
    }
    client.settings().await.unwrap();
}

async fn use_clusters(client: &Client) {
    let server = ServerUrl::parse("https://10.0.2.10:6443").unwrap();
    let spec = |token: &str| {
        ClusterSpec::new(
            "lungmen",
            server.clone(),
            token.into(),
            include_str!("../data/argocd/ca.pem"),
        )
        .label("environment", "prod")
        .annotation("note", "x")
        .tls_server_name("kubernetes")
        .proxy_url("http://proxy:3128".into())
        .namespaces(["a", "b"])
        .cluster_resources()
        .project("default")
        .shard(1)
        .remember_credentials()
    };
    let clusters = client.clusters();
    clusters.register(&spec("one")).await.unwrap();
    clusters
        .register(&spec("two").label("tier", "1").shard(2))
        .await
        .unwrap();
    let everything = ClusterUpdate::new()
        .name("akn")
        .credentials(&spec("three"))
        .labels(BTreeMap::new())
        .annotations(BTreeMap::new())
        .namespaces(vec!["a".to_owned()])
        .project("default")
        .shard(0);
    clusters.update(&server, &everything).await.unwrap();
    clusters.invalidate_cache(&server).await.unwrap();
    clusters.rotate_auth(&server).await.unwrap();
    clusters.list().await.unwrap();
    clusters.delete(&server).await.unwrap();
}

async fn use_applications(argocd: &ArgoCdMock, client: &Client) {
    let applications = client.applications();
    let source = ApplicationSource::git("https://git.example.com/r.git", "p", "HEAD");
    let new = NewApplication::new("web", "default", source, Destination::name("in-cluster").namespace("web"))
        .in_namespace("argocd")
        .label("a", "1")
        .finalizer("resources-finalizer.argocd.argoproj.io")
        .sync_policy(json!({"syncOptions": ["CreateNamespace=true"], "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}}}));
    applications.create(&new).await.unwrap();
    let web = AppRef::new("web")
        .in_namespace("argocd")
        .in_project("default");
    let sync = SyncRequest::new()
        .revision("HEAD")
        .prune()
        .dry_run()
        .force()
        .resource("apps", "Deployment", "web")
        .option("Replace=true");
    applications.sync(&web, &sync).await.unwrap();
    applications
        .refresh(&web, Refresh::Normal, Duration::from_secs(5))
        .await
        .unwrap();
    applications.find(&web).await.unwrap();
    let filter = ApplicationFilter::all()
        .project("default")
        .selector("a=1")
        .repository("https://git.example.com/r.git");
    applications.list(&filter).await.unwrap();
    let mut events = Box::pin(applications.watch(WatchRequest::new()));
    events.next().await.unwrap().unwrap();
    // The stream is asked for when the second event is.
    argocd.add_application(ApplicationSeed::new("other").on_cluster("in-cluster"));
    let _ = tokio::time::timeout(Duration::from_millis(50), events.next()).await;
    for cascade in [Cascade::Delete, Cascade::Foreground, Cascade::Orphan] {
        applications.delete(&web, cascade).await.unwrap();
    }
}

#[tokio::test]
async fn every_request_of_the_client_is_described_in_both_versions() {
    for (version, text) in VERSIONS {
        let description = Description::corrected(text);
        let argocd = ArgoCdMock::builder()
            .version(version)
            .account("admin", "secret")
            .start()
            .await;

        use_everything(&argocd, version.starts_with("v3.5")).await;

        let calls = argocd.calls();
        let problems: Vec<String> = calls
            .iter()
            .flat_map(|call| description.problems(call))
            .collect();
        assert!(problems.is_empty(), "{version}:\n{}", problems.join("\n"));
        for (template, operations) in description.document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                let used = calls.iter().any(|call| {
                    let operation = description.operation(call);
                    call.method.as_str().eq_ignore_ascii_case(method)
                        && operation.is_some_and(|(found, _)| found == template)
                });
                assert!(
                    used,
                    "{version}: {method} {template} is not used by this test"
                );
            }
        }
    }
}

#[test]
fn the_check_finds_wrong_names_types_and_parameters() {
    let description = Description::corrected(VERSIONS[1].1);
    let cluster = &json!({"$ref": "#/definitions/v1alpha1Cluster"});
    let problems = |value: Value| {
        let mut problems = Vec::new();
        description.check(cluster, &value, "body", &mut problems);
        problems
    };

    assert!(problems(json!({"server": "s", "shard": 1, "labels": {"any": "thing"}})).is_empty());
    assert_eq!(
        problems(
            json!({"url": "s", "shard": "1", "labels": {"a": 1}, "config": {"tlsClientConfig": {"caData": "-----"}}})
        ),
        [
            "body.url: unknown field",
            "body.shard: not of type integer",
            "body.labels.a: not of type string",
            "body.config.tlsClientConfig.caData: not base64",
        ]
    );
}

#[test]
fn without_its_correction_the_description_refuses_a_forced_sync() {
    let document = serde_json::from_str(VERSIONS[1].1).unwrap();
    let sync = json!({"strategy": {"hook": {"force": true}}});
    let schema = json!({"$ref": "#/definitions/applicationApplicationSyncRequest"});
    let mut problems = Vec::new();

    Description { document }.check(&schema, &sync, "body", &mut problems);

    assert_eq!(problems, ["body.strategy.hook.force: unknown field"]);
}
