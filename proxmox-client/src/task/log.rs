//! Reading the log of a task while it grows.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures_util::stream;

use super::wait::passes;
use super::{Task, TaskStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{DurationText, Poll};

/// Where a reader of a growing log is.
pub(super) struct LogFollow {
    task: Task,
    poll: Poll,
    started: Instant,
    read: u64,
    probes: u32,
}

pub(super) type Lines = stream::Iter<std::vec::IntoIter<Result<String>>>;

impl LogFollow {
    pub(super) fn new(task: Task, poll: Poll) -> Self {
        Self {
            task,
            poll,
            started: Instant::now(),
            read: 0,
            probes: 0,
        }
    }

    /// The next lines; the last ones come after the task was seen to have ended.
    pub(super) async fn next(follow: Option<Self>) -> Result<Option<(Lines, Option<Self>)>> {
        let Some(mut follow) = follow else {
            return Ok(None);
        };
        loop {
            let ended = match follow.task.status().await {
                Ok(status) => status != TaskStatus::Running,
                Err(error) if passes(&error, follow.started) => false,
                Err(error) => return Err(error),
            };
            let lines = match follow.task.log(follow.read, 0).await {
                Ok(lines) => lines,
                Err(error) if passes(&error, follow.started) => Vec::new(),
                Err(error) => return Err(error),
            };
            follow.read += lines.len() as u64;
            if ended || !lines.is_empty() {
                let lines: Vec<_> = lines.into_iter().map(Ok).collect();
                return Ok(Some((stream::iter(lines), (!ended).then_some(follow))));
            }
            follow.pause().await?;
        }
    }

    async fn pause(&mut self) -> Result<()> {
        self.probes += 1;
        let interval = self.poll.interval(self.probes);
        if self.started.elapsed() + interval > self.poll.total() {
            let end = DurationText(self.poll.total());
            let message = format!("timed out after {end} waiting for the log to end");
            return Err(Error::new(ErrorKind::Deadline, "read task log")
                .with_target(self.task.target())
                .with_server(self.task.client.transport().server())
                .with_message(message));
        }
        tokio::time::sleep(interval).await;
        Ok(())
    }
}

/// Whether a wait reads the log of the task as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LogUse {
    Ignore,
    NewestLine,
}

/// The newest line of a log that is read piece by piece.
#[derive(Default)]
pub(super) struct NewestLine(Mutex<(u64, String)>);

impl NewestLine {
    pub(super) async fn update(&self, task: &Task) {
        let start = self.lock().0;
        // A failure to read the log must not end the wait.
        let Ok(lines) = task.log(start, 500).await else {
            return;
        };
        let mut state = self.lock();
        state.0 += lines.len() as u64;
        if let Some(line) = lines.into_iter().rev().find(|line| !line.trim().is_empty()) {
            state.1 = line;
        }
    }

    pub(super) fn text(&self) -> String {
        let state = self.lock();
        if state.1.is_empty() {
            "running".to_owned()
        } else {
            state.1.clone()
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
