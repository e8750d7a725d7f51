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
    form: Form,
}

/// What stands in the body of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The envelope, with the text in releases that have it there.
    Envelope,
    /// The text alone: the HTTP server rejected the request before it reached the API.
    Text,
    /// Nothing.
    Empty,
}

impl Refusal {
    /// A rejection by the HTTP server, with its text as the body.
    pub(super) fn plain(status: u16, message: impl Into<String>) -> Self {
        Self {
            form: Form::Text,
            ..Self::new(status, message)
        }
    }

    /// A rejection without a body.
    pub(super) fn bodiless(status: u16, message: impl Into<String>) -> Self {
        Self {
            form: Form::Empty,
            ..Self::new(status, message)
        }
    }

    /// The same rejection without a body.
    pub(super) fn without_body(self) -> Self {
        Self {
            form: Form::Empty,
            ..self
        }
    }

    /// A node that does not respond.
    pub(super) fn node_unreachable() -> Self {
        Self::bodiless(595, "Connection refused")
    }

    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            errors: BTreeMap::new(),
            form: Form::Envelope,
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

    /// A rejection that names no path.
    pub(super) fn forbidden() -> Self {
        Self::new(403, "Permission check failed")
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
        let text = match self.form {
            _ if self.status == 401 => String::new(),
            Form::Empty => String::new(),
            Form::Text => self.message.clone(),
            Form::Envelope => body.to_string(),
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
        Ok(Value::Object(mut plain)) if plain.contains_key(PLAIN) => {
            let text = plain.remove(PLAIN).unwrap_or_default();
            let mut response = response(200, text.as_str().unwrap_or_default().to_owned());
            let kind = HeaderValue::from_static("text/plain");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Ok(data) => response(200, json!({ "data": data }).to_string()),
        Err(refusal) => refusal.into_response(texts_in_body),
    }
}

/// The answer in the format `extjs`: always 200, with the outcome in the body.
pub(super) fn into_extjs(reply: Reply) -> Response<Body> {
    let body = match reply {
        Ok(data) => json!({ "data": data, "success": 1 }),
        Err(refusal) => {
            let message = format!("{}\n", refusal.message.trim_end());
            let mut body = json!({
                "data": null, "success": 0, "status": refusal.status, "message": message,
            });
            if !refusal.errors.is_empty() {
                body["errors"] = json!(refusal.errors);
            }
            body
        }
    };
    response(200, body.to_string())
}

const PLAIN: &str = "$plain";

/// A text without an envelope.
pub(super) fn plain_text(text: String) -> Value {
    json!({ PLAIN: text })
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
