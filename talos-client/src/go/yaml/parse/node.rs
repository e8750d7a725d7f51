//! One node: its properties, its content, or the alias that stands for it.

use super::super::lex::{Mark, Problem, Stage, TokenKind};
use super::super::node::{Kind, Node, Spot};
use super::super::problem::{refused, refused_at};
use super::super::scalar::{Scalar, Style, short_tag};
use super::{Anchor, MAX_BYTES, MAX_DEPTH, MAX_NODES, Place, Reader, position};
use crate::Result;

/// What stands in front of a node.
#[derive(Default)]
struct Properties<'a> {
    start: Mark,
    anchor: Option<&'a str>,
    tag: Option<Box<str>>,
}

impl<'a> Reader<'a> {
    pub(super) fn count(&mut self, nodes: usize, bytes: usize) -> Result<()> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > 4 * MAX_BYTES {
            return Err(refused("yaml: document contains excessive aliasing"));
        }
        Ok(())
    }

    /// A scalar that is not written.
    pub(super) fn empty(&mut self, mark: Mark) -> Result<Node> {
        self.count(1, 0)?;
        Ok(node_at(
            Kind::Scalar(Scalar::new("", Style::Plain)),
            mark,
            false,
        ))
    }

    pub(super) fn node(&mut self, place: Place, depth: usize) -> Result<Node> {
        let token = self.peek()?;
        let start = token.start;
        let alias = match token.kind {
            TokenKind::Alias(name) => Some(name),
            _ => None,
        };
        if depth > MAX_DEPTH {
            return Err(refused_at(position(start), "exceeded max depth"));
        }
        if let Some(name) = alias {
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
        debug_assert_eq!(node.position(), Some(position(start)));
        Ok(node)
    }

    /// An anchor and a tag, in any order.
    fn properties(&mut self, start: Mark) -> Result<Properties<'a>> {
        let mut properties = Properties {
            start,
            ..Properties::default()
        };
        for _ in 0..2 {
            // Most nodes have neither.
            if !matches!(
                self.peek()?.kind,
                TokenKind::Anchor(_) | TokenKind::Tag { .. }
            ) {
                break;
            }
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

    pub(super) fn node_or_empty(
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
}

pub(super) fn node_at(kind: Kind, mark: Mark, flow: bool) -> Node {
    Node {
        kind,
        spot: Spot::new(mark.line + 1, mark.column + 1),
        flow,
        anchor: None,
    }
}
