//! The only place that puts requests on the wire: credentials, redirects, attempt timeouts, retries, logs.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::Response;
use secrecy::ExposeSecret;
use url::Url;

use crate::answer;
use crate::builder::{ClientBuilder, Credentials, RetryPolicy, Timeouts};
use crate::error::{Error, ErrorKind, Result};
use crate::offline::{OfflineFactory, join};
use crate::tls;
use crate::version::FactoryVersion;

const MAX_REDIRECTS: usize = 5;

#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    pub(crate) offline: OfflineFactory,
    credentials: Option<Credentials>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    factory: Mutex<Option<FactoryVersion>>,
}

/// One request, which may be sent several times.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What it is for, in error messages.
    pub(crate) operation: &'static str,
    /// The path with placeholders, for logs.
    pub(crate) route: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
    /// How long one attempt may take until the head of the answer is there.
    pub(crate) timeout: Duration,
    pub(crate) redirects: Redirects,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Follow,
    /// Hand a redirect out as the answer.
    Return,
}

impl Request {
    pub(crate) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn with_body(mut self, body: String) -> Self {
        self.method = Method::POST;
        self.body = Some(body);
        self
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The path, for error messages; a query may hold a token.
    fn target(&self) -> &str {
        self.url.path()
    }

    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.operation).with_target(self.target())
    }
}

impl Transport {
    pub(crate) fn new(builder: &ClientBuilder, offline: OfflineFactory) -> Result<Self> {
        let refused = |error: reqwest::Error| {
            Error::new(ErrorKind::Configuration, "build client").with_source(error.without_url())
        };
        let tls = tls::client_config(&builder.trust, offline.base_url().scheme() == "https")?;
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(builder.timeouts.connect)
            .user_agent(builder.user_agent.clone())
            .no_proxy();
        if let Some(proxy) = &builder.proxy {
            http = http.proxy(reqwest::Proxy::all(proxy.clone()).map_err(refused)?);
        }
        Ok(Self {
            http: http.build().map_err(refused)?,
            offline,
            credentials: builder.credentials.clone(),
            timeouts: builder.timeouts.clone(),
            retry: builder.retry.clone(),
            factory: Mutex::new(None),
        })
    }

    /// A metadata request (GET, redirects followed); adjust it with its setters.
    pub(crate) fn get(&self, operation: &'static str, route: &'static str, path: &str) -> Request {
        Request {
            operation,
            route,
            method: Method::GET,
            url: join(self.offline.base_url(), path),
            headers: HeaderMap::new(),
            body: None,
            timeout: self.timeouts.request,
            redirects: Redirects::Follow,
        }
    }

    /// Sends with retries and reads the whole body, which is small.
    pub(crate) async fn text(&self, request: &Request) -> Result<String> {
        self.repeat(|| async {
            let attempt = async {
                let response = self.send(request).await?;
                answer::read_text(request, response).await
            };
            tokio::time::timeout(request.timeout, attempt)
                .await
                .unwrap_or_else(|_| Err(request.error(ErrorKind::Timeout)))
        })
        .await
    }

    /// Runs `attempt` again after failures that may pass, as often as the policy allows.
    pub(crate) async fn repeat<T, F, Fut>(&self, attempt: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        attempt
            .retry(self.backoff().with_max_times(self.retry.attempts - 1))
            .when(Error::is_retryable)
            .adjust(|error, delay| delay.map(|delay| error.delay_at_least(delay)))
            .notify(|error, delay| tracing::debug!(kind = ?error.kind(), ?delay, "repeating"))
            .await
    }

    pub(crate) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.retry.first_delay)
            .with_max_delay(self.retry.max_delay)
            .with_factor(2.0)
            .with_jitter()
    }

    /// One attempt, up to the head of a successful answer.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response> {
        let started = Instant::now();
        let outcome = tokio::time::timeout(request.timeout, self.follow(request))
            .await
            .unwrap_or_else(|_| Err(request.error(ErrorKind::Timeout)));
        tracing::debug!(
            method = %request.method,
            path = request.route,
            status = outcome.as_ref().ok().map(|response| response.status().as_u16()),
            elapsed = ?started.elapsed(),
            "request"
        );
        let response = outcome?;
        self.remember_factory(response.headers());
        answer::accept(request, response).await
    }

    async fn follow(&self, request: &Request) -> Result<Response> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.dispatch(request, url.clone()).await?;
            if request.redirects == Redirects::Return || !is_redirect(response.status()) {
                return Ok(response);
            }
            url = self.next_hop(request, &url, &response)?;
        }
        Err(request
            .error(ErrorKind::Rejected)
            .with_message("more than five redirects"))
    }

    async fn dispatch(&self, request: &Request, url: Url) -> Result<Response> {
        let mut builder = self
            .http
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        if self.is_own_origin(&url) {
            builder = match &self.credentials {
                Some(Credentials::Basic { user, password }) => {
                    builder.basic_auth(user, Some(password.expose_secret()))
                }
                Some(Credentials::Bearer(token)) => builder.bearer_auth(token.expose_secret()),
                None => builder,
            };
        }
        if let Some(body) = &request.body {
            builder = builder
                .header(header::CONTENT_TYPE, "application/yaml")
                .body(body.clone());
        }
        builder
            .send()
            .await
            .map_err(|error| answer::connection_error(request, error))
    }

    fn is_own_origin(&self, url: &Url) -> bool {
        url.origin() == self.offline.base_url().origin()
    }

    fn next_hop(&self, request: &Request, from: &Url, response: &Response) -> Result<Url> {
        let refuse = |message: &str| {
            Err(request
                .error(ErrorKind::Rejected)
                .with_status(response.status())
                .with_message(message))
        };
        let location = response.headers().get(header::LOCATION);
        let Some(location) = location.and_then(|value| value.to_str().ok()) else {
            return refuse("a redirect without a target");
        };
        let Ok(next) = from.join(location) else {
            return refuse("a redirect to something that is no URL");
        };
        if from.scheme() == "https" && next.scheme() != "https" {
            return refuse("a redirect from https to an unprotected address");
        }
        // Only the factory itself is asked to change anything.
        if request.body.is_some() && !self.is_own_origin(&next) {
            return refuse("a redirect of a POST to another host");
        }
        Ok(next)
    }

    fn remember_factory(&self, headers: &HeaderMap) {
        let name = headers.get(header::SERVER).and_then(|v| v.to_str().ok());
        if let Some(version) = name.and_then(FactoryVersion::parse)
            && let Ok(mut factory) = self.factory.lock()
        {
            *factory = Some(version);
        }
    }

    /// What the latest answer said about the factory.
    pub(crate) fn factory(&self) -> Option<FactoryVersion> {
        self.factory.lock().ok()?.clone()
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
