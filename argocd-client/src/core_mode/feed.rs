//! Following applications by a watch of Kubernetes.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::Response;
use serde::Deserialize;
use serde_json::Value;

use super::kubernetes::{Kubernetes, Status};
use super::object::{self, typed};
use crate::application::{Application, ApplicationEvent, Feed};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::List;

const OPERATION: &str = "watch applications";

pub(super) struct KubernetesFeed {
    pub(super) kubernetes: Arc<Kubernetes>,
    pub(super) selector: Option<String>,
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Feed for KubernetesFeed {
    fn list(&self) -> BoxFuture<'_, Result<List<Application>>> {
        let selector = self.selector.as_deref();
        Box::pin(object::list(
            &self.kubernetes,
            object::APPLICATION,
            selector,
        ))
    }

    fn open(&self, version: &str) -> BoxFuture<'static, Result<Response>> {
        let kubernetes = Arc::clone(&self.kubernetes);
        let path = object::APPLICATION.list;
        let call = Call::get(OPERATION, path, &[&kubernetes.namespace])
            .query("watch", "true")
            .query("resourceVersion", version)
            .query("allowWatchBookmarks", "true")
            .query_opt("labelSelector", self.selector.as_deref());
        Box::pin(async move { kubernetes.open(&call).await })
    }

    fn event(&self, line: &[u8]) -> Result<Option<ApplicationEvent>> {
        let event: WatchEvent = serde_json::from_slice(line).map_err(|error| {
            let text = format!("unreadable event: {:?} error", error.classify());
            Error::new(ErrorKind::Interrupted, OPERATION).with_message(text)
        })?;
        match event.kind.as_str() {
            // A bookmark has nothing but a version.
            "BOOKMARK" => Ok(None),
            "ERROR" => Err(typed::<Status>(event.object)?.error(OPERATION)),
            kind => Ok(ApplicationEvent::of(kind, typed(event.object)?)),
        }
    }
}
