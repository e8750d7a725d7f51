//! gRPC and gRPC-web, which the `argocd` command line speaks: each call is the request of the gateway that means the same.
//!
//! `POST {root}/{package.Service}/{Method}` with one frame: a byte of flags, four of length, the message. The response has
//! the messages in such frames. A call ends with a last frame with the flag 128 (gRPC-web) or with trailers (gRPC over
//! HTTP/2); one that fails at once has its code and text in the headers, the only place where `argocd` 3.5.1 looks for them
//! in gRPC-web.

mod schema;
mod wire;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method as HttpMethod, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::request::{Origin, Query, Request};
use super::response::{Closed, MockResponse};
use schema::{Method, Schema};

const LAST_FRAME: u8 = 128;
const FRAME_HEADER: usize = 5;
const RESPONSE_LIMIT: usize = 64 << 20;
const UNIMPLEMENTED: i64 = 12;
const INTERNAL: i64 = 13;

/// What a segment of a path keeps.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The texts of errors keep spaces.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// The call that a request made.
#[derive(Clone, Copy)]
pub(super) struct Called {
    method: &'static Method,
    form: Form,
}

/// How the end of a call is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In a last frame, or in the headers.
    Web,
    /// In the trailers of HTTP/2.
    Native,
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if media.is_some_and(|media| media.starts_with(b"application/grpc-web")) {
            Self::Web
        } else {
            Self::Native
        }
    }

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Web => "application/grpc-web+proto",
            Self::Native => "application/grpc",
        })
    }
}

/// Whether the body is that of a call.
pub(super) fn is_media_type(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    media.is_some_and(|media| media.starts_with(b"application/grpc"))
}

/// Whether a request is a call.
pub(super) fn is_call(request: &Request) -> bool {
    request.method == HttpMethod::POST && is_media_type(&request.headers)
}

/// The call of a request, and the request of the gateway that means the same.
pub(super) fn translate(request: &Request) -> Result<(Called, Request), Box<Response<Body>>> {
    let form = Form::of(&request.headers);
    let name = request.path.trim_start_matches('/');
    let Some(method) = Schema::get().method(name) else {
        let (service, call) = name.split_once('/').unwrap_or((name, ""));
        let text = format!("unknown method {call} for service {service}");
        return Err(failure(form, UNIMPLEMENTED, &text).into());
    };
    let message = if method.collects {
        collect(&method.request, &request.body)
    } else {
        let frame = request.body.split_at_checked(FRAME_HEADER);
        frame.and_then(|(_, message)| wire::decode(&method.request, message))
    };
    match message {
        Some(Value::Object(fields)) => {
            Ok((Called { method, form }, gateway(method, request, fields)))
        }
        _ => {
            let text = "grpc: error unmarshalling request: unexpected EOF";
            Err(failure(form, INTERNAL, text).into())
        }
    }
}

/// The messages that a client has streamed as one: the fields of the query, and the chunks of a file after each other.
fn collect(kind: &str, mut body: &[u8]) -> Option<Value> {
    let (mut fields, mut file) = (Map::new(), Vec::new());
    while !body.is_empty() {
        let (header, rest) = body.split_at_checked(FRAME_HEADER)?;
        let length = u32::from_be_bytes(header.get(1..)?.try_into().ok()?);
        let (message, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        body = rest;
        let message = wire::decode(kind, message)?;
        if let Some(query) = message["query"].as_object() {
            fields.extend(query.clone());
        }
        let chunk = message["chunk"]["chunk"].as_str().unwrap_or_default();
        file.extend(STANDARD.decode(chunk).ok()?);
    }
    fields.insert("file".to_owned(), json!(STANDARD.encode(file)));
    Some(Value::Object(fields))
}

fn gateway(method: &Method, request: &Request, mut fields: Map<String, Value>) -> Request {
    if method.path.contains("{id.value}") {
        identify_cluster(&mut fields);
    }
    let mut path = String::new();
    let mut rest = method.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        path.push_str(before);
        path.push_str(&path_parameter(&mut fields, name, method.body.is_some()));
        rest = after;
    }
    path.push_str(rest);
    let body = match method.body.as_deref() {
        None => None,
        Some("*") => Some(Value::Object(std::mem::take(&mut fields))),
        Some(field) => Some(fields.remove(field).unwrap_or(Value::Null)),
    };
    let mut query = Vec::new();
    for (name, value) in &fields {
        flatten(name, value, &mut query);
    }
    let mut headers = request.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = request.header("token")
        && let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}"))
    {
        headers.insert(AUTHORIZATION, value);
    }
    Request {
        origin: Origin::Call,
        method: method.verb.clone(),
        path,
        query: Query(query),
        headers,
        body: body
            .filter(|body| !body.is_null())
            .map_or_else(Bytes::new, |body| body.to_string().into()),
    }
}

