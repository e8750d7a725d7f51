//! `--report run.html`: the whole run on one page.

mod page;
mod timeline;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lungmen_bootstrap::{Cluster, Event, Observer, PartialRun};

use crate::failure::Failure;
use crate::signals::Signal;

/// How the run ended, for the page.
pub(crate) enum Ending<'a> {
    Complete(&'a Cluster),
    Reached(&'a PartialRun),
    Failed(&'a Failure),
    Interrupted(Signal),
}

/// Keeps the events of a run for its page. Clones share them.
#[derive(Clone)]
pub(crate) struct Report {
    path: PathBuf,
    is_simulated: bool,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Report {
    pub(crate) fn new(path: &Path, is_simulated: bool) -> Self {
        Self {
            path: path.to_owned(),
            is_simulated,
            events: Arc::default(),
        }
    }

    /// Writes the page. It holds no secrets, because events and results hold none.
    pub(crate) fn write(&self, ending: &Ending<'_>) -> Result<(), Failure> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let page = page::page(&events, ending, self.is_simulated);
        std::fs::write(&self.path, page.into_string()).map_err(|error| {
            Failure::message(format!(
                "'{}' cannot be written: {error}",
                self.path.display()
            ))
        })
    }
}

impl Observer for Report {
    fn observe(&self, event: &Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event.clone());
    }
}
