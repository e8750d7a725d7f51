//! Verdicts of the reference validator: `tests/data/talos/validate` holds base files, edits and what v1.10.7, v1.11.6,
//! v1.12.11 and v1.13.9 answered.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use talos_client::config::{MachineConfig, Mode, TalosVersion, ValidationOptions};
use talos_client::yaml::Node;

const CASES: &str = include_str!("../../data/talos/validate/cases.json");
const CONTROL_PLANE: &str = include_str!("../../data/talos/validate/controlplane.yaml");
const WORKER: &str = include_str!("../../data/talos/validate/worker.yaml");

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) mode: String,
    pub(super) strict: bool,
    #[serde(default)]
    base: String,
    #[serde(default)]
    edits: Vec<(String, Edit)>,
    #[serde(default, rename = "extraDocuments")]
    extra_documents: String,
    pub(super) results: BTreeMap<String, Answer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Edit {
    Set(Value),
    Delete(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize, PartialEq)]
pub(super) struct Answer {
    pub(super) warnings: Vec<String>,
    pub(super) error: Option<String>,
}

pub(super) fn cases() -> Vec<Case> {
    serde_json::from_str(CASES).unwrap()
}

impl Case {
    /// The file the reference was given: the base written again after its edits, then the extra documents.
    pub(super) fn text(&self) -> String {
        let base = if self.base == "worker" {
            WORKER
        } else {
            CONTROL_PLANE
        };
        let mut node = MachineConfig::parse(base).unwrap().documents()[0]
            .clone()
            .into_node();
        for (path, edit) in &self.edits {
            let keys: Vec<&str> = path.split('/').collect();
            match edit {
                Edit::Set(value) => node.insert_path(&keys, to_node(value)),
                Edit::Delete(_) => {
                    let (key, parents) = keys.split_last().unwrap();
                    node.path_mut(parents).unwrap().remove(key);
                }
            }
        }
        let separator = if self.extra_documents.is_empty() {
            ""
        } else {
            "---\n"
        };
        format!("{}{separator}{}", node.to_yaml(), self.extra_documents)
    }

    fn answer(&self, version: &str) -> Answer {
        let version = TalosVersion::parse(version).unwrap();
        let mode: Mode = self.mode.parse().unwrap();
        let mut options = ValidationOptions::new(mode, &version);
        if self.strict {
            options = options.strict();
        }
        let validation = match MachineConfig::load(&self.text(), &version) {
            Ok(config) => config.validate(&options),
            Err(error) => {
                return Answer {
                    warnings: Vec::new(),
                    error: Some(error.message().to_owned()),
                };
            }
        };
        Answer {
            warnings: validation
                .warnings()
                .map(|found| found.message.clone())
                .collect(),
            error: validation
                .into_result()
                .err()
                .map(|error| error.message().trim_end().to_owned()),
        }
    }
}

fn to_node(value: &Value) -> Node {
    match value {
        Value::Null => Node::null(),
        Value::Bool(value) => Node::bool(*value),
        Value::Number(value) => Node::plain(value.to_string()),
        Value::String(value) => Node::string(value.clone()),
        Value::Array(items) => Node::sequence(items.iter().map(to_node)),
        Value::Object(fields) => Node::mapping(
            fields
                .iter()
                .map(|(key, value)| (key.clone(), to_node(value))),
        ),
    }
}

#[test]
fn every_verdict_and_text_is_that_of_the_reference() {
    let cases = cases();
    let mut differences = Vec::new();

    for case in &cases {
        for (version, expected) in &case.results {
            let answer = case.answer(version);
            if answer != *expected {
                differences.push(format!(
                    "{} ({version}):\n  expected {expected:?}\n  answered {answer:?}",
                    case.name
                ));
            }
        }
    }

    assert!(
        differences.is_empty(),
        "{} of {} cases differ\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}
