//! The logs of pods, filtered as `PodLogs` of 3.5.1 does it.

use argocd_client::application::{AppRef, LogRequest};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock};
use argocd_client::{Client, ErrorKind};
use futures_util::StreamExt as _;

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
