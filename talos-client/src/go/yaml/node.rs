//! The tree: scalars as written, sequences, ordered mappings.

use std::fmt;

use super::mapping::Mapping;
use super::resolve;
use super::scalar::{Scalar, Style};

/// Where something stands in the text it was parsed from; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A [`Position`] in little room, for trees of many nodes; both numbers are 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    line: u32,
    column: u32,
}

impl Spot {
    /// Lines and columns count from 1.
    pub(super) const fn new(line: u32, column: u32) -> Self {
        Self { line, column }
    }

    pub(crate) fn position(self) -> Option<Position> {
        (self.line > 0).then_some(Position {
            line: self.line as usize,
            column: self.column as usize,
        })
    }

    /// The line, 0 where there is none.
    pub(crate) const fn line(self) -> usize {
        self.line as usize
    }
}

/// What a [`Node`] is.
#[derive(Clone)]
#[non_exhaustive]
pub enum Kind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in order.
    Mapping(Mapping),
}

/// A node of the tree. `Debug` shows the structure and keys, never the text of a scalar.
#[derive(Clone)]
pub struct Node {
    pub(crate) kind: Kind,
    pub(crate) spot: Spot,
    /// Written with brackets; only error texts that quote the source look at it.
    pub(crate) flow: bool,
    /// The anchor that names it in the source; only those error texts look at it.
    pub(crate) anchor: Option<Box<str>>,
}

impl From<Kind> for Node {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            spot: Spot::default(),
            flow: false,
            anchor: None,
        }
    }
}

impl From<Mapping> for Node {
    fn from(mapping: Mapping) -> Self {
        Kind::Mapping(mapping).into()
    }
}

impl From<Scalar> for Node {
    fn from(scalar: Scalar) -> Self {
        Kind::Scalar(scalar).into()
    }
}

/// Making nodes.
impl Node {
    /// A string, quoted when a YAML 1.1 reader could take it for something else.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        Scalar::string(text).into()
    }

    /// An integer.
    #[must_use]
    pub fn int(value: i64) -> Self {
        Self::plain(value.to_string())
    }

    /// `true` or `false`.
    #[must_use]
    pub fn bool(value: bool) -> Self {
        Self::plain(if value { "true" } else { "false" })
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::plain("null")
    }

    /// A plain scalar, written verbatim: the caller knows that the text is one.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Scalar::new(text, Style::Plain).into()
    }

    /// A mapping of `entries`, in their order.
    #[must_use]
    pub fn mapping<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        entries.into_iter().collect::<Mapping>().into()
    }

    /// A list of `items`.
    #[must_use]
    pub fn sequence(items: impl IntoIterator<Item = Self>) -> Self {
        Kind::Sequence(items.into_iter().collect()).into()
    }

    /// A list of strings.
    #[must_use]
    pub fn strings<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::sequence(items.into_iter().map(Self::string))
    }
}

/// Looking at nodes.
impl Node {
    /// What this node is.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What this node is, to change.
    pub fn kind_mut(&mut self) -> &mut Kind {
        &mut self.kind
    }

    /// Where it stands in the text it was parsed from; nothing for a node of ours.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.spot.position()
    }

    /// The line it stands on, 0 for a node of ours.
    pub(crate) fn line(&self) -> usize {
        self.spot.line()
    }

    /// The scalar, if it is one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The mapping, if it is one.
    #[must_use]
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The mapping to change, if it is one.
    pub fn as_mapping_mut(&mut self) -> Option<&mut Mapping> {
        match &mut self.kind {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The items to change, if it is a list.
    pub fn as_sequence_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The text a Go string field would get: of any scalar, as written; nothing for `null`, lists and mappings.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar()
            .filter(|scalar| !resolve::is_null(scalar))
            .map(Scalar::text)
    }

    /// What a Go bool field would get: `true`, `True`, `TRUE`, the words `yes`, `on`, `y` (also quoted) and their opposites.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.as_scalar().and_then(resolve::go_bool)
    }

    /// What a Go integer field would get: decimal, `0x`, `0o`, `0b`, leading zero octal, underscores; not quoted.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self.as_scalar()?.value() {
            resolve::Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `null`, `~` or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(resolve::is_null)
    }

    /// The value of `key`; nothing when this is no mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_mapping()?.get(key)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_mapping_mut()?.get_mut(key)
    }

    /// The node under nested keys.
    ///
    /// ```
    /// let documents = talos_client::yaml::parse_documents("machine: {type: worker}")?;
    /// assert_eq!(documents[0].path(&["machine", "type"]).unwrap().as_str(), Some("worker"));
    /// # Ok::<(), talos_client::Error>(())
    /// ```
    #[must_use]
    pub fn path(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The node under nested keys, to change.
    pub fn path_mut(&mut self, keys: &[&str]) -> Option<&mut Self> {
        keys.iter().try_fold(self, |node, key| node.get_mut(key))
    }
}

