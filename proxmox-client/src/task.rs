//! Background tasks, which the server continues after it has responded.

pub mod list;
mod log;
mod progress;

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::access::MissingPermission;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::{Poll, Probed, WaitState};
use crate::reason::Reason;
use crate::request::Request;
use crate::upid::TaskId;
use crate::wire;

use log::{LogFollow, LogUse, NewestLine};

pub use list::{TaskFilter, TaskInfo, TaskSource};
pub use progress::TaskProgress;

/// A background task of a node. Dropping the handle does not stop the task.
#[must_use = "the server works in the background; wait for the task or keep its ID"]
#[derive(Debug, Clone)]
pub struct Task {
    client: Client,
    id: TaskId,
}

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskStatus {
    /// The task has not ended.
    Running,
    /// The task succeeded.
    Ok,
    /// The task succeeded, with this many warnings in its log.
    Warnings(u32),
    /// The task ended with this exit status. Interrupted tasks and tasks of unknown outcome are included;
    /// [`Reason::of`] distinguishes them.
    Failed(String),
}

/// The result of a task that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// The warnings of the log; empty when there were none.
    pub warnings: Vec<String>,
}

/// A task that failed, or that had not ended at the deadline of a wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskFailure {
    /// The task, to look it up on the server.
    pub id: TaskId,
    /// The first line of its error; empty while it is running.
    pub exit_text: String,
    /// The last lines of its log; a multi-line error is only here.
    pub log: Vec<String>,
}

#[derive(Deserialize)]
struct StatusResponse {
    #[serde(deserialize_with = "wire::string")]
    status: String,
    #[serde(default, deserialize_with = "wire::opt_string")]
    exitstatus: Option<String>,
}

#[derive(Deserialize)]
struct LogLine {
    #[serde(default, rename = "t", deserialize_with = "wire::string")]
    text: String,
}

/// The only line of the log of a task that does not exist.
const MISSING_LOG: &str = "unable to open file - No such file or directory";
/// Lines of log that an error carries.
const TAIL: u64 = 20;
/// How long a fresh task may be unknown to its own node.
const REGISTRATION: Duration = Duration::from_secs(10);

impl Task {
    pub(crate) fn new(client: Client, id: TaskId) -> Self {
        Self { client, id }
    }

    /// The ID. Keep it to wait for the task in another process, with [`Client::task`].
    #[must_use]
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    fn request(&self, operation: &'static str, route: &'static str) -> Request {
        Request::get(
            operation,
            route,
            &[self.id.node().as_str(), self.id.as_str()],
        )
        .target(self.target())
    }

    fn target(&self) -> String {
        format!("task {}", self.id)
    }

