//! Loading: texts to typed documents, with the checks and texts of a release.

mod delete;

use crate::config::document::{
    TypedDocument, check_unknown_keys, decode, decode_secret, decode_text,
};
use crate::config::schema::{DocumentKind, Minor, Schema};
use crate::config::{Document, MachineConfig, TalosVersion};
use crate::go::text::quoted;
use crate::go::yaml::{Comments, Entry, Kind, Mapping, Node, Scalar, Source, Stream, parse_stream};
use crate::{Error, ErrorKind};

pub(crate) use delete::Selector;
use delete::extract_deletes;

const V1ALPHA1: &str = "v1alpha1";

/// What a patch holds: documents to merge, and selectors of what to delete first.
pub(crate) enum PatchDocument {
    Merge(TypedDocument),
    Delete(Selector),
}

/// Loads the documents of a configuration.
///
/// # Errors
///
/// The text of the release's loader.
pub(crate) fn load_config<'a>(
    schema: &'static Schema,
    documents: impl IntoIterator<Item = &'a Node>,
) -> Result<Vec<TypedDocument>, String> {
    load_documents(schema, documents, Comments::default(), None)
}

/// Loads documents; then comes what is wrong with the text behind them.
fn load_documents<'a>(
    schema: &'static Schema,
    documents: impl IntoIterator<Item = &'a Node>,
    comments: Comments<'_>,
    error: Option<&Error>,
) -> Result<Vec<TypedDocument>, String> {
    let mut loader = Loader::new(schema, comments);
    let mut loaded = Vec::new();
    for node in documents {
        loaded.extend(loader.document(node)?);
    }
    check_end(error, loaded.is_empty())?;
    ordered(schema, loaded)
}

/// Checks a secrets bundle by its type, as a release reads it.
///
/// # Errors
///
/// The text of the release's YAML library, without values.
pub(crate) fn check_bundle(schema: &Schema, node: &Node) -> Result<(), String> {
    decode_secret(schema, schema.bundle(), node).map(drop)
}

impl MachineConfig {
    /// Reads a configuration as the loader of a Talos release does: everything the release does not know is refused, with
    /// the place where the text has it. The documents stay as they are written.
    ///
    /// # Errors
    ///
    /// `InvalidDocument` with the text of the reference: no YAML, unknown keys, wrong types, kinds that are not registered,
    /// duplicate or conflicting documents.
    pub fn load(text: &str, version: &TalosVersion) -> crate::Result<Self> {
        let refused = |message: String| {
            Error::new(ErrorKind::InvalidDocument, "load machine configuration")
                .with_message(message)
        };
        let schema = Schema::of(version);
        let Stream {
            documents,
            comments,
            error,
        } = parse_stream(text, schema.dialect());
        let nodes = documents.iter().map(|source| &source.node);
        let comments = Comments::new(text, &comments);
        load_documents(schema, nodes, comments, error.as_ref()).map_err(refused)?;
        let documents = documents.into_iter().map(|source| source.node);
        Ok(Self::from_documents(
            documents.filter(|node| !node.is_null()).map(Document::new),
        ))
    }
}

/// Loads the documents of a patch, in the order in which they take effect.
///
/// # Errors
///
/// The text of the release's loader.
pub(crate) fn load_patch(
    schema: &'static Schema,
    text: &str,
) -> Result<Vec<PatchDocument>, String> {
    let stream = parse_stream(text, schema.dialect());
    // Since v1.14 the documents of a patch are not compared with each other.
    let unchecked = schema.minor() >= Minor::V1_14;
    let mut loader = Loader::new(schema, Comments::new(text, &stream.comments));
    loader.duplicates = unchecked;
    let mut loaded = Vec::new();
    for Source { line, mut node } in stream.documents {
        let (selectors, remains) = extract_deletes(&mut node).map_err(|text| {
            if schema.minor() < Minor::V1_12 {
                text
            } else {
                format!("error processing patch delete statements at line {line}: {text}")
            }
        })?;
        loaded.extend(selectors.into_iter().map(PatchDocument::Delete));
        if remains {
            loaded.extend(loader.document(&node)?.map(PatchDocument::Merge));
        }
    }
    check_end(stream.error.as_ref(), loaded.is_empty())?;
    if !unchecked {
        check_container(schema, merged(&loaded))?;
    }
    // What is deleted from the v1alpha1 document goes before it, and it goes before the others.
    loaded.sort_by_key(|document| match document {
        PatchDocument::Delete(selector) if selector.is_v1alpha1() => 0,
        PatchDocument::Merge(document) if document.is_v1alpha1() => 1,
        _ => 2,
    });
    Ok(loaded)
}

