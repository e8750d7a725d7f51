//! Waiting until the factory has built an image or an installer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, header};
use reqwest::Response;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;
use crate::image::Image;
use crate::installer::Installer;
use crate::poll::{Poll, Probed, WaitState};
use crate::response::text_header;
use crate::transport::{Redirects, Request};

/// An image that the factory has built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Prewarmed {
    /// Size in bytes, when the factory announced it.
    pub content_length: Option<u64>,
    /// How many requests were sent.
    pub attempts: usize,
    /// How long the wait lasted.
    pub elapsed: Duration,
}

impl Client {
    /// Waits until the factory has built an image. The first request starts the build. May be repeated and run beside
    /// other calls; callers that ask for the same image join one build.
    ///
    /// The factory is silent during a build and continues it when a request is cut off, so gateway errors and timeouts
    /// are followed by another request. A 500 is repeated as often as the retry policy has attempts, since a build
    /// that can never succeed has the same response. A 404 for a schematic that this client has posted is repeated,
    /// with another post, since a factory remembers an unknown ID for 30 s (v1.1.0 and later).
    ///
    /// ```
    /// # use factory_client::mock::FactoryMock;
    /// use factory_client::{ImageRequest, Platform, Poll, Schematic, TalosVersion};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// # let client = FactoryMock::start().await;
    /// # let client = client.client();
    /// let created = client.create_schematic(&Schematic::default()).await?;
    /// let iso = ImageRequest::iso(Platform::Nocloud).of(created.id, TalosVersion::new(1, 10, 7));
    /// let ready = client.prewarm(&iso, Poll::default()).await?;
    /// assert!(ready.content_length.is_some());
    /// # Ok::<(), factory_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// * [`ErrorKind::Deadline`] when the image is not built in time, with the last cause as source. The build
    ///   continues, so that a later call can succeed.
    /// * [`ErrorKind::ExtensionNotAvailable`], [`ErrorKind::VersionNotAvailable`], [`ErrorKind::SchematicNotFound`],
    ///   [`ErrorKind::Rejected`], [`ErrorKind::Forbidden`], [`ErrorKind::Unauthenticated`] at once.
    /// * [`ErrorKind::Server`] after the bounded number of attempts.
    /// * [`ErrorKind::Decode`] when an HTML page came instead of an image.
    /// * [`ErrorKind::Busy`] when the factory asks for a longer delay than the deadline leaves.
    pub async fn prewarm(&self, image: &Image, poll: Poll) -> Result<Prewarmed> {
        self.prewarm_observed(image, poll, |_| {}).await
    }

    /// [`prewarm`](Self::prewarm) that calls `observer` after every unsuccessful request.
    ///
    /// # Errors
    /// The kinds of [`prewarm`](Self::prewarm).
    pub async fn prewarm_observed(
        &self,
        image: &Image,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Prewarmed> {
        let request = self
            .image_request("prewarm image", image)
            .with_method(Method::HEAD);
        let wait = BuildWait::new(self, image.schematic(), poll);
        let response = wait.run(&request, observer).await?;
        Ok(Prewarmed {
            content_length: length(&response),
            attempts: wait.attempts.load(Ordering::Relaxed),
            elapsed: wait.started.elapsed(),
        })
    }

    /// Waits until the factory has built an installer (for both architectures), and returns its digest when the
    /// factory reveals it. A node that pulls an installer that is not built may time out. May be repeated.
    ///
    /// # Errors
    /// The kinds of [`prewarm`](Self::prewarm).
    pub async fn prewarm_installer(
        &self,
        installer: &Installer,
        poll: Poll,
    ) -> Result<Option<String>> {
        self.prewarm_installer_observed(installer, poll, |_| {})
            .await
    }

    /// [`prewarm_installer`](Self::prewarm_installer) that calls `observer` after every unsuccessful request.
    ///
    /// # Errors
    /// The kinds of [`prewarm`](Self::prewarm).
    pub async fn prewarm_installer_observed(
        &self,
        installer: &Installer,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Option<String>> {
        let (name, id, version) = (installer.name(), installer.schematic(), installer.version());
        let path = format!("v2/{name}/{id}/manifests/{version}");
        let route = "/v2/{image}/{schematic}/manifests/{version}";
        let mut request = self
            .transport
            .get("prewarm installer", route, &path)
            .with_method(Method::HEAD);
        // The redirect leads to another registry, which requires its own login; its target contains the digest.
        request.redirects = Redirects::Return;
        let wait = BuildWait::new(self, id, poll);
        let response = wait.run(&request, observer).await?;
        Ok(digest(&response))
    }

    pub(crate) fn image_request(&self, operation: &'static str, image: &Image) -> Request {
        let route = "/image/{schematic}/{version}/{file}";
        self.transport.get(operation, route, &image.path())
    }
}

fn is_unexplained(request: &Request, error: &Error) -> bool {
    let rejected = error
        .status()
        .is_some_and(|s| matches!(s.as_u16(), 400 | 404));
    request.method == Method::HEAD && rejected
}

/// `Content-Length` of a HEAD response, whose body is empty.
fn length(response: &Response) -> Option<u64> {
    text_header(response.headers(), header::CONTENT_LENGTH.as_str())?
        .parse()
        .ok()
}

fn digest(response: &Response) -> Option<String> {
    let headers = response.headers();
    let in_header = text_header(headers, "docker-content-digest");
    in_header.or_else(|| {
        let location = text_header(headers, header::LOCATION.as_str())?;
        let at = location.find("sha256:")?;
        let digest = location[at..].split(['?', '/', '&']).next()?;
        Some(digest.to_owned())
    })
}

/// A wait for something that the factory builds.
pub(crate) struct BuildWait<'a> {
    client: &'a Client,
    schematic: &'a SchematicId,
    poll: Poll,
    started: Instant,
    attempts: AtomicUsize,
    server_errors: AtomicUsize,
    must_post: AtomicBool,
    /// The moment before which the factory does not want another request.
    not_before: Mutex<Option<Instant>>,
}

impl<'a> BuildWait<'a> {
    pub(crate) fn new(client: &'a Client, schematic: &'a SchematicId, poll: Poll) -> Self {
        Self {
            client,
            schematic,
            poll,
            started: Instant::now(),
            attempts: AtomicUsize::new(0),
            server_errors: AtomicUsize::new(0),
            must_post: AtomicBool::new(false),
            not_before: Mutex::new(None),
        }
    }

