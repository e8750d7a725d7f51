//! Every call of the machine API by five aspects: what it sends, success in each release, refusal, deadline, role.

mod cases;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use talos_client::mock::{Fault, MockEvent, Network, Route, TalosMock, TalosMockBuilder};
use talos_client::secrets::Role;
use talos_client::{Client, Code, ErrorKind, Result, RetryPolicy};

use self::wire::Wire;
use super::support::{client_with, configured, control_plane, credentials, poll};

/// The newest patch release of every minor that the client supports.
const RELEASES: [(u64, &str); 5] = [
    (10, "v1.10.7"),
    (11, "v1.11.6"),
    (12, "v1.12.11"),
    (13, "v1.13.9"),
    (14, "v1.14.0-rc.1"),
];
const NEWEST: &str = "v1.14.0-rc.1";

const HOSTNAME: &str = "tal01";
const SCHEMATIC: &str = "4a0d65c669d46663f377e7161e50cfd570c401f26fd9e7bda34a0216b6f1922b";
/// A service that may be stopped.
const EXTENSION: &str = "ext-qemu-guest-agent";

/// Methods that no typed call makes, with the reason.
const NOT_CALLED: [(&str, &str); 10] = [
    (
        "/machine.MachineService/GenerateConfiguration",
        "deprecated in v1.12 and gone in v1.13; the module `config` generates without a node",
    ),
    ("/cosi.resource.State/Create", "nodes deny every write"),
    ("/cosi.resource.State/Update", "nodes deny every write"),
    ("/cosi.resource.State/Destroy", "nodes deny every write"),
    ("/cosi.resource.State/Teardown", "nodes deny every write"),
    (
        "/cosi.resource.State/TeardownAndDestroy",
        "nodes deny every write",
    ),
    (
        "/securityapi.SecurityService/Certificate",
        "served by trustd for workers, with the token of machines",
    ),
    (
        "/signerapi.SignerService/GetCertificate",
        "part of the tools that build Talos; no node serves it",
    ),
    (
        "/signerapi.SignerService/GetPublicKey",
        "part of the tools that build Talos; no node serves it",
    ),
    (
        "/signerapi.SignerService/Sign",
        "part of the tools that build Talos; no node serves it",
    ),
];

/// Calls whose own limit is longer than that of the client, and too long to wait for in a test: 10 s and more.
const PATIENT: [&str; 14] = [
    "apply_configuration",
    "bootstrap",
    "bootstrap_from_snapshot",
    "etcd_defragment",
    "etcd_recover",
    "health_check",
    "import_image",
    "kubeconfig",
    "pull_image",
    "restart_service",
    "start_service",
    "stop_service",
    "upgrade",
    "verify_image",
];

type Running = Pin<Box<dyn Future<Output = Result<()>>>>;

/// The node that a call is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    /// A control plane that runs; other calls are made of it too.
    Shared,
    /// One that runs, for this call alone.
    Own,
    /// One of two members of etcd, for this call alone.
    Partnered,
    /// One that waits for its bootstrap, for this call alone.
    Waiting,
}

/// One call, and what is known of it.
struct Case {
    /// Its name in the client.
    call: &'static str,
    path: &'static str,
    /// Letters of the weakest roles that may make it: reader, operator, administrator, etcd backup.
    roles: &'static str,
    /// The first minor release that has it.
    since: u64,
    /// The messages it sends; `*` stands for any text.
    sends: Vec<Value>,
    run: fn(Client) -> Running,
    node: Node,
    /// What an administrator does before.
    prepare: Option<fn(Client) -> Running>,
    /// How it ends on a node that cannot do it.
    ends: Option<(ErrorKind, &'static str)>,
}

impl Case {
    fn since(mut self, minor: u64) -> Self {
        self.since = minor;
        self
    }

    fn on(mut self, node: Node) -> Self {
        self.node = node;
        self
    }

    fn prepared(mut self, prepare: fn(Client) -> Running) -> Self {
        self.prepare = Some(prepare);
        self
    }

    fn ends(mut self, kind: ErrorKind, message: &'static str) -> Self {
        self.ends = Some((kind, message));
        self
    }

    fn route(&self) -> Route {
        Route::from_path(self.path)
            .unwrap_or_else(|| panic!("the mock does not serve {}", self.path))
    }

    /// The roles that may make the call.
    fn weakest(&self) -> Vec<Role> {
        self.roles.chars().map(role).collect()
    }

