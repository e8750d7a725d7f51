//! The mock as the differential twin of a recorded server: every exchange of Argo CD 3.5.1 is sent to
//! the mock, in order, and the responses are compared.
//!
//! Values that no two runs share (times, identities, versions, tokens) are replaced by what sort of
//! value they are. What is compared then is everything else: status, headers and the whole body.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_client::application::HealthStatus;
use argocd_client::mock::{ArgoCdMock, GitRepository, TargetProbe};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

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

/// The tokens of the accounts, as the recording names them.
struct Callers {
    address: String,
    tokens: BTreeMap<&'static str, String>,
}

impl Callers {
    fn of(argocd: &ArgoCdMock) -> Self {
        let token = |account: &str| argocd.token_of(account).expose_secret().to_owned();
        Self {
            address: argocd.endpoint().authority().to_owned(),
            tokens: BTreeMap::from([
                ("ok", argocd.token().expose_secret().to_owned()),
                ("limited", token("limited")),
                ("norights", token("none")),
                ("admin", token("admin")),
            ]),
        }
    }

    /// The header that identifies a caller.
    fn header(&self, auth: &str) -> String {
        match auth {
            "none" => String::new(),
            "bad" => "Authorization: Bearer nonsense\r\n".to_owned(),
            "cookie" => format!("Cookie: argocd.token={}\r\n", self.tokens["ok"]),
            account => format!("Authorization: Bearer {}\r\n", self.tokens[account]),
        }
    }

    async fn send(&self, exchange: &Exchange) -> Option<Response> {
        let mut headers = self.header(&exchange.auth);
        for (name, value) in &exchange.request_headers {
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = exchange
            .request_body
            .as_ref()
            .map(Value::to_string)
            .unwrap_or_default();
        let stream = is_stream(exchange);
        self.request(&exchange.method, &exchange.path, &headers, &body, stream)
            .await
    }

    /// Sends a request over a connection of its own, so that nothing touches headers or bodies.
    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
        stream: bool,
    ) -> Option<Response> {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            self.address
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let patience = Duration::from_millis(if stream { 250 } else { 10_000 });
        // A stream does not end; what came until then is compared.
        let _ = timeout(patience, connection.read_to_end(&mut bytes)).await;
        Response::parse(&bytes, stream)
    }
}

fn is_stream(exchange: &Exchange) -> bool {
    exchange.path.contains("/stream/") || exchange.path.contains("/logs")
}

struct Response {
    status: u16,
    headers: BTreeMap<String, Value>,
    body: Value,
}

impl Response {
    /// None when nothing came: a stream sends its headers with its first event.
    fn parse(bytes: &[u8], stream: bool) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name = name.to_ascii_lowercase();
            let value = if name == "set-cookie" {
                json!([value.split('=').next()])
            } else {
                json!(value)
            };
            headers.insert(name, value);
        }
        let body = if headers.get("transfer-encoding") == Some(&json!("chunked")) {
            dechunked(body)
        } else {
            body.to_owned()
        };
        let body = if stream {
            let events = body.lines().filter_map(|line| {
                serde_json::from_str(line.strip_prefix("data:").unwrap_or(line)).ok()
            });
            Value::Array(events.collect())
        } else {
            serde_json::from_str(&body).unwrap_or(Value::String(body))
        };
        Some(Self {
            status,
            headers,
            body,
        })
    }
}

/// The data of a chunked body, as far as it came.
fn dechunked(body: &str) -> String {
    let mut data = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else {
            break;
        };
        data.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    data
}

/// Keys whose values differ between any two runs; what is left is what sort of value it is.
const VOLATILE: [&str; 27] = [
    "certInfo",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "attemptedAt",
    "reconciledAt",
    "startedAt",
    "finishedAt",
    "deployedAt",
    "deployStartedAt",
    "lastTransitionTime",
    "lastCacheSyncTime",
    "refreshRequestedAt",
    "argocd.argoproj.io/refresh",
    "createdAt",
    "firstTimestamp",
    "lastTimestamp",
    "issuedAt",
    "expiresAt",
    "id",
    "token",
    "resourcesCount",
    "apisCount",
    "apiVersions",
    "timeStamp",
];

