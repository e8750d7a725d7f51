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

/// Exchanges whose response differs, with the reason.
const DIFFERENT: &[(u64, &str)] = &[
    (12, "the mock serves fewer API groups, resources or hashes"),
    (14, "the mock serves fewer API groups, resources or hashes"),
    (16, "the mock serves fewer API groups, resources or hashes"),
    (17, "the mock serves fewer API groups, resources or hashes"),
    (18, "the mock does not serve this path"),
    (28, "the build data of the server"),
    (39, "the mock does not serve this path"),
    (40, "the mock does not serve this path"),
    (48, "the descriptions of columns are shorter"),
    (51, "the mock has other objects than the recorded cluster"),
    (52, "the mock has other objects than the recorded cluster"),
    (55, "the mock has other objects than the recorded cluster"),
    (56, "the mock has other objects than the recorded cluster"),
    (
        61,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (
        62,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (65, "the mock has other objects than the recorded cluster"),
    (
        67,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (68, "the mock does not serve this path"),
    (72, "the mock does not serve this path"),
    (76, "the mock has other objects than the recorded cluster"),
    (
        77,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (78, "the mock has other objects than the recorded cluster"),
    (79, "the mock has other objects than the recorded cluster"),
    (85, "the mock has other objects than the recorded cluster"),
    (86, "the mock has other objects than the recorded cluster"),
    (113, "another YAML parser words the error"),
    (
        115,
        "the mock does not validate against the schema of the kind",
    ),
    (
        116,
        "the mock does not validate against the schema of the kind",
    ),
    (117, "follows from an object that the real server refused"),
    (128, "the uid of the service account is the recorded one"),
    (129, "the uid of the service account is the recorded one"),
    (134, "the mock has other objects than the recorded cluster"),
    (135, "the mock has other objects than the recorded cluster"),
    (
        145,
        "the token is the recorded one, which the mock did not issue",
    ),
    (155, "the mock serves fewer API groups, resources or hashes"),
    (
        157,
        "the mock does not validate against the schema of the kind",
    ),
    (
        158,
        "the mock does not validate against the schema of the kind",
    ),
    (
        160,
        "the mock does not validate against the schema of the kind",
    ),
    (
        167,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (
        170,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (
        171,
        "follows from an update that is refused because its version is the recorded one",
    ),
    (
        172,
        "follows from an update that is refused because its version is the recorded one",
    ),
    (
        173,
        "follows from an update that is refused because its version is the recorded one",
    ),
    (174, "the mock does not serve this path"),
    (
        176,
        "follows from an update that is refused because its version is the recorded one",
    ),
    (
        178,
        "follows from an update that is refused because its version is the recorded one",
    ),
    (
        179,
        "follows from an update that is refused because its version is the recorded one",
    ),
    (182, "the mock removes a definition at once"),
    (
        188,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (
        198,
        "continuation and exact versions are those of the recorded cluster",
    ),
    (215, "the fields of a dry run of a foreground deletion"),
    (
        251,
        "the token is the recorded one, which the mock did not issue",
    ),
    (
        255,
        "the token is the recorded one, which the mock did not issue",
    ),
];

/// Exchanges before which the recording waited for the controllers.
const SETTLED: [u64; 4] = [128, 132, 155, 254];

/// How many of the recorded exchanges are reproduced. The number must not get smaller.
const REPRODUCED: usize = 140;

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
    mock
}

async fn respond(mock: &KubernetesMock, exchange: &Value) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut request = http::Request::builder()
        .method(text(&exchange["method"]).as_str())
        .uri(text(&exchange["path"]));
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
        body => body.to_string().into_bytes(),
    };
    let response = mock.respond(user, request.body(body).unwrap()).await;
    let is_watch = exchange["path"].as_str().unwrap().contains("watch=true");
    let bytes = response.body();
    let body = if is_watch {
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice::<Value>(line).unwrap())
            .collect()
    } else {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    json!({"status": response.status().as_u16(), "body": body,
        "type": response.headers().get("content-type").map(|value| value.to_str().unwrap())})
}

/// A response without what differs from server to server.
fn comparable(key: &str, value: &Value) -> Value {
    const VOLATILE: [&str; 14] = [
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
    ];
    match value {
        value if VOLATILE.contains(&key) && !value.is_null() => "…".into(),
        Value::Array(items) => items.iter().map(|item| comparable("", item)).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| key.as_str() != "managedFields")
            .map(|(key, value)| (key.clone(), comparable(key, value)))
            .collect(),
        other => other.clone(),
    }
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
    let mut texts = Vec::new();
    for exchange in exchanges {
        if SETTLED.contains(&exchange["seq"].as_u64().unwrap()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let mut found = respond(&mock, exchange).await;
        cut(exchange, &mut found["body"]);
        let recorded = json!({"status": exchange["status"], "body": exchange["response_body"],
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
