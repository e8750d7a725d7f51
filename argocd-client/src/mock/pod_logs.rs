//! The logs of pods.

use std::collections::BTreeMap;

use axum::body::Body;
use http::Response;
use serde_json::json;

use super::asked::Asked;
use super::request::{Query, Request};
use super::response::{Rejection, respond};
use super::state::now;

/// The number of pods whose logs are read at a time (`server.maxPodLogsToRender`).
const MOST_PODS: usize = 10;

/// The lines of each pod of an application, or of one pod.
fn pods_of<'a>(
    logs: &'a [(String, String, String)],
    application: &str,
    pod: Option<&str>,
) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut pods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (of, name, line) in logs {
        if of == application && pod.is_none_or(|wanted| wanted.is_empty() || wanted == name) {
            pods.entry(name).or_default().push(line);
        }
    }
    pods
}

/// Which lines are sent: those with a text, or with `!` before it those without. Case counts only on demand.
struct Filter {
    text: String,
    inverse: bool,
    match_case: bool,
}

impl Filter {
    fn of(query: &Query) -> Self {
        let text = query.first("filter").unwrap_or_default();
        let (inverse, text) = match text.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, text),
        };
        Self {
            text: text.to_owned(),
            inverse,
            match_case: query.first("matchCase") == Some("true"),
        }
    }

    fn keeps(&self, line: &str) -> bool {
        let contains = if self.match_case {
            line.contains(&self.text)
        } else {
            line.to_lowercase().contains(&self.text.to_lowercase())
        };
        contains != self.inverse
    }
}

/// A log stream: lines, and an entry that marks the end. Read in `PodLogs` (`server/application/application.go`, 3.5.1); of the
/// recorded server only the stream without pods is known.
pub(super) fn logs(asked: &Asked<'_>, request: &Request) -> Result<Response<Body>, Rejection> {
    let (query, name) = (asked.query, asked.name);
    let (key, application) = asked.read("get")?;
    let state = asked.server.state();
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    state.enforce(
        asked.caller,
        "logs",
        "get",
        &super::application::rbac_name(project, &key),
    )?;
    let pods = pods_of(&state.logs, name, query.first("podName"));
    if pods.len() > MOST_PODS {
        return Err(Rejection::invalid(
            "max pods to view logs are reached. Please provide more granular query",
        ));
    }
    let tail = query
        .first("tailLines")
        .and_then(|lines| lines.parse::<usize>().ok())
        .filter(|lines| *lines > 0);
    let filter = Filter::of(query);
    let mut body = String::new();
    let mut entry = |content: &str, pod: &str, last: bool| {
        let time = now();
        let result = json!({
            "content": content, "timeStamp": time, "last": last, "timeStampStr": time, "podName": pod,
        });
        let separator = if is_event_stream(request) {
            ("data: ", "\n\n")
        } else {
            ("", "\n")
        };
        body.push_str(&format!(
            "{}{}{}",
            separator.0,
            json!({"result": result}),
            separator.1
        ));
    };
    for (pod, lines) in &pods {
        let skipped = lines.len().saturating_sub(tail.unwrap_or(usize::MAX));
        // Kubernetes sends the last lines; the filter works on what it sends.
        for line in lines.iter().skip(skipped).filter(|line| filter.keeps(line)) {
            entry(line, pod, false);
        }
    }
    // A real server without pods ends the stream without an entry.
    if !pods.is_empty() {
        entry("", "", true);
    }
    let media_type = if is_event_stream(request) {
        "text/event-stream"
    } else {
        "application/json"
    };
    Ok(respond(http::StatusCode::OK, media_type, body))
}

pub(super) fn is_event_stream(request: &Request) -> bool {
    request
        .header("accept")
        .is_some_and(|accept| accept.contains("text/event-stream"))
}