fn normalised(value: &Value, inside_event: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let is_event = fields.contains_key("involvedObject");
            let mut kept = Map::new();
            for (name, value) in fields {
                let volatile = VOLATILE.contains(&name.as_str())
                    && !(name == "argocd.argoproj.io/refresh" && *value == json!("normal"));
                let value = if volatile {
                    json!(format!("<{}>", sort_of(value)))
                } else if name == "name" && inside_event {
                    // The server appends a time to the name of an event.
                    let text = value.as_str().unwrap_or_default();
                    json!(text.split('.').next())
                } else {
                    normalised(value, is_event && name == "metadata")
                };
                kept.insert(name.clone(), value);
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| normalised(item, false)).collect())
        }
        Value::String(text) => match text.split_once(", iat: ") {
            Some((start, _)) => json!(format!("{start}, iat: <time>")),
            None => json!(text),
        },
        other => other.clone(),
    }
}

fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "list",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        _ => "other",
    }
}

/// The first difference, as a path with both values. A list that was cut is compared as far as it goes.
fn difference(recorded: &Value, found: &Value, cut: bool, at: &str) -> Option<String> {
    match (recorded, found) {
        (Value::Object(a), Value::Object(b)) => a
            .keys()
            .chain(b.keys().filter(|key| !a.contains_key(*key)))
            .find_map(|key| {
                let null = Value::Null;
                let at = format!("{at}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(a, b, cut, &at),
                    (a, b) => Some(format!(
                        "{at}: recorded {}, found {}",
                        a.map_or("nothing".to_owned(), short),
                        short(b.unwrap_or(&null))
                    )),
                }
            }),
        (Value::Array(a), Value::Array(b)) => {
            let same_length = a.len() == b.len() || (cut && a.len() < b.len());
            if !same_length {
                return Some(format!(
                    "{at}: recorded {} items, found {}",
                    a.len(),
                    b.len()
                ));
            }
            a.iter()
                .zip(b)
                .enumerate()
                .find_map(|(index, (a, b))| difference(a, b, cut, &format!("{at}[{index}]")))
        }
        (a, b) => (a != b).then(|| format!("{at}: recorded {}, found {}", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

/// The status of an application in the response to a write is whatever the controller had got to.
fn without_moving_parts(exchange: &Exchange, mut body: Value) -> Value {
    let is_write = exchange.method != "GET" && exchange.path.starts_with("/api/v1/applications");
    if is_write
        && !exchange.path.contains("generate")
        && let Some(object) = body.as_object_mut()
        && object.contains_key("status")
    {
        object.remove("status");
    }
    body
}

fn compare(exchange: &Exchange, found: Option<&Response>) -> Option<String> {
    let Some(found) = found else {
        return exchange
            .status
            .map(|status| format!("recorded {status}, found no response"));
    };
    if exchange.status != Some(found.status) {
        return Some(format!(
            "status: recorded {:?}, found {}: {}",
            exchange.status,
            found.status,
            short(&found.body)
        ));
    }
    // The recorded proxy-free server names these; length and date are the transport's.
    for name in [
        "content-type",
        "grpc-metadata-content-type",
        "set-cookie",
        "vary",
    ] {
        let recorded = exchange.response_headers.get(name);
        if recorded != found.headers.get(name) && !is_stream(exchange) {
            return Some(format!(
                "header {name}: recorded {recorded:?}, found {:?}",
                found.headers.get(name)
            ));
        }
    }
    let recorded = normalised(
        &without_moving_parts(exchange, exchange.response_body.clone()),
        false,
    );
    let body = normalised(&without_moving_parts(exchange, found.body.clone()), false);
    difference(&recorded, &body, !exchange.truncated.is_empty(), "body")
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
    let mut differing = Vec::new();
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
        let known = DIFFERS.iter().find(|(seq, _)| *seq == exchange.seq);
        let difference = match known {
            // The request still has its effect on what follows.
            Some(_) => compare(exchange, callers.send(exchange).await.as_ref()),
            None => replay(&callers, &mut versions, exchange).await,
        };
        if let Some(difference) = difference {
            let reason = known.map_or(String::new(), |(_, reason)| format!(" ({reason})"));
            differing.push(format!(
                "{} {} {}: {difference}{reason}",
                exchange.seq, exchange.method, exchange.path
            ));
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
    let unexplained: Vec<&String> = differing
        .iter()
        .filter(|line| !line.ends_with(')'))
        .collect();
    assert!(
        unexplained.len() * 100 <= all * 2,
        "differences without a reason:\n{unexplained:#?}"
    );
}
