//! The `fields` parameter: which keys of a response are sent.

use serde_json::{Map, Value};

/// Keeps only the listed fields; with a leading `-`, removes them. The version of a list is always
/// kept, as on the server.
pub(super) fn project(value: &Value, fields: Option<&str>) -> Value {
    let Some(fields) = fields.filter(|fields| !fields.is_empty()) else {
        return value.clone();
    };
    if let Some(excluded) = fields.strip_prefix('-') {
        let mut kept = value.clone();
        for path in excluded.split(',') {
            remove(&mut kept, &path.split('.').collect::<Vec<_>>());
        }
        return kept;
    }
    let mut kept = Value::Object(Map::new());
    for path in fields.split(',').chain(["metadata.resourceVersion"]) {
        keep(value, &path.split('.').collect::<Vec<_>>(), &mut kept);
    }
    kept
}

fn keep(from: &Value, path: &[&str], into: &mut Value) {
    let Some((first, rest)) = path.split_first() else {
        *into = from.clone();
        return;
    };
    match from {
        Value::Object(fields) => {
            let Some(field) = fields.get(*first) else {
                return;
            };
            if !into.is_object() {
                *into = Value::Object(Map::new());
            }
            keep(field, rest, &mut into[*first]);
            if let Some(kept) = into.as_object_mut()
                && kept.get(*first).is_some_and(Value::is_null)
                && !field.is_null()
            {
                kept.remove(*first);
            }
        }
        Value::Array(items) => {
            if !into.is_array() {
                *into = Value::Array(vec![Value::Null; items.len()]);
            }
            for (index, item) in items.iter().enumerate() {
                keep(item, path, &mut into[index]);
            }
        }
        _ => {}
    }
}

fn remove(from: &mut Value, path: &[&str]) {
    match (from, path) {
        (Value::Array(items), path) => items.iter_mut().for_each(|item| remove(item, path)),
        (Value::Object(fields), [last]) => drop(fields.remove(*last)),
        (Value::Object(fields), [first, rest @ ..]) => {
            if let Some(field) = fields.get_mut(*first) {
                remove(field, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_kept_or_removed_at_any_depth() {
        let list = json!({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a", "uid": "u"}, "spec": {}}]});

        assert_eq!(
            project(&list, Some("items.metadata.name")),
            json!({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a"}}]})
        );
        assert_eq!(
            project(&list, Some("-items.spec,items.metadata.uid")),
            json!({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a"}}]})
        );
        assert_eq!(project(&list, None), list);
    }
}
