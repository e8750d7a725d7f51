//! What a rejection by the server means.
//!
//! Argo CD answers with the error object of grpc-gateway v1, with another one on streams, and with
//! plain text where its router or a proxy rejects the request. Many causes share one status, so the text
//! decides. The texts are matched as substrings: the server wraps them differently by version.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ErrorKind;

/// Longest text that is kept of a body that is not an Argo CD error object.
const RAW_TEXT_LIMIT: usize = 500;

/// The status, gRPC code and text of a rejection, in any of its shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorResponse {
    pub(crate) status: StatusCode,
    /// Absent when the body was not written by the gateway (router, ingress, proxy).
    pub(crate) code: Option<i64>,
    pub(crate) message: String,
}

#[derive(Deserialize)]
struct StreamError {
    #[serde(default)]
    grpc_code: i64,
    #[serde(default)]
    http_code: u16,
    #[serde(default)]
    message: String,
}

impl ErrorResponse {
    /// Reads a body: the unary error object, the stream error object, or text.
    pub(crate) fn parse(status: StatusCode, body: &[u8]) -> Self {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return Self {
                status,
                code: None,
                message: raw_text(body),
            };
        };
        match object.get("error") {
            Some(Value::String(error)) => {
                let message = object
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or(error);
                Self {
                    status,
                    code: object.get("code").and_then(Value::as_i64),
                    message: message.to_owned(),
                }
            }
            Some(error @ Value::Object(_)) => Self::from_stream(status, error),
            _ => Self {
                status,
                code: None,
                message: raw_text(body),
            },
        }
    }

    /// Reads the value of `error` in a stream chunk.
    pub(crate) fn from_stream(fallback: StatusCode, error: &Value) -> Self {
        match StreamError::deserialize(error) {
            Ok(error) => Self {
                status: StatusCode::from_u16(error.http_code).unwrap_or(fallback),
                code: Some(error.grpc_code),
                message: error.message,
            },
            Err(_) => Self {
                status: fallback,
                code: None,
                message: String::new(),
            },
        }
    }

    /// The kind of this rejection.
    pub(crate) fn kind(&self) -> ErrorKind {
        if let Some(kind) = kind_of_target_text(&self.message, self.code) {
            return kind;
        }
        if let Some(kind) = kind_of_text(&self.message) {
            return kind;
        }
        match self.code {
            Some(code) => kind_of_code(code, &self.message),
            None => kind_of_status(self.status),
        }
    }
}

/// Failures of the cluster that Argo CD was talking to, not of Argo CD.
pub(crate) fn kind_of_target_text(message: &str, code: Option<i64>) -> Option<ErrorKind> {
    let version_check = message.contains("error getting server version")
        || message.contains("failed to get server version");
    if message.contains("the server has asked for the client to provide credentials") {
        return Some(ErrorKind::TargetUnauthenticated);
    }
    if message.contains("is forbidden: User") {
        return Some(ErrorKind::TargetForbidden);
    }
    if !version_check {
        return None;
    }
    Some(match code {
        Some(16) => ErrorKind::TargetUnauthenticated,
        Some(7) => ErrorKind::TargetForbidden,
        _ if message.contains("x509:") || message.contains("tls:") => ErrorKind::TargetCertificate,
        _ => ErrorKind::TargetUnreachable,
    })
}

/// Texts that say more than their code.
fn kind_of_text(message: &str) -> Option<ErrorKind> {
    const TEXTS: [(&str, ErrorKind); 17] = [
        ("spec is different", ErrorKind::AlreadyExists),
        (
            "another operation is already in progress",
            ErrorKind::OperationInProgress,
        ),
        ("blocked by sync window", ErrorKind::SyncWindow),
        ("application refresh deadline exceeded", ErrorKind::Timeout),
        ("received message larger than max", ErrorKind::Rejected),
        ("Too many conflicts", ErrorKind::Conflict),
        ("with the insecure flag is not allowed", ErrorKind::Rejected),
        ("invalid URL escape", ErrorKind::Rejected),
        ("error parsing labels with selectors", ErrorKind::Rejected),
        ("error testing repository connectivity", ErrorKind::Rejected),
        ("error validating", ErrorKind::Rejected),
        ("no valid PEM data received", ErrorKind::Rejected),
        ("error getting REST config", ErrorKind::Rejected),
        ("must be resolved", ErrorKind::Rejected),
        (
            "failed to update account with new token",
            ErrorKind::Rejected,
        ),
        ("no such key", ErrorKind::NotFound),
        ("required field", ErrorKind::Rejected),
    ];
    // A repository that "is not permitted in project" is an invalid specification instead.
    if message.starts_with("namespace ") && message.contains("is not permitted") {
        return Some(ErrorKind::Forbidden);
    }
    TEXTS
        .iter()
        .find(|(text, _)| message.contains(text))
        .map(|(_, kind)| *kind)
}

fn kind_of_code(code: i64, message: &str) -> ErrorKind {
    match code {
        1 | 4 => ErrorKind::Timeout,
        3 | 11 => ErrorKind::Rejected,
        5 => ErrorKind::NotFound,
        6 => ErrorKind::AlreadyExists,
        7 if message.trim() == "permission denied" => ErrorKind::NotFoundOrForbidden,
        7 => ErrorKind::Forbidden,
        8 => ErrorKind::Busy,
        9 if message.contains("is deleting") => ErrorKind::NotReady,
        9 => ErrorKind::Rejected,
        10 => ErrorKind::Conflict,
        12 => ErrorKind::Unsupported,
        14 => ErrorKind::Unavailable,
        16 if is_session_text(message) => ErrorKind::Unauthenticated,
        // Any other 401 of the gateway is a Kubernetes `Unauthorized` passed through.
        16 => ErrorKind::TargetUnauthenticated,
        _ => ErrorKind::Server,
    }
}

