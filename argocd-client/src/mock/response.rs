//! Responses in the shapes of the server.

use std::fmt;

use axum::body::Body;
use http::header::{CONTENT_TYPE, SET_COOKIE, VARY};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

/// The response of the mock. `Closed` stands for none at all.
pub(super) type MockResponse = Result<Response<Body>, Closed>;

/// The connection is closed without a response.
#[derive(Debug)]
pub(super) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

/// A rejection with the error object of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) code: i64,
    pub(super) message: String,
}

impl Rejection {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The text that hides whether an object exists.
    pub(super) fn hidden() -> Self {
        Self::new(7, "permission denied")
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }
}

/// A response that went through the gateway, which adds its own header.
pub(super) fn json(value: &Value) -> Response<Body> {
    let mut response = respond(StatusCode::OK, "application/json", value.to_string());
    let headers = response.headers_mut();
    headers.insert(
        "grpc-metadata-content-type",
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// A response with a session cookie.
pub(super) fn with_cookie(mut response: Response<Body>, token: &str) -> Response<Body> {
    let cookie = format!("argocd.token={token}; path=/; SameSite=lax; httpOnly");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// A text of the router, with the line end of Go's `http.Error`.
pub(super) fn text(status: u16, body: impl Into<String>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = body.into();
    body.push('\n');
    let mut response = respond(status, "text/plain; charset=utf-8", body);
    // The check of the content type and the health come before the layer that compresses.
    if matches!(status.as_u16(), 404 | 405) {
        response
            .headers_mut()
            .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

pub(super) fn rejection(rejected: &Rejection) -> Response<Body> {
    let Rejection { code, message } = rejected;
    let body = json!({"error": message, "code": code, "message": message});
    let mut response = respond(status_of(*code), "application/json", body.to_string());
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// The rejection of a stream, before or after its first event.
pub(super) fn stream_error(rejected: &Rejection) -> Value {
    let status = status_of(rejected.code);
    json!({"error": {
        "grpc_code": rejected.code, "http_code": status.as_u16(), "message": rejected.message,
        "http_status": status.canonical_reason().unwrap_or_default(),
    }})
}

pub(super) fn stream_rejection(rejected: &Rejection) -> Response<Body> {
    let mut body = stream_error(rejected).to_string();
    body.push('\n');
    respond(status_of(rejected.code), "application/json", body)
}

/// The user interface answers every path outside the API, to those that accept HTML.
pub(super) fn page() -> Response<Body> {
    let mut response = respond(
        StatusCode::OK,
        "text/html; charset=utf-8",
        "<!DOCTYPE html><html><head><base href=\"/\"><title>Argo CD</title></head><body><div id=\"app\"></div></body></html>\n"
            .to_owned(),
    );
    let headers = response.headers_mut();
    headers.insert("x-frame-options", HeaderValue::from_static("sameorigin"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

pub(super) fn respond(
    status: StatusCode,
    media_type: &'static str,
    body: String,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// The table of grpc-gateway v1.
pub(super) fn status_of(code: i64) -> StatusCode {
    StatusCode::from_u16(match code {
        1 => 408,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    })
    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
