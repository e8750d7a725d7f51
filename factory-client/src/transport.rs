//! The only place that puts requests on the wire: credentials, redirects, attempt timeouts, retries, logs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::Response;
use secrecy::ExposeSecret;
use url::Url;

use crate::builder::{ClientBuilder, Credentials, Timeouts};
use crate::error::{Error, ErrorKind, Result};
use crate::offline::{OfflineFactory, join};
use crate::poll::Poll;
use crate::response;
use crate::retry::{Idempotency, RetryPolicy};
use crate::version::FactoryVersion;

const MAX_REDIRECTS: usize = 5;

#[derive(Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    server: Arc<str>,
    pub(crate) offline: OfflineFactory,
    credentials: Option<Credentials>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    /// How a download waits for a build.
    pub(crate) build: Poll,
    /// How long a posted schematic may be answered with 404.
    pub(crate) registration: Duration,
    factory: Mutex<Option<FactoryVersion>>,
}

/// One request. It may be sent several times.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The name in error messages.
    pub(crate) operation: &'static str,
    /// The path with placeholders, for logs.
    pub(crate) route: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
    /// How long one attempt may take until the head of the response is there.
    pub(crate) timeout: Duration,
    pub(crate) redirects: Redirects,
    pub(crate) content: Content,
    /// The endpoint, for error messages.
    server: Arc<str>,
}

/// What a successful response may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Data of the API, which is never an HTML page.
    Data,
    /// Anything.
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Follow,
    /// Return a redirect as the response.
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

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.operation)
            .with_target(self.target())
            .with_server(&*self.server)
    }
}

impl Transport {
    pub(crate) fn new(builder: &ClientBuilder, offline: OfflineFactory) -> Result<Self> {
        let invalid = |error: reqwest::Error| {
            Error::new(ErrorKind::Configuration, "build client").with_source(error.without_url())
        };
        let tls = builder.trust.client_config(offline.endpoint().scheme())?;
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(builder.timeouts.connect)
            .user_agent(builder.user_agent.clone())
            .no_proxy();
        if let Some(proxy) = &builder.proxy {
            http = http.proxy(reqwest::Proxy::all(proxy.clone()).map_err(invalid)?);
        }
        Ok(Self {
            http: http.build().map_err(invalid)?,
            credentials: builder.credentials.clone(),
            timeouts: builder.timeouts.clone(),
            retry: builder.retry,
            build: builder.build,
            registration: builder.registration,
            server: offline.endpoint().as_str().trim_end_matches('/').into(),
            offline,
            factory: Mutex::new(None),
        })
    }

    /// A metadata request (GET, redirects followed); adjust it with its setters.
    pub(crate) fn get(&self, operation: &'static str, route: &'static str, path: &str) -> Request {
        Request {
            operation,
            route,
            method: Method::GET,
            url: join(self.offline.endpoint(), path),
            headers: HeaderMap::new(),
            body: None,
            timeout: self.timeouts.request,
            redirects: Redirects::Follow,
            content: Content::Data,
            server: self.server.clone(),
        }
    }

    /// Sends with retries and reads the whole body, which is small. Every request of this crate is idempotent.
    pub(crate) async fn text(&self, request: &Request) -> Result<String> {
        let attempt = |_| async {
            let attempt = async {
                let response = self.send(request).await?;
                response::read_text(request, response).await
            };
            tokio::time::timeout(request.timeout, attempt)
                .await
                .unwrap_or_else(|_| Err(request.error(ErrorKind::Timeout)))
        };
        self.retry.run(Idempotency::Safe, attempt).await
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
        response::accept(request, response).await
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
                Some(Credentials::Password { username, password }) => {
                    builder.basic_auth(username, Some(password.expose_secret()))
                }
                Some(Credentials::Token(token)) => builder.bearer_auth(token.expose_secret()),
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
            .map_err(|error| response::connection_error(request, error))
    }

    fn is_own_origin(&self, url: &Url) -> bool {
        url.origin() == self.offline.endpoint().origin()
    }

    fn next_hop(&self, request: &Request, from: &Url, response: &Response) -> Result<Url> {
        let reject = |message: &str| {
            Err(request
                .error(ErrorKind::Rejected)
                .with_status(response.status())
                .with_message(message))
        };
        let location = response.headers().get(header::LOCATION);
        let Some(location) = location.and_then(|value| value.to_str().ok()) else {
            return reject("a redirect without a target");
        };
        let Ok(next) = from.join(location) else {
            return reject("a redirect to something that is not a URL");
        };
        if from.scheme() == "https" && next.scheme() != "https" {
            return reject("a redirect from https to an unprotected address");
        }
        // Writes are sent to the factory only.
        if request.body.is_some() && !self.is_own_origin(&next) {
            return reject("a redirect of a POST to another host");
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

    /// What the latest response said about the factory.
    pub(crate) fn factory(&self) -> Option<FactoryVersion> {
        self.factory.lock().ok()?.clone()
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
