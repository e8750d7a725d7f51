//! The forms in which objects are sent: as they are, as a table, or as metadata only.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resource::Resource;
use super::status::Rejection;
use super::store::as_item;
use crate::mock::serve::IncomingRequest;

/// The form that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Representation {
    Full,
    Table,
    Metadata,
}

impl Representation {
    /// The first form of the header `Accept` that the server has.
    pub(super) fn of(request: &IncomingRequest) -> Result<Self, Rejection> {
        let accept = request.header("accept").unwrap_or("*/*");
        for media in accept.split(',') {
            let mut parts = media.split(';').map(str::trim);
            let parameters: Vec<&str> = media.split(';').skip(1).map(str::trim).collect();
            let form = parameters.iter().find_map(|part| part.strip_prefix("as="));
            match (parts.next().unwrap_or_default(), form) {
                ("application/json" | "application/*" | "*/*", None) => return Ok(Self::Full),
                ("application/json", Some("Table")) => return Ok(Self::Table),
                (
                    "application/json",
                    Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                ) => return Ok(Self::Metadata),
                ("application/yaml", _) => {
                    return Err(Rejection::not_modelled("responses in YAML"));
                }
                _ => {}
            }
        }
        if accept.contains("application/vnd.kubernetes.protobuf") {
            return Err(Rejection::not_modelled("responses in Protobuf"));
        }
        let available = "application/json, application/yaml, application/vnd.kubernetes.protobuf, \
            application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
        let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
        Err(Rejection::new(406, "NotAcceptable", message).with_details(json!({})))
    }

    pub(super) fn object(self, resource: &Resource, object: &Value) -> Value {
        match self {
            Self::Full => object.clone(),
            Self::Metadata => metadata(object),
            Self::Table => table(resource, &object["metadata"], std::slice::from_ref(object)),
        }
    }

    /// A list, from its document without items.
    pub(super) fn list(self, resource: &Resource, mut document: Value, items: Vec<Value>) -> Value {
        match self {
            Self::Full if resource.is_custom => {
                document["items"] = items.into();
                if document["metadata"]["continue"].is_null() {
                    document["metadata"]["continue"] = "".into();
                }
                document
            }
            Self::Full => {
                document["items"] = items.into_iter().map(as_item).collect();
                document
            }
            Self::Metadata => {
                document["kind"] = "PartialObjectMetadataList".into();
                document["apiVersion"] = "meta.k8s.io/v1".into();
                document["items"] = items.iter().map(metadata).collect();
                document
            }
            Self::Table => table(resource, &document["metadata"], &items),
        }
    }
}

fn metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

type Column = (&'static str, fn(&Value) -> String);

fn table(resource: &Resource, list: &Value, objects: &[Value]) -> Value {
    let columns = columns(resource);
    let definitions = columns.iter().map(|(name, _)| {
        let format = if *name == "Name" { "name" } else { "" };
        let description = description(resource, name);
        json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0})
    });
    let rows = objects.iter().map(|object| {
        let cells: Vec<String> = columns.iter().map(|(_, cell)| cell(object)).collect();
        json!({"cells": cells, "object": metadata(object)})
    });
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": list["resourceVersion"]},
        "columnDefinitions": definitions.collect::<Vec<_>>(),
        "rows": rows.collect::<Vec<_>>(),
    })
}

/// The description of a column, in the words of the server for the first ones of nodes; the name for others.
fn description<'a>(resource: &Resource, column: &'a str) -> &'a str {
    match (resource.plural, column) {
        (_, "Name") => {
            "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a \
             client to request the generation of an appropriate name automatically. Name is primarily intended for creation \
             idempotence and configuration definition. Cannot be updated. More info: \
             https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
        }
        ("nodes", "Status") => "The status of the node",
        _ => column,
    }
}

fn columns(resource: &Resource) -> Vec<Column> {
    let name: Column = ("Name", |object| text(&object["metadata"]["name"]));
    let age: Column = ("Age", age);
    match (resource.group, resource.plural) {
        ("", "nodes") => vec![
            name,
            ("Status", node_status),
            ("Roles", node_roles),
            age,
            ("Version", |node| {
                text(&node["status"]["nodeInfo"]["kubeletVersion"])
            }),
            ("Internal-IP", |node| address(node, "InternalIP")),
            ("External-IP", |node| address(node, "ExternalIP")),
            ("OS-Image", |node| {
                text(&node["status"]["nodeInfo"]["osImage"])
            }),
            ("Kernel-Version", kernel),
            ("Container-Runtime", |node| {
                text(&node["status"]["nodeInfo"]["containerRuntimeVersion"])
            }),
        ],
        ("", "pods") => vec![
            name,
            ("Ready", pod_ready),
            ("Status", |pod| text(&pod["status"]["phase"])),
            ("Restarts", pod_restarts),
            age,
        ],
        ("", "namespaces") => vec![
            name,
            ("Status", |object| text(&object["status"]["phase"])),
            age,
        ],
        _ => vec![name, age],
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("<none>").to_owned()
}

fn age(object: &Value) -> String {
    let created = object["metadata"]["creationTimestamp"].as_str();
    let Some(created) = created.and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    let seconds = (Timestamp::now().as_second() - created.as_second()).max(0);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn node_status(node: &Value) -> String {
    let conditions = node["status"]["conditions"].as_array();
    let is_ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let ready = if is_ready { "Ready" } else { "NotReady" };
    if node["spec"]["unschedulable"] == true {
        return format!("{ready},SchedulingDisabled");
    }
    ready.to_owned()
}

fn node_roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

fn address(node: &Value, kind: &str) -> String {
    let addresses = node["status"]["addresses"].as_array();
    let found = addresses
        .into_iter()
        .flatten()
        .find(|address| address["type"] == kind);
    found.map_or_else(|| "<none>".to_owned(), |address| text(&address["address"]))
}

fn kernel(node: &Value) -> String {
    let info = &node["status"]["nodeInfo"];
    match info["architecture"].as_str() {
        Some(architecture) => format!("{} ({architecture})", text(&info["kernelVersion"])),
        None => text(&info["kernelVersion"]),
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
}

fn pod_ready(pod: &Value) -> String {
    let all = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let ready = containers(pod)
        .filter(|container| container["ready"] == true)
        .count();
    format!("{ready}/{all}")
}

fn pod_restarts(pod: &Value) -> String {
    let restarts = containers(pod).filter_map(|container| container["restartCount"].as_u64());
    restarts.sum::<u64>().to_string()
}
