//! The two forms of patches that the mock applies to JSON.

use serde_json::{Value, json};

use super::status::Rejection;

/// RFC 7396.
pub(super) fn merge(into: &mut Value, changes: &Value) {
    let Value::Object(changes) = changes else {
        *into = changes.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(fields) = into.as_object_mut() else {
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            fields.shift_remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}

/// RFC 6902.
pub(super) fn json_patch(object: &mut Value, body: &[u8]) -> Result<(), Rejection> {
    let operations: json_patch::Patch = serde_json::from_slice(body)
        .map_err(|error| Rejection::bad_request(format!("error decoding patch: {error}")))?;
    json_patch::patch(object, &operations).map_err(|_| {
        let message = "the server rejected our request due to an error in our request";
        Rejection::new(422, "Invalid", message).with_details(json!({}))
    })
}
