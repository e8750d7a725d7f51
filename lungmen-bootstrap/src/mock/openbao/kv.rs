//! The KV version 2 engine.

use http::Method;
use serde_json::{Map, Value, json};

use super::OpenBaoEvent;
use super::envelope::{self, ApiResult, Rejection};
use super::handler::ApiRequest;
use super::record::SecretRecord;
use super::state::{OpenBaoState, SecretPath};

/// Raft storage rejects larger entries.
const RAFT_LIMIT: usize = 1_048_576;

/// A request to the engine at `mount`: what is request for (`data`, `metadata`, …) and of which secret.
pub(super) fn answer(
    state: &mut OpenBaoState,
    request: &ApiRequest,
    (mount, rest): (&str, &str),
) -> ApiResult {
    let (kind, path) = rest.split_once('/').unwrap_or((rest, ""));
    let key = SecretPath {
        namespace: request.namespace.clone(),
        mount: mount.to_owned(),
        path: path.to_owned(),
    };
    let write = matches!(request.method, Method::POST | Method::PUT);
    match (kind, &request.method) {
        ("data", &Method::GET) => read(state, request, &key),
        ("data", &Method::PATCH) => patch(state, request, &key),
        ("data", &Method::DELETE) => {
            if let Some(record) = state.secrets.get_mut(&key) {
                let latest = record.current();
                record.delete(&[latest]);
                deleted(state, &key);
            }
            Ok(envelope::done())
        }
        ("data", _) if write => create(state, request, &key),
        ("metadata", &Method::GET) if request.lists() => list(state, &key),
        ("metadata", &Method::GET) => {
            let record = state
                .secrets
                .get(&key)
                .ok_or_else(|| Rejection::silent(404))?;
            Ok(envelope::data(record.metadata()))
        }
        ("metadata", &Method::DELETE) => {
            if state.secrets.remove(&key).is_some() {
                deleted(state, &key);
            }
            Ok(envelope::done())
        }
        ("metadata", _) if write => {
            let record = state.secrets.entry(key).or_insert_with(SecretRecord::new);
            record.set_metadata(&request.body)?;
            Ok(envelope::done())
        }
        ("delete" | "undelete" | "destroy", _) if write => versions(state, request, (kind, &key)),
        ("data" | "metadata" | "delete" | "undelete" | "destroy" | "subkeys" | "config", _) => {
            Err(request.not_modelled())
        }
        _ => Ok(envelope::missing(
            Value::Null,
            json!([
                "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. \
                 If using the OpenBao CLI, use 'bao kv get' for this operation."
            ]),
        )),
    }
}

fn read(state: &mut OpenBaoState, request: &ApiRequest, key: &SecretPath) -> ApiResult {
    request.known_parameters(&["version"])?;
    let record = state
        .secrets
        .get(key)
        .ok_or_else(|| Rejection::silent(404))?;
    let number = match request.parameter("version") {
        None | Some("0" | "") => record.current(),
        Some(text) => text.parse().map_err(|_| {
            Rejection::new(
                400,
                format!(
                    "Field validation failed: error converting input {text:?} for field \"version\""
                ),
            )
        })?,
    };
    let about = record.about(number);
    if about.is_null() {
        return Err(Rejection::silent(404));
    }
    match record.values(number) {
        Some(values) => Ok(envelope::data(
            json!({"data": sorted(values), "metadata": about}),
        )),
        None => Ok(envelope::missing(
            json!({"data": null, "metadata": about}),
            Value::Null,
        )),
    }
}

fn create(state: &mut OpenBaoState, request: &ApiRequest, key: &SecretPath) -> ApiResult {
    let Some(values) = request.body["data"].as_object().cloned() else {
        return Err(Rejection::new(400, "no data provided"));
    };
    let blank = SecretRecord::new();
    let record = state.secrets.get(key).unwrap_or(&blank);
    record.check(cas(request)?)?;
    store(state, key, values)
}

