//! A stateful Image Factory in the process: plain http on a loopback port.
//!
//! It canonicalises schematics with a selectable encoder generation, accepts unknown extension names until an image is
//! asked for, builds slowly, remembers for a while that it did not have a schematic, says `internal server error` to
//! whatever the real one has no better words for, and serves small images that tell what they are
//! ([`inspect_image`]).
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
mod reply;
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
use self::state::World;
use crate::builder::RetryPolicy;
use crate::client::Client;
use crate::id::SchematicId;
use crate::schematic::Schematic;

/// A running mock; it stops when it is dropped.
#[derive(Debug)]
pub struct FactoryMock {
    world: Arc<World>,
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
    /// The status of the answer; 0 when there was none.
    pub status: u16,
}

/// Something that happened in the mock.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MockEvent {
    /// A schematic was posted for the first time.
    SchematicCreated(SchematicId),
    /// A build has begun: the path below `/image/`.
    BuildStarted(String),
    /// The head of an image was sent.
    ImageServed(String),
}

impl FactoryMock {
    /// A factory like the public one, with delays that suit tests.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Settings for another factory.
    pub fn builder() -> FactoryMockBuilder {
        FactoryMockBuilder::default()
    }

    /// The base URL.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        self.endpoint.clone()
    }

    /// A client of this mock, with its credentials and with delays of milliseconds.
    ///
    /// # Panics
    /// When the system refuses to set up TLS for a client that does not use it.
    #[must_use]
    pub fn client(&self) -> Client {
        let policy = RetryPolicy::default()
            .delays(Duration::from_millis(2), Duration::from_millis(20))
            .settle(Duration::from_secs(5));
        let mut builder = Client::builder(self.endpoint()).retry(policy);
        if let Some(credentials) = self.world.settings.credentials() {
            builder = builder.credentials(credentials);
        }
        #[expect(clippy::expect_used, reason = "documented panic of a test tool")]
        builder.build().expect("the mock's own URL is valid")
    }

    /// Lets the next request of this route fail; several faults queue up.
    pub fn fail_next(&self, route: Route, fault: Fault) {
        self.world.lock().faults.push(route, fault);
    }

    /// Lets every request of this route fail.
    pub fn fail_always(&self, route: Route, fault: Fault) {
        self.world.lock().faults.set(route, fault);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.world.lock().faults.clear();
    }

    /// A schematic that was posted.
    #[must_use]
    pub fn schematic(&self, id: &SchematicId) -> Option<Schematic> {
        self.world.lock().schematics.get(id).cloned()
    }

    /// Forgets a schematic, as a replica does that has not heard of it yet.
    pub fn forget_schematic(&self, id: &SchematicId) {
        self.world.lock().schematics.remove(id);
    }

    /// Every request so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.world.lock().calls.clone()
    }

    /// Panics unless `route` was called `times` times; prints the calls.
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

    /// What happens from now on.
    pub fn events(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        futures_util::stream::unfold(self.world.events.subscribe(), |mut events| async {
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
