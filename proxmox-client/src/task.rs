//! Background tasks, which the server continues after it has responded.

pub mod list;
mod log;
mod progress;
mod wait;

use std::fmt;

use futures_util::stream::{self, Stream, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::Result;
use crate::poll::Poll;
use crate::request::Request;
use crate::upid::TaskId;
use crate::wire;

use log::LogFollow;

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
    /// [`Reason::of`](crate::Reason::of) distinguishes them.
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
}
