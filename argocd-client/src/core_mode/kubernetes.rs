//! Requests to the API server of Kubernetes, and what its refusals mean.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use reqwest::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::answer::{decode, interpret};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::response::raw_text;
use crate::retry::{RetryPolicy, retry_after};
use crate::wire::nullable;

/// The connection to the Kubernetes API.
#[derive(Debug)]
pub(crate) struct Kubernetes {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) namespace: String,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Duration,
}

/// The object that Kubernetes answers a failure with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default, deserialize_with = "nullable")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    message: String,
    #[serde(default, deserialize_with = "nullable")]
    reason: String,
    #[serde(default, deserialize_with = "nullable")]
    code: u16,
}

impl Kubernetes {
    /// Sends a call, repeats it as its idempotency allows, and decodes the response.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        call.check()?;
        let sent = self
            .retry
            .run(call.idempotency, async |_| self.exchange(call).await)
            .await;
        sent.and_then(|body| decode(call, &body))
            .map_err(|error| error.with_server(self.base.as_str()))
    }

    /// Opens a watch: no attempt timeout, no retry.
    pub(super) async fn open(&self, call: &Call) -> Result<Response> {
        call.check()?;
        let response = self.attempt(call, None).await;
        response.map_err(|error| error.with_server(self.base.as_str()))
    }

    async fn exchange(&self, call: &Call) -> Result<Bytes> {
        let response = self.attempt(call, Some(self.timeout)).await?;
        let body = response.bytes().await;
        body.map_err(|error| interpret(call, error))
    }

    async fn attempt(&self, call: &Call, timeout: Option<Duration>) -> Result<Response> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = format!("{base}{}{}", call.path, call.query);
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(body) = &call.body {
            let media_type = if call.method == Method::PATCH {
                "application/merge-patch+json"
            } else {
                "application/json"
            };
            request = request.header(CONTENT_TYPE, media_type).body(body.clone());
        }
        let response = request
            .send()
            .await
            .map_err(|error| interpret(call, error))?;
        let status = response.status();
        tracing::debug!(method = %call.method, path = call.template, status = status.as_u16(), "answered");
        if status.is_success() {
            return Ok(response);
        }
        let delay = retry_after(response.headers());
        let body = response.bytes().await.unwrap_or_default();
        let (kind, message) = meaning(status, &body);
        Err(call
            .error(kind)
            .with_status(status)
            .with_retry_after(delay)
            .with_message(message))
    }
}

/// What a refusal means. Text instead of a `Status` comes from the router: the path is not served.
fn meaning(status: StatusCode, body: &[u8]) -> (ErrorKind, String) {
    match serde_json::from_slice::<Status>(body) {
        Ok(answer) if answer.kind == "Status" => (kind_of(status, &answer.reason), answer.message),
        _ if status == StatusCode::NOT_FOUND => {
            let message =
                "the API server does not know this kind; Argo CD is not installed in the cluster";
            (ErrorKind::Unsupported, message.to_owned())
        }
        _ => (kind_of(status, ""), raw_text(body)),
    }
}

fn kind_of(status: StatusCode, reason: &str) -> ErrorKind {
    match (status.as_u16(), reason) {
        (300..=399, _) => ErrorKind::Redirected,
        (401, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::Forbidden,
        (404, _) => ErrorKind::NotFound,
        (409, "AlreadyExists") => ErrorKind::AlreadyExists,
        (409, _) => ErrorKind::Conflict,
        // The watch is older than what the server remembers: it is begun again.
        (410, _) => ErrorKind::Interrupted,
        (429, _) => ErrorKind::Busy,
        (502 | 503, _) => ErrorKind::Unavailable,
        (504, _) => ErrorKind::Timeout,
        (400..=499, _) => ErrorKind::Rejected,
        _ => ErrorKind::Server,
    }
}

impl Status {
    /// The error that a watch ends with.
    pub(super) fn error(self, operation: &'static str) -> Error {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Error::new(kind_of(status, &self.reason), operation)
            .with_status(status)
            .with_message(self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_kubernetes_have_kinds() {
        let kind = |code: u16, reason: &str| {
            let body =
                format!(r#"{{"kind":"Status","reason":"{reason}","message":"m","code":{code}}}"#);
            meaning(StatusCode::from_u16(code).unwrap(), body.as_bytes()).0
        };

        assert_eq!(kind(404, "NotFound"), ErrorKind::NotFound);
        assert_eq!(kind(409, "AlreadyExists"), ErrorKind::AlreadyExists);
        assert_eq!(kind(409, "Conflict"), ErrorKind::Conflict);
        assert_eq!(kind(410, "Expired"), ErrorKind::Interrupted);
        assert_eq!(kind(422, "Invalid"), ErrorKind::Rejected);
        assert_eq!(kind(403, "Forbidden"), ErrorKind::Forbidden);
        let text = meaning(StatusCode::NOT_FOUND, b"404 page not found\n");
        assert_eq!(text.0, ErrorKind::Unsupported);
    }
}
