//! Reading: tokens to nodes, with the limits and texts of Go's YAML.

use std::collections::HashMap;

use super::lex::{Dialect, Lexer, Mark, Problem, Stage, Token, TokenKind, check_characters};
use super::mapping::{Duplicate, Entry, Mapping};
use super::node::{Kind, Node, Position};
use super::problem::{refused, refused_at, refused_with};
use super::resolve;
use super::scalar::{Scalar, Style, short_tag};
use crate::{Error, Result};

/// The longest text that is read: what a Talos node takes in one message.
pub const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 200;
/// The most nodes a text may expand to; keys count, and aliases count each time. What they hold together may be four times
/// [`MAX_BYTES`].
pub const MAX_NODES: usize = 100_000;
/// The most documents a text may have.
pub const MAX_DOCUMENTS: usize = 1_000;

/// Reads all documents of a text.
///
/// Aliases and `<<` merge keys are expanded as Go's YAML does. A document without content is a `null` node; a text without any
/// document (empty, or only comments) gives an empty list.
///
/// # Errors
///
/// `InvalidDocument` with the message of Go's YAML where it is known (`yaml: line 3: …`) and line and column; also when the text
/// is longer than [`MAX_BYTES`], nested deeper than [`MAX_DEPTH`], expands to more than [`MAX_NODES`] or has more than
/// [`MAX_DOCUMENTS`]. The message never
/// holds a value of the document.
pub fn parse_documents(text: &str) -> Result<Vec<Node>> {
    check_length(text)?;
    let dialect = Dialect::Newest;
    check_characters(text, dialect)
        .map_err(|problem| refused_with(problem.text(dialect), position(problem.mark())))?;
    let mut reader = Reader::new(text, dialect);
    let documents = reader.documents().into_result()?;
    if let Some(duplicate) = reader.oddities.duplicates.first() {
        return Err(refused(format!("yaml: unmarshal errors:\n  {duplicate}"))
            .with_target(format!("line {}", duplicate.line)));
    }
    Ok(documents.into_iter().map(|source| source.node).collect())
}

/// Like [`parse_documents`] by the rules of one library, but leaves it to the caller to complain about
/// [`Mapping::duplicates`], as typed decoders do.
pub(crate) fn parse_stream(text: &str, dialect: Dialect) -> Stream {
    let checked = check_length(text).and_then(|()| {
        check_characters(text, dialect)
            .map_err(|problem| refused_with(problem.text(dialect), position(problem.mark())))
    });
    match checked {
        Ok(()) => Reader::new(text, dialect).documents(),
        Err(error) => Stream {
            documents: Vec::new(),
            error: Some(error),
        },
    }
}

/// The documents of a text up to the first mistake: the reference works on each document before it reads the next.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) documents: Vec<Source>,
    pub(crate) error: Option<Error>,
}

impl Stream {
    /// All documents, if there is no mistake.
    pub(crate) fn into_result(self) -> Result<Vec<Source>> {
        match self.error {
            None => Ok(self.documents),
            Some(error) => Err(error),
        }
    }
}

/// A document and the line on which it starts: that of its `---`, if it has one.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) line: usize,
    pub(crate) node: Node,
}

fn check_length(text: &str) -> Result<()> {
    if text.len() > MAX_BYTES {
        return Err(refused(format!(
            "yaml: document is longer than {MAX_BYTES} bytes"
        )));
    }
    Ok(())
}

/// A position of an error in the text; both count from 1.
fn position(mark: Mark) -> Position {
    Position {
        line: mark.line + 1,
        column: mark.column + 1,
    }
}

/// What stands in front of a node.
#[derive(Default)]
struct Properties<'a> {
    start: Mark,
    anchor: Option<&'a str>,
    tag: Option<Box<str>>,
}

/// Where a node stands, which decides what may be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// An item or a document.
    Block,
    /// A key or value of a block mapping: a list may follow without indentation.
    BlockMapping,
    Flow,
}

struct Anchor {
    node: Node,
    nodes: usize,
    bytes: usize,
}

struct Reader<'a> {
    dialect: Dialect,
    lexer: Lexer<'a>,
    tag_prefixes: Vec<(&'a str, String)>,
    anchors: HashMap<&'a str, Option<Anchor>>,
    nodes: usize,
    bytes: usize,
    oddities: Oddities,
}

