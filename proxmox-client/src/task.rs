//! Background tasks: what the server goes on doing after it has answered.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::poll::Poll;
use crate::reason::Reason;
use crate::request::Request;
use crate::upid::TaskId;
use crate::wire;

/// Long work on the server. Dropping it does not stop the work.
#[must_use = "the server works in the background; wait for the task or keep its id"]
#[derive(Debug, Clone)]
pub struct Task {
    client: Client,
    id: TaskId,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Still at work.
    Running,
    /// Done.
    Ok,
    /// Done, with this many warnings in the log.
    Warnings(u32),
    /// Ended with this text instead of OK; includes interruption and unknown endings, which
    /// [`Reason::of`] tells apart.
    Failed(String),
}

/// A task that ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completion {
    /// The warnings of the log; empty when there were none.
    pub warnings: Vec<String>,
}

/// A task that ended badly or was not waited for to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
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
struct StatusAnswer {
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

/// Lines of log that an error carries.
const TAIL: u64 = 20;
/// How long a fresh task may be unknown to its own node.
const REGISTRATION: Duration = Duration::from_secs(10);

impl Task {
    pub(crate) fn new(client: Client, id: TaskId) -> Self {
        Self { client, id }
    }

    /// The id. Keep it to go on waiting later with [`Client::task`].
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

    /// Asks once how far the task is.
    ///
    /// # Errors
    /// `NotFound` when the node does not know the task, which is also the answer during the first
    /// moments of its life; the kinds of a read.
    pub async fn status(&self) -> Result<TaskStatus> {
        let request = self.request("read task status", "/nodes/{node}/tasks/{upid}/status");
        let answer: StatusAnswer = self.client.transport().call(request).await?;
        Ok(answer.into_status())
    }

    /// Lines of the log, from line `start` (counted from 0), at most `limit`.
    ///
    /// # Errors
    /// The kinds of a read.
    pub async fn log(&self, start: u64, limit: u64) -> Result<Vec<String>> {
        let lines = self.log_page(start, limit).await?.0;
        Ok(lines)
    }

    /// The last `lines` lines of the log. Two requests: the server counts from the beginning only.
    ///
    /// # Errors
    /// The kinds of a read.
    pub async fn log_tail(&self, lines: u64) -> Result<Vec<String>> {
        let (first, total) = self.log_page(0, lines).await?;
        let total = total.unwrap_or(0);
        if total <= lines {
            return Ok(first);
        }
        self.log(total - lines, lines).await
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
            // An empty log is one line that says so.
            .filter(|line| line != "no content")
            .collect();
        Ok((lines, envelope.total))
    }

    /// Asks the node to stop the task. It stops a little later; wait for it afterwards.
    ///
    /// # Errors
    /// `Forbidden` when the task belongs to somebody else, and the kinds of a change.
    pub async fn abort(&self) -> Result<()> {
        let args = [self.id.node().as_str(), self.id.as_str()];
        let request =
            Request::delete("stop task", "/nodes/{node}/tasks/{upid}", &args).target(self.target());
        self.client.transport().send(&request).await.map(|_| ())
    }

    /// Asks until the task has ended well. Warnings are a success and are returned.
    ///
    /// Failures of single questions (a node that restarts its proxy, a broken connection) are
    /// tolerated until the deadline. After the deadline the task goes on; its id is in the error.
    ///
    /// # Errors
    /// `TaskFailed` with exit text and last log lines; `Deadline`; and at once whatever no
    /// repetition changes, such as `Unauthenticated`, `Certificate` or an unknown task.
    pub async fn wait(&self, poll: &Poll) -> Result<Completion> {
        self.wait_reporting(poll, |_| {}).await
    }

