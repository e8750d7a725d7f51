//! The documents of one machine configuration, in order.

mod access;

use std::fmt;

use secrecy::SecretString;

use crate::go::yaml::{self, Node};
use crate::{Error, ErrorKind, Result};

const V1ALPHA1: &str = "v1alpha1";

/// A machine configuration: the `v1alpha1` document and those that stand beside it.
///
/// Unknown keys and unknown kinds are kept as they are; [`MachineConfig::patched`] is where a release's types are enforced.
/// `Debug` shows kinds and names only.
#[derive(Clone, Default)]
pub struct MachineConfig {
    documents: Vec<Document>,
}

/// One document of a configuration.
#[derive(Clone)]
pub struct Document {
    node: Node,
}

impl Document {
    /// Takes a node as a document. It is not checked.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }

    /// The value of `kind`; `"v1alpha1"` for the document that has no kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.node
            .get("kind")
            .and_then(Node::as_str)
            .unwrap_or(V1ALPHA1)
    }

    /// The value of `apiVersion`, empty for the `v1alpha1` document.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.node
            .get("apiVersion")
            .and_then(Node::as_str)
            .unwrap_or_default()
    }

    /// The value of `name`, empty for a kind without names.
    #[must_use]
    pub fn name(&self) -> &str {
        self.node
            .get("name")
            .and_then(Node::as_str)
            .unwrap_or_default()
    }

    /// Whether this is the `v1alpha1` document: `machine` and `cluster`.
    #[must_use]
    pub fn is_v1alpha1(&self) -> bool {
        self.node.get("kind").is_none()
    }

    /// The content.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The content, to change.
    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// Takes the content out.
    #[must_use]
    pub fn into_node(self) -> Node {
        self.node
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("kind", &self.kind())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl MachineConfig {
    /// A configuration of these documents, in this order.
    #[must_use]
    pub fn from_documents(documents: impl IntoIterator<Item = Document>) -> Self {
        Self {
            documents: documents.into_iter().collect(),
        }
    }

    /// Reads a configuration as it is written to disk. Documents without content are left out.
    ///
    /// # Errors
    ///
    /// `InvalidDocument` when the text is no YAML, or a document is no mapping.
    pub fn parse(text: &str) -> Result<Self> {
        let mut documents = Vec::new();
        for node in yaml::parse_documents(text)? {
            if node.is_null() {
                continue;
            }
            if node.as_mapping().is_none() {
                let message = format!("expected a YAML document at line {}", node.line());
                return Err(
                    Error::new(ErrorKind::InvalidDocument, "read machine configuration")
                        .with_message(message),
                );
            }
            documents.push(Document::new(node));
        }
        Ok(Self { documents })
    }

    /// The text for a node or a file: all documents, without comments.
    #[must_use]
    pub fn to_yaml(&self) -> SecretString {
        yaml::documents_to_yaml(self.documents.iter().map(Document::node))
    }

    /// All documents in order.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// All documents, to change.
    pub fn documents_mut(&mut self) -> &mut Vec<Document> {
        &mut self.documents
    }

    /// The content of the `v1alpha1` document.
    #[must_use]
    pub fn v1alpha1(&self) -> Option<&Node> {
        self.documents
            .iter()
            .find(|document| document.is_v1alpha1())
            .map(Document::node)
    }

    /// The content of the `v1alpha1` document, to change.
    pub fn v1alpha1_mut(&mut self) -> Option<&mut Node> {
        self.documents
            .iter_mut()
            .find(|document| document.is_v1alpha1())
            .map(Document::node_mut)
    }

    /// The first document of a kind with this name; the name is empty for kinds without names.
    #[must_use]
    pub fn document(&self, kind: &str, name: &str) -> Option<&Document> {
        self.documents
            .iter()
            .find(|document| document.kind() == kind && document.name() == name)
    }

    /// All documents of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Document> {
        self.documents
            .iter()
            .filter(move |document| document.kind() == kind)
    }
}

impl fmt::Debug for MachineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MachineConfig")
            .field(&self.documents)
            .finish()
    }
}
