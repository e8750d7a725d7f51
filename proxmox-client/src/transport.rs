//! The only place that sends: URL, form, authentication, attempt timeout, retry loop, log fields.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, Method};
use hyper::ext::ReasonPhrase;
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::connections::Connections;
use crate::credentials::Authenticator;
use crate::envelope::{Envelope, ServerResponse};
use crate::error::{Error, ErrorKind, Result};
use crate::limiter::Limiter;
use crate::poll::DurationText;
use crate::request::Request;
use crate::retry::{RetryPolicy, retry_after};
use crate::storage::progress::Progress;
use crate::tls;

pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) authenticator: Authenticator,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
    pub(crate) upload_timeout: Duration,
    pub(crate) limiter: Limiter,
    pub(crate) connections: Connections,
}

impl Transport {
    /// Sends and decodes the result.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        self.succeed(&request)
            .await?
            .into_data(&request)
            .map_err(|error| error.with_server(self.server()))
    }

    /// Sends, and keeps what the server said beside the result.
    pub(crate) async fn send(&self, request: &Request) -> Result<Envelope> {
        self.succeed(request)
            .await?
            .into_envelope(request)
            .map_err(|error| error.with_server(self.server()))
    }

    /// Sends until it succeeds or must not be repeated.
    async fn succeed(&self, request: &Request) -> Result<ServerResponse> {
        request.refuse_problems()?;
        let attempt = |number| async move {
            match self.attempt(request, number).await {
                // Not repeated here: each request without an agent occupies a worker of the server for 3 s.
                Err(error) if error.kind() == ErrorKind::NotReady => Ok(Err(error)),
                other => other.map(Ok),
            }
        };
        self.retry
            .run(request.idempotency, attempt)
            .await
            .and_then(|result| result)
            .map_err(|error| error.with_server(self.server()))
    }

    /// The address of the server, without credentials.
    pub(crate) fn server(&self) -> &str {
        self.base.trim_end_matches("/api2/json")
    }

    async fn attempt(&self, request: &Request, number: usize) -> Result<ServerResponse> {
        let authentication = self.authenticate(&request.method).await?;
        let result = self.exchange(request, authentication.headers, number).await;
        let refused = matches!(&result, Err(error) if error.kind() == ErrorKind::Unauthenticated);
        if !(refused && self.authenticator.forget(authentication.serial).await) {
            return result;
        }
        let renewed = self.authenticate(&request.method).await?;
        self.exchange(request, renewed.headers, number).await
    }

    async fn authenticate(&self, method: &Method) -> Result<crate::credentials::Authentication> {
        self.authenticator
            .authenticate(method, |login| async move {
                let response = self.exchange(&login, HeaderMap::new(), 1).await?;
                Ok(response.into_envelope(&login)?.data)
            })
            .await
    }

    async fn exchange(
        &self,
        request: &Request,
        headers: HeaderMap,
        attempt: usize,
    ) -> Result<ServerResponse> {
        let _turn = self
            .limiter
            .request_turn(request.node.as_deref(), self.server())
            .await;
        let started = Instant::now();
        let url = format!("{}{}", self.base, request.path);
        let builder = self
            .http
            .request(request.method.clone(), url)
            .headers(headers)
            .timeout(request.timeout.unwrap_or(self.timeout));
        // GET and DELETE must not have a body; all others need one with a length, even if empty.
        let builder = if request.method == Method::GET || request.method == Method::DELETE {
            builder.query(&request.params)
        } else {
            builder.form(&request.params)
        };
        // Without the header the server closes the connection on some calls (seen by other clients).
        let bodiless =
            request.params.is_empty() && !matches!(request.method.as_str(), "GET" | "DELETE");
        let builder = if bodiless {
            builder.header(CONTENT_LENGTH, 0)
        } else {
            builder
        };
        let exchange = async { receive(builder.send().await, request).await };
        let result = self
            .connections
            .exchange(exchange, leaves_a_connection)
            .await;
        log(request, attempt, started, &result);
        result?.into_success(request)
    }

    /// Sends a multipart body once. Only silence is limited, not the whole time.
    pub(crate) async fn upload(
        &self,
        request: &Request,
        form: reqwest::multipart::Form,
        progress: &Progress,
    ) -> Result<Envelope> {
        let node = request.node.as_deref().unwrap_or_default();
        let storage = request.storage.as_deref().unwrap_or_default();
        let _turn = self.limiter.upload_turn(node, storage, self.server()).await;
        progress.mark();
        let started = Instant::now();
        let authentication = self.authenticate(&request.method).await?;
        let sending = async {
            let response = self
                .http
                .post(format!("{}{}", self.base, request.path))
                .headers(authentication.headers)
                .multipart(form)
                .send()
                .await;
            receive(response, request).await
        };
        let sending = self.connections.exchange(sending, leaves_a_connection);
        let result = match progress.watch(self.upload_timeout, sending).await {
            Some(result) => result,
            None => Err(Error::new(ErrorKind::Timeout, request.operation)
                .with_target(request.target.clone())
                .with_message(format!(
                    "no progress for {}",
                    DurationText(self.upload_timeout)
                ))),
        };
        log(request, 1, started, &result);
        result
            .and_then(|response| response.into_success(request)?.into_envelope(request))
            .map_err(|error| error.with_server(self.server()))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Whether the server keeps the connection of a response that was read to its end.
fn leaves_a_connection(result: &Result<ServerResponse>) -> bool {
    result
        .as_ref()
        .is_ok_and(|response| response.keeps_connection)
}

async fn receive(
    response: Result<reqwest::Response, reqwest::Error>,
    request: &Request,
) -> Result<ServerResponse> {
    let response = response.map_err(|error| failure(error, request))?;
    let status = response.status();
    let phrase = response
        .extensions()
        .get::<ReasonPhrase>()
        .map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
    let content_type = response
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let retry_after = retry_after(response.headers());
    let closes = response.headers().get(CONNECTION);
    let keeps_connection = closes.is_none_or(|value| value != "close");
    let body = match response.bytes().await {
        Ok(body) => body,
        // The status line of an error says enough when the connection breaks after it.
        Err(_) if !status.is_success() => bytes::Bytes::new(),
        Err(error) => return Err(failure(error, request)),
    };
    Ok(ServerResponse {
        status,
        phrase,
        content_type,
        retry_after,
        keeps_connection,
        body,
    })
}

fn log(request: &Request, attempt: usize, started: Instant, result: &Result<ServerResponse>) {
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(response) => debug!(
            method = %request.method,
            route = request.route,
            status = response.status.as_u16(),
            attempt,
            duration_ms,
            "response received"
        ),
        Err(error) => debug!(
            method = %request.method,
            route = request.route,
            kind = ?error.kind(),
            attempt,
            duration_ms,
            "request failed"
        ),
    }
}

/// The error of a request that got no response.
fn failure(error: reqwest::Error, request: &Request) -> Error {
    let error = error.without_url();
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
    let message = match (&mismatch, kind) {
        (Some(mismatch), _) => mismatch.to_string(),
        (None, ErrorKind::Timeout) => "no response within the timeout".to_owned(),
        (None, _) => root_cause(&error),
    };
    let result = Error::new(kind, request.operation)
        .with_target(request.target.clone())
        .with_message(message)
        .with_source(error);
    match mismatch {
        Some(mismatch) => result.with_pin_mismatch(mismatch),
        None => result,
    }
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}
