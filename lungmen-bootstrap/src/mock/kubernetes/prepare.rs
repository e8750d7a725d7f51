//! What the server makes of an object before it stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::resource::{DEFINITIONS, Resource};
use super::write::Part;

pub(super) fn without_empty_finalizers(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("finalizers");
    }
    object
}

/// Where the status has a path of its own, each of the two paths leaves the part of the other one unchanged.
pub(super) fn separate_status(
    resource: &Resource,
    before: Option<&Value>,
    object: &mut Value,
    part: Part,
) {
    let Some(before) = before.filter(|_| resource.has_status).cloned() else {
        return;
    };
    let (mut kept, status) = match part {
        Part::Main => (object.clone(), before["status"].clone()),
        Part::Status => (before, object["status"].clone()),
    };
    if status.is_null() {
        if let Some(fields) = kept.as_object_mut() {
            fields.shift_remove("status");
        }
    } else {
        kept["status"] = status;
    }
    *object = kept;
}

/// The texts of a Secret become data; nobody reads them as texts again.
pub(super) fn encode_texts(resource: &Resource, object: &mut Value) {
    let Some(fields) = object
        .as_object_mut()
        .filter(|_| resource.plural == "secrets")
    else {
        return;
    };
    let Some(Value::Object(texts)) = fields.shift_remove("stringData") else {
        return;
    };
    for (key, text) in texts {
        let text = text.as_str().unwrap_or_default();
        object["data"][key.as_str()] = STANDARD.encode(text).into();
    }
}

/// A new object comes without a status where that has a path of its own.
pub(super) fn drop_status(resource: &Resource, object: &mut Value) {
    if let Some(fields) = object.as_object_mut().filter(|_| resource.has_status) {
        fields.shift_remove("status");
    }
}

/// The generation counts the changes of everything but metadata and status.
pub(super) fn set_generation(resource: &Resource, before: Option<&Value>, object: &mut Value) {
    let counts = resource.is_custom || resource.group == "apps" || resource.plural == DEFINITIONS;
    if !counts {
        return;
    }
    let content = |object: &Value| {
        let mut content = object.clone();
        if let Some(fields) = content.as_object_mut() {
            fields.shift_remove("metadata");
            fields.shift_remove("status");
        }
        content
    };
    let generation = match before {
        None => 1,
        Some(before) => {
            let known = before["metadata"]["generation"].as_u64().unwrap_or(1);
            known + u64::from(content(before) != content(object))
        }
    };
    object["metadata"]["generation"] = generation.into();
}

/// The fields that the server sets on new objects.
pub(super) fn complete(resource: &Resource, name: &str, object: &mut Value) {
    match resource.plural {
        "namespaces" => {
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"]["phase"] = "Active".into();
        }
        DEFINITIONS => {
            let stored = object["spec"]["versions"].as_array().into_iter().flatten();
            let stored = stored.filter(|version| version["storage"] == true);
            let names: Vec<Value> = stored.map(|version| version["name"].clone()).collect();
            object["spec"]["conversion"] = json!({"strategy": "None"});
            object["status"] = json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""},
                "storedVersions": names});
        }
        _ => {}
    }
}