/// What is no syntax error, and so only counts when there is none.
#[derive(Default)]
struct Oddities {
    duplicates: Vec<Duplicate>,
    /// The first key that is a list or mapping.
    key: Option<Option<Position>>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            dialect,
            lexer: Lexer::new(text, dialect),
            tag_prefixes: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            bytes: 0,
            oddities: Oddities::default(),
        }
    }

    fn documents(&mut self) -> Stream {
        let mut documents = Vec::new();
        loop {
            if documents.len() > MAX_DOCUMENTS {
                let error = refused(format!("yaml: more than {MAX_DOCUMENTS} documents"));
                return Stream {
                    documents,
                    error: Some(error),
                };
            }
            match self.document(documents.is_empty()) {
                Ok(Some(document)) => documents.push(document),
                Ok(None) => {
                    return Stream {
                        documents,
                        error: None,
                    };
                }
                Err(error) => {
                    return Stream {
                        documents,
                        error: Some(error),
                    };
                }
            }
        }
    }

    fn problem(&self, problem: &Problem) -> Error {
        refused_with(problem.text(self.dialect), position(problem.mark()))
    }

    fn peek(&mut self) -> Result<&Token<'a>> {
        match self.lexer.peek() {
            // A second look without an error satisfies the borrow checker and costs nothing.
            Ok(_) => {}
            Err(problem) => return Err(self.problem(&problem)),
        }
        self.lexer
            .peek()
            .map_err(|_| refused("yaml: unexpected end of document"))
    }

    fn peek_kind(&mut self) -> Result<(TokenKind<'a>, Mark)> {
        self.peek().map(|token| (token.kind.clone(), token.start))
    }

    fn next_is(&mut self, kind: &TokenKind<'_>) -> Result<bool> {
        Ok(self.peek()?.kind == *kind)
    }

    fn take(&mut self) -> Result<Token<'a>> {
        self.peek()?;
        self.lexer
            .take()
            .ok_or_else(|| refused("yaml: unexpected end of document"))
    }

    /// The next document; nothing at the end of the text.
    fn document(&mut self, first: bool) -> Result<Option<Source>> {
        while (!first || self.dialect >= Dialect::V4Rc4) && self.next_is(&TokenKind::DocumentEnd)? {
            self.take()?;
        }
        self.anchors.clear();
        let (kind, start) = self.peek_kind()?;
        let node = match kind {
            TokenKind::StreamEnd => return Ok(None),
            TokenKind::Version(..) | TokenKind::TagDirective { .. } | TokenKind::DocumentStart => {
                self.explicit_document()?
            }
            _ if first => {
                self.set_tag_prefixes(Vec::new());
                self.node(Place::Block, 0)?
            }
            _ => return Err(self.missing_document_start(start)),
        };
        if self.next_is(&TokenKind::DocumentEnd)? {
            self.take()?;
        }
        match self.oddities.key.take() {
            Some(Some(position)) => return Err(refused_at(position, "invalid map key")),
            Some(None) => return Err(refused("yaml: invalid map key")),
            None => {}
        }
        Ok(Some(Source {
            line: start.line + 1,
            node,
        }))
    }

    fn missing_document_start(&self, mark: Mark) -> Error {
        let problem = "did not find expected <document start>";
        self.problem(&Problem::plain(Stage::Parser, problem, mark))
    }

    fn explicit_document(&mut self) -> Result<Node> {
        self.directives()?;
        let token = self.take()?;
        if token.kind != TokenKind::DocumentStart {
            return Err(self.missing_document_start(token.start));
        }
        let (kind, start) = self.peek_kind()?;
        match kind {
            TokenKind::Version(..)
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => self.empty(start),
            _ => self.node(Place::Block, 0),
        }
    }

    fn directives(&mut self) -> Result<()> {
        let (mut prefixes, mut version): (Vec<(&str, String)>, _) = (Vec::new(), false);
        loop {
            let (kind, mark) = self.peek_kind()?;
            let refused = match kind {
                TokenKind::Version(..) if version => Some("found duplicate %YAML directive"),
                TokenKind::Version(1, 1) => {
                    version = true;
                    None
                }
                TokenKind::Version(..) => Some("found incompatible YAML document"),
                TokenKind::TagDirective { handle, .. }
                    if prefixes.iter().any(|(known, _)| *known == handle) =>
                {
                    Some("found duplicate %TAG directive")
                }
                TokenKind::TagDirective { handle, prefix } => {
                    prefixes.push((handle, prefix));
                    None
                }
                _ => break,
            };
            if let Some(refused) = refused {
                return Err(self.problem(&Problem::plain(Stage::Parser, refused, mark)));
            }
            self.take()?;
        }
        self.set_tag_prefixes(prefixes);
        Ok(())
    }

    fn set_tag_prefixes(&mut self, prefixes: Vec<(&'a str, String)>) {
        self.tag_prefixes = prefixes;
        self.tag_prefixes.push(("!", "!".to_owned()));
        self.tag_prefixes
            .push(("!!", "tag:yaml.org,2002:".to_owned()));
    }

    fn count(&mut self, nodes: usize, bytes: usize) -> Result<()> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > 4 * MAX_BYTES {
            return Err(refused("yaml: document contains excessive aliasing"));
        }
        Ok(())
    }

    /// A scalar that is not written.
    fn empty(&mut self, mark: Mark) -> Result<Node> {
        self.count(1, 0)?;
        Ok(node_at(
            Kind::Scalar(Scalar::new("", Style::Plain)),
            mark,
            false,
        ))
    }

    fn node(&mut self, place: Place, depth: usize) -> Result<Node> {
        let start = self.peek()?.start;
        if depth > MAX_DEPTH {
            return Err(refused_at(position(start), "exceeded max depth"));
        }
        if let TokenKind::Alias(name) = self.peek()?.kind {
            self.take()?;
            return self.alias(name, start);
        }
        let properties = self.properties(start)?;
        let before = (self.nodes, self.bytes);
        self.count(1, 0)?;
        if let Some(anchor) = properties.anchor {
            self.anchors.insert(anchor, None);
        }
        let start = properties.start;
        let anchor = properties.anchor;
        let mut node = self.content(place, properties, depth)?;
        if let Some(anchor) = anchor {
            let (nodes, bytes) = (self.nodes - before.0, self.bytes - before.1);
            self.count(nodes, bytes)?;
            let anchored = Anchor {
                node: node.clone(),
                nodes,
                bytes,
            };
            self.anchors.insert(anchor, Some(anchored));
            node.anchor = Some(anchor.into());
        }
        debug_assert_eq!(node.position, Some(position(start)));
        Ok(node)
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self, start: Mark) -> Result<Properties<'a>> {
        let mut properties = Properties {
            start,
            ..Properties::default()
        };
        for _ in 0..2 {
            let (kind, mark) = self.peek_kind()?;
            match kind {
                TokenKind::Anchor(name) if properties.anchor.is_none() => {
                    properties.anchor = Some(name);
                }
                TokenKind::Tag { handle, suffix } if properties.tag.is_none() => {
                    let tag = self.resolve_tag(handle, &suffix, start, mark)?;
                    properties.tag = Some(tag);
                }
                _ => break,
            }
            self.take()?;
        }
        Ok(properties)
    }

    fn resolve_tag(&self, handle: &str, suffix: &str, start: Mark, mark: Mark) -> Result<Box<str>> {
        if handle.is_empty() {
            return Ok(short_tag(suffix));
        }
        let mut prefixes = self.tag_prefixes.iter();
        match prefixes.find(|(known, _)| *known == handle) {
            Some((_, prefix)) => Ok(short_tag(&format!("{prefix}{suffix}"))),
            None => Err(self.problem(&Problem::with_context(
                Stage::Parser,
                "while parsing a node",
                start,
                "found undefined tag handle",
                mark,
            ))),
        }
    }

    fn content(&mut self, place: Place, properties: Properties<'a>, depth: usize) -> Result<Node> {
        let start = properties.start;
        if matches!(self.peek()?.kind, TokenKind::Scalar(..)) {
            return self.scalar(properties);
        }
        let (token, at) = self.peek_kind()?;
        match token {
            TokenKind::BlockEntry if place == Place::BlockMapping => {
                let items = self.indentless_sequence(depth)?;
                Ok(node_at(items, start, false))
            }
            TokenKind::FlowSequenceStart => {
                let items = self.flow_sequence(depth)?;
                Ok(node_at(items, start, true))
            }
            TokenKind::FlowMappingStart => {
                let mapping = self.flow_mapping(depth)?;
                Ok(node_at(mapping, start, true))
            }
            TokenKind::BlockSequenceStart if place != Place::Flow => {
                let items = self.block_sequence(depth)?;
                Ok(node_at(items, start, false))
            }
            TokenKind::BlockMappingStart if place != Place::Flow => {
                let mapping = self.block_mapping(depth)?;
                Ok(node_at(mapping, start, false))
            }
            _ if properties.anchor.is_some() || properties.tag.is_some() => {
                let scalar = Scalar {
                    text: String::new(),
                    style: Style::Plain,
                    tag: properties.tag.filter(|tag| **tag != *"!"),
                };
                Ok(node_at(Kind::Scalar(scalar), start, false))
            }
            _ => {
                let context = if place == Place::Flow {
                    "while parsing a flow node"
                } else {
                    "while parsing a block node"
                };
                let problem = "did not find expected node content";
                Err(self.problem(&Problem::with_context(
                    Stage::Parser,
                    context,
                    start,
                    problem,
                    at,
                )))
            }
        }
    }

    fn scalar(&mut self, properties: Properties<'a>) -> Result<Node> {
        let (text, style) = match self.take()?.kind {
            TokenKind::Scalar(text, style) => (text, style),
            _ => ("".into(), Style::Plain),
        };
        self.count(0, text.len())?;
        let scalar = Scalar {
            text: text.into_owned(),
            style,
            // The tag `!` says nothing.
            tag: properties.tag.filter(|tag| **tag != *"!"),
        };
        Ok(node_at(Kind::Scalar(scalar), properties.start, false))
    }

    fn alias(&mut self, name: &str, mark: Mark) -> Result<Node> {
        let (nodes, bytes) = match self.anchors.get(name) {
            Some(Some(anchor)) => (anchor.nodes, anchor.bytes),
            Some(None) => {
                return Err(refused(format!(
                    "yaml: anchor '{name}' value contains itself"
                )));
            }
            None => {
                let problem = format!("unknown anchor '{name}' referenced");
                return Err(self.problem(&Problem::plain(Stage::Composer, problem, mark)));
            }
        };
        self.count(nodes, bytes)?;
        let anchor = self.anchors.get(name).and_then(Option::as_ref);
        anchor
            .map(|anchor| anchor.node.clone())
            .ok_or_else(|| refused("yaml: unexpected end of document"))
    }

    fn block_sequence(&mut self, depth: usize) -> Result<Kind> {
        let opening = self.take()?.start;
        let mut items = Vec::new();
        loop {
            let token = self.take()?;
            match token.kind {
                TokenKind::BlockEntry => {
                    let missing = matches!(
                        self.peek()?.kind,
                        TokenKind::BlockEntry | TokenKind::BlockEnd
                    );
                    items.push(self.node_or_empty(missing, token.end, Place::Block, depth)?);
                }
                TokenKind::BlockEnd => return Ok(Kind::Sequence(items)),
                _ => {
                    return Err(self.problem(&Problem::with_context(
                        Stage::Parser,
                        "while parsing a block collection",
                        opening,
                        "did not find expected '-' indicator",
                        token.start,
                    )));
                }
            }
        }
    }

    /// A list in a mapping that stands at the column of its key.
    fn indentless_sequence(&mut self, depth: usize) -> Result<Kind> {
        let mut items = Vec::new();
        while self.next_is(&TokenKind::BlockEntry)? {
            let end = self.take()?.end;
            let missing = matches!(
                self.peek()?.kind,
                TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
            );
            items.push(self.node_or_empty(missing, end, Place::Block, depth)?);
        }
        Ok(Kind::Sequence(items))
    }

    fn node_or_empty(
        &mut self,
        missing: bool,
        mark: Mark,
        place: Place,
        depth: usize,
    ) -> Result<Node> {
        if missing {
            self.empty(mark)
        } else {
            self.node(place, depth + 1)
        }
    }

    fn block_mapping(&mut self, depth: usize) -> Result<Kind> {
        let opening = self.take()?.start;
        let mut entries = Entries::default();
        loop {
            let token = self.take()?;
            let key = match token.kind {
                TokenKind::Key => {
                    let missing = self.ends_block_part()?;
                    self.node_or_empty(missing, token.end, Place::BlockMapping, depth)?
                }
                TokenKind::BlockEnd => break,
                _ => {
                    return Err(self.problem(&Problem::with_context(
                        Stage::Parser,
                        "while parsing a block mapping",
                        opening,
                        "did not find expected key",
                        token.start,
                    )));
                }
            };
            let value = if self.next_is(&TokenKind::Value)? {
                let end = self.take()?.end;
                let missing = self.ends_block_part()?;
                self.node_or_empty(missing, end, Place::BlockMapping, depth)?
            } else {
                let mark = self.peek()?.start;
                self.empty(mark)?
            };
            entries.add(key, value, &mut self.oddities);
        }
        entries.finish()
    }

    /// Whether a key or value of a block mapping is not written.
    fn ends_block_part(&mut self) -> Result<bool> {
        Ok(matches!(
            self.peek()?.kind,
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd
        ))
    }

    fn flow_sequence(&mut self, depth: usize) -> Result<Kind> {
        let opening = self.take()?.start;
        let mut items = Vec::new();
        while !self.next_is(&TokenKind::FlowSequenceEnd)? {
            if !items.is_empty() {
                self.expect_flow_entry(opening, "while parsing a flow sequence", ']')?;
            }
            match self.peek_kind()? {
                (TokenKind::Key, mark) => {
                    self.take()?;
                    let pair = self.flow_pair(depth)?;
                    items.push(node_at(pair, mark, true));
                }
                (TokenKind::FlowSequenceEnd, _) => break,
                _ => items.push(self.node(Place::Flow, depth + 1)?),
            }
        }
        self.take()?;
        Ok(Kind::Sequence(items))
    }

    fn expect_flow_entry(
        &mut self,
        opening: Mark,
        context: &'static str,
        close: char,
    ) -> Result<()> {
        let token = self.peek()?;
        let (found, mark) = (token.kind == TokenKind::FlowEntry, token.start);
        if found {
            self.take()?;
            return Ok(());
        }
        let problem = format!("did not find expected ',' or '{close}'");
        Err(self.problem(&Problem::with_context(
            Stage::Parser,
            context,
            opening,
            problem,
            mark,
        )))
    }

    /// `[a: b]`: a mapping of one entry as an item.
    fn flow_pair(&mut self, depth: usize) -> Result<Kind> {
        self.count(1, 0)?;
        let token = self.peek()?;
        let (kind, end) = (token.kind.clone(), token.end);
        let key = match kind {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {
                // The library drops the token it looked at.
                self.take()?;
                self.empty(end)?
            }
            _ => self.node(Place::Flow, depth + 1)?,
        };
        let mut mark = self.peek()?.start;
        let mut missing = true;
        if self.next_is(&TokenKind::Value)? {
            self.take()?;
            let token = self.peek()?;
            mark = token.start;
            missing = matches!(
                token.kind,
                TokenKind::FlowEntry | TokenKind::FlowSequenceEnd
            );
        }
        let value = self.node_or_empty(missing, mark, Place::Flow, depth)?;
        let mut entries = Entries::default();
        entries.add(key, value, &mut self.oddities);
        entries.finish()
    }

    fn flow_mapping(&mut self, depth: usize) -> Result<Kind> {
        let opening = self.take()?.start;
        let mut entries = Entries::default();
        let mut first = true;
        while !self.next_is(&TokenKind::FlowMappingEnd)? {
            if !first {
                self.expect_flow_entry(opening, "while parsing a flow mapping", '}')?;
            }
            first = false;
            let (kind, _) = self.peek_kind()?;
            let (key, value) = match kind {
                TokenKind::Key => {
                    self.take()?;
                    let key = self.flow_key(depth)?;
                    (key, self.flow_value(depth)?)
                }
                TokenKind::FlowMappingEnd => break,
                _ => {
                    let key = self.node(Place::Flow, depth + 1)?;
                    let mark = self.peek()?.start;
                    (key, self.empty(mark)?)
                }
            };
            entries.add(key, value, &mut self.oddities);
        }
        self.take()?;
        entries.finish()
    }

    fn flow_key(&mut self, depth: usize) -> Result<Node> {
        let token = self.peek()?;
        let mark = token.start;
        let missing = matches!(
            token.kind,
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd
        );
        self.node_or_empty(missing, mark, Place::Flow, depth)
    }

    fn flow_value(&mut self, depth: usize) -> Result<Node> {
        let mut mark = self.peek()?.start;
        let mut missing = true;
        if self.next_is(&TokenKind::Value)? {
            self.take()?;
            let token = self.peek()?;
            mark = token.start;
            missing = matches!(token.kind, TokenKind::FlowEntry | TokenKind::FlowMappingEnd);
        }
        self.node_or_empty(missing, mark, Place::Flow, depth)
    }
}

