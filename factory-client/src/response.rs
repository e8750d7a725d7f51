//! From responses of the factory to values and errors.

use http::{HeaderMap, StatusCode, header};
use reqwest::Response;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::retry::retry_after;
use crate::tls;
use crate::transport::{Content, Redirects, Request};

/// Error texts of the factory are one line; a longer body is cut.
const MAX_ERROR_BODY: usize = 8 * 1024;
/// No metadata of a factory is longer.
const MAX_TEXT: usize = 16 * 1024 * 1024;

/// The response itself when it is a success (or a redirect that was asked for), else the error that its text means.
///
/// An HTML page is never data of the API: a captive portal or a proxy sent it.
pub(crate) async fn accept(request: &Request, response: Response) -> Result<Response> {
    let status = response.status();
    if status.is_success() {
        return match request.content {
            Content::Data if is_html_type(response.headers()) => {
                Err(html_page(request).with_status(status))
            }
            _ => Ok(response),
        };
    }
    if request.redirects == Redirects::Return && status.is_redirection() {
        return Ok(response);
    }
    let headers = response.headers().clone();
    let body = read_up_to(response, MAX_ERROR_BODY)
        .await
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    Err(rejection(request, status, &headers, text.trim()))
}

fn is_html_type(headers: &HeaderMap) -> bool {
    text_header(headers, header::CONTENT_TYPE.as_str()).is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

/// Whether these first bytes of a body start an HTML page, whatever its content type says.
pub(crate) fn is_html(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = text.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|tag| {
            text.get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag))
        })
}

pub(crate) fn html_page(request: &Request) -> Error {
    request.error(ErrorKind::Decode).with_message(
        "the response is an HTML page instead of data of the Image Factory; a captive portal, a proxy or another \
         service may have sent it",
    )
}

fn rejection(request: &Request, status: StatusCode, headers: &HeaderMap, text: &str) -> Error {
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

/// A failure without a response: certificate, connection, or an interruption.
pub(crate) fn connection_error(request: &Request, error: reqwest::Error) -> Error {
    let mismatch = tls::find_tls_error(&error).and_then(tls::pin_mismatch);
    let kind = if tls::is_certificate_failure(&error) {
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
    request
        .error(kind)
        .with_pin_mismatch(mismatch)
        .with_source(error.without_url())
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
    if request.content == Content::Data && is_html(&body) {
        return Err(html_page(request));
    }
    String::from_utf8(body).map_err(|_| {
        request
            .error(ErrorKind::Decode)
            .with_message("the response is not UTF-8")
    })
}

/// Reads JSON whatever the content type says (Go detects `text/plain` for the lists of the factory).
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

    #[test]
    fn html_is_recognised_by_its_first_bytes_in_any_letter_case() {
        for page in [
            "<!DOCTYPE html><title>Login</title>",
            "\u{feff}\r\n <HTML lang=en>",
            "<head>",
        ] {
            assert!(is_html(page.as_bytes()), "{page}");
        }
        for data in ["", "<", "[\"v1.10.7\"]", "customization: {}", "<htm"] {
            assert!(!is_html(data.as_bytes()), "{data}");
        }
    }
}
