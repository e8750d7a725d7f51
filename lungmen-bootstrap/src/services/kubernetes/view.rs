//! A live copy of the objects of the checks, kept up to date by watches.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, ExponentialBackoff};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::request::from_kube;
use crate::services::{Error, ErrorKind};

const OPERATION: &str = "watch cluster";

/// The nodes, and the workloads of `kube-system`.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) nodes: Collection<Node>,
    pub(super) pods: Collection<Pod>,
    pub(super) deployments: Collection<Deployment>,
    pub(super) daemon_sets: Collection<DaemonSet>,
}

/// The objects of one kind by name; nothing until the first list is complete.
#[derive(Debug)]
pub(super) struct Collection<K> {
    current: Option<BTreeMap<String, K>>,
    relisting: BTreeMap<String, K>,
}

impl<K> Default for Collection<K> {
    fn default() -> Self {
        Self {
            current: None,
            relisting: BTreeMap::new(),
        }
    }
}

impl<K: Resource> Collection<K> {
    /// The objects in order of name, once they have been listed.
    pub(super) fn items(&self) -> Option<impl Iterator<Item = &K> + Clone> {
        self.current.as_ref().map(BTreeMap::values)
    }

    /// Applies an event. Returns whether it changed anything: the start of a list is announced before its request is sent.
    pub(super) fn apply(&mut self, event: Event<K>) -> bool {
        match event {
            Event::Init => {
                self.relisting.clear();
                return false;
            }
            Event::InitApply(object) => {
                self.relisting.insert(name(&object), object);
            }
            Event::InitDone => self.current = Some(std::mem::take(&mut self.relisting)),
            Event::Apply(object) => {
                self.current
                    .get_or_insert_default()
                    .insert(name(&object), object);
            }
            Event::Delete(object) => {
                self.current.get_or_insert_default().remove(&name(&object));
            }
        }
        true
    }
}

fn name<K: Resource>(object: &K) -> String {
    object.meta().name.clone().unwrap_or_default()
}

enum Change {
    Node(Event<Node>),
    Pod(Event<Pod>),
    Deployment(Event<Deployment>),
    DaemonSet(Event<DaemonSet>),
}

/// The watches that keep a [`View`] up to date. They reconnect by themselves, with growing delays.
pub(super) struct Watches {
    changes: SelectAll<BoxStream<'static, Result<Change, Error>>>,
}

impl Watches {
    /// Starts watching; `delay` is the first delay after a failure.
    pub(super) fn start(client: &kube::Client, delay: Duration) -> Self {
        let system = "kube-system";
        let mut changes = SelectAll::new();
        changes.push(watch(Api::all(client.clone()), delay, Change::Node));
        changes.push(watch(
            Api::namespaced(client.clone(), system),
            delay,
            Change::Pod,
        ));
        changes.push(watch(
            Api::namespaced(client.clone(), system),
            delay,
            Change::Deployment,
        ));
        changes.push(watch(
            Api::namespaced(client.clone(), system),
            delay,
            Change::DaemonSet,
        ));
        Self { changes }
    }

    /// Waits for the next change and applies it to `view`.
    ///
    /// # Errors
    ///
    /// The failure of one watch, which reconnects at the next call.
    pub(super) async fn next(&mut self, view: &mut View) -> Result<(), Error> {
        loop {
            let news = match self.changes.next().await {
                Some(Ok(Change::Node(event))) => view.nodes.apply(event),
                Some(Ok(Change::Pod(event))) => view.pods.apply(event),
                Some(Ok(Change::Deployment(event))) => view.deployments.apply(event),
                Some(Ok(Change::DaemonSet(event))) => view.daemon_sets.apply(event),
                Some(Err(error)) => return Err(error),
                None => {
                    return Err(
                        Error::new(ErrorKind::Decode, OPERATION).with_message("the watches ended")
                    );
                }
            };
            if news {
                return Ok(());
            }
        }
    }
}

fn watch<K>(
    api: Api<K>,
    delay: Duration,
    change: fn(Event<K>) -> Change,
) -> BoxStream<'static, Result<Change, Error>>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let delays = backon::ExponentialBuilder::new()
        .with_min_delay(delay)
        .with_max_delay(delay.max(Duration::from_secs(10)))
        .with_jitter()
        .without_max_times();
    // A short watch, so that a connection to a node that lost its power is noticed within the deadline of a check.
    let config = watcher::Config::default().timeout(45);
    watcher::watcher(api, config)
        .backoff(ExponentialBackoff::from(delays))
        .map(move |item| item.map(change).map_err(watch_failure))
        .boxed()
}

fn watch_failure(error: watcher::Error) -> Error {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => from_kube(OPERATION, error),
        watcher::Error::WatchError(status) => from_kube(OPERATION, kube::Error::Api(status)),
        watcher::Error::NoResourceVersion => {
            Error::new(ErrorKind::Decode, OPERATION).with_message("a list without resourceVersion")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).unwrap()
    }

    fn names(nodes: &Collection<Node>) -> Option<Vec<&str>> {
        nodes.items().map(|items| {
            items
                .filter_map(|node| node.metadata.name.as_deref())
                .collect()
        })
    }

    #[test]
    fn the_view_is_empty_before_the_first_list_is_complete() {
        let mut nodes = Collection::default();
        nodes.apply(Event::Init);
        nodes.apply(Event::InitApply(node("tal01")));
        assert_eq!(names(&nodes), None);

        nodes.apply(Event::InitDone);
        assert_eq!(names(&nodes), Some(vec!["tal01"]));
    }

    #[test]
    fn a_relist_replaces_what_was_known_only_when_it_is_complete() {
        let mut nodes = Collection::default();
        nodes.apply(Event::Init);
        nodes.apply(Event::InitApply(node("tal01")));
        nodes.apply(Event::InitDone);

        nodes.apply(Event::Init);
        nodes.apply(Event::InitApply(node("tal02")));
        assert_eq!(names(&nodes), Some(vec!["tal01"]));
        nodes.apply(Event::InitDone);
        nodes.apply(Event::Delete(node("tal02")));

        assert_eq!(names(&nodes), Some(vec![]));
    }
}
