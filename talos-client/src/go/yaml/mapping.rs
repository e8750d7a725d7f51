//! Ordered mappings.

use std::fmt;

use indexmap::IndexMap;

use super::node::{Node, Position};
use super::scalar::Scalar;

/// An ordered mapping; keys are unique by their text, as Go's YAML demands.
#[derive(Clone, Default)]
pub struct Mapping {
    entries: IndexMap<Box<str>, Entry>,
    /// Keys that the source repeats; only the first is kept.
    pub(crate) duplicates: Vec<Duplicate>,
}

/// A key that stands in a mapping twice.
#[derive(Debug, Clone)]
pub(crate) struct Duplicate {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) first_line: usize,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            line,
            first_line,
        } = self;
        write!(
            f,
            "line {line}: mapping key {key:?} already defined at line {first_line}"
        )
    }
}

/// A key as it was written, and its value.
#[derive(Clone)]
pub struct Entry {
    pub(crate) key: Scalar,
    pub(crate) position: Option<Position>,
    pub(crate) value: Node,
}

impl Entry {
    /// The key as written.
    #[must_use]
    pub fn key(&self) -> &Scalar {
        &self.key
    }

    /// Where the key stands, if it was parsed.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &Node {
        &self.value
    }
}

impl Mapping {
    /// An empty mapping.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Whether `key` is there, with whatever value.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Sets `key`, in place where it exists, else at the end; returns the former value.
    pub fn insert(&mut self, key: impl Into<String>, value: Node) -> Option<Node> {
        let key = key.into();
        if let Some(entry) = self.entries.get_mut(key.as_str()) {
            return Some(std::mem::replace(&mut entry.value, value));
        }
        let entry = Entry {
            key: Scalar::string(key.clone()),
            position: None,
            value,
        };
        self.entries.insert(key.into_boxed_str(), entry);
        None
    }

    /// Removes `key`, keeping the order of the others; returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.entries.shift_remove(key).map(|entry| entry.value)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Node)> {
        self.entries
            .iter()
            .map(|(key, entry)| (&**key, &entry.value))
    }

    /// Keys and values in order, the values to change.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&str, &mut Node)> {
        self.entries
            .iter_mut()
            .map(|(key, entry)| (&**key, &mut entry.value))
    }

    /// Keys with style and position, and values, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.entries.keys().map(|key| &**key)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(crate) fn insert_entry(&mut self, entry: Entry) {
        self.entries
            .insert(entry.key.text.clone().into_boxed_str(), entry);
    }

    pub(crate) fn sort_keys(&mut self) {
        self.entries.sort_unstable_keys();
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|key, _| keep(key));
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.entries.into_values()
    }
}

impl<K: Into<String>> FromIterator<(K, Node)> for Mapping {
    fn from_iter<T: IntoIterator<Item = (K, Node)>>(iter: T) -> Self {
        let mut mapping = Self::new();
        for (key, value) in iter {
            mapping.insert(key, value);
        }
        mapping
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key.text)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
