//! The logs of pods.

use axum::body::Body;
use http::Response;
use serde_json::json;

use super::application_routes::{read, reference};
use super::policy::Caller;
use super::request::Request;
use super::response::{Rejection, respond};
use super::state::{MockServer, now};

/// A log stream: lines, and an entry that marks the end.
pub(super) fn logs(
    server: &MockServer,
    caller: &Caller,
    name: &str,
    request: &Request,
) -> Result<Response<Body>, Rejection> {
    let query = &request.query;
    let reference = reference(name, query);
    let application = read(server, caller, &reference, "get")?;
    let state = server.state();
    let project = application["spec"]["project"].as_str().unwrap_or_default();
    state.enforce(
        caller,
        "logs",
        "get",
        &super::application::rbac_name(project, &reference.0),
    )?;
    let pod = query.first("podName");
    let filter = query.first("filter").unwrap_or_default();
    let lines: Vec<&(String, String, String)> = state
        .logs
        .iter()
        .filter(|(application, of, text)| {
            application == name && pod.is_none_or(|pod| pod == of) && text.contains(filter)
        })
        .collect();
    let tail = query
        .first("tailLines")
        .and_then(|lines| lines.parse().ok());
    let skipped = lines.len().saturating_sub(tail.unwrap_or(usize::MAX));
    let mut body = String::new();
    let mut entry = |content: &str, pod: &str, last: bool| {
        let time = now();
        let mut result =
            json!({"content": content, "timeStamp": time, "timeStampStr": time, "podName": pod});
        if last {
            result["last"] = json!(true);
        }
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
    for (_, pod, text) in lines.iter().skip(skipped) {
        entry(text, pod, false);
    }
    // A real server without pods ends the stream without an entry.
    if let Some((_, pod, _)) = lines.last() {
        entry("", pod, true);
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
