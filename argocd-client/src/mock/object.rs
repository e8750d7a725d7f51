//! Small rules about Kubernetes objects in JSON: empty values, names, types, patches.

use serde_json::{Map, Value};

use super::response::Rejection;

/// `null`, absent and empty are the same.
pub(super) fn blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A value without its blank fields; empty objects stay, because pointers to structures do.
pub(super) fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .filter(|(_, value)| value.is_object() || !blank(value))
                .map(|(key, value)| (key.clone(), pruned(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(pruned).collect()),
        other => other.clone(),
    }
}

/// The check of types that decoding into a Go structure makes, for the fields that matter here.
pub(super) fn decode(body: &Value, kind: &str) -> Result<(), Rejection> {
    let wrong = |found: &str, field: &str, wanted: &str| {
        Err(Rejection::invalid(format!(
            "json: cannot unmarshal {found} into Go struct field {kind}.{field} of type {wanted}"
        )))
    };
    for (field, value) in body.as_object().into_iter().flatten() {
        let text = matches!(
            field.as_str(),
            "server" | "name" | "project" | "repo" | "url" | "type" | "username"
        );
        match (field.as_str(), value) {
            (_, Value::Number(_)) if text => return wrong("number", field, "string"),
            (_, Value::Bool(_)) if text => return wrong("bool", field, "string"),
            (_, Value::Object(_)) if text => return wrong("object", field, "string"),
            (_, Value::Array(_)) if text => return wrong("array", field, "string"),
            ("metadata", Value::String(_)) => return wrong("string", field, "v1.ObjectMeta"),
            ("spec", Value::String(_)) => {
                return wrong("string", field, &format!("v1alpha1.{kind}Spec"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The check of names that the API server makes; `what` is what the error begins with.
pub(super) fn name_is_valid(what: &str, name: &str) -> Result<(), Rejection> {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = !name.is_empty()
        && name.split('.').all(|part| {
            let bytes = part.as_bytes();
            !bytes.is_empty()
                && bytes
                    .iter()
                    .all(|byte| is_alphanumeric(*byte) || *byte == b'-')
                && bytes.first().is_some_and(|byte| is_alphanumeric(*byte))
                && bytes.last().is_some_and(|byte| is_alphanumeric(*byte))
        });
    if valid {
        return Ok(());
    }
    Err(Rejection::invalid(format!(
        "{what}.argoproj.io \"{name}\" is invalid: metadata.name: Invalid value: \"{name}\": a lowercase RFC 1123 \
         subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
         alphanumeric character (e.g. 'example.com', regex used for validation is \
         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )))
}

/// RFC 7386.
pub(super) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            if let Some(object) = target.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge_patch(&mut target[key], value);
        }
    }
}

/// RFC 6902, without `move` and `copy`.
pub(super) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), Rejection> {
    for operation in patch.as_array().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap_or_default();
        let (parent, last) = path.rsplit_once('/').unwrap_or_default();
        let last = last.replace("~1", "/").replace("~0", "~");
        let missing = || {
            Rejection::new(
                2,
                format!(
                    "{} operation does not apply: doc is missing path: \"{path}\": missing value",
                    operation["op"].as_str().unwrap_or_default()
                ),
            )
        };
        let parent = target.pointer_mut(parent).ok_or_else(missing)?;
        match (operation["op"].as_str().unwrap_or_default(), parent) {
            ("remove", Value::Object(object)) => {
                object.remove(&last).ok_or_else(missing)?;
            }
            ("add" | "replace", Value::Object(object)) => {
                object.insert(last, operation["value"].clone());
            }
            ("add", Value::Array(items)) if last == "-" => items.push(operation["value"].clone()),
            ("test", parent) if parent.get(&last) == Some(&operation["value"]) => {}
            _ => return Err(missing()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_change_what_they_name() {
        let mut object = json!({"metadata": {"annotations": {"a": "1"}}, "spec": {"x": 1}});

        merge_patch(
            &mut object,
            &json!({"metadata": {"annotations": {"b": "2"}}, "spec": {"x": null}}),
        );
        assert_eq!(
            object,
            json!({"metadata": {"annotations": {"a": "1", "b": "2"}}, "spec": {}})
        );

        let remove = json!([{"op": "remove", "path": "/metadata/annotations"}]);
        json_patch(&mut object, &remove).unwrap();
        assert_eq!(object, json!({"metadata": {}, "spec": {}}));
        assert!(json_patch(&mut object, &remove).is_err());
    }

    #[test]
    fn names_are_those_of_the_api_server() {
        for name in ["one", "a-b.c", "0"] {
            assert!(name_is_valid("Application", name).is_ok(), "{name}");
        }
        for name in ["", "Bad_Name", "-a", "a.", "a/b"] {
            assert!(name_is_valid("Application", name).is_err(), "{name}");
        }
    }
}
