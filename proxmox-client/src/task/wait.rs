//! Waiting for the end of a task, and the error of one that failed or did not end in time.

use std::time::{Duration, Instant};

use super::log::{LogUse, NewestLine};
use super::{Completion, Task, TaskFailure, TaskStatus};
use crate::access::MissingPermission;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, Probed, WaitState};
use crate::reason::Reason;

impl Task {
    /// Waits until the task has ended. Warnings are a success and are returned.
    ///
    /// A failed probe (a node that restarts its proxy, a broken connection) does not end the wait. After the deadline
    /// the task goes on; its ID is in the error. Waiting may be repeated.
    ///
    /// # Errors
    /// `TaskFailed` with exit status and last log lines; `Deadline` with the last cause; at once `Unauthenticated`,
    /// `Certificate`, `Forbidden`, `Decode`, and `NotFound` for a task that the node does not know after 10 s.
    pub async fn wait(&self, poll: Poll) -> Result<Completion> {
        self.wait_until_ended(poll, LogUse::Ignore, |_| {}).await
    }

    /// Waits as [`wait`](Self::wait) does and calls `observer` after every probe.
    ///
    /// The cause that the observer sees is the newest line of the log, which is read with every probe.
    ///
    /// # Errors
    /// `TaskFailed` with exit status and last log lines; `Deadline` with the last cause; at once `Unauthenticated`,
    /// `Certificate`, `Forbidden`, `Decode`, and `NotFound` for a task that the node does not know after 10 s.
    pub async fn wait_observed(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<Completion> {
        self.wait_until_ended(poll, LogUse::NewestLine, observer)
            .await
    }

    async fn wait_until_ended(
        &self,
        poll: Poll,
        log_use: LogUse,
        observer: impl FnMut(&WaitState),
    ) -> Result<Completion> {
        let started = Instant::now();
        let newest = NewestLine::default();
        let probe = || async {
            match self.status().await {
                Ok(TaskStatus::Running) => {
                    if log_use == LogUse::NewestLine {
                        newest.update(self).await;
                    }
                    Ok(Probed::Pending(newest.text()))
                }
                Ok(ended) => Ok(Probed::Ready(ended)),
                Err(error) if !error.is_retryable() && passes(&error, started) => {
                    Ok(Probed::Pending(error.to_string()))
                }
                Err(error) => Err(error),
            }
        };
        let waiting_for = format!("{} {} to end", self.id.worker(), self.id.subject());
        let ended = poll
            .wait(WAIT, &self.target(), waiting_for, observer, probe)
            .await;
        match ended {
            Ok(status) => self.conclude(status).await,
            Err(error) if error.kind() == ErrorKind::Deadline => Err(self.too_late(error).await),
            Err(error) => Err(error),
        }
    }

    async fn conclude(&self, status: TaskStatus) -> Result<Completion> {
        match status {
            TaskStatus::Running | TaskStatus::Ok => Ok(Completion::default()),
            TaskStatus::Warnings(_) => {
                let log = within(FINAL_LOG, self.log(0, 0)).await;
                let warnings = log
                    .into_iter()
                    .filter(|line| line.starts_with("WARN"))
                    .collect();
                Ok(Completion { warnings })
            }
            TaskStatus::Failed(exit_text) => {
                let log = within(FINAL_LOG, self.log_tail(TAIL)).await;
                Err(self.failed(exit_text, log))
            }
        }
    }

    fn failed(&self, exit_text: String, log: Vec<String>) -> Error {
        // The exit status can be a summary ("download failed: command ... exit code 4"); the log has the sentence that
        // says why.
        let reason = Reason::of(&exit_text)
            .filter(|reason| *reason != Reason::DownloadFailed)
            .or_else(|| log.iter().rev().find_map(|line| Reason::of(line)))
            .or_else(|| Reason::of(&exit_text));
        let missing = MissingPermission::in_text(&exit_text).or_else(|| {
            log.iter()
                .rev()
                .find_map(|line| MissingPermission::in_text(line))
        });
        let error = Error::new(ErrorKind::TaskFailed, WAIT)
            .with_target(self.target())
            .with_server(self.client.transport().server())
            .with_message(exit_text.clone())
            .with_reason(reason);
        error.with_task(
            TaskFailure {
                id: self.id.clone(),
                exit_text,
                log,
            },
            missing,
        )
    }

    async fn too_late(&self, error: Error) -> Error {
        let log = match std::error::Error::source(&error) {
            None => within(LATE_LOG, self.log_tail(TAIL)).await,
            Some(_) => Vec::new(),
        };
        let failure = TaskFailure {
            id: self.id.clone(),
            exit_text: String::new(),
            log,
        };
        error
            .with_server(self.client.transport().server())
            .with_task(failure, None)
    }
}

const WAIT: &str = "wait for task";
/// Lines of log that an error carries.
const TAIL: u64 = 20;
/// How long a fresh task may be unknown to its own node.
const REGISTRATION: Duration = Duration::from_secs(10);
/// How long reading the log may take once the end of the task is known.
const FINAL_LOG: Duration = Duration::from_secs(10);
/// How long reading the log may take after the caller's deadline.
const LATE_LOG: Duration = Duration::from_secs(1);

/// The lines of a log, or none when they cannot be read in time: the log only explains, it decides nothing.
async fn within(limit: Duration, lines: impl Future<Output = Result<Vec<String>>>) -> Vec<String> {
    match tokio::time::timeout(limit, lines).await {
        Ok(Ok(lines)) => lines,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Whether a failed probe says nothing about the task.
pub(super) fn passes(error: &Error, started: Instant) -> bool {
    match error.kind() {
        ErrorKind::NotFound => {
            error.reason() == Some(Reason::TaskMissing) && started.elapsed() < REGISTRATION
        }
        ErrorKind::Server => true,
        _ => error.is_retryable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_task_is_tolerated_only_while_it_is_young() {
        let error = Error::new(ErrorKind::NotFound, "read task status")
            .with_reason(Some(Reason::TaskMissing));
        let young = Instant::now();

        assert!(passes(&error, young));
        if let Some(old) = young.checked_sub(REGISTRATION) {
            assert!(!passes(&error, old));
        }
    }
}
