//! Where applications are followed: a list, and a stream of what changed since.

use futures_util::future::BoxFuture;
use reqwest::Response;
use serde::Deserialize;

use super::model::Application;
use super::watch::ApplicationEvent;
use super::{ApplicationFilter, Applications, filtered};
use crate::call::Call;
use crate::error::Result;
use crate::stream::parse;
use crate::wire::List;

/// A server that lists applications and streams their changes.
pub(crate) trait Feed: Send + Sync {
    /// All applications, and the version of the list.
    fn list(&self) -> BoxFuture<'_, Result<List<Application>>>;

    /// The stream of changes after a version.
    fn open(&self, version: &str) -> BoxFuture<'static, Result<Response>>;

    /// What a line of the stream says; nothing for lines that say nothing about applications.
    fn event(&self, line: &[u8]) -> Result<Option<ApplicationEvent>>;
}

/// The API of Argo CD.
pub(super) struct ServerFeed {
    pub(super) applications: Applications,
    pub(super) filter: ApplicationFilter,
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    application: Option<Application>,
}

impl Feed for ServerFeed {
    fn list(&self) -> BoxFuture<'_, Result<List<Application>>> {
        Box::pin(self.applications.page(&self.filter))
    }

    fn open(&self, version: &str) -> BoxFuture<'static, Result<Response>> {
        let call = Call::get("watch applications", "/api/v1/stream/applications", &[])
            .query_opt(
                "resourceVersion",
                Some(version).filter(|version| !version.is_empty()),
            )
            .endless();
        let call = filtered(call, &self.filter);
        let transport = self.applications.transport.clone();
        Box::pin(async move { transport.open(&call).await })
    }

    fn event(&self, line: &[u8]) -> Result<Option<ApplicationEvent>> {
        let result: WatchEvent = parse("watch applications", line)?;
        Ok(result
            .application
            .and_then(|application| ApplicationEvent::of(&result.kind, application)))
    }
}

impl ApplicationEvent {
    /// The event of this type, in the words of the server; none for those that say nothing.
    pub(crate) fn of(kind: &str, application: Application) -> Option<Self> {
        match kind {
            "ADDED" | "MODIFIED" => Some(Self::Applied(Box::new(application))),
            "DELETED" => Some(Self::Deleted(Box::new(application))),
            _ => None,
        }
    }
}
