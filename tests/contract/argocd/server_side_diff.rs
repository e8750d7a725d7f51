//! Differences that the server computes, as `ServerSideDiff` of 3.5.1 does it.

use argocd_client::ErrorKind;
use argocd_client::mock::ArgoCdMock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::command_line::{config_map, deployed, get, secret};

const DIFFERENCE: &str = "/api/v1/applications/one/server-side-diff";

fn live(state: &Value) -> String {
    let metadata = &state["metadata"];
    json!({
        "kind": state["kind"], "namespace": metadata["namespace"], "name": metadata["name"],
        "liveState": state.to_string(),
    })
    .to_string()
}

#[tokio::test]
async fn a_server_side_difference_pairs_live_states_with_manifests() {
    let (_argocd, client) = deployed().await;
    let (state, target) = (
        live(&config_map("ok", "value")),
        config_map("ok", "other").to_string(),
    );
    let unchanged = config_map("ok", "value").to_string();
    let new = json!({"kind": "ConfigMap", "namespace": "one-ns", "name": "new"}).to_string();
    let created = config_map("new", "x").to_string();

    let answer = get(
        &client,
        DIFFERENCE,
        &[
            ("liveResources", &state),
            ("liveResources", &state),
            ("liveResources", &new),
            ("liveResources", &state),
            ("targetManifests", &target),
            ("targetManifests", &unchanged),
            ("targetManifests", &created),
            ("targetManifests", "null"),
        ],
    )
    .await
    .unwrap();

    assert_eq!(answer["modified"], true);
    let modified: Vec<bool> = answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["modified"].as_bool().unwrap_or(false))
        .collect();
    assert_eq!(modified, [true, false, true, true]);
    let predicted: Value =
        serde_json::from_str(answer["items"][0]["targetState"].as_str().unwrap()).unwrap();
    assert_eq!(predicted["data"]["key"], "other");
    assert_eq!(answer["items"][2]["liveState"], "null");
    assert_eq!(answer["items"][3]["targetState"], "null");
}

#[tokio::test]
async fn values_of_secrets_are_hidden_in_a_difference() {
    let (_argocd, client) = deployed().await;
    let (state, target) = (live(&secret("old")), secret("new").to_string());

    let pair = [
        ("liveResources", state.as_str()),
        ("targetManifests", &target),
    ];
    let answer = get(&client, DIFFERENCE, &pair).await.unwrap();

    let text = answer.to_string();
    assert!(!text.contains(&STANDARD.encode("old")) && !text.contains(&STANDARD.encode("new")));
    let of = |field: &str| -> Value {
        serde_json::from_str(answer["items"][0][field].as_str().unwrap()).unwrap()
    };
    // Two values that differ still differ.
    assert_ne!(
        of("liveState")["data"]["key"],
        of("targetState")["data"]["key"]
    );
    assert_eq!(answer["modified"], true);
}

#[tokio::test]
async fn a_difference_is_refused_for_what_the_application_does_not_manage() {
    let (_argocd, client) = deployed().await;
    let foreign = live(&config_map("foreign", "x"));
    let manifest = config_map("foreign", "x").to_string();
    let mut renamed: Value = serde_json::from_str(&live(&config_map("ok", "x"))).unwrap();
    renamed["name"] = json!("other");
    let renamed = renamed.to_string();
    let own = live(&config_map("ok", "value"));
    for (query, kind, text) in [
        (
            vec![
                ("liveResources", foreign.as_str()),
                ("targetManifests", &manifest),
            ],
            ErrorKind::Forbidden,
            "/ConfigMap foreign not found as part of application one",
        ),
        (
            vec![
                ("liveResources", renamed.as_str()),
                ("targetManifests", &manifest),
            ],
            ErrorKind::Rejected,
            "name mismatch: expected other, got ok for live resource /ConfigMap/other",
        ),
        (
            vec![("liveResources", own.as_str())],
            ErrorKind::Server,
            "left and right arrays have mismatched lengths",
        ),
        (
            vec![("targetManifests", manifest.as_str())],
            ErrorKind::Server,
            "runtime error: index out of range [0] with length 0",
        ),
    ] {
        let error = get(&client, DIFFERENCE, &query).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().ends_with(text), "{error}");
    }
    let missing = "/api/v1/applications/nope/server-side-diff";
    let error = get(&client, missing, &[]).await.unwrap_err();
    assert!(
        error.message().starts_with("error getting application: "),
        "{error}"
    );

    let old = ArgoCdMock::builder().version("v3.1.16").start().await;
    let error = get(&old.client(), DIFFERENCE, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
