//! Making the factory build things before somebody with less patience asks for them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use backon::Retryable;
use http::{Method, header};
use reqwest::Response;

use crate::answer::text_header;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SchematicId;
use crate::image::Image;
use crate::installer::Installer;
use crate::transport::{Redirects, Request};

/// An image that the factory has built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prewarmed {
    /// Size in bytes, when the factory said so.
    pub content_length: Option<u64>,
    /// How often it was asked.
    pub attempts: usize,
    /// How long that took.
    pub elapsed: Duration,
}

impl Client {
    /// Has an image built, and returns when it is ready to be downloaded. May be repeated and run in parallel with
    /// anything else; callers of the same image join one build.
    ///
    /// The factory stays silent during a build and goes on building when a request breaks off, so gateway errors
    /// and timeouts are followed by another request until `deadline`. A 500 is tried a bounded number of times,
    /// since a hopeless build answers the same. A 404 for a schematic that this client has just posted is waited
    /// out, with another post, since factories remember for 30 s that they did not have one.
    ///
    /// # Errors
    /// * [`ErrorKind::Deadline`] with the last cause as source.
    /// * [`ErrorKind::ExtensionNotAvailable`], [`ErrorKind::VersionNotAvailable`], [`ErrorKind::SchematicNotFound`],
    ///   [`ErrorKind::Rejected`] without repetition.
    /// * [`ErrorKind::Server`] after the bounded number of tries.
    pub async fn prewarm(&self, image: &Image, deadline: Duration) -> Result<Prewarmed> {
        let request = self
            .image_request("prewarm image", image)
            .with_method(Method::HEAD);
        let patience = Patience::new(self, image.schematic(), deadline);
        let response = patience.wait(&request).await?;
        Ok(Prewarmed {
            content_length: length(&response),
            attempts: patience.attempts.load(Ordering::Relaxed),
            elapsed: patience.started.elapsed(),
        })
    }

    /// Has the installer image built (for both architectures), and returns its digest when the factory shows it.
    /// A node that pulls a cold installer may time out.
    ///
    /// # Errors
    /// As for [`prewarm`](Self::prewarm).
    pub async fn prewarm_installer(
        &self,
        installer: &Installer,
        deadline: Duration,
    ) -> Result<Option<String>> {
        let (name, id, version) = (installer.name(), installer.schematic(), installer.version());
        let path = format!("v2/{name}/{id}/manifests/{version}");
        let route = "/v2/{image}/{schematic}/manifests/{version}";
        let mut request = self
            .transport
            .get("prewarm installer", route, &path)
            .with_method(Method::HEAD);
        // The redirect leads to another registry, which would want its own login; its target names the digest.
        request.redirects = Redirects::Return;
        let response = Patience::new(self, id, deadline).wait(&request).await?;
        Ok(digest(&response))
    }

    pub(crate) fn image_request(&self, operation: &'static str, image: &Image) -> Request {
        let route = "/image/{schematic}/{version}/{file}";
        self.transport.get(operation, route, &image.path())
    }
}

fn is_unexplained(request: &Request, error: &Error) -> bool {
    let refused = error
        .status()
        .is_some_and(|s| matches!(s.as_u16(), 400 | 404));
    request.method == Method::HEAD && refused
}

/// `Content-Length` of a HEAD answer, whose body is empty.
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

/// Waiting for something that the factory builds.
pub(crate) struct Patience<'a> {
    client: &'a Client,
    schematic: &'a SchematicId,
    deadline: Duration,
    started: Instant,
    attempts: AtomicUsize,
    server_errors: AtomicUsize,
    must_post: AtomicBool,
    last: Mutex<Option<Error>>,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(client: &'a Client, schematic: &'a SchematicId, deadline: Duration) -> Self {
        Self {
            client,
            schematic,
            deadline,
            started: Instant::now(),
            attempts: AtomicUsize::new(0),
            server_errors: AtomicUsize::new(0),
            must_post: AtomicBool::new(false),
            last: Mutex::new(None),
        }
    }

    /// The head of the first successful answer.
    pub(crate) async fn wait(&self, request: &Request) -> Result<Response> {
        let backoff = self.client.transport.backoff().without_max_times();
        let repeated = (|| self.attempt(request))
            .retry(backoff)
            .when(|error: &Error| self.allows(error))
            .adjust(|error, delay| delay.map(|delay| error.delay_at_least(delay)));
        match tokio::time::timeout(self.deadline, repeated).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.out_of_time(request)),
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Response> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if self.must_post.swap(false, Ordering::Relaxed) {
            self.client.post_again(self.schematic).await;
        }
        let left = self.deadline.saturating_sub(self.started.elapsed());
        let build = self.client.transport.timeouts.build;
        let request = request.clone().with_timeout(build.min(left));
        let mut outcome = self.client.transport.send(&request).await;
        if let Err(error) = &outcome
            && is_unexplained(&request, error)
        {
            outcome = self.ask_for_the_reason(request).await;
        }
        if let Err(error) = &outcome
            && let Ok(mut last) = self.last.lock()
        {
            *last = Some(error.describe());
        }
        outcome
    }

    /// The refusal of a HEAD request has no text, and the kinds of refusals differ in their text alone. A GET has
    /// it; should that one succeed, then the thing is ready.
    async fn ask_for_the_reason(&self, request: Request) -> Result<Response> {
        let mut request = request.with_method(Method::GET);
        request.redirects = Redirects::Return;
        self.client.transport.send(&request).await
    }

    fn allows(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::SchematicNotFound => {
                let settling = self.started.elapsed() < self.client.transport.retry.settle;
                let is_ours = self.client.has_posted(self.schematic);
                self.must_post.store(is_ours, Ordering::Relaxed);
                is_ours && settling
            }
            ErrorKind::Server if error.status().is_some_and(|status| status == 500) => {
                let failures = self.server_errors.fetch_add(1, Ordering::Relaxed) + 1;
                failures < self.client.transport.retry.attempts
            }
            _ => error.is_retryable(),
        }
    }

    fn out_of_time(&self, request: &Request) -> Error {
        let error = request.error(ErrorKind::Deadline).with_message(format!(
            "not ready within {:?}; the factory goes on building, so asking again later can succeed",
            self.deadline
        ));
        match self.last.lock().ok().and_then(|mut last| last.take()) {
            Some(last) => error.with_source(last),
            None => error,
        }
    }
}
