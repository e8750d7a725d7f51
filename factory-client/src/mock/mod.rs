//! A stateful Image Factory in the process: plain http on a loopback port.
//!
//! The mock canonicalises schematics with a selectable encoder generation, accepts unknown extension names until an
//! image is requested, builds with a delay, remembers unknown schematic IDs for a while, responds with
//! `internal server error` where the real factory does, and serves small images that [`inspect_image`] recognises.
//!
//! ```
//! use factory_client::mock::FactoryMock;
//! use factory_client::{ImageRequest, Platform, Schematic, TalosVersion};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let factory = FactoryMock::start().await;
//! let client = factory.client();
//!
//! let schematic = Schematic::builder().extension("siderolabs/iscsi-tools").build()?;
//! let created = client.create_schematic(&schematic).await?;
//! let image = ImageRequest::iso(Platform::Nocloud).of(created.id, TalosVersion::new(1, 10, 7));
//! let mut bytes = Vec::new();
//! client.download_to_writer(&image, &mut bytes).await?;
//!
//! let identity = factory_client::mock::inspect_image(&bytes).expect("an image of the mock");
//! assert!(identity.has_extension("siderolabs/iscsi-tools"));
//! # Ok::<(), factory_client::Error>(())
//! # }).unwrap();
//! ```

mod build;
mod builder;
mod fault;
mod handler;
mod image;
mod response;
mod route;
mod serve;
mod state;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::Stream;
use http::Method;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use url::Url;

pub use self::builder::FactoryMockBuilder;
pub use self::fault::Fault;
pub use self::image::{ImageIdentity, inspect_image};
pub use self::route::Route;
use self::state::FactoryState;
use crate::client::Client;
use crate::id::SchematicId;
use crate::poll::Poll;
use crate::retry::RetryPolicy;
use crate::schematic::Schematic;
use crate::tls::TlsTrust;

/// A running mock; it stops when it is dropped.
#[derive(Debug)]
pub struct FactoryMock {
    state: Arc<FactoryState>,
    endpoint: Url,
    servers: Vec<JoinHandle<()>>,
}

/// A request that the mock has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The route; `None` for a path that no factory has.
    pub route: Option<Route>,
    /// The method.
    pub method: Method,
    /// The path without query.
    pub path: String,
    /// The query, with the values of tokens masked.
    pub query: Option<String>,
    /// The `Range` header.
    pub range: Option<String>,
    /// Whether there were credentials.
    pub is_authorized: bool,
    /// The status of the response; 0 when the connection was closed without one.
    pub status: u16,
}

/// A change in the mock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MockEvent {
    /// A schematic was posted for the first time.
    SchematicCreated(SchematicId),
    /// A build started: the path below `/image/`.
    BuildStarted(String),
    /// The head of an image was sent.
    ImageServed(String),
}

impl FactoryMock {
    /// Starts a factory like the public one, with a build delay of 5 ms.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Settings for another factory.
    pub fn builder() -> FactoryMockBuilder {
        FactoryMockBuilder::default()
    }

    /// The endpoint.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.endpoint.clone()
    }

    /// A client of this mock, with its credentials and with delays of a few milliseconds.
    ///
    /// # Panics
    /// When the system refuses to set up TLS for a client that does not use it.
    #[must_use]
    pub fn client(&self) -> Client {
        let retry = RetryPolicy::default()
            .attempts(5)
            .delays(Duration::from_millis(2), Duration::from_millis(20));
        let mut builder = Client::builder(self.endpoint())
            .retry(retry)
            .build_poll(Poll::every(Duration::from_millis(4)).deadline(Duration::from_secs(60)))
            .registration_deadline(Duration::from_secs(5));
        if let Some(credentials) = self.state.settings.credentials() {
            builder = builder.credentials(credentials);
        }
        #[expect(clippy::expect_used, reason = "documented panic of a test tool")]
        builder.build().expect("the mock's own URL is valid")
    }

    /// Which certificates a client must trust: none, since the mock speaks plain HTTP.
    #[must_use]
    pub fn trust(&self) -> TlsTrust {
        TlsTrust::default()
    }

    /// Makes the next request to `route` fail with `fault`. Calls are queued in order.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.state.faults.fail_next(route, fault);
    }

    /// Makes every request to `route` fail with `fault`, after the queued faults.
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.state.faults.fail_always(route, fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// A schematic that was posted.
    #[must_use]
    pub fn schematic(&self, id: &SchematicId) -> Option<Schematic> {
        self.state.lock().schematics.get(id).cloned()
    }

    /// Removes a schematic, as on a replica that does not have it yet.
    pub fn forget_schematic(&self, id: &SchematicId) {
        self.state.lock().schematics.remove(id);
    }

    /// All requests received so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().calls.clone()
    }

    /// Panics with all calls unless `route` received exactly `times` requests.
    ///
    /// # Panics
    /// When the number differs.
    #[track_caller]
    pub fn assert_called(&self, route: Route, times: usize) {
        let calls = self.calls();
        let count = calls
            .iter()
            .filter(|call| call.route == Some(route))
            .count();
        assert!(
            count == times,
            "{route:?} was called {count} times instead of {times}: {calls:#?}"
        );
    }

    /// The events from this call on.
    pub fn events(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        futures_util::stream::unfold(self.state.events.subscribe(), |mut events| async {
            loop {
                match events.recv().await {
                    Ok(event) => return Some((event, events)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }
}

impl Drop for FactoryMock {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}
