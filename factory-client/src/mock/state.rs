//! What the mock remembers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::broadcast;
use url::Url;

use super::fault::Faults;
use super::{Call, FactoryMockBuilder, MockEvent};
use crate::id::SchematicId;
use crate::schematic::Schematic;

/// Everything behind the two listeners.
#[derive(Debug)]
pub(super) struct World {
    pub(super) settings: FactoryMockBuilder,
    pub(super) endpoint: Url,
    pub(super) events: broadcast::Sender<MockEvent>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) schematics: HashMap<SchematicId, Schematic>,
    /// Until when an ID counts as unknown.
    pub(super) negative: HashMap<SchematicId, Instant>,
    /// When a build is finished, by path.
    pub(super) builds: HashMap<String, Instant>,
    pub(super) faults: Faults,
    pub(super) calls: Vec<Call>,
}

impl World {
    pub(super) fn new(settings: FactoryMockBuilder, endpoint: Url) -> Self {
        Self {
            settings,
            endpoint,
            events: broadcast::channel(256).0,
            state: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn emit(&self, event: MockEvent) {
        // Fails when nobody listens.
        let _ = self.events.send(event);
    }

    /// A stored schematic; asking for an unknown one makes it unknown for a while.
    pub(super) fn look_up(&self, id: &SchematicId) -> Option<Schematic> {
        let mut state = self.lock();
        let now = Instant::now();
        if state.negative.get(id).is_some_and(|until| now < *until) {
            return None;
        }
        let found = state.schematics.get(id).cloned();
        if found.is_none() {
            let until = now + self.settings.negative_cache;
            state.negative.insert(id.clone(), until);
        }
        found
    }

    pub(super) fn store(&self, id: &SchematicId, schematic: Schematic) {
        let is_new = self
            .lock()
            .schematics
            .insert(id.clone(), schematic)
            .is_none();
        if is_new {
            self.emit(MockEvent::SchematicCreated(id.clone()));
        }
    }

    /// When the build of `path` is ready; the first to ask starts it, everybody else joins.
    pub(super) fn build(&self, path: &str) -> Instant {
        let mut state = self.lock();
        if let Some(ready) = state.builds.get(path) {
            return *ready;
        }
        let ready = Instant::now() + self.settings.build_delay;
        state.builds.insert(path.to_owned(), ready);
        drop(state);
        self.emit(MockEvent::BuildStarted(path.to_owned()));
        ready
    }
}
