//! The only place that sends: URL, headers, body, attempt timeout, session, retries, log line.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use reqwest::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::answer::{decode, expect_json, interpret, refused};
use crate::call::{AttemptTimeout, Call};
use crate::credentials::{Credentials, Session};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::DurationText;
use crate::retry::RetryPolicy;

const RENEWED_TOKEN: &str = "grpc-metadata-renew-token";
const GRPC_TOKEN: &str = "grpc-metadata-token";

#[derive(Debug, Clone)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) request: Duration,
    pub(crate) cluster: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            cluster: Duration::from_secs(90),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum TokenHeader {
    Authorization,
    GrpcMetadata,
}

#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) session: Session,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
    pub(crate) token_header: TokenHeader,
}

#[derive(Deserialize)]
struct LoginAnswer {
    #[serde(default)]
    token: SecretString,
}

#[derive(Deserialize)]
struct SessionState {
    #[serde(default, rename = "loggedIn")]
    logged_in: bool,
}

impl Transport {
    /// Sends a call, repeats it as its idempotency allows, and decodes the response.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T> {
        call.check()?;
        let sent = match call.attempt_timeout {
            AttemptTimeout::Exactly(deadline) => self.within(call, deadline).await,
            _ => self.repeated(call).await,
        };
        sent.and_then(|body| decode(call, &body))
            .map_err(|error| error.with_server(self.base.as_str()))
    }

    /// The attempts of a call that must end after `deadline`, repetitions included.
    async fn within(&self, call: &Call, deadline: Duration) -> Result<Bytes> {
        match timeout(deadline, self.repeated(call)).await {
            Ok(sent) => sent,
            Err(_) => Err(call
                .error(ErrorKind::Timeout)
                .with_message(format!("no response within {}", DurationText(deadline)))),
        }
    }

    async fn repeated(&self, call: &Call) -> Result<Bytes> {
        self.retry
            .run(call.idempotency, async |attempt| {
                if attempt > 1 {
                    tracing::debug!(operation = call.operation, attempt, "repeating the request");
                }
                self.exchange(call).await
            })
            .await
    }

    /// Opens a stream of events: no attempt timeout, no retry, server-sent events preferred.
    ///
    /// The server sends no response headers before the first event, so this may stay pending
    /// for as long as nothing happens.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response> {
        call.check()?;
        self.authorised(call)
            .await
            .map_err(|error| error.with_server(self.base.as_str()))
    }

    async fn exchange(&self, call: &Call) -> Result<Bytes> {
        let response = self.authorised(call).await?;
        response
            .bytes()
            .await
            .map_err(|error| interpret(call, error))
    }

    /// One attempt with the current session, and a second one when the session can be replaced.
    async fn authorised(&self, call: &Call) -> Result<Response> {
        let token = self.token().await?;
        let error = match self.attempt(call, token.as_ref()).await {
            Ok(response) => return Ok(response),
            Err(error) => self.unmask(error, token.as_ref()).await,
        };
        if error.kind() != ErrorKind::Unauthenticated || !self.session.is_renewable() {
            return Err(error);
        }
        let renewed = self.renew(token.as_ref()).await?;
        self.attempt(call, Some(&renewed)).await
    }

    /// Tells a lost session from a missing right.
    ///
    /// Where anonymous access is enabled, an expired token is not refused: the call runs as
    /// anonymous and gives a 403. The session endpoint knows.
    async fn unmask(&self, error: Error, token: Option<&SecretString>) -> Error {
        let hidden = matches!(
            error.kind(),
            ErrorKind::Forbidden | ErrorKind::NotFoundOrForbidden
        );
        if !hidden || token.is_none() {
            return error;
        }
        let call = Call::get("check session", "/api/v1/session/userinfo", &[]);
        let Ok(response) = self.attempt(&call, token).await else {
            return error;
        };
        match response.json::<SessionState>().await {
            Ok(SessionState { logged_in: false }) => {
                let message = format!(
                    "the session is not valid, the server answered as to an anonymous caller: {}",
                    error.message()
                );
                error
                    .with_kind(ErrorKind::Unauthenticated)
                    .with_message(message)
            }
            _ => error,
        }
    }

    async fn token(&self) -> Result<Option<SecretString>> {
        let mut slot = self.session.token.lock().await;
        if slot.is_none() && self.session.is_renewable() {
            *slot = Some(self.log_in().await?);
        }
        Ok(slot.clone())
    }

    /// Logs in again unless another call has already replaced the stale token.
    async fn renew(&self, stale: Option<&SecretString>) -> Result<SecretString> {
        let mut slot = self.session.token.lock().await;
        if let (Some(current), Some(stale)) = (slot.as_ref(), stale)
            && current.expose_secret() != stale.expose_secret()
        {
            return Ok(current.clone());
        }
        let token = self.log_in().await?;
        *slot = Some(token.clone());
        Ok(token)
    }

    async fn log_in(&self) -> Result<SecretString> {
        if let Credentials::Oidc(tokens) = &self.session.credentials {
            return tokens.refresh().await;
        }
        let call = Call::new("log in", Method::POST, "/api/v1/session", &[]);
        let Credentials::Password { username, password } = &self.session.credentials else {
            return Err(call.error(ErrorKind::Unauthenticated));
        };
        let call = call
            .target(username)
            .body(&json!({"username": username, "password": password.expose_secret()}))?;
        let response = self.attempt(&call, None).await?;
        let body = response
            .bytes()
            .await
            .map_err(|error| interpret(&call, error))?;
        let LoginAnswer { token } = decode(&call, &body)?;
        if token.expose_secret().is_empty() {
            return Err(call
                .error(ErrorKind::Decode)
                .with_message("the response has no token"));
        }
        Ok(token)
    }

    /// Sends one request; any response but a JSON 2xx is an error.
    async fn attempt(&self, call: &Call, token: Option<&SecretString>) -> Result<Response> {
        let started = Instant::now();
        let result = self.request(call, token)?.send().await;
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                let error = interpret(call, error);
                tracing::debug!(method = %call.method, path = call.template, kind = ?error.kind(), duration = ?started.elapsed(), "no response");
                return Err(error);
            }
        };
        let status = response.status();
        tracing::debug!(method = %call.method, path = call.template, status = status.as_u16(), duration = ?started.elapsed(), "answered");
        if let Some(renewed) = response
            .headers()
            .get(RENEWED_TOKEN)
            .and_then(|value| value.to_str().ok())
            && token.is_some()
        {
            self.session.adopt(renewed).await;
        }
        if status.is_success() {
            expect_json(call, response)
        } else {
            Err(refused(call, response).await)
        }
    }

    fn request(
        &self,
        call: &Call,
        token: Option<&SecretString>,
    ) -> Result<reqwest::RequestBuilder> {
        let base = self.base.as_str().trim_end_matches('/');
        let mut request = self.http.request(
            call.method.clone(),
            format!("{base}{}{}", call.path, call.query),
        );
        request = match call.attempt_timeout {
            AttemptTimeout::Request => request.timeout(self.timeouts.request),
            AttemptTimeout::Cluster => request.timeout(self.timeouts.cluster),
            AttemptTimeout::Exactly(timeout) => request
                .timeout(timeout)
                .header("Grpc-Timeout", grpc_timeout(timeout)),
            AttemptTimeout::Endless => request.header(ACCEPT, "text/event-stream"),
        };
        if call.method != Method::GET {
            // Compared as a whole by the server: a charset, or no header at all, is a 415.
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let Some(token) = token else {
            return Ok(request);
        };
        let (name, value) = match self.token_header {
            TokenHeader::Authorization => (
                AUTHORIZATION.as_str(),
                format!("Bearer {}", token.expose_secret()),
            ),
            TokenHeader::GrpcMetadata => (GRPC_TOKEN, token.expose_secret().to_owned()),
        };
        let mut value = HeaderValue::try_from(value).map_err(|_| {
            call.error(ErrorKind::Configuration)
                .with_message("the token cannot be sent in a header")
        })?;
        value.set_sensitive(true);
        Ok(request.header(name, value))
    }
}

/// Turns "not found" into none.
pub(crate) fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A deadline of the server, in the form of gRPC: at most eight digits and a unit.
fn grpc_timeout(timeout: Duration) -> String {
    let millis = timeout.as_millis().max(1);
    if millis < 100_000_000 {
        format!("{millis}m")
    } else {
        format!("{}S", timeout.as_secs().min(99_999_999))
    }
}
