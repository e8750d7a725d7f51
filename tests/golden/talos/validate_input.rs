//! The file that the reference validator is given: a base file of `tests/data/talos/validate`, edits and further documents.

use serde::Deserialize;
use serde_json::Value;
use talos_client::config::MachineConfig;
use talos_client::yaml::Node;

const CONTROL_PLANE: &str = include_str!("../../data/talos/validate/controlplane.yaml");
const WORKER: &str = include_str!("../../data/talos/validate/worker.yaml");

#[derive(Deserialize)]
pub(crate) struct Input {
    #[serde(default)]
    base: String,
    #[serde(default)]
    edits: Vec<(String, Edit)>,
    #[serde(default, rename = "extraDocuments")]
    extra_documents: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Edit {
    Set(Value),
    Delete(serde::de::IgnoredAny),
}

impl Input {
    /// The base written again after its edits, then the further documents.
    pub(crate) fn text(&self) -> String {
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
