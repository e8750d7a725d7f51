//! One request to the API server, and the meaning of an error response.

use http::{Method, Request, StatusCode};
use serde_json::Value;

use crate::services::{Error, ErrorKind, Result};

/// The field manager of server-side applies.
pub(super) const FIELD_MANAGER: &str = "lungmen-bootstrap";

/// A request: operation for errors, method, path with query, body.
#[derive(Debug, Clone)]
pub(super) struct ApiRequest {
    operation: &'static str,
    method: Method,
    path: String,
    body: Option<(&'static str, Value)>,
}

impl ApiRequest {
    pub(super) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::GET, path)
    }

    pub(super) fn delete(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::DELETE, path)
    }

    pub(super) fn create(operation: &'static str, path: impl Into<String>, body: Value) -> Self {
        let mut request = Self::new(operation, Method::POST, path);
        request.body = Some(("application/json", body));
        request
    }

    /// A replacement of the whole object; `metadata.resourceVersion` in the body names the version it replaces.
    pub(super) fn replace(operation: &'static str, path: impl Into<String>, body: Value) -> Self {
        let mut request = Self::new(operation, Method::PUT, path);
        request.body = Some(("application/json", body));
        request
    }

    /// Server-side apply that also takes over fields with another manager.
    pub(super) fn apply(operation: &'static str, path: &str, body: Value) -> Self {
        let path = format!("{path}?force=true&fieldManager={FIELD_MANAGER}");
        let mut request = Self::new(operation, Method::PATCH, path);
        request.body = Some(("application/apply-patch+yaml", body));
        request
    }

    fn new(operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self {
            operation,
            method,
            path: path.into(),
            body: None,
        }
    }

    pub(super) fn operation(&self) -> &'static str {
        self.operation
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// The path without its query.
    pub(super) fn target(&self) -> &str {
        self.path.split('?').next().unwrap_or(&self.path)
    }

    pub(super) fn to_http(&self) -> Result<Request<Vec<u8>>> {
        let builder = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header(http::header::ACCEPT, "application/json");
        let request = match &self.body {
            None => builder.body(Vec::new()),
            Some((content_type, body)) => builder
                .header(http::header::CONTENT_TYPE, *content_type)
                .body(body.to_string().into_bytes()),
        };
        request.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, self.operation)
                .with_target(self.target())
                .with_message(error.to_string())
        })
    }
}

/// The error for one of kube. Bodies are never quoted; the server's message is kept.
pub(super) fn from_kube(operation: &'static str, error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => rejection(operation, &status),
        kube::Error::Service(cause) => {
            let connecting = cause
                .downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(hyper_util::client::legacy::Error::is_connect);
            Error::transport(operation, connecting, cause)
        }
        kube::Error::HyperError(cause) => Error::transport(operation, false, cause),
        kube::Error::ReadEvents(cause) => Error::transport(operation, false, cause),
        kube::Error::SerdeError(cause) => decode_failure(operation, &cause),
        kube::Error::FromUtf8(_) => {
            Error::new(ErrorKind::Decode, operation).with_message("the response is not UTF-8")
        }
        other => Error::new(ErrorKind::Interrupted, operation).with_source(other),
    }
}

fn rejection(operation: &'static str, status: &kube::core::Status) -> Error {
    let kind = match status.code {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 if status.reason == "AlreadyExists" => ErrorKind::AlreadyExists,
        409 => ErrorKind::Conflict,
        410 => ErrorKind::Interrupted,
        429 => ErrorKind::Busy,
        503 => ErrorKind::NotReady,
        code if code >= 500 => ErrorKind::Server,
        _ => ErrorKind::Rejected,
    };
    let error = Error::new(kind, operation).with_message(status.message.clone());
    match StatusCode::from_u16(status.code) {
        Ok(code) => error.with_status(code),
        Err(_) => error,
    }
}

/// The position where decoding stopped. The text of serde can quote the value, and values can be tokens.
pub(super) fn decode_failure(operation: &'static str, error: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Decode, operation).with_message(format!(
        "{:?} error at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn kind_of(code: u16, reason: &str) -> ErrorKind {
        let status = Status::failure("text", reason).with_code(code);
        from_kube("read", kube::Error::Api(status.boxed())).kind()
    }

    #[test]
    fn rejections_are_distinguished_by_code_and_reason() {
        assert_eq!(kind_of(401, "Unauthorized"), ErrorKind::Unauthenticated);
        assert_eq!(kind_of(403, "Forbidden"), ErrorKind::Forbidden);
        assert_eq!(kind_of(409, "AlreadyExists"), ErrorKind::AlreadyExists);
        assert_eq!(kind_of(409, "Conflict"), ErrorKind::Conflict);
        assert_eq!(kind_of(422, "Invalid"), ErrorKind::Rejected);
        assert_eq!(kind_of(503, ""), ErrorKind::NotReady);
        assert_eq!(kind_of(500, ""), ErrorKind::Server);
    }

    #[test]
    fn an_apply_names_its_manager_and_forces() {
        let call = ApiRequest::apply("apply", "/api/v1/namespaces/a/secrets/b", Value::Null);

        let request = call.to_http().unwrap();

        assert_eq!(
            request.uri().query(),
            Some("force=true&fieldManager=lungmen-bootstrap")
        );
        assert_eq!(call.target(), "/api/v1/namespaces/a/secrets/b");
        assert_eq!(
            request.headers()["content-type"],
            "application/apply-patch+yaml"
        );
    }

    #[test]
    fn a_decode_failure_does_not_quote_the_response() {
        let cause = serde_json::from_str::<u8>("\"hunter2\"").unwrap_err();

        let error = from_kube("read", kube::Error::SerdeError(cause));

        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
