//! What a Proxmox VE decides about single options of a new VM, for the cases of `proxmox-option-decisions.json`.

use serde_json::{Map, Value, json};

use super::json::indented;
use super::record::{Request, Server};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What the creation itself refuses with an error of the option, after the check has accepted it.
const LATER: [&str; 3] = [
    "explicit 'media=cdrom' is required for iso images",
    "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>",
    "unable to parse drive options",
];

/// A server, and what its answers are kept under.
pub(crate) struct Asked<'a> {
    pub(crate) server: &'a Server,
    /// The header lines of the caller, who may create VMs.
    pub(crate) caller: &'a [(String, String)],
    pub(crate) node: &'a str,
    /// The id of a VM that exists: a request that passes the check is refused for it, and creates nothing.
    pub(crate) taken: u32,
    /// The release, as the file names it.
    pub(crate) release: &'a str,
}

/// The file with the decisions of one release made again. What a printer makes of a value (`stored_as`) no request shows, so it
/// stays.
pub(crate) fn decisions(text: &str, asked: &Asked<'_>) -> Result<String> {
    let mut file: Value = serde_json::from_str(text)?;
    for case in file["decisions"].as_array_mut().into_iter().flatten() {
        let option = case["option"].as_str().unwrap_or_default().to_owned();
        let errors = asked.errors(&option, &value(&case["value"]))?;
        let mut decision = Map::new();
        decision.insert("accepted".to_owned(), errors.is_none().into());
        decision.extend(errors.map(|errors| ("errors".to_owned(), errors)));
        if let Some(stored) = case[asked.release].get("stored_as") {
            decision.insert("stored_as".to_owned(), stored.clone());
        }
        case[asked.release] = decision.into();
    }
    Ok(indented(&file))
}

/// The text of a value. A long one stands as a part and how often it is repeated.
pub(crate) fn value(value: &Value) -> String {
    match (value["repeat"].as_str(), value["times"].as_u64()) {
        (Some(part), Some(times)) => part.repeat(usize::try_from(times).unwrap_or_default()),
        _ => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    }
}

impl Asked<'_> {
    /// The errors of the check, without their last line breaks; `None` when it accepts.
    fn errors(&self, option: &str, value: &str) -> Result<Option<Value>> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("vmid", &self.taken.to_string());
        let body = form.append_pair(option, value).finish().into_bytes();
        let mut headers = self.caller.to_vec();
        headers.extend([
            (
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("Content-Length".to_owned(), body.len().to_string()),
        ]);
        let answer = self.server.send(&Request {
            method: "POST".to_owned(),
            path: format!("/api2/json/nodes/{}/qemu", self.node),
            headers,
            body,
            is_stream: false,
        })?;
        let answer = answer.ok_or_else(|| format!("no answer about {option}"))?;
        match answer.status {
            200 | 401 => Err(format!("{option}={value}: {}", answer.line).into()),
            400 => {
                let errors = answer.value(false)["errors"].clone();
                let errors: Map<String, Value> = errors
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(trimmed)
                    .filter(|(_, text)| !LATER.iter().any(|later| text == later))
                    .collect();
                Ok((!errors.is_empty()).then(|| errors.into()))
            }
            _ => Ok(None),
        }
    }
}

fn trimmed((name, text): (&String, &Value)) -> (String, Value) {
    let text = text.as_str().unwrap_or_default().trim_end();
    (name.clone(), json!(text))
}