    /// The state of the task.
    ///
    /// # Errors
    /// `NotFound` when the node does not know the task, which is also the response in the first moments after its
    /// start; `Forbidden` for a task of another user without `Sys.Audit` on the node; `Connect`, `Certificate`,
    /// `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn status(&self) -> Result<TaskStatus> {
        let request = self.request("read task status", "/nodes/{node}/tasks/{upid}/status");
        let answer: StatusResponse = self.client.transport().call(request).await?;
        Ok(answer.into_status())
    }

    /// At most `limit` lines of the log, from line `start` (counted from 0). A limit of 0 means all lines.
    ///
    /// # Errors
    /// `NotFound` when the node does not know the task; `Connect`, `Certificate`,
    /// `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn log(&self, start: u64, limit: u64) -> Result<Vec<String>> {
        let lines = self.log_page(start, limit).await?.0;
        Ok(lines)
    }

    /// The last `lines` lines of the log. Sends two requests, because the server counts from the beginning only.
    ///
    /// # Errors
    /// `NotFound` when the node does not know the task; `Connect`, `Certificate`,
    /// `Timeout`, `Interrupted`, `Unauthenticated`, `Server`, `Decode`.
    pub async fn log_tail(&self, lines: u64) -> Result<Vec<String>> {
        let (first, total) = self.log_page(0, lines).await?;
        let total = total.unwrap_or(0);
        if total <= lines {
            return Ok(first);
        }
        self.log(total - lines, lines).await
    }

    /// The lines of the log, from the first one, until the task has ended.
    ///
    /// Reads what is new after every interval of `poll`. The outcome of the task is not part of the stream; ask for
    /// [`status`](Self::status) afterwards.
    ///
    /// # Errors
    /// The last item is an error when the log cannot be read: `Deadline` when the task had not ended at the deadline,
    /// or a kind of [`log`](Self::log) that waiting does not change.
    pub fn log_lines(&self, poll: Poll) -> impl Stream<Item = Result<String>> + Send + use<> {
        let follow = LogFollow::new(self.clone(), poll);
        stream::try_unfold(Some(follow), LogFollow::next).try_flatten()
    }

    async fn log_page(&self, start: u64, limit: u64) -> Result<(Vec<String>, Option<u64>)> {
        let request = self
            .request("read task log", "/nodes/{node}/tasks/{upid}/log")
            .param("start", start.to_string())
            .param("limit", limit.to_string());
        let envelope = self.client.transport().send(&request).await?;
        let lines: Vec<LogLine> = crate::envelope::decode(&request, envelope.data)?;
        let lines = lines
            .into_iter()
            .map(|line| line.text)
            // An empty log is one line that says so, and a missing one is another (measured on 9.2.11 and 8.4.21).
            .filter(|line| !matches!(line.as_str(), "no content" | MISSING_LOG))
            .collect();
        Ok((lines, envelope.total))
    }

    /// Asks the node to stop the task. The task stops a little later; wait for its end afterwards. May be repeated.
    ///
    /// # Errors
    /// `Forbidden` for a task of another user without `Sys.Modify` on the node; `NotFound` for an unknown task;
    /// `Connect`, `Certificate`, `Timeout`, `Interrupted`, `Unauthenticated`, `Busy`, `Server`.
    pub async fn abort(&self) -> Result<()> {
        let args = [self.id.node().as_str(), self.id.as_str()];
        let request =
            Request::delete("stop task", "/nodes/{node}/tasks/{upid}", &args).target(self.target());
        self.client.transport().send(&request).await.map(|_| ())
    }

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
fn passes(error: &Error, started: Instant) -> bool {
    match error.kind() {
        ErrorKind::NotFound => {
            error.reason() == Some(Reason::TaskMissing) && started.elapsed() < REGISTRATION
        }
        ErrorKind::Server => true,
        _ => error.is_retryable(),
    }
}

impl StatusResponse {
    fn into_status(self) -> TaskStatus {
        if self.status != "stopped" {
            return TaskStatus::Running;
        }
        let exit = self
            .exitstatus
            .unwrap_or_else(|| "unexpected status".to_owned());
        TaskStatus::of_exit(&exit)
    }
}

impl TaskStatus {
    /// What an exit status means.
    fn of_exit(exit: &str) -> Self {
        if exit == "OK" {
            return Self::Ok;
        }
        match exit.strip_prefix("WARNINGS: ").map(str::parse) {
            Some(count) => Self::Warnings(count.unwrap_or(1)),
            None => Self::Failed(exit.to_owned()),
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Ok => f.write_str("OK"),
            Self::Warnings(count) => write!(f, "WARNINGS: {count}"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: &str, exit: Option<&str>) -> TaskStatus {
        StatusResponse {
            status: status.into(),
            exitstatus: exit.map(str::to_owned),
        }
        .into_status()
    }

    #[test]
    fn warnings_are_a_success() {
        assert_eq!(status("stopped", Some("OK")), TaskStatus::Ok);
        assert_eq!(
            status("stopped", Some("WARNINGS: 2")),
            TaskStatus::Warnings(2)
        );
    }

    #[test]
    fn every_other_end_is_a_failure() {
        for exit in [
            "unexpected status",
            "received interrupt",
            "unable to create VM 104 - x",
        ] {
            assert_eq!(
                status("stopped", Some(exit)),
                TaskStatus::Failed(exit.into())
            );
        }
        assert_eq!(status("running", None), TaskStatus::Running);
        assert_eq!(
            status("stopped", None),
            TaskStatus::Failed("unexpected status".into())
        );
    }

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
