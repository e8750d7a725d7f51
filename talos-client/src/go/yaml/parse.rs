//! Reading: events of `saphyr-parser` to nodes, with the limits and texts of Go's YAML.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScanError, Span, StrInput};

use super::mapping::{Duplicate, Entry, Mapping};
use super::node::{Kind, Node, Position};
use super::problem::{go_problem, refused, refused_at, unknown_anchor};
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
    let mut reader = Reader::new(text);
    let documents = reader.documents()?;
    if let Some(duplicate) = reader.duplicates.first() {
        return Err(refused(format!("yaml: unmarshal errors:\n  {duplicate}"))
            .with_target(format!("line {}", duplicate.line)));
    }
    Ok(documents.into_iter().map(|source| source.node).collect())
}

/// Like [`parse_documents`], but leaves it to the caller to complain about [`Mapping::duplicates`], as typed decoders do.
pub(crate) fn parse_lenient(text: &str) -> Result<Vec<Source>> {
    check_length(text)?;
    Reader::new(text).documents()
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

type Item<'a> = (Event<'a>, Span);

struct Reader<'a> {
    text: &'a str,
    /// A character index and its byte offset, moved along with the events.
    cursor: (usize, usize),
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Option<Anchor>>,
    nodes: usize,
    bytes: usize,
    duplicates: Vec<Duplicate>,
}

struct Anchor {
    node: Node,
    nodes: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            text,
            cursor: (0, 0),
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            nodes: 0,
            bytes: 0,
            duplicates: Vec::new(),
        }
    }

    fn documents(&mut self) -> Result<Vec<Source>> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::DocumentStart(_) => {
                    if documents.len() == MAX_DOCUMENTS {
                        return Err(refused(format!(
                            "yaml: more than {MAX_DOCUMENTS} documents"
                        )));
                    }
                    self.anchors.clear();
                    let first = self.expect()?;
                    documents.push(Source {
                        line: span.start.line(),
                        node: self.node(first, 0)?,
                    });
                }
                Event::StreamEnd => break,
                _ => {}
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<Item<'a>>> {
        self.parser
            .next_event()
            .transpose()
            .map_err(|error| self.syntax_error(&error))
    }

    fn expect(&mut self) -> Result<Item<'a>> {
        self.next()?
            .ok_or_else(|| refused("yaml: unexpected end of document"))
    }

    fn syntax_error(&self, error: &ScanError) -> Error {
        let position = Position {
            line: error.marker().line(),
            column: error.marker().col() + 1,
        };
        if error.info() == "while parsing node, found unknown anchor" {
            return unknown_anchor(&self.name_at(error.marker().index()));
        }
        refused_at(position, go_problem(error.info()))
    }

    /// The name of the anchor or alias that starts at a character.
    fn name_at(&self, index: usize) -> String {
        self.text
            .chars()
            .skip(index)
            .skip_while(|c| matches!(c, '*' | '&'))
            .take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .take(64)
            .collect()
    }

    fn count(&mut self, nodes: usize, bytes: usize) -> Result<()> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > 4 * MAX_BYTES {
            return Err(refused("yaml: document contains excessive aliasing"));
        }
        Ok(())
    }

    fn node(&mut self, (event, span): Item<'a>, depth: usize) -> Result<Node> {
        let position = position(span);
        if depth > MAX_DEPTH {
            return Err(refused_at(position, "exceeded max depth"));
        }
        let before = (self.nodes, self.bytes);
        let length = if let Event::Scalar(text, ..) = &event {
            text.len()
        } else {
            0
        };
        self.count(1, length)?;
        let flow = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..))
            && self.starts_with_bracket(span.start.index());
        let (kind, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span),
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    style: style.into(),
                    tag: tag.map(|tag| short_tag(&tag)),
                };
                (Kind::Scalar(scalar), anchor)
            }
            Event::SequenceStart(anchor, _) => {
                self.open_anchor(anchor);
                (self.sequence(depth)?, anchor)
            }
            Event::MappingStart(anchor, _) => {
                self.open_anchor(anchor);
                (self.mapping(depth)?, anchor)
            }
            _ => (Kind::Scalar(Scalar::new("", Style::Plain)), 0),
        };
        let node = Node {
            kind,
            position: Some(position),
            flow,
        };
        if anchor > 0 {
            let (nodes, bytes) = (self.nodes - before.0, self.bytes - before.1);
            self.count(nodes, bytes)?;
            let anchored = Anchor {
                node: node.clone(),
                nodes,
                bytes,
            };
            self.anchors.insert(anchor, Some(anchored));
        }
        Ok(node)
    }

    fn open_anchor(&mut self, id: usize) {
        if id > 0 {
            self.anchors.insert(id, None);
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node> {
        let name = || self.name_at(span.start.index());
        let (nodes, bytes) = match self.anchors.get(&id) {
            Some(Some(anchor)) => (anchor.nodes, anchor.bytes),
            Some(None) => {
                return Err(refused(format!(
                    "yaml: anchor '{}' value contains itself",
                    name()
                )));
            }
            None => return Err(unknown_anchor(&name())),
        };
        self.count(nodes, bytes)?;
        let anchor = self.anchors.get(&id).and_then(Option::as_ref);
        anchor
            .map(|anchor| anchor.node.clone())
            .ok_or_else(|| unknown_anchor(""))
    }

    fn starts_with_bracket(&mut self, index: usize) -> bool {
        let (mut at, mut byte) = self.cursor;
        if index < at {
            let step = self.text[..byte]
                .chars()
                .rev()
                .take(at - index)
                .map(char::len_utf8)
                .sum::<usize>();
            byte -= step;
        } else {
            byte += self.text[byte..]
                .chars()
                .take(index - at)
                .map(char::len_utf8)
                .sum::<usize>();
        }
        at = index;
        self.cursor = (at, byte);
        self.text[byte..].starts_with(['[', '{'])
    }

    fn sequence(&mut self, depth: usize) -> Result<Kind> {
        let mut items = Vec::new();
        loop {
            match self.expect()? {
                (Event::SequenceEnd, _) => return Ok(Kind::Sequence(items)),
                item => items.push(self.node(item, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Kind> {
        let mut mapping = Mapping::new();
        let mut merged = Vec::new();
        loop {
            let item = match self.expect()? {
                (Event::MappingEnd, _) => break,
                item => item,
            };
            let key = self.node(item, depth + 1)?;
            let value = self.expect()?;
            let value = self.node(value, depth + 1)?;
            let Kind::Scalar(mut scalar) = key.kind else {
                return Err(key.position.map_or_else(
                    || refused("yaml: invalid map key"),
                    |position| refused_at(position, "invalid map key"),
                ));
            };
            if resolve::is_null(&scalar) {
                // However it is written, or not written at all, it is the same key.
                scalar.text = "null".to_owned();
            }
            if scalar.style == Style::Plain && scalar.text == "<<" {
                merged.push(value);
                continue;
            }
            if let Some(first) = mapping.entry(&scalar.text) {
                let duplicate = Duplicate {
                    line: key.position.map_or(0, |position| position.line),
                    first_line: first.position.map_or(0, |position| position.line),
                    key: scalar.text,
                };
                self.duplicates.push(duplicate.clone());
                mapping.duplicates.push(duplicate);
                continue;
            }
            mapping.insert_entry(Entry {
                key: scalar,
                position: key.position,
                value,
            });
        }
        for value in merged {
            merge(&mut mapping, value)?;
        }
        Ok(Kind::Mapping(mapping))
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

fn position(span: Span) -> Position {
    Position {
        line: span.start.line(),
        column: span.start.col() + 1,
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
