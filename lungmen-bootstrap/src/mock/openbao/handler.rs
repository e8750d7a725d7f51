//! From a request to an answer: faults, seal, namespace, token, policy, and then the path.

use std::sync::PoisonError;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::envelope::{self, Answer, Refusal};
use super::policy::capabilities;
use super::state::{OpenBaoMode, Place, State, Token};
use super::{OpenBaoRoute, Shared, auth, kv};
use crate::mock::serve::{self, Call, Fault, Incoming, Reply, Service};

/// A request, taken apart.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// The decoded path below `/v1/`.
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) content_type: String,
    pub(super) body: Value,
    query: Vec<(String, String)>,
}

impl Asked {
    fn of(request: &Incoming) -> Result<Self, Refusal> {
        let path = percent_encoding::percent_decode_str(request.uri.path()).decode_utf8_lossy();
        let Some(path) = path.strip_prefix("/v1/") else {
            return Err(Refusal::not_modelled(format!("{} {path}", request.method)));
        };
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&request.body).map_err(|error: serde_json::Error| {
                let problem = if error.is_eof() {
                    "unexpected EOF"
                } else {
                    "invalid character"
                };
                Refusal::new(400, format!("failed to decode JSON input: {problem}"))
            })?
        };
        let header = |name| request.header(name).unwrap_or_default();
        Ok(Self {
            method: request.method.clone(),
            path: path.to_owned(),
            namespace: header("x-vault-namespace").trim_matches('/').to_owned(),
            content_type: header("content-type").to_owned(),
            body,
            query: request.query(),
        })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn lists(&self) -> bool {
        self.parameter("list") == Some("true")
    }

    /// # Errors
    ///
    /// 501 for the first parameter that is not modelled. A real server ignores what it does not know.
    pub(super) fn known_parameters(&self, known: &[&str]) -> Result<(), Refusal> {
        match self
            .query
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(Refusal::not_modelled(format!(
                "the parameter {key:?} of {}",
                self.path
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn not_modelled(&self) -> Refusal {
        Refusal::not_modelled(format!("{} /v1/{}", self.method, self.path))
    }

    fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

impl Service for Shared {
    async fn answer(&self, request: Incoming) -> Reply {
        let asked = Asked::of(&request);
        let route = asked
            .as_ref()
            .map_or(OpenBaoRoute::Unknown, OpenBaoRoute::of);
        self.calls.record(route, call(&request));
        match self.faults.take(&route) {
            Some(Fault::Disconnect) => return Reply::HangUp,
            Some(Fault::Status(code, text)) => {
                return Reply::Answer(serve::json(code, &json!({"errors": [text]})));
            }
            Some(Fault::Garbage) => return Reply::Answer(serve::plain(200, "<html>")),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            None => {}
        }
        let answer = asked.and_then(|asked| self.respond(&request, &asked));
        Reply::Answer(answer.unwrap_or_else(|refusal| refusal.response()))
    }
}

impl Shared {
    fn respond(&self, request: &Incoming, asked: &Asked) -> Answer {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if let Some(answer) = about_the_server(state, asked) {
            return answer;
        }
        if matches!(state.mode, OpenBaoMode::Sealed | OpenBaoMode::Uninitialized) {
            return Err(Refusal::new(503, "Vault is sealed"));
        }
        if !asked.namespace.is_empty() && !state.namespaces.contains(&asked.namespace) {
            return Err(Refusal::new(404, "namespace not found"));
        }
        if state.mode == OpenBaoMode::NoActiveNode && asked.writes() {
            return Err(Refusal::new(
                500,
                "local node not active but active cluster node not found",
            ));
        }
        if let Some(answer) = auth::login(state, asked) {
            return answer;
        }
        let text = request
            .header("x-vault-token")
            .or_else(|| request.header("authorization")?.strip_prefix("Bearer "))
            .unwrap_or_default()
            .to_owned();
        let Some(token) = state.tokens.get(&text).cloned() else {
            return Err(Refusal::permission_denied());
        };
        permit(state, asked, &token)?;
        lag(state, request, asked)?;
        let mut answer = route(state, asked, (&text, &token))?;
        if let (Some(index), true) = (state.index, asked.writes()) {
            let value =
                STANDARD.encode(json!({"cluster": "mock", "value": index.to_string()}).to_string());
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert("x-vault-index", value);
            }
        }
        Ok(answer)
    }
}

fn route(state: &mut State, asked: &Asked, (text, token): (&str, &Token)) -> Answer {
    if asked.path.starts_with("auth/token/") {
        return auth::token(state, asked, (text, token));
    }
    if asked.path == "sys/capabilities-self" {
        return auth::own_capabilities(state, asked, token);
    }
    if let Some(path) = asked.path.strip_prefix("sys/internal/ui/mounts/") {
        return mount(state, path);
    }
    if asked.path.starts_with("sys/") || asked.path.starts_with("auth/") {
        return Err(asked.not_modelled());
    }
    match state.mount_of(&asked.path) {
        Some((mount, rest)) if state.mounts.get(&mount) == Some(&2) => {
            kv::answer(state, asked, (&mount, rest))
        }
        Some(_) => Err(Refusal::not_modelled(
            "what is inside of a KV version 1 engine",
        )),
        None => Err(Refusal::new(
            404,
            format!(
                "no handler for route \"{}\". route entry not found.",
                asked.path
            ),
        )),
    }
}

/// The mount a path belongs to, as far as the UI of the server wants to know.
fn mount(state: &State, path: &str) -> Answer {
    let Some((mount, _)) = state.mount_of(path) else {
        let problem = "preflight capability check returned 403, please ensure client's policies grant access to path";
        return Err(Refusal::new(403, format!("{problem} \"{path}/\"")));
    };
    let version = state.mounts.get(&mount).copied().unwrap_or(2);
    Ok(envelope::data(json!({
        "accessor": "kv_00000000",
        "config": {"default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0},
        "deprecation_status": "supported",
        "description": "key/value secret storage",
        "external_entropy_access": false,
        "local": false,
        "options": {"version": version.to_string()},
        "path": format!("{mount}/"),
        "plugin_version": "",
        "running_plugin_version": "v2.7.2+builtin.bao",
        "running_sha256": "",
        "seal_wrap": false,
        "type": "kv",
        "uuid": "00000000-0000-4000-8000-000000000001",
    })))
}

/// The paths that need no token.
fn about_the_server(state: &State, asked: &Asked) -> Option<Answer> {
    let (initialized, sealed, standby) = match state.mode {
        OpenBaoMode::Active => (true, false, false),
        OpenBaoMode::Standby | OpenBaoMode::NoActiveNode => (true, false, true),
        OpenBaoMode::Sealed => (true, true, true),
        OpenBaoMode::Uninitialized => (false, true, true),
    };
    match asked.path.as_str() {
        "sys/health" => {
            if let Err(refusal) = asked.known_parameters(&["standbyok"]) {
                return Some(Err(refusal));
            }
            let standby_ok = asked.parameter("standbyok") == Some("true");
            let status = match state.mode {
                OpenBaoMode::Uninitialized => 501,
                OpenBaoMode::Sealed => 503,
                OpenBaoMode::Standby | OpenBaoMode::NoActiveNode if !standby_ok => 429,
                _ => 200,
            };
            let replication = if sealed { "unknown" } else { "disabled" };
            let mut health = json!({
                "initialized": initialized, "sealed": sealed, "standby": standby,
                "replication_performance_mode": replication, "replication_dr_mode": replication,
                "server_time_utc": jiff::Timestamp::now().as_second(), "version": "2.7.2",
            });
            name_cluster(&mut health, sealed);
            Some(Ok(serve::json(status, &health)))
        }
        "sys/seal-status" => {
            let mut status = json!({
                "type": "shamir", "initialized": initialized, "sealed": sealed, "t": 1, "n": 1, "progress": 0,
                "nonce": "", "recovery_seal": false, "version": "2.7.2", "migration": false,
                "commit_date": "2026-01-01T00:00:00Z",
                "storage_type": if state.index.is_some() { "raft" } else { "inmem" },
            });
            name_cluster(&mut status, sealed);
            Some(Ok(serve::json(200, &status)))
        }
        _ => None,
    }
}

/// A sealed server does not know its cluster.
fn name_cluster(document: &mut Value, sealed: bool) {
    if !sealed {
        document["cluster_name"] = "vault-cluster-mock".into();
        document["cluster_id"] = "00000000-0000-4000-8000-0000000c1057".into();
    }
}

/// Checks the policies of `token`.
fn permit(state: &State, asked: &Asked, token: &Token) -> Result<(), Refusal> {
    if token.root {
        return Ok(());
    }
    let needed = match asked.method {
        Method::GET if asked.lists() => "list",
        Method::GET => "read",
        Method::DELETE => "delete",
        Method::PATCH => "patch",
        _ if creates(state, asked) => "create",
        _ => "update",
    };
    let granted = capabilities(&state.rules(token), &asked.path);
    if granted.contains(needed) && !granted.contains("deny") {
        return Ok(());
    }
    Err(Refusal::denied_by_policy())
}

/// Whether a write makes something new, which needs `create` instead of `update`.
fn creates(state: &State, asked: &Asked) -> bool {
    let Some((mount, rest)) = state.mount_of(&asked.path) else {
        return false;
    };
    let Some((kind @ ("data" | "metadata"), path)) = rest.split_once('/') else {
        return false;
    };
    let place = Place {
        namespace: asked.namespace.clone(),
        mount,
        path: path.to_owned(),
    };
    match (kind, state.secrets.get(&place)) {
        (_, None) => true,
        ("data", Some(record)) => record.current() == 0,
        (_, Some(_)) => false,
    }
}

/// A node that has not caught up refuses reads that name a newer write.
fn lag(state: &mut State, request: &Incoming, asked: &Asked) -> Result<(), Refusal> {
    if state.lagging == 0 || asked.writes() || !asked.path.contains("/data/") {
        return Ok(());
    }
    state.lagging -= 1;
    if request.header("x-vault-index").is_some() {
        return Err(Refusal::silent(429).retry_after(1));
    }
    // Without an index it answers from its own, older, copy.
    Err(Refusal::silent(404))
}

fn call(request: &Incoming) -> Call {
    let body = (!request.body.is_empty()).then(|| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        masked(body)
    });
    Call {
        method: request.method.to_string(),
        path: request.uri.path().to_owned(),
        query: request.uri.query().unwrap_or_default().to_owned(),
        body,
    }
}

/// A body without values of secrets and credentials.
fn masked(mut body: Value) -> Value {
    for field in ["password", "secret_id", "jwt"] {
        if body.get(field).is_some() {
            body[field] = "***".into();
        }
    }
    if let Some(values) = body.get_mut("data").and_then(Value::as_object_mut) {
        for value in values.values_mut() {
            *value = "***".into();
        }
    }
    body
}
