//! Every call of the machine API by five aspects: what it sends, success in each release, refusal, deadline, role.

mod cases;
mod nodes;
mod reference;
mod wire;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;
use talos_client::mock::{Fault, Route, TalosMock};
use talos_client::secrets::Role;
use talos_client::{Client, Code, ErrorKind, Result, RetryPolicy};

use self::nodes::Nodes;
use self::wire::Wire;
use super::support::{client_with, credentials};

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
/// A service that may be stopped.
const EXTENSION: &str = "ext-qemu-guest-agent";

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
