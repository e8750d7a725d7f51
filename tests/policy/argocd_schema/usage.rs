//! Every operation of the client, used at least once.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_client::account::NewToken;
use argocd_client::application::{
    AppRef, ApplicationFilter, ApplicationPatch, ApplicationSource, Cascade, Destination,
    LogRequest, NewApplication, Refresh, ResourceDeletion, ResourceRef, SyncRequest, WaitFor,
    WatchRequest,
};
use argocd_client::cluster::{ClusterSpec, ClusterUpdate, ServerUrl};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock};
use argocd_client::project::ProjectRole;
use argocd_client::repository::RepositorySpec;
use argocd_client::trust::{CertificateFilter, NewCertificate};
use argocd_client::{Client, Credentials, NotificationKind, Poll};
use futures_util::StreamExt;
use serde_json::json;

/// Uses every operation of the client at least once.
pub(super) async fn use_everything(argocd: &ArgoCdMock, newest: bool) {
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
            include_str!("../../data/argocd/ca.pem"),
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
