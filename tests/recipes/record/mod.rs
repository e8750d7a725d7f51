//! Sends the requests of a recording to a server, in their order, and keeps its answers in the form of the recording.
//!
//! What the server draws (task identifiers, versions, tickets) takes the place of the recorded values in the requests that
//! follow. Lists are cut where the recording cuts them. Credentials, certificates and identities become the placeholders
//! that the recordings have.

mod names;
mod redact;
mod request;
mod run;
mod wire;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::json::indented;
use names::Names;
use redact::Redaction;
pub(crate) use request::Request;
pub(crate) use run::{Arguments, header_lines, run};
pub(crate) use wire::{Answer, Server};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A recording that is made again.
pub(crate) struct Recorder {
    recording: Map<String, Value>,
    exchanges: Vec<Value>,
    /// The headers of an answer that are kept: those that the recording has anywhere.
    headers: BTreeSet<String>,
    /// Whether an empty body is told by a field of its own.
    tells_empty_bodies: bool,
    names: Names,
    redaction: Redaction,
}

impl Recorder {
    /// `places` are texts of the recording that stand for something else where the server is: the recorded text, and ours.
    pub(crate) fn new(text: &str, places: Vec<(String, String)>) -> Result<Self> {
        let Value::Object(mut recording) = serde_json::from_str(text)? else {
            return Err("a recording is an object".into());
        };
        let exchanges = recording.get_mut("exchanges").map(Value::take);
        let Some(Value::Array(exchanges)) = exchanges else {
            return Err("the recording has no exchanges".into());
        };
        let headers = exchanges
            .iter()
            .filter_map(|exchange| exchange["response_headers"].as_object());
        let headers = headers.flat_map(Map::keys).cloned().collect();
        let tells_empty_bodies = exchanges
            .iter()
            .any(|exchange| !exchange["response_body_empty"].is_null());
        Ok(Self {
            recording,
            headers,
            tells_empty_bodies,
            names: Names::new(places),
            redaction: Redaction::of(&exchanges),
            exchanges,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// An exchange as it is recorded now.
    pub(crate) fn exchange(&self, index: usize) -> &Value {
        &self.exchanges[index]
    }

    /// The request of an exchange as it is sent now, with the headers that identify the caller.
    pub(crate) fn request(&mut self, index: usize, caller: &[(String, String)]) -> Request {
        self.redaction.learn_caller(caller);
        Request::of(&self.exchanges[index], &self.names, caller)
    }

    /// Whether the recorded answer is about a task that has ended, and this one about a task that runs.
    pub(crate) fn has_to_wait(&self, index: usize, answer: Option<&Answer>) -> bool {
        let is_running =
            |answer: &&Answer| answer.status == 200 && !has_ended(&answer.value(false));
        has_ended(&self.exchanges[index]["response_body"]) && answer.filter(is_running).is_some()
    }

    /// Puts the answer of the server into an exchange.
    pub(crate) fn keep(&mut self, index: usize, answer: Option<&Answer>) {
        let mut exchange = std::mem::take(&mut self.exchanges[index]);
        self.keep_request(&mut exchange);
        match answer {
            Some(answer) => self.keep_answer(&mut exchange, answer),
            None => {
                exchange["status"] = Value::Null;
            }
        }
        self.exchanges[index] = exchange;
    }

    /// The request with what the server has drawn before.
    fn keep_request(&self, exchange: &mut Value) {
        let parts = ["path", "request_headers", "request_form", "request_body"];
        for part in parts {
            if let Some(part) = exchange.get_mut(part) {
                let drawn = self.names.drawn(part);
                if drawn != *part {
                    *part = self.redaction.of_request(&drawn);
                }
            }
        }
    }

    fn keep_answer(&mut self, exchange: &mut Value, answer: &Answer) {
        let recorded = exchange["response_body"].clone();
        let mut body = self.names.recorded(&answer.value(recorded.is_array()));
        self.names.learn("", &recorded, &body);
        let truncated = cut(&exchange["truncated"], &mut body);
        let body = self.redaction.of_answer(&recorded, &body);
        if exchange.get("status_line").is_some() {
            exchange["status_line"] = json!(self.names.recorded_text(&answer.line));
        }
        exchange["status"] = json!(answer.status);
        exchange["response_headers"] = Value::Object(self.kept_headers(exchange, answer));
        let Some(exchange) = exchange.as_object_mut() else {
            return;
        };
        match (answer.body.is_empty(), self.tells_empty_bodies) {
            (true, true) => {
                exchange.shift_remove("response_body");
                exchange.insert("response_body_empty".to_owned(), json!(true));
            }
            (true, false) if recorded.is_null() => {}
            _ => {
                exchange.shift_remove("response_body_empty");
                exchange.insert("response_body".to_owned(), body);
            }
        }
        match truncated.is_empty() {
            true => exchange.shift_remove("truncated"),
            false => exchange.insert("truncated".to_owned(), json!(truncated)),
        };
    }

    /// In the order of the recording; of a cookie only its name.
    fn kept_headers(&self, exchange: &Value, answer: &Answer) -> Map<String, Value> {
        let recorded = exchange["response_headers"].as_object();
        let order = recorded
            .into_iter()
            .flat_map(Map::keys)
            .chain(&self.headers);
        let mut kept = Map::new();
        for name in order {
            let mut found = answer
                .headers
                .iter()
                .filter(|(found, _)| found == name)
                .map(|(_, value)| value);
            let value = match name.as_str() {
                "set-cookie" => {
                    let names: Vec<&str> =
                        found.filter_map(|value| value.split('=').next()).collect();
                    (!names.is_empty()).then(|| json!(names))
                }
                _ => found
                    .next()
                    .map(|value| json!(self.names.recorded_text(value))),
            };
            if let Some(value) = value {
                kept.entry(name.clone()).or_insert(value);
            }
        }
        kept
    }

    /// The recording as it is committed.
    pub(crate) fn text(&self) -> String {
        let mut recording = self.recording.clone();
        if let Some(exchanges) = recording.get_mut("exchanges") {
            *exchanges = Value::Array(self.exchanges.clone());
        }
        indented(&Value::Object(recording))
    }
}

/// Whether an answer of Proxmox VE is about a task that has ended.
fn has_ended(body: &Value) -> bool {
    let last = body["data"].as_array().and_then(|lines| lines.last());
    let last = last.and_then(|line| line["t"].as_str());
    body["data"]["status"] == "stopped" || last.is_some_and(|line| line.starts_with("TASK "))
}

/// Cuts the lists of a body that the recording cuts (`.data: first 2 of 6 items`), and says which were longer.
fn cut(truncated: &Value, body: &mut Value) -> Vec<String> {
    let mut notes = Vec::new();
    for note in truncated
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let parts = note.split_once(": first ");
        let Some((path, rest)) = parts else {
            // A remark about the answer as a whole.
            notes.push(note.to_owned());
            continue;
        };
        let length = rest
            .split(' ')
            .next()
            .and_then(|length| length.parse().ok());
        let (Some(length), Some(Value::Array(items))) = (length, at(body, path)) else {
            continue;
        };
        if items.len() > length {
            notes.push(format!("{path}: first {length} of {} items", items.len()));
            items.truncate(length);
        }
    }
    notes
}

/// The value at `.items[1].versions`. A key with a dot in it is the longest one that fits.
fn at<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() || path == "$" {
        return Some(value);
    }
    if let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
        return at(value.get_mut(index.parse::<usize>().ok()?)?, rest);
    }
    let path = path.trim_start_matches('$').strip_prefix('.')?;
    let fits = |key: &&String| {
        path.strip_prefix(key.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let key = value
        .as_object()?
        .keys()
        .filter(fits)
        .max_by_key(|key| key.len())?
        .clone();
    let rest = path.get(key.len()..)?;
    at(value.get_mut(&key)?, rest)
}
