//! The only place that sends: URL, form, authentication, attempt timeout, retry loop, log fields.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};
use hyper::ext::ReasonPhrase;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, Semaphore};
use tracing::debug;

use crate::credentials::Authenticator;
use crate::envelope::{Answer, Envelope, decode};
use crate::error::{Error, ErrorKind, Result};
use crate::request::Request;
use crate::retry::{self, RetryPolicy};
use crate::storage::progress::Progress;
use crate::tls;

pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) authenticator: Authenticator,
    pub(crate) retry: RetryPolicy,
    pub(crate) request_timeout: Duration,
    pub(crate) upload_timeout: Duration,
    /// The server has three workers, and each call occupies one while it is answered.
    pub(crate) places: Semaphore,
    /// An upload is written inside the event loop of a worker: one at a time.
    pub(crate) uploading: Mutex<()>,
}

/// Requests under way at once.
pub(crate) const PLACES: usize = 4;

impl Transport {
    /// Sends and decodes the result.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let envelope = self.send(&request).await?;
        decode(&request, envelope.data)
    }

    /// Sends until it succeeds or must not be repeated.
    pub(crate) async fn send(&self, request: &Request) -> Result<Envelope> {
        retry::run(&self.retry, request.idempotency, |number| {
            self.attempt(request, number)
        })
        .await
    }

    async fn attempt(&self, request: &Request, number: usize) -> Result<Envelope> {
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
                let envelope = self.exchange(&login, HeaderMap::new(), 1).await?;
                Ok(envelope.data)
            })
            .await
    }

    async fn exchange(
        &self,
        request: &Request,
        headers: HeaderMap,
        attempt: usize,
    ) -> Result<Envelope> {
        // Never closed, so always granted.
        let _place = self.places.acquire().await.ok();
        let started = Instant::now();
        let url = format!("{}{}", self.base, request.path);
        let builder = self
            .http
            .request(request.method.clone(), url)
            .headers(headers)
            .timeout(request.timeout.unwrap_or(self.request_timeout));
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
        let result = receive(builder.send().await, request).await;
        log(request, attempt, started, &result);
        result?.into_envelope(request)
    }

    /// Sends a multipart body once. Only silence is limited, not the whole time.
    pub(crate) async fn upload(
        &self,
        request: &Request,
        form: reqwest::multipart::Form,
        progress: &Progress,
    ) -> Result<Envelope> {
        let _turn = self.uploading.lock().await;
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
        let result = match progress.watch(self.upload_timeout, sending).await {
            Some(result) => result,
            None => Err(Error::new(ErrorKind::Timeout, request.operation)
                .with_target(request.target.clone())
                .with_message(format!(
                    "no progress for {} s",
                    self.upload_timeout.as_secs_f32()
                ))),
        };
        log(request, 1, started, &result);
        result?.into_envelope(request)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

async fn receive(
    response: Result<reqwest::Response, reqwest::Error>,
    request: &Request,
) -> Result<Answer> {
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
    let body = match response.bytes().await {
        Ok(body) => body,
        // The status line of an error says enough when the connection breaks after it.
        Err(_) if !status.is_success() => bytes::Bytes::new(),
        Err(error) => return Err(failure(error, request)),
    };
    Ok(Answer {
        status,
        phrase,
        content_type,
        body,
    })
}

fn log(request: &Request, attempt: usize, started: Instant, result: &Result<Answer>) {
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(answer) => debug!(
            method = %request.method,
            route = request.route,
            status = answer.status.as_u16(),
            attempt,
            duration_ms,
            "request answered"
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

/// What a failure without an answer means.
fn failure(error: reqwest::Error, request: &Request) -> Error {
    let error = error.without_url();
    let tls_error = tls::find_tls_error(&error);
    let mismatch = tls_error.and_then(tls::pin_mismatch);
    let untrusted = matches!(
        tls_error,
        Some(
            rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::UnsupportedNameType
        )
    );
    let kind = if untrusted {
        ErrorKind::Certificate
    } else if error.is_connect() {
        ErrorKind::Connect
    } else if error.is_timeout() {
        ErrorKind::Timeout
    } else if error.is_builder() {
        ErrorKind::InvalidRequest
    } else {
        ErrorKind::Interrupted
    };
    let message = match (&mismatch, kind) {
        (Some(mismatch), _) => mismatch.to_string(),
        (None, ErrorKind::Timeout) => "no answer in time".to_owned(),
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
