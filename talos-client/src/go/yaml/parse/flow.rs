//! Lists and mappings in flow style: with brackets.

use super::super::lex::{Mark, Problem, Stage, TokenKind};
use super::super::node::{Kind, Node};
use super::entries::Entries;
use super::node::node_at;
use super::{Place, Reader};
use crate::Result;

impl Reader<'_> {
    pub(super) fn flow_sequence(&mut self, depth: usize) -> Result<Kind> {
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

    pub(super) fn flow_mapping(&mut self, depth: usize) -> Result<Kind> {
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
