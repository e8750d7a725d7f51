//! Patches: what the reference patcher answers, for five releases.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use talos_client::config::{ConfigPatch, MachineConfig, TalosVersion};
use talos_client::yaml::{Node, first_difference, parse_documents};

const CASES: &str = include_str!("../../data/talos/patch-cases.json");

#[derive(Deserialize)]
struct Case {
    name: String,
    base: String,
    patches: Vec<String>,
    results: BTreeMap<String, Answer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(String),
    Error(String),
    Panic(serde::de::IgnoredAny),
}

impl Case {
    fn patched(&self, version: &str) -> Result<String, String> {
        let version = TalosVersion::parse(version).unwrap();
        let patches: Vec<ConfigPatch> = self
            .patches
            .iter()
            .map(|text| ConfigPatch::new(text.as_str()))
            .collect();
        let patched =
            MachineConfig::parse(&self.base).and_then(|config| config.patched(&patches, &version));
        match patched {
            Ok(config) => Ok(config.to_yaml().expose_secret().to_owned()),
            Err(error) => Err(error.message().to_owned()),
        }
    }
}

/// Where two texts differ as documents; nothing when a Go program cannot tell them apart.
fn difference(ours: &str, reference: &str) -> Option<String> {
    let (ours, reference) = (documents(ours), documents(reference));
    if ours.len() != reference.len() {
        return Some(format!(
            "{} instead of {} documents",
            ours.len(),
            reference.len()
        ));
    }
    ours.iter()
        .zip(&reference)
        .find_map(|(ours, reference)| first_difference(ours, reference))
}

fn documents(text: &str) -> Vec<Node> {
    parse_documents(text).unwrap()
}

/// Merge errors name Go's fields in the reference and configuration keys in ours; what is wrong comes last in both.
fn reason(text: &str) -> &str {
    if text.starts_with("merge field ") {
        text.rsplit(": ").next().unwrap_or(text)
    } else {
        text
    }
}

fn disagreement(case: &Case, version: &str, answer: &Answer) -> Option<String> {
    let ours = case.patched(version);
    let problem = match (answer, &ours) {
        (Answer::Ok(reference), Ok(ours)) => {
            difference(ours, reference).map(|path| format!("differs at {path:?}:\n{ours}"))
        }
        (Answer::Error(reference), Err(ours)) if reason(ours) == reason(reference) => None,
        // Both URLs have a user: the reference names one of them.
        (Answer::Error(reference), Err(_)) if reference.ends_with("left user is not settable") => {
            None
        }
        (Answer::Panic(_), Err(_)) => None,
        (Answer::Ok(reference), Err(ours)) => {
            Some(format!("error {ours:?} instead of\n{reference}"))
        }
        (Answer::Error(reference), Err(ours)) => {
            Some(format!("\n  ours      {ours:?}\n  reference {reference:?}"))
        }
        (Answer::Error(reference), Ok(ours)) => Some(format!("no error {reference:?} but\n{ours}")),
        (Answer::Panic(_), Ok(ours)) => Some(format!("the reference crashes, ours is\n{ours}")),
    };
    problem.map(|problem| format!("{} with {version}: {problem}", case.name))
}

#[test]
fn every_patch_gives_what_the_reference_gives() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();

    let disagreements: Vec<String> = cases
        .iter()
        .flat_map(|case| {
            case.results
                .iter()
                .filter_map(|(version, answer)| disagreement(case, version, answer))
        })
        .collect();

    assert!(
        disagreements.is_empty(),
        "{} disagreements:\n{}",
        disagreements.len(),
        disagreements.join("\n")
    );
}
