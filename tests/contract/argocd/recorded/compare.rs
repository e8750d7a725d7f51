//! Where a response differs from the recorded one, apart from what no two runs share.

use serde_json::{Map, Value, json};

use super::Exchange;
use super::callers::{Response, is_stream};

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

pub(super) fn normalised(value: &Value, inside_event: bool) -> Value {
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

pub(super) fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Array(_) => "list",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        _ => "other",
    }
}

/// The first difference, as a path with both values. A list that was cut is compared as far as it goes.
pub(super) fn difference(recorded: &Value, found: &Value, cut: bool, at: &str) -> Option<String> {
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

pub(super) fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

/// The status of an application in the response to a write is whatever the controller had got to.
pub(super) fn without_moving_parts(exchange: &Exchange, mut body: Value) -> Value {
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

pub(super) fn compare(exchange: &Exchange, found: Option<&Response>) -> Option<String> {
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
