//! Argo CD in core mode: its objects in the Kubernetes API of the mock, which has no Argo CD server at all.

use std::pin::pin;
use std::time::Duration;

use argocd_client::application::{
    AppRef, ApplicationEvent, ApplicationSource, Cascade, Destination, NewApplication, Refresh,
    SyncRequest, Target, TargetWait, WaitFor, WatchRequest,
};
use argocd_client::cluster::{ClusterSpec, OnExisting, RegistrationOutcome, ServerUrl};
use argocd_client::core_mode::CoreClient;
use argocd_client::rbac::Subject;
use argocd_client::{ErrorKind, Poll};
use futures_util::StreamExt as _;
use lungmen_bootstrap::mock::kubernetes::{KubernetesMock, KubernetesTimings};
use serde_json::{Value, json};

const CA: &str = include_str!("../../../argocd-client/testdata/ca.pem");
const POLL: Poll = Poll::every(Duration::from_millis(5)).deadline(Duration::from_secs(5));

/// The definition of one kind, without its schema. None has a status subresource.
fn definition(plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.argoproj.io")},
        "spec": {
            "group": "argoproj.io", "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

struct World {
    mock: KubernetesMock,
    argocd: CoreClient,
}

/// A cluster with the definitions and the namespace of Argo CD.
async fn world() -> World {
    let mock = KubernetesMock::builder()
        .timings(KubernetesTimings::instant())
        .start()
        .await;
    let client = mock.client();
    for (plural, kind) in [
        ("applications", "Application"),
        ("appprojects", "AppProject"),
        ("applicationsets", "ApplicationSet"),
    ] {
        mock.put(&definition(plural, kind)).unwrap();
        let path = format!("/apis/argoproj.io/v1alpha1/{plural}");
        while client.read(&path).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    mock.put(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}}))
        .unwrap();
    let argocd = client.argocd_core().unwrap().build().unwrap();
    World { mock, argocd }
}

impl World {
    fn stored(&self, name: &str) -> Value {
        self.mock.object("applications", "argocd", name).unwrap()
    }

    /// Changes an application as its controller does.
    fn control(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.stored(name);
        object["apiVersion"] = json!("argoproj.io/v1alpha1");
        object["kind"] = json!("Application");
        change(&mut object);
        self.mock.put(&object).unwrap();
    }
}

fn application(path: &str) -> NewApplication {
    let source = ApplicationSource::git("https://git.example.test/apps.git", path, "main");
    NewApplication::new("cilium", "", source, Destination::name("lungmen")).label("a", "b")
}

fn cilium() -> AppRef {
    AppRef::new("cilium")
}

fn server() -> ServerUrl {
    ServerUrl::parse("https://kubernetes.lungmen.example.test:6443").unwrap()
}

fn spec(token: &str) -> ClusterSpec {
    ClusterSpec::new("lungmen", server(), token.into(), CA).label("environment", "production")
}

