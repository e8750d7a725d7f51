//! What an answer of the factory means: statuses and plain texts to errors.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Redirects, Request};

/// Error texts are one line; more than this is not the factory's.
const MAX_ERROR_BODY: usize = 8 * 1024;
/// Metadata beyond this is not the factory's either.
const MAX_TEXT: usize = 16 * 1024 * 1024;

/// The answer itself when it is a success (or a redirect that was asked for), else what its text means.
pub(crate) async fn accept(request: &Request, response: Response) -> Result<Response> {
    let status = response.status();
    let is_wanted_redirect = request.redirects == Redirects::Return && status.is_redirection();
    if status.is_success() || is_wanted_redirect {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let body = read_up_to(response, MAX_ERROR_BODY)
        .await
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    Err(refusal(request, status, &headers, text.trim()))
}

fn refusal(request: &Request, status: StatusCode, headers: &HeaderMap, text: &str) -> Error {
    let text = redact(text);
    let message = if text.is_empty() {
        format!("HTTP {status}")
    } else {
        text
    };
    let error = request
        .error(kind(request, status, &message))
        .with_status(status)
        .with_request_id(text_header(headers, "x-request-id"))
        .with_message(message);
    match retry_after(headers) {
        Some(delay) => error.with_retry_after(delay),
        None => error,
    }
}

fn kind(request: &Request, status: StatusCode, text: &str) -> ErrorKind {
    match status.as_u16() {
        400 if request.route == "/schematics" => ErrorKind::InvalidSchematic,
        400 if text.contains("is not available for Talos version") => {
            ErrorKind::ExtensionNotAvailable
        }
        401 => ErrorKind::Unauthenticated,
        402 => ErrorKind::NotEnabled,
        403 => ErrorKind::Forbidden,
        404 if text.contains("schematic") && text.contains("not found") => {
            ErrorKind::SchematicNotFound
        }
        404 if text.contains("is not available") => ErrorKind::VersionNotAvailable,
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        429 | 503 => ErrorKind::Busy,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Rejected,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

pub(crate) fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Takes tokens and credentials out of URLs that an error text quotes.
fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("token=") {
        let (before, after) = rest.split_at(at + "token=".len());
        out.push_str(before);
        out.push_str("[REDACTED]");
        let end = after
            .find(|c: char| c == '&' || c == '"' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

/// A failure without an answer: certificate, connection, or a break in the middle.
pub(crate) fn connection_error(request: &Request, error: reqwest::Error) -> Error {
    let kind = if is_certificate_failure(&error) {
        ErrorKind::Certificate
    } else if error.is_connect() {
        ErrorKind::Connect
    } else if error.is_timeout() {
        ErrorKind::Timeout
    } else if error.is_builder() {
        ErrorKind::InvalidInput
    } else {
        ErrorKind::Interrupted
    };
    request.error(kind).with_source(error.without_url())
}

/// A rustls error hides inside an `io::Error` inside an `io::Error`, which `source()` skips.
fn is_certificate_failure(error: &(dyn StdError + 'static)) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return !matches!(error, rustls::Error::PeerIncompatible(_));
        }
        current = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

async fn read_up_to(mut response: Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            body.truncate(limit);
            break;
        }
    }
    Ok(body)
}

pub(crate) async fn read_text(request: &Request, response: Response) -> Result<String> {
    let announced = response.content_length();
    let body = read_up_to(response, MAX_TEXT).await.map_err(|error| {
        let error = error.without_url();
        request.error(ErrorKind::Interrupted).with_source(error)
    })?;
    if announced.is_some_and(|length| length != body.len() as u64) {
        return Err(request.error(ErrorKind::Truncated));
    }
    String::from_utf8(body).map_err(|_| {
        request
            .error(ErrorKind::Decode)
            .with_message("the answer is not UTF-8")
    })
}

/// Reads JSON whatever the content type says (the factory lets Go guess, and Go says `text/plain`).
pub(crate) fn decode<T: DeserializeOwned>(request: &Request, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        request.error(ErrorKind::Decode).with_message(format!(
            "not the expected JSON at line {} column {} of {} bytes",
            error.line(),
            error.column(),
            text.len()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_disappear_from_texts() {
        assert_eq!(
            redact("GET https://f/image/x?token=abc&y=1 failed, token=def"),
            "GET https://f/image/x?token=[REDACTED]&y=1 failed, token=[REDACTED]"
        );
        assert_eq!(redact("nothing here"), "nothing here");
    }
}
