//! Operations, streams and logins against the mock.

use std::pin::pin;
use std::time::Duration;

use argocd_client::account::NewToken;
use argocd_client::application::{
    AppRef, ApplicationPatch, ApplicationSource, Cascade, Destination, LogRequest, NewApplication,
    ResourceDeletion, ResourceRef, SyncRequest, WaitFor, WaitOutcome,
};
use argocd_client::application_set::ApplicationSetEvent;
use argocd_client::mock::{ArgoCdMock, GitRepository, Route};
use argocd_client::project::ProjectRole;
use argocd_client::{Client, Credentials, ErrorKind, Poll};
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use serde_json::json;

const REPOSITORY: &str = "https://git.example.test/apps.git";
const COMMIT: &str = "77b3efc188c2e6488850cf435e05d9e5a63d0795";
const POLL: Poll = Poll::every(Duration::from_millis(3)).deadline(Duration::from_secs(10));

async fn mock() -> ArgoCdMock {
    let deployment =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}});
    ArgoCdMock::builder()
        .git(
            GitRepository::new(REPOSITORY)
                .revision("main", COMMIT)
                .folder("web", [config, deployment]),
        )
        .start()
        .await
}

fn web() -> NewApplication {
    let source = ApplicationSource::git(REPOSITORY, "web", "main");
    NewApplication::new(
        "web",
        "default",
        source,
        Destination::name("in-cluster").namespace("default"),
    )
}

fn reference() -> AppRef {
    AppRef::new("web").in_project("default")
}

/// A mock with an application that is synchronised.
async fn deployed() -> (ArgoCdMock, Client) {
    let argocd = mock().await;
    let client = argocd.client();
    let applications = client.applications();
    applications.create(&web()).await.unwrap();
    let outcome = applications
        .sync_and_wait(
            &reference(),
            &SyncRequest::new().prune(),
            &WaitFor::default(),
            POLL,
        )
        .await
        .unwrap();
    assert!(matches!(outcome, WaitOutcome::Ready(_)), "{outcome:?}");
    (argocd, client)
}

#[tokio::test]
async fn an_application_goes_from_its_creation_to_its_history_and_back() {
    let (_argocd, client) = deployed().await;
    let applications = client.applications();

    let application = applications.application(&reference()).await.unwrap();
    assert_eq!(application.deployment(0).unwrap().revision, COMMIT);
    let started = applications.rollback(&reference(), 0).await.unwrap();
    assert!(started.operation.is_some());
    let outcome = applications
        .wait(&reference(), &WaitFor::default(), POLL)
        .await
        .unwrap();
    assert!(matches!(outcome, WaitOutcome::Ready(_)), "{outcome:?}");
    let unknown = applications.rollback(&reference(), 99).await.unwrap_err();

    assert_eq!(unknown.kind(), ErrorKind::Rejected);
    assert!(!applications.terminate(&reference()).await.unwrap());
    assert!(
        applications
            .delete_and_wait(&reference(), Cascade::Foreground, POLL)
            .await
            .unwrap()
    );
    assert!(
        !applications
            .delete_and_wait(&reference(), Cascade::Foreground, POLL)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_running_operation_is_terminated() {
    let argocd = mock().await;
    let applications = argocd.client().applications();
    applications.create(&web()).await.unwrap();
    argocd.stop_controller();
    applications
        .sync(&reference(), &SyncRequest::new())
        .await
        .unwrap();

    assert!(applications.terminate(&reference()).await.unwrap());
}

#[tokio::test]
async fn specifications_are_edited_and_patched() {
    let (argocd, client) = deployed().await;
    let applications = client.applications();

    let same = applications.edit(&reference(), |_| {}).await.unwrap();
    argocd.assert_called(Route::ApplicationSpec, 0);
    let edited = applications
        .edit(&reference(), |spec| {
            spec.destination.namespace = "kube-system".to_owned()
        })
        .await
        .unwrap();
    let labels = json!({"metadata": {"labels": {"a": "b"}}});
    let patched = applications
        .patch(&reference(), &ApplicationPatch::Merge(labels))
        .await
        .unwrap();
    let removal = json!([{"op": "remove", "path": "/metadata/labels"}]);
    let removed = applications
        .patch(&reference(), &ApplicationPatch::Json(removal))
        .await
        .unwrap();

    assert_eq!(same.destination.namespace, "default");
    assert_eq!(edited.destination.namespace, "kube-system");
    assert_eq!(patched.metadata.labels["a"], "b");
    assert!(removed.metadata.labels.is_empty());
}

#[tokio::test]
async fn resources_are_read_changed_and_deleted() {
    let (_argocd, client) = deployed().await;
    let applications = client.applications();
    let deployment = ResourceRef::new("apps/v1", "Deployment", "default", "web");
    let unknown = ResourceRef::new("v1", "Secret", "default", "web");

    let object = applications
        .resource(&reference(), &deployment)
        .await
        .unwrap();
    let patch = json!({"spec": {"replicas": 2}});
    let patched = applications
        .patch_resource(&reference(), &deployment, &patch)
        .await
        .unwrap();
    applications
        .run_action(&reference(), &deployment, "restart")
        .await
        .unwrap();
    applications
        .run_action_with(&reference(), &deployment, "scale", &[("replicas", "3")])
        .await
        .unwrap();
    let missing = applications
        .resource(&reference(), &unknown)
        .await
        .unwrap_err();
    applications
        .delete_resource(&reference(), &deployment, ResourceDeletion::Cascade)
        .await
        .unwrap();
    let differences = applications.differences(&reference()).await.unwrap();

    assert_eq!(object["kind"], "Deployment");
    assert_eq!(patched["spec"]["replicas"], 2);
    assert_eq!(missing.kind(), ErrorKind::Rejected);
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].kind, "Deployment");
}