    /// Whether the rules of machined admit a role.
    fn admits(&self, other: Role) -> bool {
        let rank = |role| match role {
            Role::Reader => Some(1),
            Role::Operator => Some(2),
            Role::Admin => Some(3),
            _ => None,
        };
        self.weakest().into_iter().any(|weakest| {
            weakest == other
                || matches!((rank(weakest), rank(other)), (Some(least), Some(has)) if has >= least)
        })
    }

    async fn prepare(&self, mock: &TalosMock) {
        if let Some(prepare) = self.prepare {
            prepare(client_with(mock, Role::Admin))
                .await
                .unwrap_or_else(|error| panic!("preparing {}: {error}", self.call));
        }
    }
}

fn role(letter: char) -> Role {
    match letter {
        'R' => Role::Reader,
        'O' => Role::Operator,
        'A' => Role::Admin,
        'B' => Role::EtcdBackup,
        other => panic!("no role has the letter {other:?}"),
    }
}

/// Gives up soon, and repeats nothing.
fn impatient(mock: &TalosMock) -> Client {
    Client::builder(mock.endpoint(), credentials(Role::Admin))
        .timeout(Duration::from_millis(200))
        .stream_deadline(Duration::from_millis(200))
        .retry(RetryPolicy::never())
        .build()
        .unwrap()
}

/// Nodes of one release.
struct Nodes {
    version: &'static str,
    shared: TalosMock,
}

impl Nodes {
    async fn new(version: &'static str) -> Self {
        let shared = running(version, builder(version)).await;
        Self { version, shared }
    }

