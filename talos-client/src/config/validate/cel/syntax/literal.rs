//! Lists, maps and messages.

use super::super::Fault;
use super::super::lexer::Kind;
use super::expected::{START, START_OF_LIST, START_OF_MAP};
use super::{Expr, Item, MessageField, Node, Parser};

impl Parser<'_> {
    /// Whether a literal goes on with another item: after its opening bracket or a comma.
    fn has_item(&self, close: &str) -> bool {
        !matches!(self.token(0).kind, Kind::Symbol(symbol) if symbol == close)
            && self.token(0).kind != Kind::End
    }

    pub(super) fn list(&mut self) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        let mut starters = START_OF_LIST;
        let mut after_comma = true;
        if self.take(",").is_none() && self.symbol() != Some("]") {
            loop {
                let optional = self.optional_mark(self.token(0).at, "?");
                let value = self.expression_after(starters)?;
                items.push(Item { value, optional });
                starters = START;
                after_comma = self.take(",").is_some();
                if !after_comma || !self.has_item("]") {
                    break;
                }
            }
        }
        self.close_items("]", after_comma)?;
        Ok(items)
    }

    pub(super) fn map(&mut self, at: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        let mut starters = START_OF_MAP;
        let mut after_comma = true;
        if self.take(",").is_none() && self.symbol() != Some("}") {
            loop {
                let optional = self.optional_mark(self.token(0).at, "?");
                let key = self.expression_after(starters)?;
                starters = START;
                self.close(":")?;
                let value = self.expression()?;
                entries.push((key, Item { value, optional }));
                after_comma = self.take(",").is_some();
                if !after_comma || !self.has_item("}") {
                    break;
                }
            }
        }
        self.close_items("}", after_comma)?;
        self.build(at, Node::Map(entries))
    }

    pub(super) fn message(&mut self, message: String) -> Result<Expr, Fault> {
        let at = self.token(0).at;
        let mut fields = Vec::new();
        self.advance();
        let mut after_comma = true;
        if self.take(",").is_none() && self.symbol() != Some("}") {
            loop {
                self.optional_mark(self.token(0).at, "?");
                let name = self.token(0).clone();
                if name.kind != Kind::Identifier {
                    let expected = "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}";
                    self.take_behind("}", expected)?;
                    return self.build(at, Node::Message(message, fields));
                }
                self.advance();
                let at = self.token(0).at;
                self.close(":")?;
                fields.push(MessageField {
                    at,
                    name: name.text.trim_matches('`').to_owned(),
                    value: self.expression()?,
                });
                after_comma = self.take(",").is_some();
                if !after_comma || !self.has_item("}") {
                    break;
                }
            }
        }
        self.close_items("}", after_comma)?;
        self.build(at, Node::Message(message, fields))
    }
}
