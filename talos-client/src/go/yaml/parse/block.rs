//! Lists and mappings in block style.

use super::super::lex::{Problem, Stage, TokenKind};
use super::super::node::Kind;
use super::entries::Entries;
use super::{Place, Reader};
use crate::Result;

impl Reader<'_> {
    pub(super) fn block_sequence(&mut self, depth: usize) -> Result<Kind> {
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
    pub(super) fn indentless_sequence(&mut self, depth: usize) -> Result<Kind> {
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

    pub(super) fn block_mapping(&mut self, depth: usize) -> Result<Kind> {
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
}
