//! Reading: tokens to nodes, with the limits and texts of Go's YAML.

mod block;
mod entries;
mod flow;
mod node;

use std::collections::HashMap;

use super::comments::CommentSpan;
use super::lex::{Dialect, Lexer, Mark, Problem, Stage, Token, TokenKind, check_characters};
use super::mapping::Duplicate;
use super::node::{Node, Position};
use super::problem::{refused, refused_at, refused_with};
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
    check_characters(text, dialect).map_err(|problem| as_error(&problem, dialect))?;
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
        check_characters(text, dialect).map_err(|problem| as_error(&problem, dialect))
    });
    match checked {
        Ok(()) => {
            let mut reader = Reader::new(text, dialect);
            let stream = reader.documents();
            Stream {
                comments: reader.lexer.take_comments(),
                ..stream
            }
        }
        Err(error) => Stream {
            documents: Vec::new(),
            comments: Vec::new(),
            error: Some(error),
        },
    }
}

/// The documents of a text up to the first mistake: the reference works on each document before it reads the next.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) documents: Vec<Source>,
    /// The comments of the text, in their order.
    pub(crate) comments: Vec<CommentSpan>,
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

fn as_error(problem: &Problem, dialect: Dialect) -> Error {
    refused_with(problem.text(dialect), position(problem.mark()))
}

/// A position of an error in the text; both count from 1.
fn position(mark: Mark) -> Position {
    Position {
        line: mark.line as usize + 1,
        column: mark.column as usize + 1,
    }
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
        let error = loop {
            if documents.len() > MAX_DOCUMENTS {
                break Some(refused(format!(
                    "yaml: more than {MAX_DOCUMENTS} documents"
                )));
            }
            match self.document(documents.is_empty()) {
                Ok(Some(document)) => documents.push(document),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        Stream {
            documents,
            comments: Vec::new(),
            error,
        }
    }

    fn problem(&self, problem: &Problem) -> Error {
        as_error(problem, self.dialect)
    }

    fn peek(&mut self) -> Result<&Token<'a>> {
        let dialect = self.dialect;
        self.lexer
            .peek()
            .map_err(|problem| as_error(&problem, dialect))
    }

    fn peek_kind(&mut self) -> Result<(TokenKind<'a>, Mark)> {
        self.peek().map(|token| (token.kind.clone(), token.start))
    }

    fn next_is(&mut self, kind: &TokenKind<'_>) -> Result<bool> {
        Ok(self.peek()?.kind == *kind)
    }

    fn take(&mut self) -> Result<Token<'a>> {
        let dialect = self.dialect;
        self.lexer
            .take()
            .map_err(|problem| as_error(&problem, dialect))
    }

    /// The next document; nothing at the end of the text.
    fn document(&mut self, first: bool) -> Result<Option<Source>> {
        while (!first || self.dialect >= Dialect::V4Rc6) && self.next_is(&TokenKind::DocumentEnd)? {
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
            line: start.line as usize + 1,
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
