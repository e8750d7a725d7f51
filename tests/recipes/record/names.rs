//! Values that the server draws or that belong to a place, under their recorded names and under those of this run.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

/// Fields whose values are drawn however short they are.
const DRAWN: [&str; 3] = ["resourceVersion", "continue", "digest"];

/// What is encoded in a part of a path or of a query.
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) struct Names {
    /// The recorded text, and ours, of what belongs to a place: it is the recorded one in the new recording as well.
    places: Vec<(String, String)>,
    /// What the recording calls a drawn value, and what this run calls it.
    drawn: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn new(places: Vec<(String, String)>) -> Self {
        Self {
            places,
            drawn: BTreeMap::new(),
        }
    }

    /// Learns what was drawn from two answers to the same request.
    pub(super) fn learn(&mut self, key: &str, recorded: &Value, found: &Value) {
        match (recorded, found) {
            (Value::Object(recorded), Value::Object(found)) => {
                for (key, recorded) in recorded {
                    if let Some(found) = found.get(key) {
                        self.learn(key, recorded, found);
                    }
                }
            }
            (Value::Array(recorded), Value::Array(found)) => {
                for (index, recorded) in recorded.iter().enumerate() {
                    if let Some(found) = counterpart(index, recorded, found) {
                        self.learn(key, recorded, found);
                    }
                }
            }
            (Value::String(recorded), Value::String(found)) => {
                let is_drawn = recorded.len() >= 8
                    && recorded.contains(|character: char| character.is_ascii_digit());
                let is_drawn = is_drawn || recorded.contains("PAYLOAD") || DRAWN.contains(&key);
                if is_drawn && recorded != found {
                    self.drawn.insert(recorded.clone(), found.clone());
                }
            }
            _ => {}
        }
    }

    /// A part of a recorded request as it is sent: with the drawn values and the places of this run.
    pub(super) fn sent(&self, value: &Value) -> Value {
        strings(&self.drawn(value), &|text| {
            let mut text = text.to_owned();
            for (recorded, ours) in &self.places {
                text = text
                    .replace(recorded, ours)
                    .replace(&encoded(recorded), &encoded(ours));
            }
            text
        })
    }

    /// A part of a recorded request with the drawn values of this run.
    pub(super) fn drawn(&self, value: &Value) -> Value {
        strings(value, &|text| self.drawn_text(text))
    }

    /// A whole text, or the parts of a path with its query.
    fn drawn_text(&self, text: &str) -> String {
        if let Some(drawn) = self.drawn.get(text) {
            return drawn.clone();
        }
        if !text.starts_with('/') {
            return text.to_owned();
        }
        let is_end = |character| matches!(character, '/' | '?' | '&' | '=');
        let part = |part: &str| {
            let (name, end) = match part.chars().next_back() {
                Some(end) if is_end(end) => part.split_at(part.len() - 1),
                _ => (part, ""),
            };
            let plain = percent_decode_str(name).decode_utf8_lossy();
            match self.drawn.get(plain.as_ref()) {
                Some(drawn) if plain == name => format!("{drawn}{end}"),
                Some(drawn) => encoded(drawn) + end,
                None => part.to_owned(),
            }
        };
        text.split_inclusive(is_end).map(part).collect()
    }

    /// An answer with the recorded places.
    pub(super) fn recorded(&self, value: &Value) -> Value {
        strings(value, &|text| self.recorded_text(text))
    }

    pub(super) fn recorded_text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, ours) in &self.places {
            text = text
                .replace(ours, recorded)
                .replace(&encoded(ours), &encoded(recorded));
        }
        text
    }
}

/// The item that a recorded item is compared with: the one of the same name, because some servers have no order.
fn counterpart<'a>(index: usize, recorded: &Value, found: &'a [Value]) -> Option<&'a Value> {
    let name = ["key", "name", "id"]
        .into_iter()
        .find(|name| !recorded[name].is_null());
    match name {
        Some(name) => found.iter().find(|found| found[name] == recorded[name]),
        None => found.get(index),
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

/// A value with every string changed.
pub(super) fn strings(value: &Value, change: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| strings(item, change)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), strings(value, change)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}
