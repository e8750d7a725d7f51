//! The resources of a mock node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::log::Log;
use crate::api::pb::cosi::resource as pb;

/// Type and id.
pub(super) type Key = (&'static str, String);

/// A resource before it has a history.
#[derive(Clone, PartialEq)]
pub(super) struct Content {
    pub(super) namespace: &'static str,
    /// The controller that writes it.
    pub(super) owner: &'static str,
    pub(super) annotation: Option<(&'static str, &'static str)>,
    pub(super) proto: Vec<u8>,
    pub(super) yaml: String,
}

impl std::fmt::Debug for Content {
    /// Without the content, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Record {
    content: Content,
    version: u64,
    created: SystemTime,
    updated: SystemTime,
}

/// A change of a resource, as watches send it.
#[derive(Clone)]
pub(super) struct StoredChange {
    pub(super) key: Key,
    pub(super) event: pb::Event,
}

impl std::fmt::Debug for StoredChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StoredChange").field(&self.key).finish()
    }
}

#[derive(Debug)]
pub(super) struct Store {
    records: Mutex<BTreeMap<Key, Record>>,
    changes: Arc<Log<StoredChange>>,
    /// Tells the bookmarks of this store from others.
    cookie: [u8; 8],
}

impl Store {
    pub(super) fn new() -> Self {
        let mut cookie = [0; 8];
        // Without randomness bookmarks of two mocks look alike, which no test depends on.
        let _ = getrandom::fill(&mut cookie);
        Self {
            records: Mutex::new(BTreeMap::new()),
            changes: Log::new(),
            cookie,
        }
    }

    /// The place of the change at `index`: eight bytes of the store, and the index.
    pub(super) fn bookmark(&self, index: i64) -> Vec<u8> {
        [self.cookie, index.to_be_bytes()].concat()
    }

    /// The index after the place that a bookmark names.
    pub(super) fn after_bookmark(&self, bookmark: &[u8]) -> Option<usize> {
        let (cookie, index) = bookmark.split_first_chunk::<8>()?;
        let index = i64::from_be_bytes(index.try_into().ok()?);
        let next = usize::try_from(index).ok()?.checked_add(1)?;
        (*cookie == self.cookie && next <= self.changes.len()).then_some(next)
    }

    /// Makes these the resources that exist.
    pub(super) fn replace(&self, wanted: BTreeMap<Key, Content>) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<Key> = records
            .keys()
            .filter(|key| !wanted.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(record) = records.remove(&key) {
                self.push(pb::EventType::Destroyed, &key, &record, None);
            }
        }
        let now = SystemTime::now();
        for (key, content) in wanted {
            match records.get_mut(&key) {
                Some(record) if record.content == content => {}
                Some(record) => {
                    let old = record.clone();
                    record.content = content;
                    record.version = record.version.saturating_add(1);
                    record.updated = now;
                    self.push(pb::EventType::Updated, &key, record, Some(&old));
                }
                None => {
                    let record = Record {
                        content,
                        version: 1,
                        created: now,
                        updated: now,
                    };
                    self.push(pb::EventType::Created, &key, &record, None);
                    records.insert(key, record);
                }
            }
        }
    }

    pub(super) fn get(&self, kind: &str, namespace: &str, id: &str) -> Option<pb::Resource> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records
            .iter()
            .find(|((of, name), record)| {
                *of == kind && name == id && record.content.namespace == namespace
            })
            .map(|(key, record)| resource(key, record))
    }

    /// The present resources of a type in a namespace, and where in the changes they stand.
    pub(super) fn list(&self, kind: &str, namespace: &str) -> (Vec<pb::Resource>, usize) {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let found = records
            .iter()
            .filter(|((of, _), record)| *of == kind && record.content.namespace == namespace)
            .map(|(key, record)| resource(key, record))
            .collect();
        (found, self.changes.len())
    }

    pub(super) fn changes(&self) -> &Arc<Log<StoredChange>> {
        &self.changes
    }

    fn push(&self, kind: pb::EventType, key: &Key, record: &Record, old: Option<&Record>) {
        self.changes.push(StoredChange {
            key: key.clone(),
            event: pb::Event {
                resource: Some(resource(key, record)),
                event_type: kind.into(),
                old: old.map(|old| resource(key, old)),
                ..Default::default()
            },
        });
    }
}

fn resource(key: &Key, record: &Record) -> pb::Resource {
    pb::Resource {
        metadata: Some(pb::Metadata {
            namespace: record.content.namespace.to_owned(),
            r#type: key.0.to_owned(),
            id: key.1.clone(),
            version: record.version.to_string(),
            owner: record.content.owner.to_owned(),
            phase: "running".to_owned(),
            annotations: record
                .content
                .annotation
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            created: Some(record.created.into()),
            updated: Some(record.updated.into()),
            ..Default::default()
        }),
        spec: Some(pb::Spec {
            proto_spec: record.content.proto.clone(),
            yaml_spec: record.content.yaml.clone(),
        }),
    }
}
