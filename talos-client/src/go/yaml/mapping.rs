//! Ordered mappings.

use std::collections::HashMap;
use std::fmt;

use super::node::{Node, Position, Spot};
use super::scalar::Scalar;

/// From this length on a mapping finds its keys through an index; before, looking at each is faster.
const INDEXED: usize = 24;

/// An ordered mapping; keys are unique by their text, as Go's YAML demands.
#[derive(Clone, Default)]
pub struct Mapping {
    entries: Vec<Entry>,
    /// Where each key of a long mapping stands.
    index: Option<Box<Index>>,
    /// Keys that the source repeats; only the first is kept.
    pub(crate) duplicates: Vec<Duplicate>,
}

/// Keys and where they stand.
#[derive(Clone)]
struct Index(HashMap<Box<str>, usize>);

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
    pub(crate) spot: Spot,
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
        self.spot.position()
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
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let at = self.find(key)?;
        Some(&mut self.entries[at].value)
    }

    /// Whether `key` is there, with whatever value.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Sets `key`, in place where it exists, else at the end; returns the former value.
    pub fn insert(&mut self, key: impl Into<String>, value: Node) -> Option<Node> {
        let key = key.into();
        if let Some(at) = self.find(&key) {
            return Some(std::mem::replace(&mut self.entries[at].value, value));
        }
        self.push(Entry {
            key: Scalar::string(key),
            spot: Spot::default(),
            value,
        });
        None
    }

    /// Removes `key`, keeping the order of the others; returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.find(key)?;
        let entry = self.entries.remove(at);
        self.build_index();
        Some(entry.value)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Node)> {
        self.entries
            .iter()
            .map(|entry| (entry.key.text(), &entry.value))
    }

    /// Keys and values in order, the values to change.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&str, &mut Node)> {
        self.entries
            .iter_mut()
            .map(|entry| (entry.key.text(), &mut entry.value))
    }

    /// Keys with style and position, and values, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.text())
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.find(key).map(|at| &self.entries[at])
    }

    /// Sets an entry, in place where its key exists, else at the end.
    pub(crate) fn insert_entry(&mut self, entry: Entry) {
        match self.find(&entry.key.text) {
            Some(at) => self.entries[at] = entry,
            None => self.push(entry),
        }
    }

    pub(crate) fn sort_keys(&mut self) {
        self.entries
            .sort_unstable_by(|left, right| left.key.text.cmp(&right.key.text));
        self.build_index();
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|entry| keep(&entry.key.text));
        self.build_index();
    }

    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        self.entries.into_iter()
    }

    fn find(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.0.get(key).copied(),
            None => self.entries.iter().position(|entry| entry.key.text == key),
        }
    }

    /// Adds an entry whose key is not there yet.
    fn push(&mut self, entry: Entry) {
        let at = self.entries.len();
        if let Some(index) = &mut self.index {
            index.0.insert(entry.key.text.as_str().into(), at);
        }
        self.entries.push(entry);
        if at + 1 == INDEXED {
            self.build_index();
        }
    }

    fn build_index(&mut self) {
        self.index = (self.entries.len() >= INDEXED).then(|| {
            let keys = self.entries.iter().map(|entry| entry.key.text.as_str());
            Box::new(Index(keys.map(Box::from).zip(0..).collect()))
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_long_mappings_are_found_like_those_of_short_ones() {
        for length in [INDEXED - 1, INDEXED, 5 * INDEXED] {
            let key = |number: usize| format!("k{:03}", (number * 7) % length);
            let mut mapping = Mapping::from_iter(
                (0..length).map(|number| (key(number), Node::plain(number.to_string()))),
            );
            let value = |mapping: &Mapping, key: &str| mapping.get(key).and_then(Node::as_int);

            assert_eq!(mapping.len(), length);
            for number in 0..length {
                let expected = i64::try_from(number).unwrap();
                assert_eq!(value(&mapping, &key(number)), Some(expected));
            }
            mapping.remove(&key(1));
            mapping.retain(|name| name != key(2));
            mapping.insert(key(3), Node::int(-3));
            mapping.insert("new", Node::int(-4));
            mapping.sort_keys();

            assert_eq!(mapping.len(), length - 1);
            assert!(!mapping.contains_key(&key(1)) && !mapping.contains_key(&key(2)));
            assert_eq!(value(&mapping, &key(3)), Some(-3));
            assert_eq!(value(&mapping, "new"), Some(-4));
            assert!(mapping.keys().is_sorted());
        }
    }
}
