//! The mock's check of option values against the real decisions of both releases.

use std::collections::BTreeMap;

use http::Method;
use proxmox_client::id::{NodeName, VmId};
use proxmox_client::mock::{Acl, Contract, PveMock};
use serde::Deserialize;
use serde_json::Value;

use crate::recipes::proxmox_options::{Asked, decisions, value};
use crate::recipes::record::Server;

const CREATE: &str = "/nodes/{node}/qemu";
const DATA: &str = include_str!("../../data/proxmox/proxmox-option-decisions.json");

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
    let value = value(&case.value);
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
    let Recorded { decisions } = serde_json::from_str(DATA).unwrap();
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

/// The cases that are decided otherwise than the committed ones.
fn changed(made: &str, release: &str) -> Vec<Value> {
    let cases = |text: &str| -> Vec<Value> {
        let file: Value = serde_json::from_str(text).unwrap();
        file["decisions"].as_array().unwrap().clone()
    };
    let pairs = cases(made).into_iter().zip(cases(DATA));
    let differing = pairs.filter(|(made, committed)| made[release] != committed[release]);
    differing.map(|(made, _)| made).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipe_gets_the_decisions_again_and_creates_nothing() {
    for (release, version) in [("9.2.11", "9.1.2"), ("8.4.21", "8.4.1")] {
        let node = NodeName::new("pve-01").unwrap();
        let mock = PveMock::builder()
            .version(version)
            .node(node)
            .token("ci@pve!boot", "secret", Acl::administrator())
            .start()
            .await;
        mock.add_vm(VmId::new(150).unwrap(), &[]);
        let mut endpoint = mock.endpoint();
        endpoint.set_scheme("http").unwrap();
        let server = Server::new(endpoint, None).unwrap();
        let caller = [(
            "Authorization".to_owned(),
            "PVEAPIToken=ci@pve!boot=secret".to_owned(),
        )];
        let asked = Asked {
            server: &server,
            caller: &caller,
            node: "pve-01",
            taken: 150,
            release,
        };

        let made = tokio::task::block_in_place(|| decisions(DATA, &asked)).unwrap();

        assert!(made == DATA, "{release}: {:?}", changed(&made, release));
        assert_eq!(mock.vm_ids().len(), 1, "{release}");
    }
}
