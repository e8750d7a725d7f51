//! Reading a mapping entry by entry, as a Go struct is decoded: unknown keys are ignored, missing ones are zero values.

use std::fmt;

use super::node::Node;

/// A mapping of a document and where it stands; or nothing, where the document has `null` or no such key.
pub(crate) struct Fields<'a> {
    node: Option<&'a Node>,
    path: String,
}

/// A value of another type than its field.
#[derive(Debug)]
pub(crate) struct Mismatch {
    /// Keys from the root, joined by dots.
    pub(crate) path: String,
    line: usize,
    found: &'static str,
    wanted: &'static str,
}

/// Go's text without the value, which may be a secret.
impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            found,
            wanted,
            ..
        } = self;
        write!(
            f,
            "yaml: unmarshal errors:\n  line {line}: cannot unmarshal {found} into {wanted}"
        )
    }
}

impl<'a> Fields<'a> {
    /// The document itself.
    pub(crate) fn root(node: &'a Node) -> Result<Self, Mismatch> {
        Self::new(Some(node), String::new())
    }

    fn new(node: Option<&'a Node>, path: String) -> Result<Self, Mismatch> {
        let node = node.filter(|node| !node.is_null());
        match node {
            Some(other) if other.as_mapping().is_none() => {
                Err(Mismatch::new(other, path, "map[string]interface {}"))
            }
            _ => Ok(Self { node, path }),
        }
    }

    pub(crate) const fn is_present(&self) -> bool {
        self.node.is_some()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a str> {
        let mapping = self.node.and_then(Node::as_mapping);
        mapping.into_iter().flat_map(|mapping| mapping.keys())
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.node?.get(key).filter(|node| !node.is_null())
    }

    /// The mapping under `key`.
    pub(crate) fn fields(&self, key: &str) -> Result<Self, Mismatch> {
        Self::new(self.get(key), self.path_of(key))
    }

    /// The text under `key`, of whatever scalar; empty when there is none.
    pub(crate) fn text(&self, key: &str) -> Result<&'a str, Mismatch> {
        let Some(node) = self.get(key) else {
            return Ok("");
        };
        node.as_str()
            .ok_or_else(|| Mismatch::new(node, self.path_of(key), "string"))
    }

    /// The texts of the list under `key`; none when there is no list.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, Mismatch> {
        let Some(node) = self.get(key) else {
            return Ok(Vec::new());
        };
        let refused = |node, wanted| Mismatch::new(node, self.path_of(key), wanted);
        let items = node
            .as_sequence()
            .ok_or_else(|| refused(node, "[]string"))?;
        items
            .iter()
            .map(|item| match item.as_scalar() {
                Some(_) => Ok(item.as_str().unwrap_or_default().to_owned()),
                None => Err(refused(item, "string")),
            })
            .collect()
    }
}

impl Mismatch {
    fn new(node: &Node, path: String, wanted: &'static str) -> Self {
        let found = if node.as_mapping().is_some() {
            "!!map"
        } else if node.as_sequence().is_some() {
            "!!seq"
        } else {
            "!!str"
        };
        Self {
            path,
            line: node.line(),
            found,
            wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::yaml::parse_documents;

    #[test]
    fn what_is_missing_or_null_is_a_zero_value() {
        let documents = parse_documents("a: null\nb: {c: 1.10}\n").unwrap();
        let root = Fields::root(&documents[0]).unwrap();

        assert!(!root.fields("a").unwrap().is_present());
        assert_eq!(root.text("x").unwrap(), "");
        assert!(root.texts("x").unwrap().is_empty());
        assert_eq!(root.fields("b").unwrap().text("c").unwrap(), "1.10");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line_and_not_its_value() {
        let documents = parse_documents("a:\n  b: [canary]\n").unwrap();
        let root = Fields::root(&documents[0]).unwrap();

        let mismatch = root.fields("a").unwrap().text("b").unwrap_err();

        assert_eq!(mismatch.path, "a.b");
        assert_eq!(
            mismatch.to_string(),
            "yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into string"
        );
    }
}
