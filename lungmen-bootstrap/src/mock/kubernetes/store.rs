//! The objects of the cluster, their versions, and the history watches are fed from.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::resource::Resource;

/// Where an object lives. Cluster-scoped objects have an empty namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) resource: &'static Resource,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        let namespace = if resource.namespaced { namespace } else { "" };
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One change of one object.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    /// The object before; nothing when it was created.
    pub(super) before: Option<Value>,
    /// The object after; nothing when it was deleted.
    pub(super) after: Option<Value>,
}

#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    /// Held for a whole request, so that a version that was compared is still the one that is replaced.
    requests: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    objects: BTreeMap<Key, Value>,
    history: Vec<Change>,
    /// Watches from an older version than this get 410.
    compacted: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            version: watch::Sender::new(0),
            requests: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Value> {
        self.lock().objects.get(key).cloned()
    }

    /// The objects of a resource, in one namespace or all, and the version of the list.
    pub(super) fn list(&self, resource: &Resource, namespace: Option<&str>) -> (u64, Vec<Value>) {
        let state = self.lock();
        let found = state
            .objects
            .iter()
            .filter(|(key, _)| key.resource == resource)
            .filter(|(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
            .map(|(_, object)| object.clone());
        (state.version, found.collect())
    }

    /// The version of the newest change.
    pub(super) fn version(&self) -> u64 {
        self.lock().version
    }

    /// The oldest version whose history is kept.
    pub(super) fn compacted(&self) -> u64 {
        self.lock().compacted
    }

    /// Whether the history of this version is discarded.
    pub(super) fn is_compacted(&self, version: u64) -> bool {
        version < self.lock().compacted
    }

    /// The object with the fields that the server sets, without writing it. A new object has no version.
    pub(super) fn preview(&self, key: &Key, mut object: Value) -> Value {
        let state = self.lock();
        let before = state.objects.get(key).cloned();
        set_identity(key, before.as_ref(), &mut object, state.version + 1);
        object
    }

    /// Writes an object and returns it with the fields the server sets. Writing the same again changes nothing.
    pub(super) fn put(&self, key: &Key, mut object: Value) -> Value {
        let mut state = self.lock();
        let before = state.objects.get(key).cloned();
        set_identity(key, before.as_ref(), &mut object, state.version + 1);
        if before.as_ref() == Some(&object) {
            return object;
        }
        state.version += 1;
        object["metadata"]["resourceVersion"] = state.version.to_string().into();
        state.objects.insert(key.clone(), object.clone());
        self.note(state, key, before, Some(object.clone()));
        object
    }

    pub(super) fn delete(&self, key: &Key) -> Option<Value> {
        let mut state = self.lock();
        let mut removed = state.objects.remove(key)?;
        state.version += 1;
        removed["metadata"]["resourceVersion"] = state.version.to_string().into();
        self.note(state, key, Some(removed.clone()), None);
        Some(removed)
    }

    /// What happened after `version`, or `None` when that has been forgotten.
    pub(super) fn since(&self, version: u64) -> Option<(u64, Vec<Change>)> {
        let state = self.lock();
        if version < state.compacted {
            return None;
        }
        let newer = state
            .history
            .iter()
            .filter(|change| change.version > version);
        Some((state.version, newer.cloned().collect()))
    }

    /// Forgets the history: watches from before get 410, as after an etcd compaction.
    pub(super) fn compact(&self) {
        let mut state = self.lock();
        state.compacted = state.version;
        state.history.clear();
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn note(
        &self,
        mut state: MutexGuard<'_, State>,
        key: &Key,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let version = state.version;
        state.history.push(Change {
            version,
            key: key.clone(),
            before,
            after,
        });
        drop(state);
        self.version.send_replace(version);
    }

    /// Keeps other requests out until the guard is dropped.
    pub(super) fn exclusive(&self) -> MutexGuard<'_, ()> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets name, namespace, uid, creation time and version: those of the object before, or new ones.
fn set_identity(key: &Key, before: Option<&Value>, object: &mut Value, number: u64) {
    let metadata = &mut object["metadata"];
    metadata["name"] = key.name.as_str().into();
    if !key.namespace.is_empty() {
        metadata["namespace"] = key.namespace.as_str().into();
    }
    match before {
        Some(before) => {
            for field in ["uid", "creationTimestamp", "resourceVersion"] {
                metadata[field] = before["metadata"][field].clone();
            }
        }
        None => {
            metadata["uid"] = uid(number).into();
            metadata["creationTimestamp"] = now().into();
        }
    }
}

/// The current time as Kubernetes writes it: whole seconds, UTC.
pub(super) fn now() -> String {
    let whole = Timestamp::from_second(Timestamp::now().as_second());
    whole.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

fn uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// An object without the fields a list leaves out of its items.
pub(super) fn as_item(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}

/// The list document of a resource.
pub(super) fn list_document(resource: &Resource, version: u64, items: &[Value]) -> Value {
    let items: Vec<Value> = items.iter().cloned().map(as_item).collect();
    json!({
        "kind": format!("{}List", resource.kind),
        "apiVersion": resource.api_version(),
        "metadata": {"resourceVersion": version.to_string()},
        "items": items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::kubernetes::resource::by_plural;

    fn key(name: &str) -> Key {
        Key::new(by_plural("nodes").unwrap(), "", name)
    }

    #[test]
    fn writing_the_same_again_is_no_change() {
        let store = Store::new();
        let first = store.put(&key("a"), json!({"kind": "Node"}));

        let second = store.put(&key("a"), json!({"kind": "Node"}));

        assert_eq!(first, second);
        assert_eq!(store.since(0).unwrap().1.len(), 1);
    }

    #[test]
    fn a_forgotten_history_is_not_served() {
        let store = Store::new();
        store.put(&key("a"), json!({}));
        store.compact();

        assert!(store.since(0).is_none());
        assert!(store.since(1).unwrap().1.is_empty());
    }
}
