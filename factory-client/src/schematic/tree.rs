//! YAML text as a tree that keeps the source text of every scalar.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::resolve::{Resolved, resolve};

/// Nesting beyond this is refused, before recursion becomes a danger.
const MAX_DEPTH: usize = 64;
/// Nodes after the expansion of aliases.
const MAX_NODES: usize = 100_000;

/// A problem with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Whether the text is no YAML at all; the factory words that differently.
    pub(crate) is_syntax: bool,
}

impl Problem {
    pub(crate) fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
            is_syntax: false,
        }
    }

    fn syntax(line: usize, text: impl Into<String>) -> Self {
        Self {
            is_syntax: true,
            ..Self::new(line, text)
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    plain: bool,
    /// The name of an explicit core tag (`str`, `int`, …), or another tag in full.
    tag: Option<String>,
}

impl Scalar {
    /// The value as go-yaml sees it, or the name of the tag that the text does not fit.
    pub(super) fn resolved(&self) -> Result<Resolved, &str> {
        let Some(tag) = self.tag.as_deref() else {
            return Ok(if self.plain {
                resolve(&self.text)
            } else {
                Resolved::String
            });
        };
        let resolved = resolve(&self.text);
        match (tag, resolved) {
            ("int", value @ Resolved::Integer(_))
            | ("float", value @ Resolved::Float(_))
            | ("bool", value @ Resolved::Bool(_))
            | ("null", value @ Resolved::Null)
            | ("timestamp", value @ Resolved::Timestamp(_)) => Ok(value),
            #[expect(clippy::cast_precision_loss, reason = "as Go converts")]
            ("float", Resolved::Integer(value)) => Ok(Resolved::Float(value as f64)),
            ("int" | "float" | "bool" | "null" | "timestamp" | "binary", _) => Err(tag),
            _ => Ok(Resolved::String),
        }
    }
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.resolved() == Ok(Resolved::Null))
    }

    fn is_merge_key(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.resolved() == Ok(Resolved::Merge))
    }

    fn scalar_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The tag and value of this node in an error text, as go-yaml prints them.
    pub(super) fn description(&self) -> String {
        match &self.kind {
            Kind::Sequence(_) => "!!seq".to_owned(),
            Kind::Mapping(_) => "!!map".to_owned(),
            Kind::Scalar(scalar) => {
                let tag = match scalar.resolved() {
                    Ok(Resolved::Null) => "null",
                    Ok(Resolved::Bool(_)) => "bool",
                    Ok(Resolved::Integer(_)) => "int",
                    Ok(Resolved::Float(_)) => "float",
                    Ok(Resolved::Timestamp(_)) => "timestamp",
                    Ok(Resolved::Merge) => "merge",
                    Ok(Resolved::String) => "str",
                    Err(tag) => tag,
                };
                let shown: String = scalar.text.chars().take(10).collect();
                format!("!!{tag} `{shown}`")
            }
        }
    }
}

/// The first document of `text`; `None` when there is none.
pub(super) fn load(text: &str) -> Result<Option<Node>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut loader = Loader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    };
    loop {
        match loader.next_event()?.0 {
            Event::DocumentStart(_) => {
                let first = loader.next_event()?;
                return loader.node(first, 0).map(Some);
            }
            Event::StreamEnd => return Ok(None),
            _ => {}
        }
    }
}

struct Loader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Loader<'a> {
    fn next_event(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Problem::syntax(error.marker().line(), error.info())),
            None => Err(Problem::syntax(0, "unexpected end of the document")),
        }
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Problem> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Problem::syntax(
                line,
                "document contains excessive aliasing",
            ));
        }
        Ok(())
    }

    fn node(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, Problem> {
        let line = span.start.line();
        if depth > MAX_DEPTH {
            return Err(Problem::syntax(line, "exceeded max depth"));
        }
        self.count(1, line)?;
        let (kind, anchor) = match event {
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| Problem::syntax(line, "unknown anchor"))?;
                self.count(size(&node), line)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    tag: tag.as_deref().map(tag_name),
                };
                (Kind::Scalar(scalar), anchor)
            }
            Event::SequenceStart(anchor, _) => (Kind::Sequence(self.sequence(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Kind::Mapping(self.mapping(depth)?), anchor),
            _ => return Err(Problem::syntax(line, "did not find expected node content")),
        };
        let node = Node { line, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next_event()? {
                (Event::SequenceEnd, _) => return Ok(items),
                event => items.push(self.node(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, Problem> {
        let mut entries = Vec::new();
        let mut merges = Vec::new();
        loop {
            let key = match self.next_event()? {
                (Event::MappingEnd, _) => break,
                event => self.node(event, depth + 1)?,
            };
            let event = self.next_event()?;
            let value = self.node(event, depth + 1)?;
            if key.is_merge_key() {
                merges.push(value);
            } else {
                entries.push((key, value));
            }
        }
        for source in merges {
            merge(&mut entries, source)?;
        }
        Ok(entries)
    }
}

/// Adds the entries of a merged mapping (or of a list of them) whose keys are not there yet.
fn merge(entries: &mut Vec<(Node, Node)>, source: Node) -> Result<(), Problem> {
    match source.kind {
        Kind::Mapping(merged) => {
            for (key, value) in merged {
                let text = key.scalar_text();
                if !entries.iter().any(|(key, _)| key.scalar_text() == text) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Kind::Sequence(sources) => sources
            .into_iter()
            .try_for_each(|source| merge(entries, source)),
        Kind::Scalar(_) => Err(Problem::syntax(
            source.line,
            "map merge requires map or sequence of maps as the value",
        )),
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(_) => 1,
        Kind::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Mapping(entries) => {
            let pair = |(key, value): &(Node, Node)| size(key) + size(value);
            1 + entries.iter().map(pair).sum::<usize>()
        }
    }
}

fn tag_name(tag: &Tag) -> String {
    if tag.is_yaml_core_schema() {
        tag.suffix.clone()
    } else {
        format!("{}{}", tag.handle, tag.suffix)
    }
}

impl Problem {
    /// What Go's decoder says about a stream without a document.
    pub(super) fn end_of_file() -> Self {
        Self::syntax(0, "EOF")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.text)
    }
}
