//! The mock as the differential twin of a recorded server: every exchange of Argo CD 3.5.1 is sent to
//! the mock, in order, and the responses are compared.
//!
//! Values that no two runs share (times, identities, versions, tokens) are replaced by what sort of
//! value they are. What is compared then is everything else: status, headers and the whole body.

mod callers;
mod compare;

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_client::application::HealthStatus;
use argocd_client::mock::{ArgoCdMock, GitRepository, TargetProbe};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use callers::{Callers, Response};
use compare::compare;

pub(super) const RECORDED: &str = include_str!("../../data/argocd/recorded-3.5.1.json");
const COMMIT: &str = "77b3efc188c2e6488850cf435e05d9e5a63d0795";
const REPOSITORY: &str = "https://git.example.test/apps.git";
const CLUSTER: &str = "https://kubernetes.lungmen.akn.chezmoi.sh:6443";
/// How long a read is repeated: the controllers of the recorded server had this long, too.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// The share of exchanges that the mock must reproduce.
const FLOOR: f64 = 0.95;

/// Exchanges that the mock does not reproduce, and why.
const DIFFERS: [(u64, &str); 7] = [
    (108, "the description of the API is not served"),
    (
        173,
        "the recorded controller repaired a Deployment in a race with the API server",
    ),
    (195, "its first item is the application of 173"),
    (327, "the application of 173"),
    (
        176,
        "objects of the cluster with the fields that the API server adds",
    ),
    (
        177,
        "objects of the cluster with the fields that the API server adds",
    ),
    (
        184,
        "an object of the cluster with the fields that the API server adds",
    ),
];

/// Numbers between which the recorded controller had not compared the new application yet: it is stopped for them, because a
/// busy machine is late.
const BEFORE_THE_CONTROLLER: [(u64, u64); 2] = [(57, 78), (128, 129)];

/// Requests that are not in the recording, but whose effect later responses show: before which
/// number, what was sent.
fn implied() -> Vec<(u64, &'static str, &'static str, Value)> {
    let invalidate =
        "/api/v1/clusters/https%3A%2F%2Fkubernetes.lungmen.akn.chezmoi.sh%3A6443/invalidate-cache";
    let named = json!({"repo": REPOSITORY, "type": "git", "name": "apps"});
    vec![
        (49, "POST", invalidate, json!({})),
        (
            86,
            "POST",
            "/api/v1/applications/cmp/sync",
            json!({"dryRun": true}),
        ),
        (113, "POST", "/api/v1/account/ci/token", json!({})),
        (232, "POST", "/api/v1/repositories?upsert=true", named),
    ]
}

#[derive(serde::Deserialize)]
struct Recording {
    exchanges: Vec<Exchange>,
}

#[derive(serde::Deserialize)]
struct Exchange {
    seq: u64,
    auth: String,
    method: String,
    path: String,
    #[serde(default)]
    request_headers: BTreeMap<String, String>,
    #[serde(default)]
    request_body: Option<Value>,
    status: Option<u16>,
    #[serde(default)]
    response_headers: BTreeMap<String, Value>,
    #[serde(default)]
    response_body: Value,
    #[serde(default)]
    truncated: Vec<String>,
}

fn manifest(api_version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut manifest = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    for (field, value) in rest.as_object().unwrap() {
        manifest[field] = value.clone();
    }
    manifest
}

fn deployment(name: &str) -> Value {
    let containers = json!([{"name": "main", "image": "example.org/none:1"}]);
    manifest(
        "apps/v1",
        "Deployment",
        name,
        json!({"spec": {"template": {"spec": {"containers": containers}}}}),
    )
}

/// The folders that the recording describes.
fn repository() -> GitRepository {
    let mut elsewhere = manifest("v1", "ConfigMap", "fails", json!({}));
    elsewhere["metadata"]["namespace"] = json!("no-such-namespace");
    let service = json!({"spec": {"ports": [{"port": 80}], "selector": {"app": "ok"}}});
    GitRepository::new(REPOSITORY)
        .revision("main", COMMIT)
        .folder(
            "ok",
            [
                manifest("v1", "ConfigMap", "ok-config", json!({"data": {"key": "value"}})),
                manifest("v1", "Service", "ok", service),
            ],
        )
        .folder("fails", [elsewhere])
        .folder("slow", [deployment("slow")])
        .folder("degraded", [deployment("degraded")])
        .folder("empty", [])
        .broken_folder(
            "broken",
            "Failed to unmarshal \"all.yaml\": failed to unmarshal manifest: error converting YAML to JSON: yaml: line 3: \
             mapping values are not allowed in this context",
        )
        .health(
            "Deployment",
            "slow",
            HealthStatus::Progressing,
            "Waiting for rollout to finish: 0 of 1 updated replicas are available...",
        )
        .health(
            "Deployment",
            "degraded",
            HealthStatus::Degraded,
            "Deployment \"degraded\" exceeded its progress deadline",
        )
}

/// What the clusters of the recording answered.
async fn target(probe: TargetProbe) -> Result<String, String> {
    let authority = match probe.server.split_once("://") {
        Some((_, authority)) => authority.to_owned(),
        None => probe.server.clone(),
    };
    let scheme = if probe.server.starts_with("https") {
        "https"
    } else {
        "http"
    };
    let get = format!("Get \"{scheme}://{authority}/version?timeout=32s\"");
    if probe.server != CLUSTER {
        let host = authority.split(':').next().unwrap_or_default().to_owned();
        return Err(format!(
            "{get}: dial tcp: lookup {host} on 10.0.0.53:53: no such host"
        ));
    }
    if probe.ca_pem.as_deref() != Some("CA") {
        return Err(format!(
            "{get}: tls: failed to verify certificate: x509: certificate signed by unknown authority"
        ));
    }
    Ok("v1.36.3".to_owned())
}

