//! Typed reading of a loaded document: absent and `null` are the same, as for the decoder of the reference.

use crate::go::yaml::Node;

/// A place in a document, which may be empty.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) struct View<'a>(Option<&'a Node>);

impl<'a> View<'a> {
    pub(in crate::config) fn new(node: Option<&'a Node>) -> Self {
        Self(node.filter(|node| !node.is_null()))
    }

    /// The field `key`; nothing below nothing.
    pub(in crate::config) fn get(self, key: &str) -> Self {
        Self::new(self.0.and_then(|node| node.get(key)))
    }

    /// The field below nested keys, written with dots.
    pub(in crate::config) fn at(self, path: &str) -> Self {
        path.split('.').fold(self, Self::get)
    }

    pub(in crate::config) fn is_set(self) -> bool {
        self.0.is_some()
    }

    pub(in crate::config) fn is_mapping(self) -> bool {
        self.0.is_some_and(|node| node.as_mapping().is_some())
    }

    /// The text of a string field, empty when absent.
    pub(in crate::config) fn text(self) -> &'a str {
        self.0.and_then(Node::as_str).unwrap_or_default()
    }

    /// The text of a scalar, nothing for lists and mappings.
    pub(in crate::config) fn scalar_text(self) -> Option<&'a str> {
        self.0.and_then(Node::as_str)
    }

    pub(in crate::config) fn has_text(self) -> bool {
        !self.text().is_empty()
    }

    /// A bool field whose zero value is what an absent one means.
    pub(in crate::config) fn is_true(self) -> bool {
        self.bool() == Some(true)
    }

    pub(in crate::config) fn bool(self) -> Option<bool> {
        self.0.and_then(Node::as_bool)
    }

    /// An integer field, zero when absent.
    pub(in crate::config) fn int(self) -> i64 {
        self.0.and_then(Node::as_int).unwrap_or_default()
    }

    /// The items of a list, null items included as empty views.
    pub(in crate::config) fn items(self) -> impl ExactSizeIterator<Item = Self> + use<'a> {
        let items = self.0.and_then(Node::as_sequence).unwrap_or_default();
        items.iter().map(|item| Self::new(Some(item)))
    }

    /// The items of a list of strings; the decoder drops nulls.
    pub(in crate::config) fn texts(self) -> impl Iterator<Item = &'a str> + use<'a> {
        let items = self.0.and_then(Node::as_sequence).unwrap_or_default();
        items.iter().filter_map(Node::as_str)
    }

    /// Whether a list or mapping has anything in it.
    pub(in crate::config) fn has_content(self) -> bool {
        self.0.is_some_and(|node| {
            node.as_sequence().is_some_and(|items| !items.is_empty())
                || node.as_mapping().is_some_and(|fields| !fields.is_empty())
        })
    }

    /// The entries of a map, sorted by key: Go visits maps in random order, a report should not.
    pub(in crate::config) fn entries(self) -> Vec<(&'a str, Self)> {
        let Some(mapping) = self.0.and_then(Node::as_mapping) else {
            return Vec::new();
        };
        let mut entries: Vec<_> = mapping
            .iter()
            .map(|(key, value)| (key, Self::new(Some(value))))
            .collect();
        entries.sort_by_key(|(key, _)| *key);
        entries
    }

    /// Whether any of these fields has a value other than its zero value.
    pub(in crate::config) fn has_any(self, fields: &[&str]) -> bool {
        fields.iter().any(|field| {
            let field = self.get(field);
            field.has_text() || field.has_content()
        })
    }

    pub(in crate::config) fn node(self) -> Option<&'a Node> {
        self.0
    }
}
