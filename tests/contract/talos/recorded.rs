//! The answers that were recorded from real servers, asked again of the mock.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use talos_client::mock::{MockEvent, TalosMock, TalosMockBuilder};
use talos_client::secrets::Role;
use talos_client::{Client, Error, Result};

use crate::recipes::talos_node::{Arguments, answers};

use super::calls::{configured, in_maintenance_mode, is_fatal, role};
use super::support::{client_with, control_plane, in_maintenance};

#[derive(Debug, Deserialize)]
struct Recording {
    answers: Vec<Answer>,
}

/// One answer: code and text of a rejection, or the fact that the call succeeded.
#[derive(Debug, PartialEq, Deserialize)]
struct Answer {
    operation: String,
    mode: String,
    role: String,
    ok: bool,
    grpc_code: Option<String>,
    message: Option<String>,
}

/// What the mock cannot answer as the recorded server did, with the reason.
const OTHERWISE: &[(&str, &str)] = &[
    ("images", "the recorded server had no container runtime"),
    (
        "logs container[0]",
        "the recorded server had no container runtime",
    ),
    ("logs nope[0]", "the recorded server kept its logs in files"),
    (
        "health[3]",
        "the recorded check waited for a proxy that was not there",
    ),
    ("reset", "the recorded server had no partitions"),
    (
        "to_node self address",
        "the recorded server did not listen on its own address",
    ),
    (
        "foreign CA",
        "another trust than that of the mock, see the tests of identity",
    ),
    (
        "bootstrap a second time, after etcd runs",
        "the recorded etcd had no data",
    ),
    (
        "get TimeStatus",
        "the mock synchronizes its clock only after it is configured",
    ),
];

const DATA: &str = include_str!("../../data/talos-api/answers.json");

fn recording() -> Vec<Answer> {
    answers_of(DATA)
}

fn answers_of(text: &str) -> Vec<Answer> {
    let recording: Recording = serde_json::from_str(text).unwrap();
    recording.answers
}

fn builder(mode: &str) -> TalosMockBuilder {
    let version = if mode.contains("v1.10.7") {
        "v1.10.7"
    } else {
        "v1.14.0-beta.1"
    };
    TalosMock::builder().version(version).platform("metal")
}

/// A difference between the recorded answer and that of the mock.
fn difference(answer: &Answer, result: &Result<()>) -> Option<String> {
    let seen = |error: &Error| {
        let code = error.code().map(|code| code.to_string());
        (code, error.message().to_owned())
    };
    let is_same = match result {
        Ok(()) => answer.ok,
        Err(error) => {
            let (code, message) = seen(error);
            let expected = answer.message.clone().unwrap_or_default();
            !answer.ok && code == answer.grpc_code && message == expected
        }
    };
    (!is_same).then(|| {
        format!(
            "{} as {} in {}:\n  recorded {:?} {:?}\n  mock     {:?}",
            answer.operation,
            answer.role,
            answer.mode,
            answer.grpc_code,
            answer.message,
            result.as_ref().map_err(seen)
        )
    })
}

fn is_comparable(answer: &Answer) -> bool {
    !OTHERWISE
        .iter()
        .any(|(operation, _)| *operation == answer.operation)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_maintenance_mode_answers_as_the_recorded_one() {
    let mut differences = Vec::new();
    let mut compared = 0;
    for (mode, version) in [
        ("maintenance v1.10.7", "v1.10.7"),
        ("maintenance HEAD (v1.14.0-beta.1)", "v1.14.0-rc.1"),
    ] {
        let mock = in_maintenance(builder(mode)).await;
        let client = mock.maintenance_client();
        let config = control_plane(version);
        for answer in recording().iter().filter(|answer| answer.mode == mode) {
            if !is_comparable(answer) {
                continue;
            }
            let result = in_maintenance_mode(&client, &answer.operation, &config)
                .await
                .unwrap_or_else(|| panic!("unknown operation {:?}", answer.operation));
            compared += 1;
            differences.extend(difference(answer, &result));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 80, "only {compared} answers compared");
}

async fn asked(client: &Client, answer: &Answer, config: &SecretString) -> Result<()> {
    configured(client, &answer.operation, config)
        .await
        .unwrap_or_else(|| panic!("unknown operation {:?}", answer.operation))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_gets_the_answers_of_a_mode_again() {
    const MODE: &str = "maintenance v1.10.7";
    let mock = in_maintenance(builder(MODE)).await;
    let asked = Arguments {
        node: mock.endpoint(),
        mode: MODE.to_owned(),
        version: "v1.10.7".to_owned(),
        fatal: None,
    };

    let (made, left) = answers(DATA, &asked).await.unwrap();

    assert!(left.is_empty(), "{left:?}");
    for (made, committed) in answers_of(&made).iter().zip(&recording()) {
        assert!(made == committed || !is_comparable(committed), "{made:?}");
    }
    assert!(made.ends_with("}\n"));
}

/// A configured node that was not bootstrapped, as the recorded one.
async fn waiting_for_bootstrap(mode: &str) -> (TalosMock, SecretString) {
    let config = control_plane("v1.14.0-rc.1");
    let mock = super::support::configured(builder(mode), &config).await;
    mock.wait_for(|event| matches!(event, MockEvent::Configured))
        .await;
    (mock, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_node_answers_every_role_as_the_recorded_one() {
    const MODE: &str = "configured HEAD (v1.14.0-beta.1)";
    let answers = recording();
    let answers = answers
        .iter()
        .filter(|answer| answer.mode == MODE && is_comparable(answer));
    // Those that end the node's life come last, each on a node of its own.
    let (fatal, harmless): (Vec<_>, Vec<_>) =
        answers.partition(|answer| answer.ok && is_fatal(&answer.operation));
    let mut differences = Vec::new();
    let (mock, config) = waiting_for_bootstrap(MODE).await;
    let compared = harmless.len() + fatal.len();
    for answer in harmless {
        let client = client_with(&mock, role(&answer.role).unwrap());
        let result = asked(&client, answer, &config).await;
        differences.extend(difference(answer, &result));
    }
    for answer in fatal {
        let (mock, config) = waiting_for_bootstrap(MODE).await;
        // Before its services are up a node does not accept a bootstrap.
        let client = client_with(&mock, role(&answer.role).unwrap());
        let mut result = asked(&client, answer, &config).await;
        while answer.operation == "bootstrap early"
            && result.as_ref().is_err_and(Error::is_retryable)
        {
            result = asked(&client, answer, &config).await;
        }
        differences.extend(difference(answer, &result));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(compared > 60, "only {compared} answers compared");
}

#[tokio::test]
async fn a_configuration_is_read_back_by_administrators_only() {
    let (mock, config) = waiting_for_bootstrap("HEAD").await;
    let resources = client_with(&mock, Role::Admin).resources();

    let read = resources
        .yaml("config", "MachineConfigs.config.talos.dev", "v1alpha1")
        .await
        .unwrap();

    assert_eq!(read.expose_secret(), config.expose_secret());
}