fn node_at(kind: Kind, mark: Mark, flow: bool) -> Node {
    Node {
        kind,
        position: Some(position(mark)),
        flow,
        anchor: None,
    }
}

/// The entries of a mapping while it is read.
#[derive(Default)]
struct Entries {
    mapping: Mapping,
    merged: Vec<Node>,
}

impl Entries {
    fn add(&mut self, key: Node, value: Node, oddities: &mut Oddities) {
        let Kind::Scalar(mut scalar) = key.kind else {
            oddities.key.get_or_insert(key.position);
            return;
        };
        if resolve::is_null(&scalar) {
            // However it is written, or not written at all, it is the same key.
            scalar.text = "null".to_owned();
        }
        if scalar.style == Style::Plain && scalar.text == "<<" {
            self.merged.push(value);
            return;
        }
        if let Some(first) = self.mapping.entry(&scalar.text) {
            let duplicate = Duplicate {
                line: key.position.map_or(0, |position| position.line),
                first_line: first.position.map_or(0, |position| position.line),
                key: scalar.text,
            };
            oddities.duplicates.push(duplicate.clone());
            self.mapping.duplicates.push(duplicate);
            return;
        }
        self.mapping.insert_entry(Entry {
            key: scalar,
            position: key.position,
            value,
        });
    }

