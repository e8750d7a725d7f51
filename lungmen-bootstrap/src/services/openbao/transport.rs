//! Sends every request: headers, one redirect, timeout of an attempt, retries by idempotency.

use std::sync::{Mutex, PoisonError};

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::rejection::rejection;
use crate::services::{Error, ErrorKind, Idempotency, Result, RetryPolicy, retry_after};

const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const INDEX: HeaderName = HeaderName::from_static("x-vault-index");

/// One request: operation and target for errors, path below `/v1/`, body.
#[derive(Clone)]
pub(super) struct Request {
    operation: &'static str,
    target: String,
    method: Method,
    path: String,
    body: Option<Value>,
    idempotency: Idempotency,
    any_status_with: Option<&'static str>,
}

impl Request {
    pub(super) fn read(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::GET, path)
    }

    pub(super) fn delete(operation: &'static str, path: impl Into<String>) -> Self {
        Self::new(operation, Method::DELETE, path)
    }

    /// A write that has the same effect however often it is sent.
    pub(super) fn write(operation: &'static str, path: impl Into<String>, body: Value) -> Self {
        let mut request = Self::new(operation, Method::POST, path);
        request.body = Some(body);
        request
    }

    /// A write that must not be sent again when it may have taken effect.
    pub(super) fn write_once(
        operation: &'static str,
        path: impl Into<String>,
        body: Value,
    ) -> Self {
        let mut request = Self::write(operation, path, body);
        request.idempotency = Idempotency::Unsafe;
        request
    }

    fn new(operation: &'static str, method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            operation,
            target: path.clone(),
            method,
            path,
            body: None,
            idempotency: Idempotency::Safe,
            any_status_with: None,
        }
    }

    /// Sets the target that errors name.
    pub(super) fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    fn accepts(&self, body: Option<&Value>) -> bool {
        let field = self.any_status_with.and_then(|field| body?.get(field));
        field.is_some()
    }

    /// Accepts a body with this field whatever the status: `sys/health` uses the status to report the state.
    pub(super) fn any_status_with(mut self, field: &'static str) -> Self {
        self.any_status_with = Some(field);
        self
    }
}

/// Address, HTTP client, namespace, and the index of the last write.
pub(super) struct Transport {
    pub(super) http: reqwest::Client,
    pub(super) address: Url,
    pub(super) namespace: Option<HeaderValue>,
    pub(super) retry: RetryPolicy,
    pub(super) last_write: Mutex<Option<HeaderValue>>,
}

impl Transport {
    /// Sends, and repeats what may be repeated by the retry policy.
    pub(super) async fn send(
        &self,
        request: &Request,
        token: Option<&SecretString>,
    ) -> Result<Value> {
        let header = token.map(token_header).transpose()?;
        let header = header.as_ref();
        self.retry
            .run(request.idempotency, |_| self.attempt(request, header))
            .await
            .map_err(|error| {
                error
                    .with_target(&request.target)
                    .with_server(self.address.as_str())
            })
    }

    async fn attempt(&self, request: &Request, token: Option<&HeaderValue>) -> Result<Value> {
        let started = tokio::time::Instant::now();
        let response = self.exchange(request, token).await;
        tracing::debug!(
            operation = request.operation,
            method = %request.method,
            status = response.as_ref().map_or_else(Error::status, |_| Some(StatusCode::OK)).map(|status| status.as_u16()),
            duration = ?started.elapsed(),
            "openbao request"
        );
        response
    }

    async fn exchange(&self, request: &Request, token: Option<&HeaderValue>) -> Result<Value> {
        let url = self.url(request)?;
        let first = self.once(request, url.clone(), token).await?;
        let response = match redirect(request.operation, &url, &first)? {
            Some(elsewhere) => self.once(request, elsewhere, token).await?,
            None => first,
        };
        self.read(request, response).await
    }