fn patch(state: &mut OpenBaoState, request: &ApiRequest, key: &SecretPath) -> ApiResult {
    const MERGE: &str = "application/merge-patch+json";
    if request.content_type != MERGE {
        return Err(Rejection::new(
            415,
            format!(
                "PATCH requires Content-Type of {MERGE}, provided {}",
                request.content_type
            ),
        ));
    }
    let Some(record) = state.secrets.get(key) else {
        return Ok(crate::mock::serve::plain(404, ""));
    };
    record.check(cas(request)?)?;
    let Some(mut values) = record.values(record.current()).cloned() else {
        return Ok(crate::mock::serve::plain(404, ""));
    };
    for (name, value) in request.body["data"].as_object().into_iter().flatten() {
        if value.is_null() {
            values.shift_remove(name);
        } else {
            values.insert(name.clone(), value.clone());
        }
    }
    store(state, key, values)
}

fn store(state: &mut OpenBaoState, key: &SecretPath, values: Map<String, Value>) -> ApiResult {
    let size = Value::Object(values.clone()).to_string().len();
    if let Some(index) = &mut state.index {
        if size > RAFT_LIMIT {
            // The first number is wrong on the real server too.
            return Err(Rejection::new(
                500,
                "put failed due to value being too large; got 156 bytes, max 1048576 bytes",
            ));
        }
        *index += 1;
    }
    let record = state
        .secrets
        .entry(key.clone())
        .or_insert_with(SecretRecord::new);
    let metadata = record.write(values);
    let version = record.current();
    state.events.emit(OpenBaoEvent::SecretWritten {
        mount: key.mount.clone(),
        path: key.path.clone(),
        version,
    });
    Ok(envelope::data(metadata))
}

fn deleted(state: &OpenBaoState, key: &SecretPath) {
    state.events.emit(OpenBaoEvent::SecretDeleted {
        mount: key.mount.clone(),
        path: key.path.clone(),
    });
}

/// `options.cas`: a number, or a number as text.
fn cas(request: &ApiRequest) -> Result<Option<u64>, Rejection> {
    let options = &request.body["options"];
    let known = options
        .as_object()
        .is_none_or(|options| options.keys().all(|key| key == "cas"));
    if !known {
        return Err(Rejection::not_modelled("options other than cas"));
    }
    match &options["cas"] {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_u64()),
        Value::String(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Rejection::new(400, "error parsing check-and-set parameter")),
        _ => Err(Rejection::new(400, "error parsing check-and-set parameter")),
    }
}

fn versions(
    state: &mut OpenBaoState,
    request: &ApiRequest,
    (kind, key): (&str, &SecretPath),
) -> ApiResult {
    let numbers: Option<Vec<u64>> = request.body["versions"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_u64).collect());
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return Err(Rejection::new(400, "No version number provided"));
    };
    if let Some(record) = state.secrets.get_mut(key) {
        match kind {
            "delete" => record.delete(&numbers),
            "undelete" => record.undelete(&numbers),
            _ => record.destroy(&numbers),
        }
        if kind != "undelete" {
            deleted(state, key);
        }
    }
    Ok(envelope::done())
}

/// The names directly below a folder; folders among them end with `/`.
fn list(state: &OpenBaoState, key: &SecretPath) -> ApiResult {
    let folder = match key.path.trim_end_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let mut names: Vec<String> = state
        .secrets
        .keys()
        .filter(|other| other.namespace == key.namespace && other.mount == key.mount)
        .filter_map(|other| other.path.strip_prefix(&folder))
        .map(|rest| match rest.split_once('/') {
            Some((first, _)) => format!("{first}/"),
            None => rest.to_owned(),
        })
        .collect();
    names.dedup();
    if names.is_empty() {
        return Err(Rejection::silent(404));
    }
    Ok(envelope::data(json!({"keys": names})))
}

/// The server returns the keys of a secret in order.
fn sorted(values: &Map<String, Value>) -> Value {
    let mut pairs: Vec<_> = values.clone().into_iter().collect();
    pairs.sort_by(|(left, _), (right, _)| left.cmp(right));
    Value::Object(pairs.into_iter().collect())
}