    /// The node for a call, and another one that must live as long.
    async fn of(&self, node: Node) -> (TalosMock, Option<TalosMock>) {
        match node {
            Node::Shared => (self.shared.clone(), None),
            Node::Own => (running(self.version, builder(self.version)).await, None),
            Node::Waiting => (waiting(self.version, builder(self.version)).await, None),
            Node::Partnered => {
                let network = Network::new();
                let first = running(self.version, builder(self.version).network(&network)).await;
                let second = builder(self.version)
                    .network(&network)
                    .uuid("6f2fd0b8-5f4c-4f0e-9d3a-0d6a3b1c2e50")
                    .hostname("tal02");
                let second = second.address([10, 0, 2, 11].into()).start().await;
                second
                    .wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
                    .await;
                let config = configuration();
                let maintenance = second.maintenance_client();
                maintenance
                    .apply_configuration(&config, Default::default())
                    .await
                    .unwrap();
                second
                    .wait_for(|event| matches!(event, MockEvent::EtcdHealthy))
                    .await;
                (first, Some(second))
            }
        }
    }
}

fn builder(version: &str) -> TalosMockBuilder {
    TalosMock::builder()
        .version(version)
        .hostname(HOSTNAME)
        .schematic(SCHEMATIC, ["siderolabs/qemu-guest-agent"])
        .record_requests()
}

/// A configuration whose installer has the extension.
fn configuration() -> secrecy::SecretString {
    let text = control_plane("v1.10.7");
    let plain = "ghcr.io/siderolabs/installer:v1.10.7";
    assert!(text.expose_secret().contains(plain));
    let image = format!("factory.talos.dev/nocloud-installer/{SCHEMATIC}");
    text.expose_secret().replace(plain, &image).into()
}

async fn waiting(version: &str, builder: TalosMockBuilder) -> TalosMock {
    let mock = configured(builder, &configuration()).await;
    let machine = client_with(&mock, Role::Admin).machine();
    // An upload is accepted once the data partition is mounted, a bootstrap once the time is right.
    let resources = client_with(&mock, Role::Admin).resources();
    loop {
        let time = resources
            .find_singleton::<talos_client::cosi::TimeStatus>()
            .await
            .unwrap();
        if time.is_some_and(|time| time.spec.is_synced) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let found = machine.version().await.unwrap().tag;
    assert_eq!(found, version, "the node runs another release");
    mock
}

async fn running(version: &str, builder: TalosMockBuilder) -> TalosMock {
    let mock = waiting(version, builder).await;
    let machine = client_with(&mock, Role::Admin).machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    machine.wait_for_ready(poll()).await.unwrap();
    mock
}

/// Every method of the reference, with the first minor release that has it and the first one that does not have it any more.
#[derive(Debug, Deserialize)]
struct Method {
    since: u64,
    until: Option<u64>,
}

fn methods() -> BTreeMap<String, Method> {
    serde_json::from_str(include_str!("../../../data/talos-api/methods.json")).unwrap()
}

#[test]
fn every_method_of_every_release_has_a_typed_call() {
    let methods = methods();
    let cases = cases::cases();
    let called: BTreeMap<&str, u64> = cases.iter().map(|case| (case.path, case.since)).collect();
    let excepted: BTreeSet<&str> = NOT_CALLED.iter().map(|(path, _)| *path).collect();
    assert!(methods.len() > 80, "only {} methods", methods.len());

    for (path, method) in &methods {
        match called.get(path.as_str()) {
            Some(since) => {
                assert_eq!(
                    *since, method.since,
                    "{path} is there since another release"
                );
                assert_eq!(method.until, None, "{path} is gone in a later release");
                assert!(!excepted.contains(path.as_str()), "{path} has a call");
            }
            None => assert!(excepted.contains(path.as_str()), "{path} has no typed call"),
        }
    }
    for path in called.keys().chain(&excepted) {
        assert!(methods.contains_key(*path), "no release has {path}");
    }
}

#[tokio::test]
async fn every_call_sends_what_the_reference_defines() {
    let wire = Wire::read();
    let nodes = Nodes::new(NEWEST).await;
    let mut failures = Vec::new();

    for case in cases::cases() {
        let (mock, _partner) = nodes.of(case.node).await;
        case.prepare(&mock).await;
        let before = mock.requests(case.route()).len();

        let _ = (case.run)(client_with(&mock, Role::Admin)).await;

        let requests = mock.requests(case.route());
        assert_eq!(requests.len(), before + 1, "{}", case.call);
        let kind = wire.request_of(case.path);
        let sent: Vec<Value> = requests[before]
            .iter()
            .map(|message| wire.decode(kind, message))
            .collect();
        let is_expected = sent.len() == case.sends.len()
            && sent
                .iter()
                .zip(&case.sends)
                .all(|(sent, expected)| matches(sent, expected));
        if !is_expected {
            failures.push(format!(
                "{} sends {sent:#?}\ninstead of {:#?}",
                case.call, case.sends
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether a message is the expected one, in which `*` stands for any text.
fn matches(sent: &Value, expected: &Value) -> bool {
    match (sent, expected) {
        (Value::String(text), Value::String(any)) if any == "*" => !text.is_empty(),
        (Value::Object(sent), Value::Object(expected)) => {
            sent.len() == expected.len()
                && expected
                    .iter()
                    .all(|(name, value)| sent.get(name).is_some_and(|sent| matches(sent, value)))
        }
        (Value::Array(sent), Value::Array(expected)) => {
            sent.len() == expected.len()
                && sent
                    .iter()
                    .zip(expected)
                    .all(|(sent, expected)| matches(sent, expected))
        }
        _ => sent == expected,
    }
}

#[tokio::test]
async fn every_call_works_for_its_weakest_role_in_each_release_that_has_it() {
    for (minor, version) in RELEASES {
        let nodes = Nodes::new(version).await;
        for case in cases::cases() {
            let about = format!("{} of {version}", case.call);
            if minor < case.since {
                let result = (case.run)(client_with(&nodes.shared, Role::Admin)).await;
                let error = result.expect_err(&about);
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{about}: {error}");
                continue;
            }
            for role in case.weakest() {
                let (mock, _partner) = nodes.of(case.node).await;
                case.prepare(&mock).await;
                let result = (case.run)(client_with(&mock, role)).await;
                match (result, case.ends) {
                    (Ok(()), None) => {}
                    (Err(error), Some((kind, message))) => {
                        assert_eq!(error.kind(), kind, "{about}: {error}");
                        assert_eq!(error.message(), message, "{about}");
                    }
                    (result, _) => panic!("{about} as {role:?}: {result:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn every_call_passes_on_a_refusal_and_does_not_repeat_it() {
    let nodes = Nodes::new(NEWEST).await;
    let mock = &nodes.shared;
    let count = |route| {
        let calls = mock.calls();
        calls
            .iter()
            .filter(|call| call.route == Some(route))
            .count()
    };
    let mut failures = Vec::new();

    for case in cases::cases() {
        let route = case.route();
        for (code, kind) in [
            (Code::FailedPrecondition, ErrorKind::NotReady),
            (Code::InvalidArgument, ErrorKind::Rejected),
            (Code::Unknown, ErrorKind::Server),
        ] {
            let before = count(route);
            mock.fail_next(route, Fault::status(code, "the reason of the node"));

            let result = (case.run)(client_with(mock, Role::Admin)).await;

            let kind = match case.call {
                // The node checks the configuration by rules that have a kind of their own.
                "apply_configuration" if code == Code::InvalidArgument => ErrorKind::Validation,
                // v1.14 says so of a node without etcd.
                "bootstrap" | "bootstrap_from_snapshot" if code == Code::InvalidArgument => {
                    ErrorKind::Unsupported
                }
                _ => kind,
            };
            let is_passed_on = result.as_ref().is_err_and(|error| {
                (error.kind(), error.code(), error.message())
                    == (kind, Some(code), "the reason of the node")
            });
            let times = count(route) - before;
            if !is_passed_on || times != 1 {
                failures.push(format!("{}, {code}: {times} calls, {result:?}", case.call));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn every_call_ends_with_its_deadline_when_the_node_does_not_answer() {
    let nodes = Nodes::new(NEWEST).await;
    let mock = &nodes.shared;
    let mut failures = Vec::new();

    for case in cases::cases() {
        mock.fail_always(case.route(), Fault::Stall);
        let is_patient = PATIENT.contains(&case.call);
        let limit = Duration::from_millis(if is_patient { 400 } else { 2_000 });
        let result = tokio::time::timeout(limit, (case.run)(impatient(mock))).await;
        let is_as_expected = match &result {
            // It waits longer than an ordinary call.
            Err(_) => is_patient,
            Ok(Err(error)) => {
                let is_late = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Deadline);
                is_late && !is_patient
            }
            Ok(Ok(())) => false,
        };
        if !is_as_expected {
            failures.push(format!("{}: {result:?}", case.call));
        }
        mock.clear_faults();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn every_call_is_refused_without_its_role() {
    let nodes = Nodes::new(NEWEST).await;
    let mock = &nodes.shared;
    let mut refused = 0;

    for case in cases::cases() {
        for role in [Role::Reader, Role::Operator, Role::EtcdBackup] {
            if case.admits(role) {
                continue;
            }
            let result = (case.run)(client_with(mock, role)).await;

            let error = result.expect_err(case.call);
            assert_eq!(
                error.kind(),
                ErrorKind::Forbidden,
                "{} as {role:?}",
                case.call
            );
            assert_eq!(error.message(), "not authorized", "{}", case.call);
            refused += 1;
        }
    }
    assert!(refused > 100, "only {refused} refusals");
}

/// The rows of the table of operations: calls, methods, roles, releases.
fn rows() -> Vec<[String; 5]> {
    let readme = include_str!("../../../../talos-client/README.md");
    let (_, table) = readme.split_once("| call | `talosctl` |").unwrap();
    let table = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    table
        .map(|line| {
            let cells: Vec<String> = line
                .trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect();
            cells
                .try_into()
                .unwrap_or_else(|_| panic!("cells of {line}"))
        })
        .collect()
}

/// The parts of a cell, for a row whose calls differ.
fn parts(cell: &str) -> Vec<&str> {
    cell.split(';').map(str::trim).collect()
}

#[test]
fn the_table_of_operations_names_every_call_with_its_method_role_and_release() {
    let rows = rows();
    for case in cases::cases() {
        let quoted = format!("`{}`", case.call);
        let member = format!("::{}`", case.call);
        let of_table = |name: &str| rows.iter().find(|row| row[0].contains(name));
        let row = of_table(&quoted)
            .or_else(|| of_table(&member))
            .unwrap_or_else(|| panic!("README.md has no row for {}", case.call));
        let [calls, _, methods, roles, releases] = row;
        let calls = parts(calls);
        let at = calls
            .iter()
            .position(|calls| calls.contains(&quoted) || calls.contains(&member))
            .unwrap();
        // A cell has one part for all calls of the row, or one for each of theirs.
        let of = |cell: &str| {
            let parts = parts(cell);
            parts[if parts.len() == calls.len() { at } else { 0 }].to_owned()
        };
        let (_, method) = case.path.rsplit_once('/').unwrap();
        assert!(
            of(methods).contains(&format!("`{method}`"))
                || of(methods).contains(&format!("/{method}`")),
            "{}: {methods}",
            case.call
        );
        for letter in case.roles.chars() {
            assert!(of(roles).contains(letter), "{}: {roles}", case.call);
        }
        let release = format!("v1.{}", case.since);
        assert!(
            case.since == 10 || of(releases).contains(&release),
            "{} since {release}: {releases}",
            case.call
        );
    }
}
