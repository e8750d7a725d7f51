//! The recorded sequences against a mock that starts from the same state.

use std::collections::HashMap;

use bytes::Bytes;
use proxmox_client::access::AclUpdate;
use proxmox_client::credentials::ApiToken;
use proxmox_client::id::{MacAddress, VmId, VolumeId};
use proxmox_client::mock::{Acl, MockStorage, PveMock};
use proxmox_client::vm::guest::GuestInterface;
use serde_json::Value;
use sha2::{Digest, Sha256};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::compare::{difference, text};
use super::{Exchange, RELEASES, exchanges};
use crate::proxmox::{node, storage};

/// The image of the recordings, and its checksum there.
const IMAGE: usize = 102_775;
const IMAGE_SHA256: &str = "58efc9824cf1fa28bb83b7c09131d7463520789afccbed3b1c992e3d51521a84";

/// What the bootstrap needs.
const RIGHTS: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Pool.Allocate",
    "Pool.Audit",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
];

/// What the guest of the recording can do.
const GUEST_COMMANDS: &[&str] = &[
    "guest-ping",
    "guest-info",
    "guest-network-get-interfaces",
    "guest-get-host-name",
];

struct Replay {
    mock: PveMock,
    /// A server with TLS, for the one request that speaks plain HTTP to it.
    tls: PveMock,
    images: MockServer,
    checksum: String,
    /// Task IDs, tickets and other texts of the recording, and what the mock gave in their place.
    replaced: Vec<(String, String)>,
    ticket: Option<(String, String)>,
}

async fn images() -> MockServer {
    let server = MockServer::start().await;
    let image = || {
        ResponseTemplate::new(200).set_body_raw(vec![7_u8; IMAGE], "application/x-iso9660-image")
    };
    Mock::given(path("/ok.iso"))
        .respond_with(image())
        .mount(&server)
        .await;
    Mock::given(path("/slow.iso"))
        .respond_with(image().set_delay(std::time::Duration::from_secs(60)))
        .mount(&server)
        .await;
    Mock::given(path("/moved.iso"))
        .respond_with(ResponseTemplate::new(302).insert_header("Location", "/ok.iso"))
        .mount(&server)
        .await;
    server
}