/// The texts of Argo CD's own session and login checks.
fn is_session_text(message: &str) -> bool {
    message.contains("no session information")
        || message.starts_with("invalid session")
        || message.contains("no credentials supplied")
        || message.contains("Invalid username or password")
        || message.starts_with("Account ")
        || message.contains("session creation no longer supported")
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        300..=399 => ErrorKind::Redirected,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        // Text from the router: this server has no such endpoint, or the root path is wrong.
        404 | 405 | 501 => ErrorKind::Unsupported,
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        429 => ErrorKind::Busy,
        502 | 503 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Rejected,
        _ => ErrorKind::Server,
    }
}

pub(crate) fn raw_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let end = text
        .char_indices()
        .nth(RAW_TEXT_LIMIT)
        .map_or(text.len(), |(index, _)| index);
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, code: i64, message: &str) -> ErrorKind {
        let body = serde_json::json!({"error": message, "code": code, "message": message});
        ErrorResponse::parse(
            StatusCode::from_u16(status).unwrap(),
            body.to_string().as_bytes(),
        )
        .kind()
    }

    #[test]
    fn a_401_of_argo_cd_is_told_from_a_401_of_the_cluster() {
        for text in [
            "no session information",
            "invalid session: token has invalid claims: token is expired",
            "Invalid username or password",
            "Account ci does not have login capability",
        ] {
            assert_eq!(kind(401, 16, text), ErrorKind::Unauthenticated, "{text}");
        }
        for text in [
            "error getting server version: failed to get server version: the server has asked for the client to provide credentials",
            "error getting server version: something new",
            "Unauthorized",
        ] {
            assert_eq!(
                kind(401, 16, text),
                ErrorKind::TargetUnauthenticated,
                "{text}"
            );
        }
    }

    #[test]
    fn a_403_is_a_hidden_object_or_argo_cd_or_the_cluster() {
        assert_eq!(
            kind(403, 7, "permission denied"),
            ErrorKind::NotFoundOrForbidden
        );
        assert_eq!(
            kind(
                403,
                7,
                "permission denied: clusters, create, https://a:6443, sub: ci, iat: 2026-01-01T00:00:00Z"
            ),
            ErrorKind::Forbidden
        );
        assert_eq!(
            kind(
                403,
                7,
                "namespaces is forbidden: User \"system:serviceaccount:kube-system:argocd-manager\" cannot list"
            ),
            ErrorKind::TargetForbidden
        );
        assert_eq!(
            kind(403, 7, "cannot sync: blocked by sync window"),
            ErrorKind::SyncWindow
        );
    }

    #[test]
    fn the_version_check_of_the_cluster_is_classified_by_its_cause() {
        let check = |cause: &str| {
            kind(
                500,
                2,
                &format!(
                    "error getting server version: failed to get server version: Get \"https://h:6443/version?timeout=32s\": {cause}"
                ),
            )
        };
        assert_eq!(
            check("dial tcp 10.5.0.2:6443: connect: connection refused"),
            ErrorKind::TargetUnreachable
        );
        assert_eq!(
            check("dial tcp: lookup h: no such host"),
            ErrorKind::TargetUnreachable
        );
        assert_eq!(
            check("net/http: TLS handshake timeout"),
            ErrorKind::TargetUnreachable
        );
        assert_eq!(
            check(
                "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            ),
            ErrorKind::TargetCertificate
        );
    }

    #[test]
    fn conflicts_and_preconditions_have_their_own_kinds() {
        assert_eq!(
            kind(
                400,
                3,
                "existing cluster spec is different; use upsert flag to force update; difference in keys \"Config.BearerToken\""
            ),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            kind(400, 9, "another operation is already in progress"),
            ErrorKind::OperationInProgress
        );
        assert_eq!(kind(400, 9, "application is deleting"), ErrorKind::NotReady);
        assert_eq!(
            kind(409, 10, "the object has been modified"),
            ErrorKind::Conflict
        );
        assert_eq!(
            kind(404, 5, "applications.argoproj.io \"x\" not found"),
            ErrorKind::NotFound
        );
        assert_eq!(
            kind(500, 2, "namespace 'x' is not permitted"),
            ErrorKind::Forbidden
        );
        assert_eq!(
            kind(500, 2, "application refresh deadline exceeded"),
            ErrorKind::Timeout
        );
        assert_eq!(
            kind(
                400,
                3,
                "application spec for x is invalid: InvalidSpecError: application repo r is not permitted in project 'default'"
            ),
            ErrorKind::Rejected
        );
    }

    #[test]
    fn text_bodies_are_classified_by_status_and_cut() {
        let parse = |status: u16, body: &str| {
            ErrorResponse::parse(StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert_eq!(parse(404, "Not Found").kind(), ErrorKind::Unsupported);
        assert_eq!(
            parse(415, "Invalid content type").kind(),
            ErrorKind::Rejected
        );
        assert_eq!(
            parse(502, "<html>bad gateway</html>").kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(
            parse(401, "proxy says no").kind(),
            ErrorKind::Unauthenticated
        );
        assert_eq!(
            parse(500, &"é".repeat(900)).message.chars().count(),
            RAW_TEXT_LIMIT
        );
    }

    #[test]
    fn the_stream_shape_brings_its_own_status() {
        let refusal = ErrorResponse::parse(
            StatusCode::OK,
            br#"{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: token is revoked, please re-login","http_status":"Unauthorized"}}"#,
        );

        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refusal.kind(), ErrorKind::Unauthenticated);
    }
}