    /// The head of the first successful response.
    pub(crate) async fn run(
        &self,
        request: &Request,
        observer: impl FnMut(&WaitState),
    ) -> Result<Response> {
        let target = request.url.path();
        let waiting_for = "the factory to build it";
        let probe = || self.probe(request);
        let waited = self
            .poll
            .wait(request.operation, target, waiting_for, observer, probe)
            .await;
        waited.unwrap_or_else(|error| Err(error.with_server(request.server())))
    }

    /// One request. What ends the wait, success or failure, is ready; the rest is pending.
    async fn probe(&self, request: &Request) -> Result<Probed<Result<Response>>> {
        let not_before = self.not_before.lock().ok().and_then(|mut at| at.take());
        if let Some(at) = not_before {
            tokio::time::sleep_until(at).await;
        }
        let error = match self.attempt(request).await {
            Ok(response) => return Ok(Probed::Ready(Ok(response))),
            Err(error) if self.is_final(&error) => return Ok(Probed::Ready(Err(error))),
            Err(error) => error,
        };
        if let Some(delay) = error.retry_after()
            && let Ok(mut not_before) = self.not_before.lock()
        {
            *not_before = Some(Instant::now() + delay);
        }
        if error.is_retryable() {
            Err(error)
        } else {
            Ok(Probed::Pending(error.to_string()))
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Response> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if self.must_post.swap(false, Ordering::Relaxed) {
            self.client.post_again(self.schematic).await;
        }
        let build = self.client.transport.timeouts.build;
        let request = request.clone().with_timeout(build.min(self.left()));
        match self.client.transport.send(&request).await {
            Err(error) if is_unexplained(&request, &error) => self.request_reason(request).await,
            outcome => outcome,
        }
    }

    /// The rejection of a HEAD request has no text, and the kinds of rejections differ in their text only. A GET has
    /// the text. Should the GET succeed, then the build is ready.
    async fn request_reason(&self, request: Request) -> Result<Response> {
        let mut request = request.with_method(Method::GET);
        request.redirects = Redirects::Return;
        self.client.transport.send(&request).await
    }

    fn left(&self) -> Duration {
        self.poll.total().saturating_sub(self.started.elapsed())
    }

    fn is_final(&self, error: &Error) -> bool {
        let transport = &self.client.transport;
        match error.kind() {
            ErrorKind::SchematicNotFound => {
                let is_recent = self.started.elapsed() < transport.registration;
                let is_posted = self.client.has_posted(self.schematic);
                self.must_post.store(is_posted, Ordering::Relaxed);
                !(is_posted && is_recent)
            }
            ErrorKind::Server if error.status().is_some_and(|status| status == 500) => {
                let failures = self.server_errors.fetch_add(1, Ordering::Relaxed);
                failures >= transport.retry.schedule().count()
            }
            _ => !error.is_retryable() || error.retry_after().is_some_and(|d| d > self.left()),
        }
    }
}
