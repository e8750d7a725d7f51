//! Answers in the server's form: envelope, or refusal with its text in the status line.

use std::collections::BTreeMap;

use http::{HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};

use super::body::{self, Body};

/// What a handler returns.
pub(super) type Reply = Result<Value, Refusal>;

/// A refusal: status, text (the first line goes into the status line) and parameter problems.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: u16,
    message: String,
    errors: BTreeMap<String, String>,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: BTreeMap::new(),
        }
    }

    /// A `die` of the server.
    pub(super) fn died(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    pub(super) fn parameters(errors: BTreeMap<String, String>) -> Self {
        Self {
            errors,
            ..Self::new(400, "Parameter verification failed.")
        }
    }

    pub(super) fn parameter(name: &str, problem: impl Into<String>) -> Self {
        Self::parameters(BTreeMap::from([(name.to_owned(), problem.into())]))
    }

    pub(super) fn permission(path: &str, privileges: &[&str]) -> Self {
        let privileges = privileges.join("|");
        Self::new(
            403,
            format!("Permission check failed ({path}, {privileges})"),
        )
    }

    fn into_response(self, in_body: bool) -> Response<Body> {
        let mut body = json!({ "data": null });
        if in_body {
            body["message"] = format!("{}\n", self.message.trim_end()).into();
        }
        if !self.errors.is_empty() {
            body["errors"] = json!(self.errors);
        }
        // The server answers 401 before it knows in which format, so without a body.
        let text = if self.status == 401 {
            String::new()
        } else {
            body.to_string()
        };
        let mut response = response(self.status, text);
        let line = self.message.lines().next().unwrap_or_default();
        if let Ok(phrase) = ReasonPhrase::try_from(line.as_bytes()) {
            response.extensions_mut().insert(phrase);
        }
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// The answer on the wire. Texts are in the body since late 8.3, and only in the status line
/// before. `total` is next to the data of paged calls.
pub(super) fn into_response(reply: Reply, texts_in_body: bool) -> Response<Body> {
    match reply {
        Ok(Value::Object(mut paged)) if paged.contains_key(PAGED) => {
            let total = paged.remove("total").unwrap_or_default();
            let data = paged.remove(PAGED).unwrap_or_default();
            response(200, json!({ "data": data, "total": total }).to_string())
        }
        Ok(data) => response(200, json!({ "data": data }).to_string()),
        Err(refusal) => refusal.into_response(texts_in_body),
    }
}

const PAGED: &str = "$page";

/// Items of a list with the number of all of them.
pub(super) fn page(items: Vec<Value>, total: usize) -> Value {
    json!({ PAGED: items, "total": total })
}

pub(super) fn response(status: u16, body: String) -> Response<Body> {
    let mut response = Response::new(body::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json;charset=UTF-8"),
    );
    headers.insert(
        header::SERVER,
        HeaderValue::from_static("pve-api-daemon/3.0"),
    );
    response
}

#[cfg(test)]
impl Refusal {
    pub(super) fn message_text(&self) -> &str {
        &self.message
    }
}
