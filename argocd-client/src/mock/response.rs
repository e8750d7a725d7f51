//! Answers in the shapes of the server.

use std::fmt;

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// The response of the mock. `Closed` stands for none at all.
pub(super) type MockResponse = Result<Response<Body>, Closed>;

/// The connection is closed without an answer.
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

pub(super) fn json(value: &Value) -> Response<Body> {
    respond(StatusCode::OK, "application/json", value.to_string())
}

pub(super) fn text(status: u16, body: impl Into<String>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, "text/plain; charset=utf-8", body.into())
}

pub(super) fn rejection(rejected: &Rejection) -> Response<Body> {
    let Rejection { code, message } = rejected;
    let body = json!({"error": message, "code": code, "message": message});
    respond(status_of(*code), "application/json", body.to_string())
}

/// The user interface answers every path outside the API.
pub(super) fn page() -> Response<Body> {
    respond(
        StatusCode::OK,
        "text/html; charset=utf-8",
        "<!doctype html><title>Argo CD</title>".to_owned(),
    )
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
        .insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
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
