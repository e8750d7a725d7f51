//! The recorded sequences against a mock that starts from the same state.

use std::collections::HashMap;

use proxmox_client::id::{MacAddress, VmId, VolumeId};
use proxmox_client::mock::PveMock;
use proxmox_client::vm::guest::GuestInterface;
use serde_json::Value;
use sha2::{Digest, Sha256};
use wiremock::MockServer;

use super::compare::{difference, text};
use super::server::{GUEST_COMMANDS, IMAGE, IMAGE_SHA256, images, mock};
use super::{Exchange, RELEASES, exchanges, wire};
use crate::proxmox::node;

pub(super) struct Replay {
    pub(super) mock: PveMock,
    /// A server with TLS, for the one request that speaks plain HTTP to it.
    pub(super) tls: PveMock,
    pub(super) images: MockServer,
    pub(super) checksum: String,
    /// Task IDs, tickets and other texts of the recording, and what the mock gave in their place.
    replaced: Vec<(String, String)>,
    pub(super) ticket: Option<(String, String)>,
}

pub(super) async fn start(release: &str) -> Replay {
    let mock = mock(release).await;
    let checksum: String = Sha256::digest(vec![7_u8; IMAGE])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Replay {
        mock,
        tls: PveMock::builder().tls().start().await,
        images: images().await,
        checksum,
        replaced: Vec::new(),
        ticket: None,
    }
}

impl Replay {
    /// A text of the recording as it is sent to the mock.
    pub(super) fn sent(&self, text: &str) -> String {
        let mut text = text
            .replace("http://images.example.test", self.images.uri().as_str())
            .replace(
                "http%3A%2F%2Fimages.example.test",
                &self.images.uri().replace(':', "%3A").replace('/', "%2F"),
            )
            .replace("closed.example.test", "127.0.0.1")
            .replace(IMAGE_SHA256, &self.checksum);
        let encoded = |text: &str| {
            text.replace(':', "%3A")
                .replace('@', "%40")
                .replace('!', "%21")
        };
        for (recorded, ours) in &self.replaced {
            text = text
                .replace(recorded, ours)
                .replace(&encoded(recorded), &encoded(ours));
        }
        text
    }

    /// A text of the mock as it would be in the recording.
    fn received(&self, text: &str) -> String {
        let mut text = text
            .replace(self.images.uri().as_str(), "http://images.example.test")
            .replace(&self.checksum, IMAGE_SHA256)
            .replace(
                "Connecting to 127.0.0.1:1",
                "Connecting to closed.example.test:1",
            );
        for (recorded, ours) in &self.replaced {
            text = text.replace(ours, recorded);
        }
        text
    }

    /// What requests changed that are held back.
    async fn apply_what_is_held_back(&self, exchange: &Exchange) {
        let id = |id: u32| VmId::new(id).unwrap();
        if exchange.name == "iso listed after" {
            for name in ["a_b", "q", "sum", "up"] {
                let volume = VolumeId::new(format!("local:iso/{name}.iso")).unwrap();
                if self.mock.volume(&volume).is_none() {
                    self.mock.add_file(volume, vec![7_u8; IMAGE]);
                }
            }
        }
        // The JSON body `{"onboot":true,"description":""}` sets one option and removes the other.
        if exchange.name == "change while running" {
            self.mock.set_vm_option(id(104), "onboot", Some("1"));
            self.mock.set_vm_option(id(104), "description", None);
        }
        // Left running by a creation with `start`.
        if exchange.seq == 442 {
            self.mock.add_vm(id(150), &[("scsi0", "nvme-lvm:1")]);
            let client = self.mock.client();
            let start = client.node(node()).vm(id(150)).start().await.unwrap();
            start.wait(proxmox_client::Poll::default()).await.unwrap();
        }
    }

