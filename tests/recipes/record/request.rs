//! A recorded request as bytes.

use serde_json::Value;

use super::names::Names;

/// A request as it is written on a connection of its own.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the answer is a stream that does not end.
    pub(crate) is_stream: bool,
}

impl Request {
    pub(super) fn of(exchange: &Value, names: &Names, caller: &[(String, String)]) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let path = text(&names.sent(&exchange["path"]));
        let mut headers = Vec::new();
        let recorded = names.sent(&exchange["request_headers"]);
        for (name, value) in recorded.as_object().into_iter().flatten() {
            headers.push((name.clone(), text(value)));
        }
        headers.extend_from_slice(caller);
        let form = names.sent(&exchange["request_form"]);
        let body = match form.as_array() {
            Some(form) => {
                let kind = "application/x-www-form-urlencoded".to_owned();
                headers.push(("Content-Type".to_owned(), kind));
                form_body(form)
            }
            None => body(&names.sent(&exchange["request_body"])),
        };
        let method = text(&exchange["method"]);
        let has = |name: &str| {
            headers
                .iter()
                .any(|(found, _)| found.eq_ignore_ascii_case(name))
        };
        let has_length = has("transfer-encoding") || has("content-length");
        if !has_length && (!body.is_empty() || method != "GET") {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        let is_stream =
            path.contains("/stream/") || path.contains("watch=true") || path.contains("/logs");
        Self {
            method,
            path,
            headers,
            body,
            is_stream,
        }
    }
}

fn form_body(form: &[Value]) -> Vec<u8> {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for pair in form {
        let part = |index: usize| pair[index].as_str().unwrap_or_default();
        text.append_pair(part(0), part(1));
    }
    text.finish().into_bytes()
}

/// A body of JSON or text. `a= and 5 times x` stands for `a=xxxxx`, and `5 bytes` in a part of a form for as many bytes.
fn body(body: &Value) -> Vec<u8> {
    match body {
        Value::Null => Vec::new(),
        Value::String(text) => repeated(text).unwrap_or_else(|| text.clone()).into_bytes(),
        value if value.get("multipart").is_some() => multipart(value),
        value => value.to_string().into_bytes(),
    }
}

fn repeated(text: &str) -> Option<String> {
    let (start, rest) = text.split_once(" and ")?;
    let (times, part) = rest.split_once(" times ")?;
    Some(start.to_owned() + &part.repeat(times.parse().ok()?))
}

fn multipart(value: &Value) -> Vec<u8> {
    let boundary = value["boundary"].as_str().unwrap_or_default();
    let mut body = Vec::new();
    for part in value["multipart"].as_array().into_iter().flatten() {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        for header in part["headers"].as_array().into_iter().flatten() {
            let part = |index: usize| header[index].as_str().unwrap_or_default();
            body.extend_from_slice(format!("{}: {}\r\n", part(0), part(1)).as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        let data = part["data"].as_str().unwrap_or_default();
        match data
            .strip_suffix(" bytes")
            .and_then(|length| length.parse().ok())
        {
            Some(length) => body.extend_from_slice(&vec![7_u8; length]),
            None => body.extend_from_slice(data.as_bytes()),
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}
