//! The state of the mock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::broadcast;
use url::Url;

use super::fault::FaultQueue;
use super::{Call, FactoryMockBuilder, MockEvent, Route};
use crate::id::SchematicId;
use crate::schematic::Schematic;

/// Everything behind the two listeners.
#[derive(Debug)]
pub(super) struct FactoryState {
    pub(super) settings: FactoryMockBuilder,
    pub(super) endpoint: Url,
    pub(super) events: broadcast::Sender<MockEvent>,
    pub(super) faults: FaultQueue<Route>,
    content: Mutex<FactoryContent>,
}

/// What requests change.
#[derive(Debug, Default)]
pub(super) struct FactoryContent {
    pub(super) schematics: HashMap<SchematicId, Schematic>,
    /// Until when an ID counts as unknown.
    pub(super) negative: HashMap<SchematicId, Instant>,
    /// When a build is finished, by path.
    pub(super) builds: HashMap<String, Instant>,
    pub(super) calls: Vec<Call>,
}

impl FactoryState {
    pub(super) fn new(settings: FactoryMockBuilder, endpoint: Url) -> Self {
        Self {
            settings,
            endpoint,
            events: broadcast::channel(256).0,
            faults: FaultQueue::default(),
            content: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, FactoryContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn emit(&self, event: MockEvent) {
        // Fails when nobody listens.
        let _ = self.events.send(event);
    }

    /// A stored schematic. A request for an unknown ID makes it unknown for a while.
    pub(super) fn look_up(&self, id: &SchematicId) -> Option<Schematic> {
        let mut content = self.lock();
        let now = Instant::now();
        if content.negative.get(id).is_some_and(|until| now < *until) {
            return None;
        }
        let found = content.schematics.get(id).cloned();
        if found.is_none() {
            let until = now + self.settings.negative_cache;
            content.negative.insert(id.clone(), until);
        }
        found
    }

    pub(super) fn store(&self, id: &SchematicId, schematic: Schematic) {
        let mut content = self.lock();
        // The store of the factory replaces a remembered miss when it writes.
        content.negative.remove(id);
        let is_new = content.schematics.insert(id.clone(), schematic).is_none();
        drop(content);
        if is_new {
            self.emit(MockEvent::SchematicCreated(id.clone()));
        }
    }

    /// When the build of `path` is ready. The first request starts the build, later ones join it.
    pub(super) fn build(&self, path: &str) -> Instant {
        let mut content = self.lock();
        if let Some(ready) = content.builds.get(path) {
            return *ready;
        }
        let ready = Instant::now() + self.settings.build_delay;
        content.builds.insert(path.to_owned(), ready);
        drop(content);
        self.emit(MockEvent::BuildStarted(path.to_owned()));
        ready
    }
}