    fn finish(mut self) -> Result<Kind> {
        for value in self.merged {
            merge(&mut self.mapping, value)?;
        }
        Ok(Kind::Mapping(self.mapping))
    }
}

/// Takes over the keys of a `<<` value that are not there yet; the earlier of several wins.
fn merge(mapping: &mut Mapping, value: Node) -> Result<()> {
    match value.kind {
        Kind::Mapping(source) => {
            for entry in source.into_entries() {
                if !mapping.contains_key(&entry.key.text) {
                    mapping.insert_entry(entry);
                }
            }
            Ok(())
        }
        Kind::Sequence(items) if items.iter().all(|item| item.as_mapping().is_some()) => {
            items.into_iter().try_for_each(|item| merge(mapping, item))
        }
        _ => Err(refused(
            "yaml: map merge requires map or sequence of maps as the value",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> String {
        parse_documents(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let text = "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nlist: [*b]\n";
        let documents = parse_documents(text).unwrap();

        assert_eq!(
            documents[0].to_yaml(),
            "base:\n    x: 1\n    y: 2\nuse:\n    y: 3\n    x: 1\nlist:\n    - x: 1\n      y: 2\n"
        );
    }

    #[test]
    fn documents_are_counted_as_go_counts_them() {
        assert_eq!(parse_documents("").unwrap().len(), 0);
        assert_eq!(parse_documents("# only\n").unwrap().len(), 0);
        assert_eq!(parse_documents("---\n").unwrap().len(), 1);
        assert_eq!(parse_documents("---\n---\na: b\n").unwrap().len(), 2);
        assert_eq!(parse_documents("a: b\n---\nc: d\n...\n").unwrap().len(), 2);
    }

    #[test]
    fn texts_from_other_systems_are_read() {
        let expected = "a: b\nc:\n    - d\n";
        for text in [
            "a: b\r\nc:\r\n  - d\r\n",
            "\u{feff}a: b\nc: [d]",
            "%YAML 1.1\n---\na: b\nc: [d]\n...\n",
        ] {
            assert_eq!(
                parse_documents(text).unwrap()[0].to_yaml(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn mistakes_are_told_with_line_and_reference_text() {
        assert_eq!(
            failure("machine:\n  token: a\n  token: b\n"),
            "yaml: unmarshal errors:\n  line 3: mapping key \"token\" already defined at line 2"
        );
        assert_eq!(failure("a: *x\n"), "yaml: unknown anchor 'x' referenced");
        assert_eq!(
            failure("a: &x [*x]\n"),
            "yaml: anchor 'x' value contains itself"
        );
        assert_eq!(
            failure("a: b: c\n"),
            "yaml: mapping values are not allowed in this context"
        );
        assert_eq!(
            parse_documents("a:\n  b: c: d\n").unwrap_err().target(),
            "line 2, column 7"
        );
    }

    #[test]
    fn hostile_texts_are_refused_early() {
        let nested = "[".repeat(100_000);
        assert!(failure(&nested).contains("depth"));

        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let list = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!(
                "a{level}: &a{level} [{}]\n",
                list.trim_end_matches(", ")
            ));
        }
        assert_eq!(failure(&bomb), "yaml: document contains excessive aliasing");
    }
}
