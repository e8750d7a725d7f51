//! The mock against recorded exchanges of kube-apiserver 1.36.3: every request is sent in the recorded order, and the
//! response must be the recorded one.
//!
//! Not compared: versions, uids, times, tokens, certificates, `managedFields` and the hashes of discovery. Of a list that the
//! recording has cut, the kept items are compared. The nodes and workloads of the recording are put into the mock before,
//! because no kubelet wrote them.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lungmen_bootstrap::mock::kubernetes::{KubernetesEvent, KubernetesMock, KubernetesTimings};
use serde_json::{Value, json};

use super::recorded_names::Names;

/// Exchanges whose response differs, with the reason.
const DIFFERENT: &[(u64, &str)] = &[
    (17, "the mock has fewer paths than the server"),
    (18, "the mock has no OpenAPI documents"),
    (68, "the recorded cluster had no kubelet that gives logs"),
    (113, "another YAML parser words the error"),
    (
        255,
        "the server remembers for ten seconds that a token was good",
    ),
];

/// Exchanges before which the recording waited for the controllers.
const SETTLED: [u64; 4] = [128, 132, 155, 254];

/// Before this exchange the recording compacted etcd, after other writes.
const COMPACTED: u64 = 61;
/// While this watch was open, somebody else wrote what it reports.
const WATCHED: u64 = 86;
/// Before this exchange the binding of argocd-manager was deleted; that exchange is held back.
const UNBOUND: u64 = 251;

/// The exchange after which the recording writes for the first time.
const LAST_READ: u64 = 85;

/// How many of the recorded exchanges are reproduced. The number must not get smaller.
const REPRODUCED: usize = 188;

fn recording() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/kubernetes/exchanges-1.36.3.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The mock in the state from which the recording starts.
async fn mock(exchanges: &[Value]) -> KubernetesMock {
    let mock = KubernetesMock::builder()
        .name("kubernetes.lungmen.akn.chezmoi.sh")
        .kubernetes_version("1.36.3")
        .talos_version("1.13.0")
        .timings(KubernetesTimings::fast())
        .start()
        .await;
    let mut events = Box::pin(mock.events());
    while let Some(event) = futures_util::StreamExt::next(&mut events).await {
        if event == KubernetesEvent::Complete {
            break;
        }
    }
    let spec = |path: &str| {
        exchanges.iter().find(|exchange| {
            exchange["path"] == path && exchange["response_body"]["items"].is_array()
        })
    };
    for (plural, path) in [
        ("nodes", "/api/v1/nodes"),
        (
            "deployments",
            "/apis/apps/v1/namespaces/kube-system/deployments",
        ),
    ] {
        let list = &spec(path).unwrap()["response_body"];
        for item in list["items"].as_array().unwrap() {
            let mut object = item.clone();
            object["apiVersion"] = list["apiVersion"].clone();
            object["kind"] = list["kind"]
                .as_str()
                .unwrap()
                .trim_end_matches("List")
                .into();
            let namespace = item["metadata"]["namespace"].as_str().unwrap_or_default();
            mock.delete(
                plural,
                namespace,
                item["metadata"]["name"].as_str().unwrap(),
            );
            mock.put(&object).unwrap();
        }
    }
    put_recorded(&mock, exchanges);
    mock
}

/// Puts the pods and configuration maps of the recorded cluster in the place of those that the mock has.
fn put_recorded(mock: &KubernetesMock, exchanges: &[Value]) {
    let mut is_first = true;
    for exchange in exchanges {
        let list = &exchange["response_body"];
        let kind = list["kind"].as_str().unwrap_or_default();
        if exchange["seq"].as_u64().unwrap() > LAST_READ
            || !["PodList", "ConfigMapList"].contains(&kind)
        {
            continue;
        }
        if std::mem::take(&mut is_first) {
            for name in mock.names("pods", "kube-system") {
                mock.delete("pods", "kube-system", &name);
            }
        }
        for item in list["items"].as_array().unwrap() {
            let mut object = item.clone();
            object["apiVersion"] = "v1".into();
            object["kind"] = kind.trim_end_matches("List").into();
            mock.put(&object).unwrap();
            if item["metadata"]["name"] == "kube-root-ca.crt" {
                object["metadata"]["namespace"] = "kube-system".into();
                mock.put(&object).unwrap();
            }
        }
    }
}

/// What happened beside the recorded requests.
fn act_aside(mock: &KubernetesMock, exchange: &Value) {
    match exchange["seq"].as_u64().unwrap() {
        COMPACTED => {
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "tal01", "namespace": "kube-node-lease"}});
            mock.put(&lease).unwrap();
            mock.compact();
        }
        WATCHED => {
            for event in exchange["response_body"].as_array().unwrap() {
                let metadata = &event["object"]["metadata"];
                if event["type"] == "DELETED" {
                    mock.delete("configmaps", "default", metadata["name"].as_str().unwrap());
                } else {
                    mock.put(&event["object"]).unwrap();
                }
            }
        }
        UNBOUND => {
            mock.delete("clusterrolebindings", "", "argocd-manager-role-binding");
        }
        _ => {}
    }
}

