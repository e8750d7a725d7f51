//! From a request to a response: seal, namespace, token, policy, then the path.

use std::sync::PoisonError;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use super::envelope::{self, ApiResult, Rejection};
use super::policy::capabilities;
use super::state::{OpenBaoMode, OpenBaoState, SecretPath, Token};
use super::{OpenBaoServer, Route, auth, kv};
use crate::mock::serve::{self, Call, CallLog, FaultQueue, IncomingRequest, Service};

/// A request to the API.
#[derive(Debug)]
pub(super) struct ApiRequest {
    pub(super) method: Method,
    /// The decoded path below `/v1/`.
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) content_type: String,
    pub(super) body: Value,
    query: Vec<(String, String)>,
}

impl ApiRequest {
    fn parse(http: &IncomingRequest) -> Result<Self, Rejection> {
        let path = percent_encoding::percent_decode_str(http.uri.path()).decode_utf8_lossy();
        let Some(path) = path.strip_prefix("/v1/") else {
            return Err(Rejection::not_modelled(format!("{} {path}", http.method)));
        };
        let body = if http.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&http.body).map_err(|error: serde_json::Error| {
                let problem = if error.is_eof() {
                    "unexpected EOF"
                } else {
                    "invalid character"
                };
                Rejection::new(400, format!("failed to decode JSON input: {problem}"))
            })?
        };
        let header = |name| http.header(name).unwrap_or_default();
        Ok(Self {
            method: http.method.clone(),
            path: path.to_owned(),
            namespace: header("x-vault-namespace").trim_matches('/').to_owned(),
            content_type: header("content-type").to_owned(),
            body,
            query: http.query(),
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
    /// 501 for the first parameter that is not modelled. A real server ignores unknown parameters.
    pub(super) fn known_parameters(&self, known: &[&str]) -> Result<(), Rejection> {
        match self
            .query
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(Rejection::not_modelled(format!(
                "the parameter {key:?} of {}",
                self.path
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn not_modelled(&self) -> Rejection {
        Rejection::not_modelled(format!("{} /v1/{}", self.method, self.path))
    }

    fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

impl Service for OpenBaoServer {
    type Route = Route;

    fn faults(&self) -> &FaultQueue<Route> {
        &self.faults
    }

    fn calls(&self) -> &CallLog<Route> {
        &self.calls
    }

    fn classify(&self, http: &IncomingRequest) -> (Route, Call) {
        let route = ApiRequest::parse(http).map_or(Route::Unknown, |request| Route::of(&request));
        (route, call(http))
    }

    fn rejection(&self, status: u16, text: &str) -> Response<Body> {
        serve::json(status, &json!({"errors": [text]}))
    }

    fn handle(&self, http: &IncomingRequest) -> Response<Body> {
        let result = ApiRequest::parse(http).and_then(|request| self.respond(http, &request));
        result.unwrap_or_else(|rejection| rejection.response())
    }
}

impl OpenBaoServer {
    fn respond(&self, http: &IncomingRequest, request: &ApiRequest) -> ApiResult {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if let Some(response) = about_the_server(state, request) {
            return response;
        }
        if matches!(state.mode, OpenBaoMode::Sealed | OpenBaoMode::Uninitialized) {
            return Err(Rejection::new(503, "Vault is sealed"));
        }
        if !request.namespace.is_empty() && !state.namespaces.contains(&request.namespace) {
            return Err(Rejection::new(404, "namespace not found"));
        }
        if state.mode == OpenBaoMode::NoActiveNode && request.writes() {
            return Err(Rejection::new(
                500,
                "local node not active but active cluster node not found",
            ));
        }
        if let Some(response) = auth::login(state, request) {
            return response;
        }
        let text = http
            .header("x-vault-token")
            .or_else(|| http.header("authorization")?.strip_prefix("Bearer "))
            .unwrap_or_default()
            .to_owned();
        let Some(token) = state.tokens.get(&text).cloned() else {
            return Err(Rejection::permission_denied());
        };
        permit(state, request, &token)?;
        lag(state, http, request)?;
        let mut response = route(state, request, (&text, &token))?;
        if let (Some(index), true) = (state.index, request.writes()) {
            let value =
                STANDARD.encode(json!({"cluster": "mock", "value": index.to_string()}).to_string());
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert("x-vault-index", value);
            }
        }
        Ok(response)
    }
}

fn route(
    state: &mut OpenBaoState,
    request: &ApiRequest,
    (text, token): (&str, &Token),
) -> ApiResult {
    if request.path.starts_with("auth/token/") {
        return auth::token(state, request, (text, token));
    }
    if request.path == "sys/capabilities-self" {
        return auth::own_capabilities(state, request, token);
    }
    if let Some(path) = request.path.strip_prefix("sys/internal/ui/mounts/") {
        return mount(state, path);
    }
    if request.path.starts_with("sys/") || request.path.starts_with("auth/") {
        return Err(request.not_modelled());
    }
    match state.mount_of(&request.path) {
        Some((mount, rest)) if state.mounts.get(&mount) == Some(&2) => {
            kv::answer(state, request, (&mount, rest))
        }
        Some(_) => Err(Rejection::not_modelled(
            "what is inside of a KV version 1 engine",
        )),
        None => Err(Rejection::new(
            404,
            format!(
                "no handler for route \"{}\". route entry not found.",
                request.path
            ),
        )),
    }
}

/// The mount of a path, as the UI of the server reads it.
fn mount(state: &OpenBaoState, path: &str) -> ApiResult {
    let Some((mount, _)) = state.mount_of(path) else {
        let problem = "preflight capability check returned 403, please ensure client's policies grant access to path";
        return Err(Rejection::new(403, format!("{problem} \"{path}/\"")));
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
fn about_the_server(state: &OpenBaoState, request: &ApiRequest) -> Option<ApiResult> {
    let (initialized, sealed, standby) = match state.mode {
        OpenBaoMode::Active => (true, false, false),
        OpenBaoMode::Standby | OpenBaoMode::NoActiveNode => (true, false, true),
        OpenBaoMode::Sealed => (true, true, true),
        OpenBaoMode::Uninitialized => (false, true, true),
    };
    match request.path.as_str() {
        "sys/health" => {
            if let Err(rejection) = request.known_parameters(&["standbyok"]) {
                return Some(Err(rejection));
            }
            let standby_ok = request.parameter("standbyok") == Some("true");
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

/// A sealed server does not report its cluster.
fn name_cluster(document: &mut Value, sealed: bool) {
    if !sealed {
        document["cluster_name"] = "vault-cluster-mock".into();
        document["cluster_id"] = "00000000-0000-4000-8000-0000000c1057".into();
    }
}

/// Checks the policies of `token`.
fn permit(state: &OpenBaoState, request: &ApiRequest, token: &Token) -> Result<(), Rejection> {
    if token.root {
        return Ok(());
    }
    let needed = match request.method {
        Method::GET if request.lists() => "list",
        Method::GET => "read",
        Method::DELETE => "delete",
        Method::PATCH => "patch",
        _ if creates(state, request) => "create",
        _ => "update",
    };
    let granted = capabilities(&state.rules(token), &request.path);
    if granted.contains(needed) && !granted.contains("deny") {
        return Ok(());
    }
    Err(Rejection::denied_by_policy())
}

/// Whether a write creates a secret, which needs `create` instead of `update`.
fn creates(state: &OpenBaoState, request: &ApiRequest) -> bool {
    let Some((mount, rest)) = state.mount_of(&request.path) else {
        return false;
    };
    let Some((kind @ ("data" | "metadata"), path)) = rest.split_once('/') else {
        return false;
    };
    let key = SecretPath {
        namespace: request.namespace.clone(),
        mount,
        path: path.to_owned(),
    };
    match (kind, state.secrets.get(&key)) {
        (_, None) => true,
        ("data", Some(record)) => record.current() == 0,
        (_, Some(_)) => false,
    }
}

/// A node that has not caught up rejects reads that name a newer write.
fn lag(
    state: &mut OpenBaoState,
    http: &IncomingRequest,
    request: &ApiRequest,
) -> Result<(), Rejection> {
    if state.lagging == 0 || request.writes() || !request.path.contains("/data/") {
        return Ok(());
    }
    state.lagging -= 1;
    if http.header("x-vault-index").is_some() {
        return Err(Rejection::silent(429).retry_after(1));
    }
    // Without an index it serves its own, older copy.
    Err(Rejection::silent(404))
}

fn call(http: &IncomingRequest) -> Call {
    let body = (!http.body.is_empty()).then(|| {
        let body: Value = serde_json::from_slice(&http.body).unwrap_or_default();
        masked(body)
    });
    Call {
        method: http.method.to_string(),
        path: http.uri.path().to_owned(),
        query: http.uri.query().unwrap_or_default().to_owned(),
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
