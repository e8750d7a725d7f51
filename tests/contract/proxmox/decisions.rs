//! The mock's check of option values against the real decisions of both releases.

use std::collections::BTreeMap;

use http::Method;
use proxmox_client::mock::Contract;
use serde::Deserialize;
use serde_json::Value;

const CREATE: &str = "/nodes/{node}/qemu";

#[derive(Deserialize)]
struct Recorded {
    decisions: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    option: String,
    value: Value,
    #[serde(rename = "9.2.11")]
    nine: Decision,
    #[serde(rename = "8.4.21")]
    eight: Decision,
}

#[derive(Deserialize)]
struct Decision {
    accepted: bool,
    #[serde(default)]
    errors: Value,
}

fn text_of(value: &Value) -> String {
    if let Some(repeat) = value.get("repeat").and_then(Value::as_str) {
        let times = value["times"].as_u64().unwrap();
        return repeat.repeat(usize::try_from(times).unwrap());
    }
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What the mock decides, with the texts without their last line breaks.
fn decide(contract: &Contract, option: &str, value: &str) -> BTreeMap<String, String> {
    let mut params = vec![
        ("node".to_owned(), "pve-01".to_owned()),
        ("vmid".to_owned(), "150".to_owned()),
    ];
    params.push((option.to_owned(), value.to_owned()));
    match contract.check(&Method::POST, CREATE, &params) {
        Ok(()) => BTreeMap::new(),
        Err(errors) => errors
            .into_iter()
            .map(|(name, text)| (name, text.trim_end().to_owned()))
            .collect(),
    }
}

fn disagreement(contract: &Contract, case: &Case, real: &Decision) -> Option<String> {
    let value = text_of(&case.value);
    let ours = decide(contract, &case.option, &value);
    let expected: BTreeMap<String, String> = real
        .errors
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().trim_end().to_owned()))
        .collect();
    let agrees = ours.is_empty() == real.accepted && ours == expected;
    let shown: String = value.chars().take(60).collect();
    (!agrees).then(|| format!("{}={shown}: real {expected:?}, mock {ours:?}", case.option))
}

#[test]
fn the_mock_decides_about_option_values_as_the_real_servers_do() {
    let data = include_str!("../../data/proxmox/proxmox-option-decisions.json");
    let Recorded { decisions } = serde_json::from_str(data).unwrap();
    for (release, contract) in [("9.2.11", Contract::pve_9()), ("8.4.21", Contract::pve_8())] {
        let wrong: Vec<String> = decisions
            .iter()
            .filter_map(|case| {
                let real = match release {
                    "9.2.11" => &case.nine,
                    _ => &case.eight,
                };
                disagreement(contract, case, real)
            })
            .collect();
        let right = decisions.len() - wrong.len();
        println!("{release}: {right} of {} decisions agree", decisions.len());

        assert!(wrong.is_empty(), "{release}: {}", wrong.join("\n"));
    }
}
