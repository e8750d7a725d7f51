//! What each kind of token does to the state of the lexer.

use super::key::SimpleKey;
use super::problem::{Problem, Stage};
use super::token::TokenKind;
use super::{Lexer, Scanned};

impl<'a> Lexer<'a> {
    pub(super) fn fetch_end(&mut self) -> Scanned<()> {
        self.cursor.force_new_line();
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        self.ended = true;
        let mark = self.cursor.mark();
        self.push(TokenKind::StreamEnd, mark, mark);
        Ok(())
    }

    pub(super) fn fetch_directive(&mut self) -> Scanned<()> {
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let kind = self.scan_directive()?;
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    pub(super) fn fetch_document_indicator(&mut self, kind: TokenKind<'a>) -> Scanned<()> {
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        for _ in 0..3 {
            self.cursor.skip();
        }
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    pub(super) fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Scanned<()> {
        self.save_key()?;
        self.keys.push(SimpleKey::default());
        self.flow_level += 1;
        self.key_allowed = true;
        self.push_indicator(kind);
        Ok(())
    }

    pub(super) fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Scanned<()> {
        self.remove_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.push_indicator(kind);
        Ok(())
    }

    pub(super) fn fetch_flow_entry(&mut self) -> Scanned<()> {
        self.remove_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::FlowEntry);
        Ok(())
    }

    fn ensure_key_allowed(&self, problem: &'static str) -> Scanned<()> {
        if self.flow_level == 0 && !self.key_allowed {
            return Err(Problem::plain(Stage::Scanner, problem, self.cursor.mark()));
        }
        Ok(())
    }

    pub(super) fn fetch_block_entry(&mut self) -> Scanned<()> {
        self.ensure_key_allowed("block sequence entries are not allowed in this context")?;
        let mark = self.cursor.mark();
        self.roll_indent(mark, None, TokenKind::BlockSequenceStart);
        self.remove_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry);
        Ok(())
    }

    pub(super) fn fetch_key(&mut self) -> Scanned<()> {
        self.ensure_key_allowed("mapping keys are not allowed in this context")?;
        let mark = self.cursor.mark();
        self.roll_indent(mark, None, TokenKind::BlockMappingStart);
        self.remove_key()?;
        self.key_allowed = self.flow_level == 0;
        self.push_indicator(TokenKind::Key);
        Ok(())
    }

    pub(super) fn fetch_value(&mut self) -> Scanned<()> {
        let level = self.keys.len().saturating_sub(1);
        if self.is_key_alive(level)? {
            let key = self.keys[level];
            self.insert(key.token, TokenKind::Key, key.mark);
            self.roll_indent(key.mark, Some(key.token), TokenKind::BlockMappingStart);
            self.keys[level].possible = false;
            self.keys[level].required = false;
            self.key_allowed = false;
        } else {
            self.ensure_key_allowed("mapping values are not allowed in this context")?;
            let mark = self.cursor.mark();
            self.roll_indent(mark, None, TokenKind::BlockMappingStart);
            self.key_allowed = self.flow_level == 0;
        }
        self.push_indicator(TokenKind::Value);
        Ok(())
    }

    pub(super) fn fetch_anchor(&mut self, alias: bool) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let name = self.scan_anchor(alias)?;
        let kind = if alias {
            TokenKind::Alias(name)
        } else {
            TokenKind::Anchor(name)
        };
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    pub(super) fn fetch_tag(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let kind = self.scan_tag()?;
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    pub(super) fn fetch_block_scalar(&mut self, literal: bool) -> Scanned<()> {
        self.remove_key()?;
        self.key_allowed = true;
        let token = self.scan_block_scalar(literal)?;
        self.push(token.kind, token.start, token.end);
        Ok(())
    }

    pub(super) fn fetch_quoted_scalar(&mut self, single: bool) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let token = self.scan_quoted_scalar(single)?;
        self.push(token.kind, token.start, token.end);
        Ok(())
    }

    pub(super) fn fetch_plain_scalar(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let token = self.scan_plain_scalar()?;
        self.push(token.kind, token.start, token.end);
        Ok(())
    }
}
