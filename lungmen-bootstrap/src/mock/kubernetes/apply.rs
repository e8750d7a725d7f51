//! Server-side apply: fields belong to the manager that last applied them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::store::Key;

/// A path into an object, one key per step. Lists belong to their owner as a whole.
type Path = Vec<String>;

/// Who owns which fields of which object.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    owners: Mutex<BTreeMap<Key, BTreeMap<String, BTreeSet<Path>>>>,
}

/// The fields another manager owns with another value, as the server's message names them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ApplyConflict {
    pub(super) manager: String,
    pub(super) field: String,
}

impl Ownership {
    /// Merges `applied` into `current` on behalf of `manager`, taking fields over with `force`.
    ///
    /// # Errors
    ///
    /// The first field somebody else owns, without `force`.
    pub(super) fn apply(
        &self,
        key: &Key,
        manager: &str,
        (current, applied): (Value, &Value),
        force: bool,
    ) -> Result<Value, ApplyConflict> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let managers = owners.entry(key.clone()).or_default();
        let mut fields = BTreeSet::new();
        leaves(applied, &mut Vec::new(), &mut fields);
        for (other, owned) in managers
            .iter_mut()
            .filter(|(name, _)| name.as_str() != manager)
        {
            let contested: Vec<Path> = owned
                .intersection(&fields)
                .filter(|path| at(&current, path) != at(applied, path))
                .cloned()
                .collect();
            match contested.first() {
                Some(path) if !force => {
                    return Err(ApplyConflict {
                        manager: other.clone(),
                        field: format!(".{}", path.join(".")),
                    });
                }
                _ => owned.retain(|path| !contested.contains(path)),
            }
        }
        let mut merged = current;
        let dropped = managers.get(manager).cloned().unwrap_or_default();
        for path in dropped.difference(&fields) {
            let shared = managers
                .iter()
                .any(|(name, owned)| name != manager && owned.contains(path));
            if !shared {
                remove(&mut merged, path);
            }
        }
        merge(&mut merged, applied);
        managers.insert(manager.to_owned(), fields);
        Ok(merged)
    }

    pub(super) fn forget(&self, key: &Key) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.remove(key);
    }
}

/// The paths of everything that is no map, identity apart.
fn leaves(value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    const IDENTITY: [&[&str]; 4] = [
        &["apiVersion"],
        &["kind"],
        &["metadata", "name"],
        &["metadata", "namespace"],
    ];
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                path.push(key.clone());
                leaves(value, path, found);
                path.pop();
            }
        }
        _ if IDENTITY.iter().any(|identity| path == identity) => {}
        _ => {
            found.insert(path.clone());
        }
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut value = value;
    for key in parents {
        match value.get_mut(key) {
            Some(inner) => value = inner,
            None => return,
        }
    }
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove(last);
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::kubernetes::resource::by_plural;
    use serde_json::json;

    fn key() -> Key {
        Key::new(by_plural("secrets").unwrap(), "a", "b")
    }

    #[test]
    fn what_the_server_filled_in_survives_another_apply() {
        let owners = Ownership::default();
        let applied = json!({"type": "t"});
        let first = owners
            .apply(&key(), "me", (json!({}), &applied), true)
            .unwrap();
        let mut filled = first;
        filled["data"] = json!({"token": "x"});

        let second = owners
            .apply(&key(), "me", (filled, &applied), true)
            .unwrap();

        assert_eq!(second, json!({"type": "t", "data": {"token": "x"}}));
    }

    #[test]
    fn a_field_that_is_no_longer_applied_goes_away() {
        let owners = Ownership::default();
        let first = owners
            .apply(&key(), "me", (json!({}), &json!({"a": 1, "b": 2})), true)
            .unwrap();

        let second = owners
            .apply(&key(), "me", (first, &json!({"a": 1})), true)
            .unwrap();

        assert_eq!(second, json!({"a": 1}));
    }

    #[test]
    fn somebody_elses_field_needs_force() {
        let owners = Ownership::default();
        let first = owners
            .apply(&key(), "they", (json!({}), &json!({"a": 1})), false)
            .unwrap();

        let refused = owners.apply(&key(), "me", (first.clone(), &json!({"a": 2})), false);
        assert_eq!(refused.unwrap_err().field, ".a");
        let forced = owners
            .apply(&key(), "me", (first, &json!({"a": 2})), true)
            .unwrap();

        assert_eq!(forced, json!({"a": 2}));
    }
}