    /// Until the slow download is the only task that runs.
    async fn wait_for_downloads(&self) {
        let node = self.mock.client().node(node());
        let filter = proxmox_client::task::TaskFilter::new().source("active");
        for _ in 0..1000 {
            if node.tasks(&filter).await.unwrap().len() <= 1 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    fn received_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.received(&text).into(),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.received_value(item))
                .collect(),
            Value::Object(fields) => {
                let fields = fields
                    .into_iter()
                    .map(|(name, value)| (name, self.received_value(value)));
                Value::Object(fields.collect())
            }
            other => other,
        }
    }

    /// Changes that were made inside the server, or that the recording leaves out.
    pub(super) async fn before(&self, exchange: &Exchange) {
        let vm = |id: u32| VmId::new(id).unwrap();
        match exchange.seq {
            484..493 => self.mock.set_vm_option(vm(104), "lock", Some("backup")),
            493.. => self.mock.set_vm_option(vm(104), "lock", None),
            _ => {}
        }
        self.apply_what_is_held_back(exchange).await;
        if exchange.name == "running: list of the active" {
            self.wait_for_downloads().await;
        }
        if exchange.family == "guest agent"
            && exchange.name != "ping, no agent"
            && self.mock.vm(vm(104)).is_some_and(|vm| vm.running)
        {
            let mac = MacAddress::new("BC:24:11:00:00:01").unwrap();
            let zeros = MacAddress::new("00:00:00:00:00:00").unwrap();
            let interfaces = vec![
                GuestInterface::new("lo", Some(&zeros), [("127.0.0.1".parse().unwrap(), 8)]),
                GuestInterface::new("ens18", Some(&mac), [("10.0.2.10".parse().unwrap(), 24)]),
            ];
            self.mock.set_guest_interfaces(vm(104), Some(interfaces));
            self.mock.set_guest_commands(vm(104), GUEST_COMMANDS);
        }
        let creates = exchange.method == "POST" && exchange.path.ends_with("/qemu");
        let running = self.mock.vm(vm(150)).is_some_and(|vm| vm.running);
        if creates && !running && self.mock.vm(vm(150)).is_some() {
            let client = self.mock.client();
            client.node(node()).vm(vm(150)).delete().await.unwrap();
        }
    }

    async fn send(&mut self, exchange: &Exchange) -> Option<(String, Option<Value>)> {
        let request = wire::Request::of(self, exchange);
        let server = match exchange.name.as_str() {
            "plain http" => &self.tls,
            _ => &self.mock,
        };
        // Downloads take a moment, and the recording has no polls.
        let ended = has_ended(&exchange.response_body);
        let mut answer = request.send(&server.endpoint()).await;
        for _ in 0..200 {
            let body = answer.as_ref().and_then(|(_, body)| body.as_ref());
            if !ended || body.is_none_or(has_ended) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            answer = request.send(&server.endpoint()).await;
        }
        answer
    }

    /// Whether the request that started the task of this path is held back, so that the mock has no such task.
    fn is_about_an_unknown_task(&self, exchange: &Exchange) -> bool {
        let Some(at) = exchange.path.find("UPID:") else {
            return false;
        };
        let upid = exchange.path[at..].split('/').next().unwrap_or_default();
        let known = self.replaced.iter().any(|(recorded, _)| recorded == upid);
        !known && exchange.status == Some(200) && exchange.name != "missing task log"
    }

    /// Remembers what the mock gave where the server drew something.
    fn remember(&mut self, exchange: &Exchange, ours: &Value) {
        let real = &exchange.response_body["data"];
        let ours = &ours["data"];
        if let (Some(real), Some(ours)) = (real.as_str(), ours.as_str())
            && real.starts_with("UPID:")
            && ours.starts_with("UPID:")
        {
            self.replaced.push((real.to_owned(), ours.to_owned()));
        }
        for field in ["ticket", "CSRFPreventionToken", "value"] {
            if let (Some(real), Some(ours)) = (real[field].as_str(), ours[field].as_str()) {
                self.replaced.push((real.to_owned(), ours.to_owned()));
            }
        }
        if exchange.name == "login"
            && let (Some(ticket), Some(csrf)) = (
                ours["ticket"].as_str(),
                ours["CSRFPreventionToken"].as_str(),
            )
        {
            self.ticket = Some((ticket.to_owned(), csrf.to_owned()));
        }
        if let (Some(real), Some(ours)) = (real["digest"].as_str(), ours["digest"].as_str()) {
            self.replaced.push((real.to_owned(), ours.to_owned()));
        }
    }

    async fn compare(&mut self, exchange: &Exchange) -> Option<String> {
        self.before(exchange).await;
        let answer = self.send(exchange).await;
        let Some(status) = exchange.status else {
            return answer.map(|(line, _)| format!("answered {line} where the server hung up"));
        };
        let Some((line, body)) = answer else {
            return Some("hung up".to_owned());
        };
        let line = self.received(&line);
        if line != exchange.outcome() {
            return Some(format!("`{line}`, not `{}`", exchange.outcome()));
        }
        let body = body.unwrap_or_default();
        if status == 200 {
            self.remember(exchange, &body);
        }
        let body = self.received_value(body);
        if exchange.is_task_log() && exchange.response_body.is_object() {
            return last_line(
                &exchange.response_body,
                &body,
                !exchange.truncated.is_empty(),
            );
        }
        let real = &exchange.response_body;
        let part = |value: &Value| match status {
            200 => value.clone(),
            _ => value.get("errors").cloned().unwrap_or_default(),
        };
        difference(
            "",
            &part(real),
            &part(&body),
            !exchange.truncated.is_empty(),
        )
    }
}