/// Measuring nodes, to bound what operations make of them.
impl Node {
    /// Bytes of text, and one for every node and key.
    pub(crate) fn weight(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(scalar) => scalar.text.len(),
            Kind::Sequence(items) => items.iter().map(Self::weight).sum(),
            Kind::Mapping(mapping) => mapping
                .iter()
                .map(|(key, value)| 1 + key.len() + value.weight())
                .sum(),
        }
    }

    /// How deep it is nested; a scalar is 1.
    pub(crate) fn depth(&self) -> usize {
        let below = match &self.kind {
            Kind::Scalar(_) => None,
            Kind::Sequence(items) => items.iter().map(Self::depth).max(),
            Kind::Mapping(mapping) => mapping.iter().map(|(_, value)| value.depth()).max(),
        };
        1 + below.unwrap_or_default()
    }
}

/// Changing nodes.
impl Node {
    /// Sets `key`; a node that is no mapping becomes one. Returns the former value.
    pub fn insert(&mut self, key: impl Into<String>, value: Self) -> Option<Self> {
        if let Kind::Mapping(mapping) = &mut self.kind {
            return mapping.insert(key, value);
        }
        self.kind = Kind::Mapping(Mapping::from_iter([(key, value)]));
        None
    }

    /// Sets the node under nested keys; mappings on the way are made, and anything else in their place is replaced.
    pub fn insert_path(&mut self, keys: &[&str], value: Self) {
        match keys {
            [] => *self = value,
            [key] => drop(self.insert(*key, value)),
            [key, rest @ ..] => {
                if let Some(next) = self.get_mut(key) {
                    return next.insert_path(rest, value);
                }
                let mut next = Self::from(Mapping::new());
                next.insert_path(rest, value);
                self.insert(*key, next);
            }
        }
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        self.as_mapping_mut()?.remove(key)
    }

    /// Adds an item; a node that is no list becomes one.
    pub fn push(&mut self, item: Self) {
        if self.as_sequence().is_none() {
            self.kind = Kind::Sequence(Vec::new());
        }
        if let Some(items) = self.as_sequence_mut() {
            items.push(item);
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Sequence(items) => items.fmt(f),
            Self::Mapping(mapping) => mapping.fmt(f),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_keys_and_no_values() {
        let node = Node::mapping([
            ("token", Node::string("abc.def")),
            ("list", Node::strings(["x"])),
        ]);

        assert_eq!(
            format!("{node:?}"),
            r#"{"token": [REDACTED], "list": [[REDACTED]]}"#
        );
    }

    #[test]
    fn nested_keys_are_made_on_the_way() {
        let mut node = Node::mapping::<&str>([]);

        node.insert_path(&["machine", "install", "disk"], Node::string("/dev/sda"));

        assert_eq!(
            node.path(&["machine", "install", "disk"])
                .and_then(Node::as_str),
            Some("/dev/sda")
        );
    }

    #[test]
    fn a_replaced_key_keeps_its_place() {
        let mut node = Node::mapping([("a", Node::int(1)), ("b", Node::int(2))]);

        node.insert("a", Node::int(3));

        assert_eq!(node.to_yaml(), "a: 3\nb: 2\n");
    }
}
