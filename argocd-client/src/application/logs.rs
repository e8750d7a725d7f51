//! The logs of what an application has deployed.

use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::StreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AppRef, Applications, addressed};
use crate::call::Call;
use crate::error::Result;
use crate::stream::follow;
use crate::wire::nullable;

/// Which lines of the logs of an application are read; by default the existing ones of all pods.
#[derive(Debug, Clone, Default)]
#[must_use = "a request does nothing until it is used"]
pub struct LogRequest {
    query: Vec<(&'static str, String)>,
}

impl LogRequest {
    /// The existing lines of all pods.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Only this pod.
    pub fn pod(self, name: impl Into<String>) -> Self {
        self.with("podName", name)
    }

    /// Only the pods of this resource.
    pub fn resource(
        self,
        group: impl Into<String>,
        kind: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        self.with("group", group)
            .with("kind", kind)
            .with("resourceName", name)
    }

    /// Only pods in this namespace.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.with("namespace", namespace)
    }

    /// Only this container.
    pub fn container(self, name: impl Into<String>) -> Self {
        self.with("container", name)
    }

    /// The last lines only.
    pub fn tail(self, lines: u32) -> Self {
        self.with("tailLines", lines.to_string())
    }

    /// Only lines of this last while, in whole seconds.
    pub fn since(self, duration: Duration) -> Self {
        self.with("sinceSeconds", duration.as_secs().to_string())
    }

    /// Only lines with this text.
    pub fn containing(self, text: impl Into<String>) -> Self {
        self.with("filter", text)
    }

    /// The lines of the previous, ended containers.
    pub fn previous(self) -> Self {
        self.with("previous", "true")
    }

    /// Only lines without this text.
    pub fn without(self, text: impl std::fmt::Display) -> Self {
        self.with("filter", format!("!{text}"))
    }

    /// Compares the text by case too.
    pub fn match_case(self) -> Self {
        self.with("matchCase", "true")
    }

    /// Only lines since this moment, to the second.
    pub fn since_time(self, moment: Timestamp) -> Self {
        self.with("sinceTime.seconds", moment.as_second().to_string())
    }

    /// Only lines until this moment.
    pub fn until(self, moment: Timestamp) -> Self {
        self.with("untilTime", moment.to_string())
    }

    /// Goes on with new lines until the stream is dropped.
    pub fn follow(self) -> Self {
        self.with("follow", "true")
    }
}

/// A line of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LogLine {
    /// The text.
    #[serde(default, deserialize_with = "nullable")]
    pub content: String,
    /// When it was written.
    #[serde(default)]
    pub time_stamp: Option<Timestamp>,
    /// The pod that wrote it.
    #[serde(default, deserialize_with = "nullable")]
    pub pod_name: String,
    /// Marks the end of the stream; has no text.
    #[serde(default, deserialize_with = "nullable")]
    last: bool,
}

impl Applications {
    /// Streams log lines. Without [`LogRequest::follow`] the stream ends with the last existing line.
    /// A lost connection is the last item.
    ///
    /// Needs the right `logs, get` on the application.
    pub fn logs(
        &self,
        application: &AppRef,
        request: LogRequest,
    ) -> impl Stream<Item = Result<LogLine>> + Send + use<> {
        let template = "/api/v1/applications/{}/logs";
        let call = Call::get("read logs", template, &[&application.name]).endless();
        let call = addressed(call, application);
        let call = request
            .query
            .iter()
            .fold(call, |call, (name, value)| call.query(name, value));
        let follows = request.query.iter().any(|(name, _)| *name == "follow");
        let call = call.query_opt("follow", (!follows).then_some("false"));
        follow::<LogLine>(self.transport.clone(), call).take_while(|line| {
            let ended = matches!(line, Ok(LogLine { last: true, .. }));
            std::future::ready(!ended)
        })
    }
}