/// The field of a path: `name`, `id.value`, or `object=**`, which keeps its slashes. It stays in a body; in a query it would
/// be said twice.
fn path_parameter(fields: &mut Map<String, Value>, name: &str, has_body: bool) -> String {
    let (name, pattern) = name.split_once('=').unwrap_or((name, ""));
    let (parents, last) = name.rsplit_once('.').unwrap_or(("", name));
    let mut parents = parents.split('.').filter(|parent| !parent.is_empty());
    let object = parents.try_fold(fields, |object, parent| {
        object.get_mut(parent)?.as_object_mut()
    });
    let value = object.and_then(|object| {
        if has_body {
            object.get(last).cloned()
        } else {
            object.remove(last)
        }
    });
    let text = value.as_ref().map(plain).unwrap_or_default();
    if pattern == "**" {
        return text;
    }
    utf8_percent_encode(&text, SEGMENT).to_string()
}

/// A call can name a cluster by its address or its name alone; a path cannot.
fn identify_cluster(fields: &mut Map<String, Value>) {
    if fields.contains_key("id") {
        return;
    }
    let of = |field: &str| fields.get(field).and_then(Value::as_str).map(str::to_owned);
    let server =
        of("server").or_else(|| fields.get("cluster")?["server"].as_str().map(str::to_owned));
    let id = match (server, of("name")) {
        (Some(server), _) => json!({"value": server}),
        (None, Some(name)) => json!({"type": "name", "value": name}),
        (None, None) => return,
    };
    fields.insert("id".to_owned(), id);
}

/// The parameters of a query: fields of fields with a dot, lists one by one. The gateway cannot say a list of messages; they
/// become their JSON.
fn flatten(name: &str, value: &Value, query: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{name}.{key}"), value, query);
            }
        }
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Object(_) => query.push((name.to_owned(), item.to_string())),
                    item => flatten(name, item, query),
                }
            }
        }
        value => query.push((name.to_owned(), plain(value))),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The response to a call, from that of the gateway.
pub(super) async fn respond(called: Called, response: Response<Body>) -> MockResponse {
    let Called { method, form } = called;
    let (parts, body) = response.into_parts();
    let is_success = parts.status.is_success();
    if is_success && method.streams {
        return Ok(success(form, messages_of(method, body)));
    }
    let body = axum::body::to_bytes(body, RESPONSE_LIMIT).await;
    let body = body.map_err(|_| Closed)?;
    if is_success {
        let value = serde_json::from_slice(&body).map_err(|_| Closed)?;
        let message = wire::encode(&method.response, &value);
        return Ok(success(form, stream::iter([message])));
    }
    let refusal: Value = serde_json::from_slice(&body).unwrap_or_default();
    // Streams have another shape.
    let error = if refusal["error"].is_object() {
        &refusal["error"]
    } else {
        &refusal
    };
    let code = error["code"].as_i64().or(error["grpc_code"].as_i64());
    let text = String::from_utf8_lossy(&body);
    Ok(failure(
        form,
        code.unwrap_or(UNIMPLEMENTED),
        error["message"].as_str().unwrap_or(text.trim()),
    ))
}

/// The lines of a stream of the gateway as messages.
fn messages_of(method: &'static Method, body: Body) -> impl Stream<Item = Vec<u8>> + Send {
    stream::unfold(
        (body.into_data_stream(), BytesMut::new()),
        move |(mut chunks, mut buffer)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let line = buffer.split_to(end);
                    buffer.advance(1);
                    let Ok(value) = serde_json::from_slice::<Value>(&line) else {
                        continue;
                    };
                    let message = wire::encode(&method.response, &value["result"]);
                    return Some((message, (chunks, buffer)));
                }
                buffer.extend_from_slice(&chunks.next().await?.ok()?);
            }
        },
    )
}

/// A call that ends well, after these messages.
fn success(form: Form, messages: impl Stream<Item = Vec<u8>> + Send + 'static) -> Response<Body> {
    let end = match form {
        Form::Web => Frame::data(frame(LAST_FRAME, b"grpc-status: 0\r\n")),
        Form::Native => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(0));
            Frame::trailers(trailers)
        }
    };
    let frames = messages
        .map(|message| Frame::data(frame(0, &message)))
        .chain(stream::iter([end]))
        .map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, form.media_type());
    response
}

fn frame(flags: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[flags], &length.to_be_bytes()[..], message]
        .concat()
        .into()
}

/// A call that failed has no frames; its headers are its trailers.
fn failure(form: Form, code: i64, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, form.media_type());
    headers.insert("grpc-status", HeaderValue::from(code));
    let text = utf8_percent_encode(text, MESSAGE).to_string();
    if let Ok(text) = HeaderValue::from_str(&text) {
        headers.insert("grpc-message", text);
    }
    response
}