async fn respond(mock: &KubernetesMock, exchange: &Value, names: &Names) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut request = http::Request::builder()
        .method(text(&exchange["method"]).as_str())
        .uri(names.path(&text(&exchange["path"])));
    for (name, value) in exchange["request_headers"]
        .as_object()
        .into_iter()
        .flatten()
    {
        request = request.header(name, text(value));
    }
    let user = match exchange["auth"].as_str().unwrap() {
        "admin" => Some(("admin", Some("system:masters"))),
        "viewer" => Some(("viewer", None)),
        "manager" => {
            let secret = mock.object("secrets", "kube-system", "argocd-manager-token");
            let token = secret.map_or_else(String::new, |secret| {
                let token = STANDARD.decode(secret["data"]["token"].as_str().unwrap_or_default());
                String::from_utf8(token.unwrap()).unwrap()
            });
            request = request.header("authorization", format!("Bearer {token}"));
            None
        }
        _ => None,
    };
    let body = match &exchange["request_body"] {
        Value::Null => Vec::new(),
        Value::String(text) => text.clone().into_bytes(),
        body => names.document("", body, false).to_string().into_bytes(),
    };
    let response = mock.respond(user, request.body(body).unwrap()).await;
    let is_watch = exchange["path"].as_str().unwrap().contains("watch=true");
    let bytes = response.body();
    let body = if is_watch {
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let events: Vec<Value> = lines
            .map(|line| serde_json::from_slice::<Value>(line).unwrap())
            .collect();
        if events.is_empty() {
            Value::Null
        } else {
            events.into()
        }
    } else {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    json!({"status": response.status().as_u16(), "body": body,
        "type": response.headers().get("content-type").map(|value| value.to_str().unwrap())})
}

/// A response without what differs from server to server.
fn comparable(key: &str, value: &Value) -> Value {
    const VOLATILE: [&str; 19] = [
        "resourceVersion",
        "uid",
        "continue",
        "remainingItemCount",
        "token",
        "ca.crt",
        "expirationTimestamp",
        "lastTransitionTime",
        "lastHeartbeatTime",
        "creationTimestamp",
        "deletionTimestamp",
        "storageVersionHash",
        "serverAddress",
        "authentication.kubernetes.io/credential-id",
        "kubernetes.io/legacy-token-last-used",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
    ];
    match value {
        value if VOLATILE.contains(&key) && !value.is_null() => "…".into(),
        Value::String(text) if key == "cells" && is_age(text) => "…".into(),
        // The server keeps the rules of a user in a map.
        Value::Array(items) if key == "nonResourceRules" => {
            let mut items: Vec<Value> = items.iter().map(|item| comparable("", item)).collect();
            items.sort_by_key(Value::to_string);
            items.into()
        }
        Value::Array(items) if key == "cells" => {
            items.iter().map(|item| comparable(key, item)).collect()
        }
        Value::Array(items) => items.iter().map(|item| comparable("", item)).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| key.as_str() != "managedFields")
            .map(|(key, value)| (key.clone(), comparable(key, value)))
            .collect(),
        other => other.clone(),
    }
}

fn is_age(text: &str) -> bool {
    text.strip_suffix(['s', 'm', 'h', 'd'])
        .is_some_and(|number| number.parse::<u64>().is_ok())
}

/// Cuts the lists of a response where the recording cut them.
fn cut(exchange: &Value, body: &mut Value) {
    for note in exchange["truncated"].as_array().into_iter().flatten() {
        let Some((path, rest)) = note.as_str().unwrap_or_default().split_once(": first ") else {
            continue;
        };
        let length: usize = rest.split(' ').next().unwrap().parse().unwrap();
        let mut target = Some(&mut *body);
        for part in path
            .trim_start_matches('$')
            .replace('[', ".")
            .replace(']', "")
            .split('.')
        {
            target = match (target, part) {
                (target, "") => target,
                (Some(Value::Array(items)), index) => {
                    items.get_mut(index.parse::<usize>().unwrap_or(usize::MAX))
                }
                (Some(value), key) => value.get_mut(key),
                (None, _) => None,
            };
        }
        if let Some(Value::Array(items)) = target {
            items.truncate(length);
        }
    }
}

#[tokio::test]
async fn recorded_exchanges_are_reproduced() {
    let recording = recording();
    let exchanges = recording["exchanges"].as_array().unwrap();
    let mock = mock(exchanges).await;
    let mut different = BTreeSet::new();
    let (mut texts, mut names) = (Vec::new(), Names::default());
    for exchange in exchanges {
        act_aside(&mock, exchange);
        if SETTLED.contains(&exchange["seq"].as_u64().unwrap()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut found = respond(&mock, exchange, &names).await;
        cut(exchange, &mut found["body"]);
        names.learn("", &exchange["response_body"], &found["body"]);
        let body = names.document("", &exchange["response_body"], true);
        let recorded = json!({"status": exchange["status"], "body": body,
            "type": exchange["response_headers"]["content-type"]});
        if comparable("", &found) != comparable("", &recorded) {
            different.insert(exchange["seq"].as_u64().unwrap());
            texts.push(format!(
                "{} {} {}\n  recorded {}\n  found    {}",
                exchange["seq"],
                exchange["method"],
                exchange["path"],
                comparable("", &recorded),
                comparable("", &found)
            ));
        }
    }
    let reproduced = exchanges.len() - different.len();
    println!(
        "{reproduced} of {} recorded exchanges are reproduced",
        exchanges.len()
    );

    let listed: BTreeSet<u64> = DIFFERENT.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(different, listed, "{}", texts.join("\n"));
    assert!(reproduced >= REPRODUCED);
}
