//! The fields of an object: those that the built-in kinds have, and the schema of a custom resource.
//!
//! Of a schema these words are read: `type`, `properties`, `additionalProperties`, `items`, `required`, `enum`, `minimum`,
//! `maximum` and `x-kubernetes-preserve-unknown-fields`.

use serde_json::Value;

use super::cluster_state::ClusterState;
use super::resource::{DEFINITIONS, Resource, by_plural, fields};
use super::status::{Cause, Rejection};
use super::store::Key;

const IDENTITY: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes the fields that the kind does not have, or refuses them when the request is strict.
///
/// # Errors
///
/// 400 that names the unknown fields.
pub(super) fn check_fields(
    cluster: &ClusterState,
    resource: &Resource,
    object: &mut Value,
    is_strict: bool,
) -> Result<(), Rejection> {
    let unknown = match schema_of(cluster, resource) {
        Some(schema) => {
            let mut unknown = Vec::new();
            prune(&schema, object, "", &mut unknown);
            unknown
        }
        None if resource.is_custom => Vec::new(),
        None => {
            let unknown = undeclared(resource, object);
            if let Some(fields) = object.as_object_mut() {
                fields.retain(|key, _| !unknown.contains(key));
            }
            unknown
        }
    };
    if unknown.is_empty() || !is_strict {
        return Ok(());
    }
    let problems: Vec<String> = unknown
        .iter()
        .map(|field| format!("unknown field \"{field}\""))
        .collect();
    let kind = resource.kind;
    Err(Rejection::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
        resource.version,
        problems.join(", ")
    )))
}

/// What a server-side apply says to a field that the kind does not have.
///
/// # Errors
///
/// 500, as the server answers.
pub(super) fn check_applied(resource: &Resource, object: &Value) -> Result<(), Rejection> {
    let unknown = if resource.is_custom {
        Vec::new()
    } else {
        undeclared(resource, object)
    };
    let Some(field) = unknown.first() else {
        return Ok(());
    };
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    Err(Rejection::new(
        500,
        "",
        format!(
            "failed to create typed patch object ({}/{}; {}/{}, Kind={}): .{field}: field not declared in schema",
            text("namespace"),
            text("name"),
            resource.group,
            resource.version,
            resource.kind
        ),
    ))
}

/// Why the schema of a custom resource refuses an object.
pub(super) fn causes(cluster: &ClusterState, resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    if let Some(schema) = schema_of(cluster, resource) {
        check(&schema, object, "", &mut found);
    }
    found
}

fn undeclared(resource: &Resource, object: &Value) -> Vec<String> {
    let declared = fields(resource);
    let fields = object.as_object().into_iter().flatten();
    fields
        .map(|(key, _)| key.clone())
        .filter(|key| !IDENTITY.contains(&key.as_str()) && !declared.contains(&key.as_str()))
        .collect()
}

fn schema_of(cluster: &ClusterState, resource: &Resource) -> Option<Value> {
    let definitions = by_plural(DEFINITIONS).filter(|_| resource.is_custom)?;
    let key = Key::new(definitions, "", &resource.qualified());
    let definition = cluster.store.get(&key)?;
    let mut versions = definition["spec"]["versions"].as_array()?.iter();
    let version = versions.find(|version| version["name"] == resource.version)?;
    Some(version["schema"]["openAPIV3Schema"].clone())
}

fn below(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn prune(schema: &Value, value: &mut Value, path: &str, unknown: &mut Vec<String>) {
    if let Value::Array(items) = value {
        for (index, item) in items.iter_mut().enumerate() {
            prune(&schema["items"], item, &format!("{path}[{index}]"), unknown);
        }
    }
    let keeps_all = schema["x-kubernetes-preserve-unknown-fields"] == true
        || !schema["additionalProperties"].is_null();
    let (Value::Object(fields), false) = (value, keeps_all) else {
        return;
    };
    let properties = schema["properties"].as_object();
    fields.retain(|key, value| {
        if path.is_empty() && IDENTITY.contains(&key.as_str()) {
            return true;
        }
        let path = below(path, key);
        match properties.and_then(|properties| properties.get(key)) {
            Some(schema) => {
                prune(schema, value, &path, unknown);
                true
            }
            None => {
                unknown.push(path);
                false
            }
        }
    });
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<Cause>) {
    if let Some(wanted) = schema["type"].as_str()
        && !is_of_type(value, wanted)
    {
        let given = type_of(value);
        found.push(Cause::new(
            "FieldValueTypeInvalid",
            path,
            format!(
                "Invalid value: \"{given}\": {path} in body must be of type {wanted}: \"{given}\""
            ),
        ));
        return;
    }
    bounds(schema, value, path, found);
    for field in schema["required"].as_array().into_iter().flatten() {
        let field = field.as_str().unwrap_or_default();
        if value.get(field).is_none() {
            found.push(Cause::required(&below(path, field), ""));
        }
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    for (field, schema) in properties {
        if let Some(value) = value.get(field)
            && !(path.is_empty() && IDENTITY.contains(&field.as_str()))
        {
            check(schema, value, &below(path, field), found);
        }
    }
    let items = value.as_array().into_iter().flatten();
    for (index, item) in items.enumerate() {
        check(&schema["items"], item, &format!("{path}[{index}]"), found);
    }
}

fn bounds(schema: &Value, value: &Value, path: &str, found: &mut Vec<Cause>) {
    let number = value.as_f64();
    let outside = |bound: &Value, is_outside: fn(f64, f64) -> bool| {
        number
            .zip(bound.as_f64())
            .is_some_and(|(number, bound)| is_outside(number, bound))
    };
    for (bound, is_outside, words) in [
        (
            &schema["minimum"],
            (|number, bound| number < bound) as fn(f64, f64) -> bool,
            "should be greater than or equal to",
        ),
        (
            &schema["maximum"],
            |number, bound| number > bound,
            "should be less than or equal to",
        ),
    ] {
        if outside(bound, is_outside) {
            found.push(Cause::invalid(
                path,
                value,
                &format!("{path} in body {words} {bound}"),
            ));
        }
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        found.push(Cause::new(
            "FieldValueNotSupported",
            path,
            format!(
                "Unsupported value: {value}: supported values: {}",
                allowed.join(", ")
            ),
        ));
    }
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => type_of(value) == other,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