fn merged(documents: &[PatchDocument]) -> impl Iterator<Item = &TypedDocument> {
    documents.iter().filter_map(|document| match document {
        PatchDocument::Merge(document) => Some(document),
        PatchDocument::Delete(_) => None,
    })
}

/// Checks documents against each other and puts the v1alpha1 document first.
///
/// # Errors
///
/// The text of the release's container.
pub(crate) fn ordered(
    schema: &Schema,
    mut documents: Vec<TypedDocument>,
) -> Result<Vec<TypedDocument>, String> {
    check_container(schema, documents.iter())?;
    documents.sort_by_key(|document| !document.is_v1alpha1());
    Ok(documents)
}

fn check_container<'a>(
    schema: &Schema,
    documents: impl Iterator<Item = &'a TypedDocument>,
) -> Result<(), String> {
    let mut seen: Vec<(&'static str, String)> = Vec::new();
    let mut has_v1alpha1 = false;
    let mut claims = LinkClaims::default();
    for document in documents {
        if document.is_v1alpha1() {
            if has_v1alpha1 {
                return Err("duplicate v1alpha1.Config".to_owned());
            }
            has_v1alpha1 = true;
            continue;
        }
        let (kind, name) = (document.kind.kind, document.name(schema));
        if seen
            .iter()
            .any(|(other, other_name)| *other == kind && *other_name == name)
        {
            return Err(format!("duplicate document: {kind}/{name}"));
        }
        for other in schema.conflicts(kind) {
            if seen
                .iter()
                .any(|(seen, seen_name)| *seen == other && *seen_name == name)
            {
                return Err(format!(
                    "conflicting documents: {other}/{name} and {kind}/{name}"
                ));
            }
        }
        claims.add(schema, document, &name)?;
        seen.push((kind, name));
    }
    Ok(())
}

/// Which document sets up which link.
#[derive(Default)]
struct LinkClaims(Vec<(String, String)>);

impl LinkClaims {
    fn add(&mut self, schema: &Schema, document: &TypedDocument, name: &str) -> Result<(), String> {
        let kind = document.kind.kind;
        if !schema.claims_link(kind) {
            return Ok(());
        }
        let claimant = format!("{kind}/{name}");
        let peer = document
            .text_at(schema, &["peer", "name"])
            .map(str::to_owned);
        for link in std::iter::once(name.to_owned()).chain(peer) {
            if let Some((_, owner)) = self.0.iter().find(|(claimed, _)| *claimed == link) {
                return Err(format!(
                    "conflicting link configurations: {owner} and {claimant} both configure {}",
                    quoted(&link)
                ));
            }
            self.0.push((link, claimant.clone()));
        }
        Ok(())
    }
}

/// What comes after the last document: the mistake that ends the text, or that there was nothing.
fn check_end(error: Option<&Error>, nothing: bool) -> Result<(), String> {
    if let Some(error) = error {
        return Err(format!("decode error: {}", error.message()));
    }
    if nothing {
        return Err("config not found".to_owned());
    }
    Ok(())
}

/// Loads one document after the other.
struct Loader<'c> {
    schema: &'static Schema,
    comments: Comments<'c>,
    /// Several documents may have one identity.
    duplicates: bool,
    known: Vec<Identity>,
}

impl<'c> Loader<'c> {
    fn new(schema: &'static Schema, comments: Comments<'c>) -> Self {
        Self {
            schema,
            comments,
            duplicates: false,
            known: Vec::new(),
        }
    }

    /// A document by its type; nothing for one without content.
    fn document(&mut self, node: &Node) -> Result<Option<TypedDocument>, String> {
        let before_v1_12 = self.schema.minor() < Minor::V1_12;
        let line = node.line();
        let Kind::Mapping(mapping) = node.kind() else {
            return match (before_v1_12, node.is_null()) {
                (true, _) => Err("recovered: expected a mapping node".to_owned()),
                (false, true) => Ok(None),
                (false, false) => Err(format!("expected a YAML document at line {line}")),
            };
        };
        let identity = Identity::of(mapping);
        if !self.duplicates && self.known.contains(&identity) {
            let place = if before_v1_12 {
                String::new()
            } else {
                format!(" (line {line})")
            };
            return Err(format!(
                "duplicate document {identity} is not allowed{place}"
            ));
        }
        let document =
            load_document(self.schema, node, mapping, self.comments).map_err(|text| {
                // A crash of the reference is noticed outside of the document.
                if before_v1_12 || text.starts_with("recovered: ") {
                    text
                } else {
                    format!("error decoding document {identity} (line {line}): {text}")
                }
            })?;
        self.known.push(identity);
        Ok(Some(document))
    }
}

