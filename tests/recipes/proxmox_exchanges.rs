//! `exchanges.json` of Proxmox VE is written by hand. Its answers have to be those of the recordings but for names.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What differs between a request of ours and a recorded one: in the order in which it is replaced.
#[allow(clippy::expect_used, reason = "the patterns are constants")]
static NAMES: LazyLock<[(Regex, &str); 5]> = LazyLock::new(|| {
    [
        (r"UPID:[^\s/]+:", "<task>"),
        (r"pve-?\d+", "<node>"),
        (r"/(storage|vms|nodes|pool)/[^\s,)]+", "/$1/<name>"),
        (r"[A-Z][a-z]+\.[A-Z][A-Za-z|.]+", "<privileges>"),
        (r"\b\d{3,}\b", "<number>"),
    ]
    .map(|(pattern, name)| (Regex::new(pattern).expect("a constant pattern"), name))
});

/// An answer as it is compared.
#[derive(PartialEq)]
struct Answer {
    status_line: String,
    body: Value,
}

/// Where the answer of each exchange was recorded: `name: release number`. `recordings` are pairs of a release and its file.
pub(crate) fn recorded(exchanges: &str, recordings: &[(&str, String)]) -> Result<Vec<String>> {
    let known = known(recordings)?;
    let ours: Value = serde_json::from_str(exchanges)?;
    let ours = ours["exchanges"].as_array().ok_or("no exchanges")?;
    let mut found = Vec::new();
    for exchange in ours {
        let name = exchange["name"].as_str().unwrap_or_default();
        let answer = Answer::of(&exchange["status_line"], &exchange["body"]);
        // Releases before 8.3 answer without the text that later ones have in the body.
        let is_older = exchange["version"].is_string();
        let place = known.iter().find(|(_, known)| {
            known.status_line == answer.status_line && (is_older || known.body == answer.body)
        });
        match place {
            Some((place, _)) => found.push(format!("{name}: {place}")),
            None => return Err(format!("{name}: no recorded answer is like this one").into()),
        }
    }
    Ok(found)
}

/// Place and answer of every recorded exchange.
fn known(recordings: &[(&str, String)]) -> Result<Vec<(String, Answer)>> {
    let mut known = Vec::new();
    for (release, text) in recordings {
        let recording: Value = serde_json::from_str(text)?;
        for exchange in recording["exchanges"].as_array().into_iter().flatten() {
            known.push((
                format!("{release} {}", exchange["seq"]),
                Answer::of(&exchange["status_line"], &exchange["response_body"]),
            ));
        }
    }
    Ok(known)
}

impl Answer {
    fn of(status_line: &Value, body: &Value) -> Self {
        let line = status_line.as_str().unwrap_or_default();
        Self {
            status_line: without_names(line.trim_start_matches("HTTP/1.1 ").trim_end()),
            body: match body {
                Value::Object(_) => replaced(body),
                _ => Value::Null,
            },
        }
    }
}

fn replaced(value: &Value) -> Value {
    match value {
        Value::String(text) => without_names(text).into(),
        Value::Array(items) => items.iter().map(replaced).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), replaced(value)))
            .collect(),
        other => other.clone(),
    }
}

fn without_names(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, name) in NAMES.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}