    async fn once(
        &self,
        request: &Request,
        url: Url,
        token: Option<&HeaderValue>,
    ) -> Result<reqwest::Response> {
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header(REQUEST, "true");
        if let Some(token) = token {
            builder = builder.header(TOKEN, token.clone());
        }
        if let Some(namespace) = &self.namespace {
            builder = builder.header(NAMESPACE, namespace.clone());
        }
        if request.method == Method::GET
            && let Some(index) = self.last_write()
        {
            builder = builder.header(INDEX, index);
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string());
        }
        builder
            .send()
            .await
            .map_err(|error| unsent(request.operation, error))
    }

    async fn read(&self, request: &Request, response: reqwest::Response) -> Result<Value> {
        let status = response.status();
        let delay = retry_after(response.headers());
        if request.method != Method::GET
            && status.is_success()
            && let Some(index) = response.headers().get(INDEX)
        {
            *self
                .last_write
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(index.clone());
        }
        let bytes = response
            .bytes()
            .await
            .map_err(|error| unsent(request.operation, error))?;
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        if status.is_success() || request.accepts(body.as_ref()) {
            return match body {
                Some(body) => Ok(body),
                None if bytes.is_empty() => Ok(Value::Null),
                None => Err(Error::new(ErrorKind::Decode, request.operation)
                    .with_status(status)
                    .with_message(format!("the response of {} bytes is not JSON", bytes.len()))),
            };
        }
        let error = rejection(request.operation, status, body.as_ref());
        Err(match delay {
            Some(delay) => error.with_retry_after(delay),
            None => error,
        })
    }

    fn url(&self, request: &Request) -> Result<Url> {
        let base = self.address.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/v1/{}", request.path)).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, request.operation).with_message(error.to_string())
        })
    }

    fn last_write(&self) -> Option<HeaderValue> {
        self.last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The target of a 307: a standby that does not forward names the active node.
fn redirect(
    operation: &'static str,
    from: &Url,
    response: &reqwest::Response,
) -> Result<Option<Url>> {
    if response.status() != StatusCode::TEMPORARY_REDIRECT {
        return Ok(None);
    }
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let Some(to) = location.and_then(|location| from.join(location).ok()) else {
        return Ok(None);
    };
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(Error::new(ErrorKind::Rejected, operation)
            .with_status(StatusCode::TEMPORARY_REDIRECT)
            .with_message(
                "the server redirects from https to http, which would expose the token",
            ));
    }
    Ok(Some(to))
}

fn token_header(token: &SecretString) -> Result<HeaderValue> {
    let text = token.expose_secret();
    let printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut header = HeaderValue::from_str(text)
        .ok()
        .filter(|_| printable)
        .ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "authenticate")
                .with_message("the token is empty or not printable ASCII")
        })?;
    header.set_sensitive(true);
    Ok(header)
}

fn unsent(operation: &'static str, error: reqwest::Error) -> Error {
    // The error's text would contain the URL with its query; the target names the path already.
    let error = error.without_url();
    if error.is_timeout() && !error.is_connect() {
        return Error::new(ErrorKind::Timeout, operation)
            .with_message("the server did not respond in time")
            .with_source(error);
    }
    let connecting = error.is_connect();
    Error::transport(operation, connecting, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_not_printable_ascii_is_rejected_without_quoting_it() {
        for token in ["", "s.hunter2\n", "s.hünter2", "s.hunter 2"] {
            let error = token_header(&SecretString::from(token)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(!format!("{error:?}").contains("nter"));
        }
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        let answer = |location: &str| {
            let response = http::Response::builder()
                .status(307)
                .header(LOCATION, location);
            reqwest::Response::from(response.body("").unwrap())
        };
        let secure: Url = "https://bao.example:8200/v1/a".parse().unwrap();
        let followed = |location: &str| redirect("read", &secure, &answer(location));

        assert_eq!(
            followed("https://active.example/v1/a")
                .unwrap()
                .unwrap()
                .host_str(),
            Some("active.example")
        );
        assert_eq!(followed("/v1/b").unwrap().unwrap().path(), "/v1/b");
        assert_eq!(
            followed("http://active.example/v1/a").unwrap_err().kind(),
            ErrorKind::Rejected
        );
    }

    #[test]
    fn a_token_header_is_marked_sensitive() {
        let header = token_header(&SecretString::from("s.abc")).unwrap();

        assert_eq!(format!("{header:?}"), "Sensitive");
    }
}
