//! Versions, uids, continuations and tokens of a recording under the names that the mock gives them, so that what depends on
//! an earlier response is compared as well.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What the recording calls a version, a uid, a continuation or a token, and what the mock calls it.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Learns from two responses to the same request.
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
                for (recorded, found) in recorded.iter().zip(found) {
                    self.learn(key, recorded, found);
                }
            }
            (Value::String(recorded), Value::String(found))
                if ["resourceVersion", "uid", "continue"].contains(&key) =>
            {
                self.0.insert(recorded.clone(), found.clone());
            }
            (Value::String(recorded), Value::String(found)) if key == "token" => {
                let plain = |text: &str| {
                    let bytes = STANDARD.decode(text).ok();
                    bytes.and_then(|bytes| String::from_utf8(bytes).ok())
                };
                self.0.insert(
                    plain(recorded).unwrap_or_else(|| recorded.clone()),
                    plain(found).unwrap_or_else(|| found.clone()),
                );
            }
            _ => {}
        }
    }

    fn of(&self, recorded: &str) -> String {
        self.0
            .get(recorded)
            .cloned()
            .unwrap_or_else(|| recorded.to_owned())
    }

    /// A path with the mock's versions and continuations.
    pub(super) fn path(&self, path: &str) -> String {
        let Some((path, query)) = path.split_once('?') else {
            return path.to_owned();
        };
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((key @ ("resourceVersion" | "continue"), value)) => {
                    format!("{key}={}", self.of(value))
                }
                _ => pair.to_owned(),
            })
            .collect();
        format!("{path}?{}", pairs.join("&"))
    }

    /// A document with the mock's names: in a request those of its fields, in a response also those in texts.
    pub(super) fn document(&self, key: &str, value: &Value, in_texts: bool) -> Value {
        let is_name = ["resourceVersion", "uid", "token"].contains(&key);
        match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.document(key, value, in_texts)))
                .collect(),
            Value::Array(items) => items
                .iter()
                .map(|item| self.document(key, item, in_texts))
                .collect(),
            Value::String(text) if is_name || in_texts && text.len() == 36 => self.of(text).into(),
            Value::String(text) if in_texts && key == "message" => text
                .split_inclusive(|letter: char| !letter.is_ascii_digit())
                .map(|part| {
                    let number = part.trim_end_matches(|letter: char| !letter.is_ascii_digit());
                    format!("{}{}", self.of(number), &part[number.len()..])
                })
                .collect::<String>()
                .into(),
            other => other.clone(),
        }
    }
}
