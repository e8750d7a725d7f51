//! The envelope of every response.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

use crate::mock::serve;

pub(super) type ApiResult = Result<Response<Body>, Rejection>;

/// An error response: status and the texts of `errors`.
#[derive(Debug)]
pub(super) struct Rejection {
    status: u16,
    errors: Vec<String>,
    retry_after: Option<u64>,
}

impl Rejection {
    pub(super) fn new(status: u16, error: impl Into<String>) -> Self {
        Self {
            status,
            errors: vec![error.into()],
            retry_after: None,
        }
    }

    /// A rejection without any text, for example of a secret that does not exist.
    pub(super) fn silent(status: u16) -> Self {
        Self {
            status,
            errors: Vec::new(),
            retry_after: None,
        }
    }

    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The response to an unknown token, and to unknown paths without a token.
    pub(super) fn permission_denied() -> Self {
        Self::new(403, "permission denied")
    }

    /// The response to a known token whose policies do not permit the request.
    pub(super) fn denied_by_policy() -> Self {
        Self::new(403, "1 error occurred:\n\t* permission denied\n\n")
    }

    /// A request that the mock does not model. No real server responds like this.
    pub(super) fn not_modelled(what: impl std::fmt::Display) -> Self {
        Self::new(501, format!("OpenBaoMock does not model {what}"))
    }

    pub(super) fn response(&self) -> Response<Body> {
        let mut response = serve::json(self.status, &json!({"errors": self.errors}));
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// 200 with `data`.
pub(super) fn data(data: Value) -> Response<Body> {
    serve::json(200, &envelope(data, Value::Null))
}

/// 200 with `data` that is repeated at the top level, as `sys/…` does it.
pub(super) fn system(data: Map<String, Value>) -> Response<Body> {
    let mut document = envelope(data.clone().into(), Value::Null);
    for (key, value) in data {
        document[key] = value;
    }
    serve::json(200, &document)
}

/// 200 with `auth`, the response to a login.
pub(super) fn auth(auth: Value) -> Response<Body> {
    let mut document = envelope(Value::Null, Value::Null);
    document["auth"] = auth;
    serve::json(200, &document)
}

/// 404 with an envelope: a version without values, or a path that is none of this engine's.
pub(super) fn missing(data: Value, warnings: Value) -> Response<Body> {
    serve::json(404, &envelope(data, warnings))
}

/// 204 without a body.
pub(super) fn done() -> Response<Body> {
    serve::plain(204, "")
}

fn envelope(data: Value, warnings: Value) -> Value {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    json!({
        "request_id": format!("00000000-0000-4000-8000-{number:012x}"),
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": data,
        "wrap_info": null,
        "warnings": warnings,
        "auth": null,
    })
}
