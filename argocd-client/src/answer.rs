//! What an attempt came to: a JSON response, a rejection, or no response.

use std::error::Error as StdError;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::response::ErrorResponse;
use crate::retry::retry_after;
use crate::tls::is_certificate_failure;

/// Outside the API the user interface responds with 200 and HTML to clients that accept it.
pub(crate) fn expect_json(call: &Call, response: Response) -> Result<Response> {
    let media_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("(none)")
        .to_owned();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case("text/event-stream")
    {
        return Ok(response);
    }
    Err(not_argocd(
        call,
        response.status(),
        &format!("the response is {media_type}, not JSON"),
    ))
}

fn not_argocd(call: &Call, status: StatusCode, why: &str) -> Error {
    call.error(ErrorKind::NotArgoCd)
        .with_status(status)
        .with_message(format!("{why}; check the address and the root path"))
}

pub(crate) async fn refused(call: &Call, response: Response) -> Error {
    let status = response.status();
    if status.is_redirection() {
        return redirected(call, status, response.headers());
    }
    let retry_after = retry_after(response.headers());
    let body = response.bytes().await.unwrap_or_default();
    let refusal = ErrorResponse::parse(status, &body);
    if status == StatusCode::NOT_FOUND && refusal.code.is_none() && !call.since_later_version {
        return not_argocd(call, status, "404 for an endpoint that every Argo CD has");
    }
    call.error(refusal.kind())
        .with_status(refusal.status)
        .with_retry_after(retry_after)
        .with_message(refusal.message)
}

fn redirected(call: &Call, status: StatusCode, headers: &HeaderMap) -> Error {
    let location = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .map(|location| location.split(['?', '#']).next().unwrap_or_default())
        .unwrap_or("nowhere");
    call.error(ErrorKind::Redirected).with_status(status).with_message(format!(
        "{status} to {location}; use the https address, or set server.insecure behind a proxy that ends TLS"
    ))
}

/// The body may hold secrets, so a failure names the place and the type, never the content.
pub(crate) fn decode<T: DeserializeOwned>(call: &Call, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        call.error(ErrorKind::Decode).with_message(format!(
            "{:?} error at line {} column {} of {} bytes",
            error.classify(),
            error.line(),
            error.column(),
            body.len()
        ))
    })
}

pub(crate) fn interpret(call: &Call, error: reqwest::Error) -> Error {
    let kind = kind_of(&error);
    let error = error.without_url();
    call.error(kind)
        .with_message(innermost(&error))
        .with_source(error)
}

/// What kind of failure a request without a response is.
pub(crate) fn kind_of(error: &reqwest::Error) -> ErrorKind {
    if is_certificate_failure(error) {
        ErrorKind::Certificate
    } else if error.is_connect() {
        ErrorKind::Connect
    } else if error.is_timeout() {
        ErrorKind::Timeout
    } else if error.is_builder() {
        ErrorKind::InvalidInput
    } else {
        ErrorKind::Interrupted
    }
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decode_failure_does_not_quote_the_body() {
        let error = decode::<Vec<u8>>(&Call::get("x", "/p", &[]), b"[\"canary\"]").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(!error.to_string().contains("canary"));
    }
}