/// Whether an answer is about a task that has ended.
fn has_ended(body: &Value) -> bool {
    let last = body["data"].as_array().and_then(|lines| lines.last());
    let last = last.and_then(|line| line["t"].as_str());
    body["data"]["status"] == "stopped" || last.is_some_and(|line| line.starts_with("TASK "))
}

/// Logs have lines of the machine; how they end is the same.
pub(super) fn last_line(real: &Value, ours: &Value, truncated: bool) -> Option<String> {
    let last = |value: &Value| {
        let lines = value["data"].as_array().cloned().unwrap_or_default();
        lines.last().map(|line| text(&line["t"]))
    };
    let (real, ours) = (last(real), last(ours));
    (!truncated && real != ours).then(|| format!("log ends with {ours:?}, not {real:?}"))
}

/// Exchanges that the mock answers otherwise, by family and name, and why.
pub(super) const KNOWN: &[(&str, &str)] = &[(
    "vm power / guests, full",
    "the monitor of the recording was a stand-in that reports one memory for every guest, whatever memory it has",
)];

/// The share of the exchanges that must agree, in percent.
const FLOOR: usize = 99;

#[tokio::test]
async fn the_mock_answers_the_recorded_sequences_as_the_real_servers_did() {
    let mut unexplained = Vec::new();
    for (release, data) in RELEASES {
        let mut replay = start(release).await;
        let mut wrong: HashMap<u32, (String, String)> = HashMap::new();
        let all = exchanges(data);
        let mut total = 0;
        for exchange in &all {
            if replay.is_about_an_unknown_task(exchange) {
                continue;
            }
            total += 1;
            if let Some(problem) = replay.compare(exchange).await {
                let text = format!("{}: {problem}", exchange.label());
                wrong.insert(exchange.seq, (exchange.case(), text));
            }
        }
        println!(
            "{release}: {} of {total} exchanges agree",
            total - wrong.len()
        );
        for (_, text) in wrong.values() {
            println!("{release} differs: {text}");
        }
        let agree = total - wrong.len();
        let known = |case: &String| KNOWN.iter().any(|(name, _)| case == name);
        let of_release = wrong.into_values().filter(|(case, _)| !known(case));
        unexplained.extend(of_release.map(|(_, text)| format!("{release}: {text}")));
        if agree * 100 < total * FLOOR {
            unexplained.push(format!("{release}: only {agree} of {total} agree"));
        }
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}