/// What error texts call a document.
#[derive(PartialEq)]
struct Identity {
    api_version: String,
    kind: String,
    name: String,
}

impl Identity {
    fn of(mapping: &Mapping) -> Self {
        let text = |key| text_of(mapping, key).to_owned();
        let kind = text("kind");
        Self {
            api_version: text("apiVersion"),
            kind: if kind.is_empty() {
                V1ALPHA1.to_owned()
            } else {
                kind
            },
            name: text("name"),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.api_version, self.kind, self.name)
    }
}

/// The text of a scalar under a key, whatever its type; empty when there is none.
fn text_of<'a>(mapping: &'a Mapping, key: &str) -> &'a str {
    let scalar = mapping.get(key).and_then(Node::as_scalar);
    scalar.map(|scalar| scalar.text()).unwrap_or_default()
}

fn load_document(
    schema: &'static Schema,
    node: &Node,
    mapping: &Mapping,
    comments: Comments<'_>,
) -> Result<TypedDocument, String> {
    let (kind, name) = document_kind(schema, mapping)?;
    let described = schema.get(kind.ty);
    let value = decode(schema, kind.ty, node)
        .map_err(|text| format!("error decoding {name} to *{}: {text}", described.name))?;
    check_unknown_keys(schema, kind.ty, node, comments)?;
    Ok(TypedDocument { kind, value })
}

/// Which kind a document is of, and the text that says so.
///
/// The reference does not tell keys from values here: a value that reads `kind` makes the key behind it the kind.
fn document_kind(
    schema: &'static Schema,
    mapping: &Mapping,
) -> Result<(&'static DocumentKind, String), String> {
    let nodes: Vec<Part<'_>> = mapping.entries().flat_map(Part::of).collect();
    let (mut kind, mut version) = (String::new(), String::new());
    for (index, part) in nodes.iter().enumerate() {
        let (target, what) = match part.text() {
            "kind" => (&mut kind, "kind"),
            "apiVersion" => (&mut version, "version"),
            // The keys of the v1alpha1 document decide.
            "machine" | "cluster" | "debug" | "persist" => {
                version = V1ALPHA1.to_owned();
                continue;
            }
            _ => continue,
        };
        let next = nodes.get(index + 1).ok_or_else(|| {
            let length = nodes.len();
            format!("recovered: runtime error: index out of range [{length}] with length {length}")
        })?;
        let decoded = match next {
            Part::Key(key) => decode_text(schema, &Node::from((*key).clone())),
            Part::Value(node) => decode_text(schema, node),
        };
        if let Some(text) = decoded.map_err(|text| format!("{what} decode: {text}"))? {
            *target = text;
        }
    }
    let found = match (kind.as_str(), version.as_str()) {
        ("", V1ALPHA1) => schema.document(V1ALPHA1),
        ("", _) => return Err("missing kind".to_owned()),
        (_, "") if schema.minor() >= Minor::V1_12 => return Err("missing apiVersion".to_owned()),
        (V1ALPHA1, _) => schema.document(V1ALPHA1),
        (kind, V1ALPHA1) => schema.document(kind),
        _ => None,
    };
    match found {
        Some(found) => Ok((found, kind)),
        None => Err(format!("{kind:?} {version:?}: not registered")),
    }
}

/// A key or a value of a mapping.
enum Part<'a> {
    Key(&'a Scalar),
    Value(&'a Node),
}

impl<'a> Part<'a> {
    fn of(entry: &'a Entry) -> [Self; 2] {
        [Self::Key(entry.key()), Self::Value(entry.value())]
    }

    /// The text of a scalar, whatever its type; empty for lists and mappings.
    fn text(&self) -> &'a str {
        match self {
            Self::Key(key) => key.text(),
            Self::Value(node) => node.as_scalar().map_or("", Scalar::text),
        }
    }
}
