//! Building mappings whose entries depend on conditions.

use crate::go::yaml::{Mapping, Node};

/// A mapping under construction, in the order its entries are added.
#[derive(Default)]
pub(super) struct Fields(Mapping);

impl Fields {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A document beside the `v1alpha1` one.
    pub(super) fn document(kind: &str) -> Self {
        Self::new()
            .text("apiVersion", "v1alpha1")
            .text("kind", kind)
    }

    pub(super) fn node(mut self, key: &str, node: impl Into<Node>) -> Self {
        self.0.insert(key, node.into());
        self
    }

    pub(super) fn node_if(self, present: bool, key: &str, node: impl FnOnce() -> Node) -> Self {
        if present {
            self.node(key, node())
        } else {
            self
        }
    }

    pub(super) fn optional(self, key: &str, node: Option<Node>) -> Self {
        match node {
            Some(node) => self.node(key, node),
            None => self,
        }
    }

    pub(super) fn text(self, key: &str, text: &str) -> Self {
        self.node(key, Node::string(text))
    }

    /// Left out when it is empty.
    pub(super) fn text_or_nothing(self, key: &str, text: &str) -> Self {
        self.node_if(!text.is_empty(), key, || Node::string(text))
    }

    pub(super) fn flag(self, key: &str, value: bool) -> Self {
        self.node(key, Node::bool(value))
    }

    /// `true`, or nothing.
    pub(super) fn flag_if(self, present: bool, key: &str) -> Self {
        self.node_if(present, key, || Node::bool(true))
    }

    pub(super) fn number(self, key: &str, value: i64) -> Self {
        self.node(key, Node::int(value))
    }
}

impl From<Fields> for Node {
    fn from(fields: Fields) -> Self {
        fields.0.into()
    }
}