#[tokio::test]
async fn logs_are_streamed_to_their_end() {
    let (argocd, client) = deployed().await;
    for line in ["one", "two", "three"] {
        argocd.add_log("web", "web-0", line);
    }

    let lines: Vec<_> = client
        .applications()
        .logs(&reference(), LogRequest::new().pod("web-0").tail(2))
        .map(|line| line.unwrap().content)
        .collect()
        .await;

    assert_eq!(lines, ["two", "three"]);
}

#[tokio::test]
async fn the_tree_of_an_application_is_followed() {
    let (_argocd, client) = deployed().await;
    let applications = client.applications();
    let mut trees = pin!(applications.watch_tree(&reference()));

    let first = trees.next().await.unwrap().unwrap();
    let next = trees.next();
    let (next, _) = tokio::join!(next, async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        applications
            .edit(&reference(), |spec| {
                spec.destination.namespace = "kube-system".to_owned()
            })
            .await
            .unwrap()
    });

    assert_eq!(first.nodes.len(), 2);
    assert!(next.unwrap().is_ok());
}

#[tokio::test]
async fn application_sets_are_created_followed_and_deleted() {
    let argocd = mock().await;
    let sets = argocd.client().application_sets();
    let manifest = json!({
        "metadata": {"name": "apps"},
        "spec": {
            "generators": [{"list": {"elements": [{"name": "a"}]}}],
            "template": {
                "metadata": {"name": "{{name}}-web"},
                "spec": {
                    "project": "default", "destination": {"name": "in-cluster", "namespace": "default"},
                    "source": {"repoURL": REPOSITORY, "path": "web", "targetRevision": "main"},
                },
            },
        },
    });
    let mut events = pin!(sets.watch());

    let (event, created) = tokio::join!(events.next(), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        sets.create(&manifest).await.unwrap()
    });
    let again = sets.create(&manifest).await.unwrap();
    let application = AppRef::new("a-web");
    let mut tries = 0;
    while argocd
        .client()
        .applications()
        .find(&application)
        .await
        .unwrap()
        .is_none()
    {
        tries += 1;
        assert!(tries < 500, "the set generates nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert!(
        matches!(event, Some(Ok(ApplicationSetEvent::Applied(set))) if set.metadata.name == "apps")
    );
    assert_eq!(created.metadata.uid, again.metadata.uid);
    assert!(sets.delete("apps", None).await.unwrap());
    assert!(!sets.delete("apps", None).await.unwrap());
}

#[tokio::test]
async fn projects_restrict_and_their_roles_have_tokens() {
    let argocd = mock().await;
    let client = argocd.client();
    let projects = client.projects();
    projects
        .create(&json!({
            "metadata": {"name": "team"},
            "spec": {"sourceRepos": [REPOSITORY], "destinations": [{"server": "*", "namespace": "team-*"}]},
        }))
        .await
        .unwrap();
    let source = ApplicationSource::git(REPOSITORY, "web", "main");
    let forbidden = NewApplication::new(
        "x",
        "team",
        source,
        Destination::name("in-cluster").namespace("default"),
    );

    let error = client.applications().create(&forbidden).await.unwrap_err();
    let role = ProjectRole::new(
        "deploy",
        ["p, proj:team:deploy, applications, sync, team/*, allow"],
    );
    let edited = projects
        .edit("team", |spec| spec.roles = vec![role.clone()])
        .await
        .unwrap();
    let token = projects
        .create_token("team", "deploy", &NewToken::new())
        .await
        .unwrap();
    let unknown = projects
        .create_token("team", "nobody", &NewToken::new())
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(
        error
            .message()
            .contains("do not match any of the allowed destinations"),
        "{error}"
    );
    assert_eq!(edited.spec.roles, [role]);
    assert_eq!(token.expose_secret().split('.').count(), 3);
    assert!(unknown.is_not_found());
    assert!(projects.delete("team").await.unwrap());
}

#[tokio::test]
async fn a_token_of_an_account_works_until_it_is_deleted() {
    let argocd = mock().await;
    let accounts = argocd.client().accounts();
    let request = NewToken::new()
        .id("boot")
        .expires_in(Duration::from_secs(3600));

    let token = accounts.create_token("ci", &request).await.unwrap();
    let credentials = Credentials::Token(token);
    let expiry = credentials.expires_at();
    let client = Client::builder(argocd.endpoint(), credentials)
        .build()
        .unwrap();

    assert!(client.user_info().await.unwrap().logged_in);
    assert!(expiry.is_some());
    assert!(accounts.delete_token("ci", "boot").await.unwrap());
    assert!(!client.user_info().await.unwrap().logged_in);
}
