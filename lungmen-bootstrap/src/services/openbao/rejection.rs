//! The meaning of an error response of the server.

use http::StatusCode;
use serde_json::Value;

use crate::services::{Error, ErrorKind};

/// The error of a response that is not a success.
pub(super) fn rejection(
    operation: &'static str,
    status: StatusCode,
    body: Option<&Value>,
) -> Error {
    let texts = texts(body);
    let message = texts.join("; ");
    let kind = match status.as_u16() {
        400 => bad_request(&message),
        401 => ErrorKind::Unauthenticated,
        403 => forbidden(&message),
        404 => return missing(operation, body, message).with_status(status),
        409 => ErrorKind::Conflict,
        412 | 429 | 502 => ErrorKind::Busy,
        413 => ErrorKind::TooLarge,
        500 => server(&message),
        501 => ErrorKind::Sealed,
        503 if message.to_ascii_lowercase().contains("sealed") => ErrorKind::Sealed,
        503 => ErrorKind::NotReady,
        307 | 472 | 473 => ErrorKind::Standby,
        code if code >= 500 => ErrorKind::Server,
        _ => ErrorKind::Rejected,
    };
    let message = if message.is_empty() {
        format!("the server responded with {status}")
    } else {
        message
    };
    Error::new(kind, operation)
        .with_message(message)
        .with_status(status)
}

fn bad_request(message: &str) -> ErrorKind {
    if message.contains("check-and-set parameter did not match") {
        ErrorKind::Conflict
    } else {
        ErrorKind::Rejected
    }
}

/// An unknown token and a missing permission are both "permission denied" on OpenBao; newer Vaults name the token.
fn forbidden(message: &str) -> ErrorKind {
    if message.contains("invalid token") || message.contains("missing client token") {
        ErrorKind::Unauthenticated
    } else {
        ErrorKind::Forbidden
    }
}

fn server(message: &str) -> ErrorKind {
    if message.contains("value being too large") {
        ErrorKind::TooLarge
    } else if message.contains("node not active") {
        ErrorKind::Standby
    } else {
        ErrorKind::Server
    }
}

/// The four kinds of 404: no such secret, soft-deleted, destroyed, or not a KV v2 path.
fn missing(operation: &'static str, body: Option<&Value>, message: String) -> Error {
    let metadata = body.map_or(&Value::Null, |body| &body["data"]["metadata"]);
    let version = &metadata["version"];
    if metadata["destroyed"] == Value::Bool(true) {
        return Error::new(ErrorKind::Deleted, operation)
            .with_message(format!("version {version} was destroyed"));
    }
    if metadata["deletion_time"]
        .as_str()
        .is_some_and(|time| !time.is_empty())
    {
        return Error::new(ErrorKind::Deleted, operation).with_message(format!(
            "version {version} was deleted and can be undeleted"
        ));
    }
    let kind = if message.is_empty() {
        ErrorKind::NotFound
    } else {
        ErrorKind::NoSuchMount
    };
    Error::new(kind, operation).with_message(message)
}

/// The texts of `errors`, or the warnings of a response without errors, each on one line.
fn texts(body: Option<&Value>) -> Vec<String> {
    let Some(body) = body else {
        return Vec::new();
    };
    let list = |key: &str| body[key].as_array().cloned().unwrap_or_default();
    let mut found = list("errors");
    if found.is_empty() {
        found = list("warnings");
    }
    found
        .iter()
        .filter_map(Value::as_str)
        .map(one_line)
        .collect()
}

/// Go's multi-error format ("1 error occurred:", bullets, blank lines) on one line.
fn one_line(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("* "));
    let said: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.ends_with("occurred:"))
        .collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status_code(status: u16) -> StatusCode {
        StatusCode::from_u16(status).unwrap()
    }

    fn kind(status: u16, body: Value) -> ErrorKind {
        rejection("read secret", status_code(status), Some(&body)).kind()
    }

    fn errors(text: &str) -> Value {
        json!({"errors": [text]})
    }

    #[test]
    fn the_four_kinds_of_404_are_distinguished() {
        let version = |deletion: &str, destroyed: bool| {
            json!({"data": {"data": null, "metadata":
                {"version": 3, "deletion_time": deletion, "destroyed": destroyed}}, "warnings": null})
        };
        assert_eq!(kind(404, json!({"errors": []})), ErrorKind::NotFound);
        assert_eq!(
            kind(404, version("2026-11-22T08:00:38Z", false)),
            ErrorKind::Deleted
        );
        assert_eq!(kind(404, version("", true)), ErrorKind::Deleted);
        assert_eq!(
            kind(
                404,
                errors("no handler for route \"nomount/data/x\". route entry not found.")
            ),
            ErrorKind::NoSuchMount
        );
        assert_eq!(
            kind(404, errors("namespace not found")),
            ErrorKind::NoSuchMount
        );
        let v1 = json!({"data": null, "warnings": ["Invalid path for a versioned K/V secrets engine. See the API docs"]});
        assert_eq!(kind(404, v1), ErrorKind::NoSuchMount);
        assert_eq!(
            rejection("patch", status_code(404), None).kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn rejections_are_distinguished_by_status_and_text() {
        assert_eq!(kind(503, errors("Vault is sealed")), ErrorKind::Sealed);
        assert_eq!(kind(503, errors("maintenance")), ErrorKind::NotReady);
        assert_eq!(
            kind(
                500,
                errors("local node not active but active cluster node not found")
            ),
            ErrorKind::Standby
        );
        assert_eq!(
            kind(
                500,
                errors("put failed due to value being too large; got 156 bytes, max 1048576 bytes")
            ),
            ErrorKind::TooLarge
        );
        assert_eq!(kind(403, errors("permission denied")), ErrorKind::Forbidden);
        assert_eq!(
            kind(
                400,
                errors("check-and-set parameter did not match the current version")
            ),
            ErrorKind::Conflict
        );
        assert_eq!(kind(429, json!({"errors": []})), ErrorKind::Busy);
    }

    #[test]
    fn a_multi_error_becomes_one_line() {
        let error = rejection(
            "read",
            status_code(403),
            Some(&errors("1 error occurred:\n\t* permission denied\n\n")),
        );

        assert_eq!(error.message(), "permission denied");
    }
}