    /// As [`wait`](Self::wait), handing every new log line to `report`. Asks for the log with
    /// every second question.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_reporting(
        &self,
        poll: &Poll,
        mut report: impl FnMut(&str) + Send,
    ) -> Result<Completion> {
        let started = Instant::now();
        let mut asked = 0;
        let mut reported = 0;
        loop {
            let last_failure = match self.status().await {
                Ok(TaskStatus::Running) => None,
                Ok(status) => {
                    self.report_new(&mut reported, &mut report).await;
                    return self.conclude(status).await;
                }
                Err(error) if passes(&error, started) => Some(error),
                Err(error) => return Err(error),
            };
            if asked % 2 == 1 {
                self.report_new(&mut reported, &mut report).await;
            }
            let pause = poll.pause(asked);
            if started.elapsed() + pause > poll.deadline() {
                return Err(self.too_late(poll, last_failure).await);
            }
            tokio::time::sleep(pause).await;
            asked += 1;
        }
    }

    async fn report_new(&self, reported: &mut u64, report: &mut (impl FnMut(&str) + Send)) {
        // The log is decoration: a failure to read it must not end the wait.
        let Ok(lines) = self.log(*reported, 500).await else {
            return;
        };
        for line in &lines {
            report(line);
            *reported += 1;
        }
    }

    async fn conclude(&self, status: TaskStatus) -> Result<Completion> {
        match status {
            TaskStatus::Running | TaskStatus::Ok => Ok(Completion::default()),
            TaskStatus::Warnings(_) => {
                let log = self.log(0, 0).await.unwrap_or_default();
                let warnings = log
                    .into_iter()
                    .filter(|line| line.starts_with("WARN"))
                    .collect();
                Ok(Completion { warnings })
            }
            TaskStatus::Failed(exit_text) => {
                let log = self.log_tail(TAIL).await.unwrap_or_default();
                Err(self.failed(exit_text, log))
            }
        }
    }

    fn failed(&self, exit_text: String, log: Vec<String>) -> Error {
        // The exit text can be a summary ("download failed: command ... exit code 4"); the log has
        // the sentence that says why.
        let reason = Reason::of(&exit_text)
            .filter(|reason| *reason != Reason::DownloadFailed)
            .or_else(|| log.iter().rev().find_map(|line| Reason::of(line)));
        Error::new(ErrorKind::TaskFailed, "wait for task")
            .with_target(self.target())
            .with_message(exit_text.clone())
            .with_reason(reason)
            .with_task(TaskFailure {
                id: self.id.clone(),
                exit_text,
                log,
            })
    }

    async fn too_late(&self, poll: &Poll, last_failure: Option<Error>) -> Error {
        let log = match &last_failure {
            None => self.log_tail(TAIL).await.unwrap_or_default(),
            Some(_) => Vec::new(),
        };
        let error = Error::new(ErrorKind::Deadline, "wait for task")
            .with_target(self.target())
            .with_message(format!(
                "still running after {} s",
                poll.deadline().as_secs_f32()
            ))
            .with_task(TaskFailure {
                id: self.id.clone(),
                exit_text: String::new(),
                log,
            });
        match last_failure {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

/// Whether a failed question says nothing about the task.
fn passes(error: &Error, started: Instant) -> bool {
    match error.kind() {
        ErrorKind::NotFound => {
            error.reason() == Some(Reason::TaskMissing) && started.elapsed() < REGISTRATION
        }
        ErrorKind::Server => true,
        _ => error.is_retryable(),
    }
}

impl StatusAnswer {
    fn into_status(self) -> TaskStatus {
        if self.status != "stopped" {
            return TaskStatus::Running;
        }
        let exit = self
            .exitstatus
            .unwrap_or_else(|| "unexpected status".to_owned());
        if exit == "OK" {
            return TaskStatus::Ok;
        }
        match exit.strip_prefix("WARNINGS: ").map(str::parse) {
            Some(count) => TaskStatus::Warnings(count.unwrap_or(1)),
            None => TaskStatus::Failed(exit),
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
        StatusAnswer {
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