async fn start(release: &str) -> Replay {
    let agent = match release.starts_with('9') {
        true => "VM.GuestAgent.Audit",
        false => "VM.Monitor",
    };
    let all = Acl::administrator();
    let mut admin = all.clone();
    for privilege in [
        "Sys.Modify",
        "Sys.AccessNetwork",
        "Permissions.Modify",
        "Sys.PowerMgmt",
    ] {
        admin = admin.without(privilege);
    }
    let mock = PveMock::builder()
        .version(release)
        .node(node())
        .offline_node("pve-02".parse().unwrap())
        .cpus(4)
        .storage(MockStorage::directory(
            storage("local"),
            &["iso", "vztmpl", "backup", "import", "images", "snippets"],
        ))
        .storage(
            MockStorage::directory(storage("nvme-lvm"), &["images", "rootdir"])
                .path("/var/lib/nvme"),
        )
        .storage(
            MockStorage::directory(storage("import-store"), &["import"]).path("/var/lib/import"),
        )
        .storage(
            MockStorage::directory(storage("off"), &["images", "iso"])
                .path("/var/lib/off")
                .disabled(),
        )
        .storage(
            MockStorage::directory(storage("other-node"), &["iso"])
                .path("/var/lib/vz2")
                .only_on("pve-02".parse().unwrap()),
        )
        .bridge_with_address("vmbr0", "10.0.0.1/24")
        .internal_bridge("vmbr1")
        .network_card("eth0")
        .pool("talos")
        .token(
            "ci@pve!boot",
            "ok",
            Acl::none().grant("/", RIGHTS).grant("/", &[agent]),
        )
        .token("low@pve!xx", "low", Acl::none())
        .token("root@pam!full", "root", all)
        .token("ci@pve!sep", "sep", Acl::none())
        .user("alice@pve", "password", admin.clone())
        .user_with_totp("bob@pve", "password", "123456", admin)
        .task_polls(0)
        .start()
        .await;
    let root = ApiToken::new("root@pam!full", "root".into()).unwrap();
    let root = mock.client_builder(root).build().unwrap();
    let administrator = AclUpdate::new("/", "PVEAdmin").users("alice@pve");
    root.access().update_acl(&administrator).await.unwrap();
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
    fn sent(&self, text: &str) -> String {
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
    async fn before(&self, exchange: &Exchange) {
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
fn last_line(real: &Value, ours: &Value, truncated: bool) -> Option<String> {
    let last = |value: &Value| {
        let lines = value["data"].as_array().cloned().unwrap_or_default();
        lines.last().map(|line| text(&line["t"]))
    };
    let (real, ours) = (last(real), last(ours));
    (!truncated && real != ours).then(|| format!("log ends with {ours:?}, not {real:?}"))
}

/// A request as it was sent to the real server, on a plain socket.
mod wire {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    pub(super) struct Request {
        method: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    }

    impl Request {
        pub(super) fn of(replay: &Replay, exchange: &Exchange) -> Self {
            let mut headers: Vec<(String, String)> = exchange
                .request_headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.clone(),
                        replay.sent(value.as_str().unwrap_or_default()),
                    )
                })
                .collect();
            headers.extend(authentication(replay, &exchange.auth));
            let body = body(replay, exchange);
            if exchange.request_form.is_some() {
                headers.push((
                    "Content-Type".to_owned(),
                    "application/x-www-form-urlencoded".to_owned(),
                ));
            }
            let chunked = headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
            if !chunked && (!body.is_empty() || exchange.method != "GET") {
                headers.push(("Content-Length".to_owned(), body.len().to_string()));
            }
            Self {
                method: exchange.method.clone(),
                path: replay.sent(&exchange.path),
                headers,
                body,
            }
        }

        pub(super) async fn send(&self, endpoint: &url::Url) -> Option<(String, Option<Value>)> {
            let address = endpoint.socket_addrs(|| None).unwrap()[0];
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut head = format!(
                "{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
                self.method, self.path
            );
            for (name, value) in &self.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // The server may close before it has read everything.
            let _ = stream.write_all(&self.body).await;
            let mut answer = Vec::new();
            let limit = std::time::Duration::from_secs(5);
            let _ = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let (head, body) = answer.split_once("\r\n\r\n")?;
            let line = head.lines().next()?.trim_start_matches("HTTP/1.1 ");
            let text = || Some(Value::from(body)).filter(|_| !body.is_empty());
            Some((
                line.to_owned(),
                serde_json::from_str(body).ok().or_else(text),
            ))
        }
    }

    fn authentication(replay: &Replay, kind: &str) -> Vec<(String, String)> {
        let token = |text: &str| vec![("Authorization".to_owned(), format!("PVEAPIToken={text}"))];
        match kind {
            "ok" => token("ci@pve!boot=ok"),
            "low" => token("low@pve!xx=low"),
            "root-token" => token("root@pam!full=root"),
            "sep" => token("ci@pve!sep=sep"),
            "bad" => token("ci@pve!boot=wrong"),
            "unknown" => token("nobody@pve!boot=x"),
            "ticket" | "ticket+csrf" => {
                let (ticket, csrf) = replay.ticket.clone().unwrap_or_default();
                let ticket = percent_encoding::utf8_percent_encode(
                    &ticket,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                let mut headers = vec![("Cookie".to_owned(), format!("PVEAuthCookie={ticket}"))];
                if kind == "ticket+csrf" {
                    headers.push(("CSRFPreventionToken".to_owned(), csrf));
                }
                headers
            }
            _ => Vec::new(),
        }
    }

    fn body(replay: &Replay, exchange: &Exchange) -> Vec<u8> {
        if let Some(form) = &exchange.request_form {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in form {
                text.append_pair(name, &replay.sent(value));
            }
            return text.finish().into_bytes();
        }
        match &exchange.request_body {
            Value::Null => Vec::new(),
            Value::String(text) if text.contains("600000 times x") => {
                format!("description={}", "x".repeat(600_000)).into_bytes()
            }
            Value::String(text) => replay.sent(text).into_bytes(),
            value if value.get("multipart").is_some() => multipart(replay, value),
            value => value.to_string().into_bytes(),
        }
    }

    fn multipart(replay: &Replay, value: &Value) -> Vec<u8> {
        let boundary = value["boundary"].as_str().unwrap();
        let mut body = Vec::new();
        for part in value["multipart"].as_array().unwrap() {
            body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            for header in part["headers"].as_array().unwrap() {
                let line = format!(
                    "{}: {}\r\n",
                    header[0].as_str().unwrap(),
                    header[1].as_str().unwrap()
                );
                body.extend_from_slice(line.as_bytes());
            }
            body.extend_from_slice(b"\r\n");
            match part["data"].as_str().unwrap() {
                text if text.ends_with(" bytes") => body.extend_from_slice(&vec![7_u8; IMAGE]),
                text => body.extend_from_slice(replay.sent(text).as_bytes()),
            }
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Bytes::from(body).to_vec()
    }
}

/// Exchanges that the mock answers otherwise, by family and name, and why.
const KNOWN: &[(&str, &str)] = &[(
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
