//! JSON bodies of requests, and what the server's parser says about those that are none.

use serde_json::Value;

use super::check::Release;
use super::reply::Refusal;

/// The parameters of a body; the items of a list one by one.
pub(super) fn params(release: Release, body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::plain(500, problem(release, body, &error)))?;
    let Value::Object(members) = value else {
        // Line 957 is measured on 8.4.21; the file has 17 more lines before it in 9.2.11.
        let line = match release {
            Release::Eight => 957,
            Release::Nine => 974,
        };
        let text = format!("Not a HASH reference at {PARSER} line {line}.");
        return Err(Refusal::plain(500, text));
    };
    let mut params = Vec::new();
    for (name, value) in members {
        match value {
            Value::Array(items) => {
                let items = items.iter().filter_map(crate::wire::text);
                params.extend(items.map(|item| (name.clone(), item)));
            }
            value => params.extend(crate::wire::text(&value).map(|text| (name, text))),
        }
    }
    Ok(params)
}

const PARSER: &str = "/usr/share/perl5/PVE/APIServer/AnyEvent.pm";

/// The parser's words where they are known: an object whose first key does not begin (measured on both releases).
fn problem(release: Release, body: &[u8], error: &serde_json::Error) -> String {
    let text = String::from_utf8_lossy(body);
    let inner = text.trim_start().strip_prefix('{').map(str::trim_start);
    let Some(rest) = inner.filter(|rest| !rest.starts_with(['"', '}'])) else {
        return error.to_string();
    };
    let line = match release {
        Release::Eight => 917,
        Release::Nine => 934,
    };
    let offset = text.chars().count() - rest.chars().count();
    let before = match rest {
        "" => "(end of string)",
        rest => rest,
    };
    format!(
        "'\"' expected, at character offset {offset} (before \"{before}\") at {PARSER} line {line}."
    )
}