#[tokio::test]
async fn an_application_is_created_once_and_updated_without_what_others_added() {
    let world = world().await;
    let applications = world.argocd.applications();

    let created = applications.create(&application("ok")).await.unwrap();
    assert_eq!(created.spec.project, "default");
    world.control("cilium", |object| {
        object["metadata"]["labels"]["team"] = json!("x")
    });
    applications.create(&application("ok")).await.unwrap();
    let differing = applications
        .create(&application("other"))
        .await
        .unwrap_err();
    let updated = applications
        .create_or_update(&application("other"))
        .await
        .unwrap();

    assert_eq!(differing.kind(), ErrorKind::AlreadyExists);
    assert_eq!(updated.spec.source.unwrap().path, "other");
    assert_eq!(updated.metadata.labels["team"], "x");
    assert_eq!(applications.list().await.unwrap().len(), 1);
    assert_eq!(applications.selected("a=b").await.unwrap().len(), 1);
    assert!(applications.selected("a=c").await.unwrap().is_empty());
    assert_eq!(
        applications
            .application(&AppRef::new("gone"))
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_synchronisation_is_an_operation_in_the_object_and_a_second_one_is_refused() {
    let world = world().await;
    let applications = world.argocd.applications();
    applications.create(&application("ok")).await.unwrap();
    let request = SyncRequest::new().prune().option("CreateNamespace=true");

    applications.sync(&cilium(), &request).await.unwrap();
    let again = applications.sync(&cilium(), &request).await.unwrap_err();

    assert_eq!(
        world.stored("cilium")["operation"],
        json!({
            "sync": {"prune": true, "syncOptions": ["CreateNamespace=true"]},
            "initiatedBy": {"username": "argocd-client"},
        })
    );
    assert_eq!(again.kind(), ErrorKind::OperationInProgress);
    assert!(!applications.terminate(&cilium()).await.unwrap());
    world.control("cilium", |object| {
        object["status"] = json!({"operationState": {"phase": "Running"}});
    });
    assert!(applications.terminate(&cilium()).await.unwrap());
    assert_eq!(
        world.stored("cilium")["status"]["operationState"]["phase"],
        "Terminating"
    );
}

#[tokio::test]
async fn a_refresh_waits_until_the_controller_has_removed_the_annotation() {
    let world = world().await;
    let applications = world.argocd.applications();
    applications.create(&application("ok")).await.unwrap();
    let application = cilium();
    let refreshing = applications.refresh(&application, Refresh::Hard, POLL);
    let controller = async {
        loop {
            let annotation =
                world.stored("cilium")["metadata"]["annotations"]["argocd.argoproj.io/refresh"]
                    .clone();
            if annotation == "hard" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.control("cilium", |object| {
            object["metadata"]["annotations"] = json!({});
            object["status"] = json!({"sync": {"status": "Synced"}});
        });
    };

    let (refreshed, ()) = tokio::join!(refreshing, controller);

    assert_eq!(refreshed.unwrap().status.sync.status.as_str(), "Synced");
    let short = Poll::every(Duration::from_millis(2)).deadline(Duration::from_millis(30));
    let alone = applications
        .refresh(&cilium(), Refresh::Normal, short)
        .await;
    assert_eq!(alone.unwrap_err().kind(), ErrorKind::Deadline);
}

#[tokio::test]
async fn applications_are_followed_and_waited_for_by_a_watch() {
    let world = world().await;
    let applications = world.argocd.applications();
    let mut events = pin!(applications.watch(WatchRequest::new()));
    let listed = events.next().await.unwrap().unwrap();
    assert!(matches!(listed, ApplicationEvent::Listed(all) if all.is_empty()));

    applications.create(&application("ok")).await.unwrap();
    let added = events.next().await.unwrap().unwrap();
    assert!(matches!(added, ApplicationEvent::Applied(app) if app.metadata.name == "cilium"));

    let target = Target::new(server(), "lungmen");
    let plan = TargetWait::new(POLL);
    let waiting = applications.wait_for_target(&target, &plan, |_| {});
    let controller = async {
        world.control("cilium", |object| {
            object["status"] =
                json!({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}});
        });
    };
    let (report, ()) = tokio::join!(waiting, controller);
    assert!(report.unwrap().is_ready());
    let outcome = applications
        .wait(&cilium(), &WaitFor::default(), POLL)
        .await;
    outcome.unwrap().into_ready().unwrap();

    assert!(
        applications
            .delete(&cilium(), Cascade::Orphan)
            .await
            .unwrap()
    );
    let gone = async {
        while let Some(event) = events.next().await {
            if matches!(event.unwrap(), ApplicationEvent::Deleted(_)) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_older_than_the_server_remembers_begins_again_with_a_list() {
    let world = world().await;
    let applications = world.argocd.applications();
    let request = WatchRequest::new()
        .relist_every(Duration::from_millis(20))
        .reconnect_delays(Duration::from_millis(2), Duration::from_millis(4));
    let mut events = pin!(applications.watch(request));
    events.next().await.unwrap().unwrap();
    applications.create(&application("ok")).await.unwrap();

    world.mock.compact();

    let seen = async {
        loop {
            match events.next().await.unwrap().unwrap() {
                ApplicationEvent::Listed(all) if all.len() == 1 => break,
                ApplicationEvent::Applied(_) => break,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), seen)
        .await
        .unwrap();
}

#[tokio::test]
async fn deletion_sets_the_finalizer_that_the_controller_removes_when_it_is_done() {
    let world = world().await;
    let applications = world.argocd.applications();
    applications.create(&application("ok")).await.unwrap();

    assert!(
        applications
            .delete(&cilium(), Cascade::Foreground)
            .await
            .unwrap()
    );
    assert!(
        applications
            .delete(&cilium(), Cascade::Foreground)
            .await
            .unwrap()
    );
    let stored = world.stored("cilium");
    assert_eq!(
        stored["metadata"]["finalizers"],
        json!(["resources-finalizer.argocd.argoproj.io/foreground"])
    );
    let creating = applications.create(&application("ok")).await.unwrap_err();
    assert_eq!(creating.kind(), ErrorKind::NotReady);

    // Without the finalizer nothing keeps it.
    let existed = applications
        .delete_and_wait(&cilium(), Cascade::Orphan, POLL)
        .await;
    assert!(existed.unwrap());
    assert!(
        !applications
            .delete(&cilium(), Cascade::Delete)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_cluster_is_declared_once_under_the_name_that_the_server_would_give() {
    let world = world().await;
    let clusters = world.argocd.clusters();

    let first = clusters.register(&spec("one")).await.unwrap();
    let second = clusters.register(&spec("one")).await.unwrap();
    let third = clusters
        .register(&spec("two").label("team", "x"))
        .await
        .unwrap();

    assert_eq!(first.outcome, RegistrationOutcome::Created);
    assert_eq!(second.outcome, RegistrationOutcome::Unchanged);
    assert_eq!(
        third.outcome,
        RegistrationOutcome::Updated(vec!["config", "labels"])
    );
    let names = world.mock.names("secrets", "argocd");
    assert_eq!(names, [server().secret_name()]);
    let listed = clusters.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].labels["environment"], "production");
    let fails = clusters
        .register(&spec("two").on_existing(OnExisting::Fail))
        .await;
    assert_eq!(fails.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn names_and_addresses_of_other_clusters_are_refused() {
    let world = world().await;
    let clusters = world.argocd.clusters();
    clusters.register(&spec("one")).await.unwrap();
    let elsewhere = ServerUrl::parse("https://other.example.test:6443").unwrap();

    let name = ClusterSpec::new("lungmen", elsewhere, "t".into(), CA);
    let address = ClusterSpec::new("other", server(), "one".into(), CA);

    for refused in [&name, &address] {
        let error = clusters.register(refused).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    let renamed = clusters.register(&address.allow_rename()).await.unwrap();
    assert_eq!(renamed.cluster.name, "other");
    assert_eq!(clusters.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_cluster_is_removed_only_without_applications_and_a_foreign_secret_stays() {
    let world = world().await;
    let (clusters, applications) = (world.argocd.clusters(), world.argocd.applications());
    clusters.register(&spec("one")).await.unwrap();
    applications.create(&application("ok")).await.unwrap();

    let error = clusters.delete(&server()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.message().contains("argocd/cilium"), "{error}");
    applications
        .delete(&cilium(), Cascade::Orphan)
        .await
        .unwrap();
    assert!(clusters.delete(&server()).await.unwrap());
    assert!(!clusters.delete(&server()).await.unwrap());
    assert!(world.mock.names("secrets", "argocd").is_empty());

    let foreign: Value = {
        use secrecy::ExposeSecret as _;
        serde_json::from_str(spec("one").secret("argocd").unwrap().expose_secret()).unwrap()
    };
    let kubernetes = world.mock.client();
    world.mock.put(&stored(&foreign)).unwrap();
    assert!(clusters.delete(&server()).await.unwrap());
    let path = format!(
        "/api/v1/namespaces/argocd/secrets/{}",
        server().secret_name()
    );
    let left = kubernetes.read(&path).await.unwrap();
    assert_eq!(
        left["metadata"]["labels"],
        json!({"environment": "production"})
    );
    assert!(clusters.list().await.unwrap().is_empty());
}

/// A manifest of a Secret as the API server stores it.
fn stored(manifest: &Value) -> Value {
    use base64::Engine as _;
    let mut secret = manifest.clone();
    for (key, text) in manifest["stringData"].as_object().unwrap() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap());
        secret["data"][key] = json!(encoded);
    }
    secret.as_object_mut().unwrap().remove("stringData");
    secret
}

#[tokio::test]
async fn projects_and_application_sets_are_objects_like_any_other() {
    let world = world().await;
    let (projects, sets) = (world.argocd.projects(), world.argocd.application_sets());
    let team = json!({"metadata": {"name": "team"}, "spec": {"sourceRepos": ["*"]}});
    let set = json!({"metadata": {"name": "cni"}, "spec": {"generators": [{"clusters": {}}]}});

    projects.create(&team).await.unwrap();
    projects.create(&team).await.unwrap();
    let wider = json!({"metadata": {"name": "team"}, "spec": {"sourceRepos": ["https://a", "*"]}});
    assert_eq!(
        projects.create(&wider).await.unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let updated = projects.create_or_update(&wider).await.unwrap();
    sets.create_or_update(&set).await.unwrap();

    assert_eq!(updated.spec.source_repos.len(), 2);
    assert_eq!(projects.list().await.unwrap().len(), 1);
    assert_eq!(
        sets.read("cni").await.unwrap().spec["generators"],
        set["spec"]["generators"]
    );
    assert!(sets.delete("cni").await.unwrap());
    assert!(!sets.delete("cni").await.unwrap());
    assert!(sets.find("cni").await.unwrap().is_none());
}

#[tokio::test]
async fn a_cluster_without_argo_cd_and_a_user_without_rights_are_told_apart() {
    let mock = KubernetesMock::builder()
        .timings(KubernetesTimings::instant())
        .start()
        .await;
    let argocd = mock.client().argocd_core().unwrap().build().unwrap();
    let nobody = mock.kubeconfig_of(&mock.endpoint(), "nobody", None);
    let nobody = lungmen_bootstrap::kubernetes::Kubeconfig::parse(&nobody).unwrap();
    let nobody = lungmen_bootstrap::kubernetes::Client::builder(nobody)
        .build()
        .unwrap();
    let nobody = nobody.argocd_core().unwrap().build().unwrap();

    let missing = argocd.applications().list().await.unwrap_err();
    let forbidden = nobody.clusters().list().await.unwrap_err();

    assert_eq!(missing.kind(), ErrorKind::Unsupported, "{missing}");
    assert_eq!(forbidden.kind(), ErrorKind::Forbidden, "{forbidden}");
}

#[tokio::test]
async fn the_policy_says_what_every_account_may_do() {
    let world = world().await;
    let before = world.argocd.policy().await.unwrap();
    assert!(before.allows(
        &"admin".into(),
        "clusters",
        "create",
        "https://10.5.0.2:6443"
    ));
    assert!(!before.allows(&"ci".into(), "clusters", "get", "*"));

    world
        .mock
        .put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "argocd-rbac-cm", "namespace": "argocd"},
            "data": {
                "policy.csv": "g, ci, role:registrar",
                "policy.registrar.csv": "p, role:registrar, clusters, create, https://10.*, allow",
                "policy.default": "role:readonly", "scopes": "[groups]",
            },
        }))
        .unwrap();
    let role = json!({
        "name": "deploy", "groups": ["deployers"],
        "policies": ["p, proj:team:deploy, applications, sync, team/*, allow"],
    });
    let project = json!({"metadata": {"name": "team"}, "spec": {"roles": [role]}});
    world.argocd.projects().create(&project).await.unwrap();

    let policy = world.argocd.policy().await.unwrap();
    for (subject, resource, action, object, allowed) in [
        (
            Subject::account("ci"),
            "clusters",
            "create",
            "https://10.5.0.2:6443",
            true,
        ),
        (
            Subject::account("ci"),
            "clusters",
            "create",
            "https://11.5.0.2:6443",
            false,
        ),
        (
            Subject::account("nobody"),
            "clusters",
            "get",
            "https://h",
            true,
        ),
        (
            Subject::project_role("team", "deploy"),
            "applications",
            "sync",
            "team/web",
            true,
        ),
        (
            Subject::account("jane").group("deployers"),
            "applications",
            "sync",
            "team/web",
            true,
        ),
        (
            Subject::account("jane"),
            "applications",
            "sync",
            "team/web",
            false,
        ),
    ] {
        let answer = policy.allows(&subject, resource, action, object);
        assert_eq!(
            answer, allowed,
            "{subject:?}: {resource}, {action}, {object}"
        );
    }

    world
        .mock
        .put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "argocd-rbac-cm", "namespace": "argocd"},
            "data": {"policy.csv": "p, ci, clusters, get, *"},
        }))
        .unwrap();
    let broken = world.argocd.policy().await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::InvalidInput);
    assert!(
        broken.message().contains("p, ci, clusters, get, *"),
        "{broken}"
    );
}
