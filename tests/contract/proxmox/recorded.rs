//! What the real servers answered, read by every typed call, and replayed against the mock.

mod again;
mod changes;
mod compare;
mod replay;
mod server;
mod typed;
mod wire;

use serde::Deserialize;
use serde_json::Value;

pub(super) const RELEASES: [(&str, &str); 2] = [
    (
        "9.2.11",
        include_str!("../../data/proxmox/proxmox-9.2.11.json"),
    ),
    (
        "8.4.21",
        include_str!("../../data/proxmox/proxmox-8.4.21.json"),
    ),
];

#[derive(Deserialize)]
struct Recorded {
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
struct Exchange {
    seq: u32,
    family: String,
    name: String,
    auth: String,
    method: String,
    path: String,
    #[serde(default)]
    request_headers: serde_json::Map<String, Value>,
    #[serde(default)]
    request_form: Option<Vec<(String, String)>>,
    #[serde(default)]
    request_body: Value,
    status_line: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    response_body: Value,
    #[serde(default)]
    truncated: Vec<String>,
}

impl Exchange {
    /// The line without the protocol: status and reason phrase.
    fn outcome(&self) -> &str {
        let line = self.status_line.as_deref().unwrap_or_default();
        line.trim_start_matches("HTTP/1.1 ")
    }

    fn is_task_log(&self) -> bool {
        self.path.contains("/log?") && self.path.contains("UPID")
    }

    /// Family and name.
    fn case(&self) -> String {
        format!("{} / {}", self.family, self.name)
    }

    fn label(&self) -> String {
        format!(
            "{} {} / {} ({} {})",
            self.seq, self.family, self.name, self.method, self.path
        )
    }
}

fn exchanges(data: &str) -> Vec<Exchange> {
    let Recorded { exchanges } = serde_json::from_str(data).unwrap();
    exchanges
}