async fn mock() -> ArgoCdMock {
    ArgoCdMock::builder()
        .version("v3.5.1+109ca7c")
        .kubernetes_version("v1.36.3")
        .target_check(target)
        .url("https://argocd.akn.chezmoi.sh")
        .application_namespaces::<String>([])
        .account("ci", "password")
        .restricted_account("limited")
        .restricted_account("none")
        .policy(
            "p, limited, applications, get, default/*, allow\np, limited, clusters, get, *, allow",
        )
        .git(repository())
        .monitor_delay(Duration::from_millis(1500))
        .controller_delay(Duration::from_millis(300))
        .start()
        .await
}

/// The recorded client waited for the end of an operation before it asked for the next one.
async fn until_idle(callers: &Callers) {
    let end = Instant::now() + SETTLES_WITHIN;
    while Instant::now() < end {
        let listed = callers
            .request(
                "GET",
                "/api/v1/applications",
                &callers.header("ok"),
                "",
                false,
            )
            .await
            .unwrap();
        let items = listed.body["items"].as_array().cloned().unwrap_or_default();
        if items.iter().all(|item| item["operation"].is_null()) {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Versions are counters of the store: those of the recording stand for those of the mock.
#[derive(Default)]
struct Versions(BTreeMap<String, String>);

impl Versions {
    fn learn(&mut self, exchange: &Exchange, found: &Response) {
        let version = |body: &Value| {
            body["metadata"]["resourceVersion"]
                .as_str()
                .map(str::to_owned)
        };
        if let (Some(recorded), Some(found)) =
            (version(&exchange.response_body), version(&found.body))
        {
            self.0.insert(recorded, found);
        }
    }

    fn translate(&self, body: &mut Value) {
        match body {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str().and_then(|text| self.0.get(text)) {
                        Some(version) if name == "resourceVersion" => *value = json!(version),
                        _ => self.translate(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.translate(item)),
            _ => {}
        }
    }
}

/// Sends an exchange; a read is repeated until the controllers have got as far as the recorded ones.
async fn replay(callers: &Callers, versions: &mut Versions, exchange: &Exchange) -> Option<String> {
    let end = Instant::now() + SETTLES_WITHIN;
    loop {
        let found = callers.send(exchange).await;
        if let Some(found) = &found {
            versions.learn(exchange, found);
        }
        let difference = compare(exchange, found.as_ref())?;
        if exchange.method != "GET" || exchange.path.contains("refresh=") || Instant::now() >= end {
            return Some(difference);
        }
        sleep(Duration::from_millis(4)).await;
    }
}

#[tokio::test]
async fn the_mock_answers_as_the_recorded_server_did() {
    let mut recording: Recording = serde_json::from_str(RECORDED).unwrap();
    let argocd = mock().await;
    let mut versions = Versions::default();
    let callers = Callers::of(&argocd);
    let mut implied = implied().into_iter().peekable();
    let (mut differing, mut unexplained) = (Vec::new(), Vec::new());
    for exchange in &mut recording.exchanges {
        while let Some((_, method, path, body)) =
            implied.next_if(|(before, ..)| *before <= exchange.seq)
        {
            let headers = format!("{}Content-Type: application/json\r\n", callers.header("ok"));
            let response = callers
                .request(method, path, &headers, &body.to_string(), false)
                .await;
            assert_eq!(response.unwrap().status, 200, "{path}");
        }
        if let Some(body) = &mut exchange.request_body {
            versions.translate(body);
        }
        if exchange.path.ends_with("/sync") {
            until_idle(&callers).await;
        }
        if BEFORE_THE_CONTROLLER
            .iter()
            .any(|(first, _)| *first == exchange.seq)
        {
            argocd.stop_controller();
        }
        let known = DIFFERS.iter().find(|(seq, _)| *seq == exchange.seq);
        let difference = match known {
            // The request still has its effect on what follows.
            Some(_) => compare(exchange, callers.send(exchange).await.as_ref()),
            None => replay(&callers, &mut versions, exchange).await,
        };
        if BEFORE_THE_CONTROLLER
            .iter()
            .any(|(_, last)| *last == exchange.seq)
        {
            argocd.start_controller();
        }
        if let Some(difference) = difference {
            let line = format!(
                "{} {} {}: {difference}",
                exchange.seq, exchange.method, exchange.path
            );
            match known {
                Some((_, reason)) => differing.push(format!("{line} ({reason})")),
                None => {
                    unexplained.push(line.clone());
                    differing.push(line);
                }
            }
        }
    }
    let all = recording.exchanges.len();
    let same = all - differing.len();
    #[allow(clippy::cast_precision_loss)]
    let rate = same as f64 / all as f64;
    println!(
        "{same} of {all} exchanges are reproduced ({:.1} %)",
        rate * 100.0
    );
    println!("{}", differing.join("\n"));
    assert!(rate >= FLOOR, "{same} of {all}:\n{}", differing.join("\n"));
    assert!(
        unexplained.is_empty(),
        "differences without a reason:\n{unexplained:#?}"
    );
}
