//! Keys without `?`: only the `:` behind a text tells that it was one.

use super::problem::Problem;
use super::token::Mark;
use super::{Dialect, Lexer, Scanned, column};

/// How far ahead of its `:` a key may begin, in characters, up to v1.12.
const LONGEST_KEY: u32 = 1024;

/// Where a key without `?` may have begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SimpleKey {
    pub(super) possible: bool,
    /// It stands where only a key can stand.
    pub(super) required: bool,
    /// The number of its first token.
    pub(super) token: usize,
    pub(super) mark: Mark,
}

impl Lexer<'_> {
    /// Whether the first token may turn out to begin a key.
    pub(super) fn is_undecided(&mut self) -> Scanned<bool> {
        if self.dialect >= Dialect::V4Rc4 {
            let first = self.keys.iter().find(|key| key.possible);
            return Ok(first.is_some_and(|key| key.token == self.taken));
        }
        let first = self
            .keys
            .iter()
            .position(|key| key.possible && key.token == self.taken);
        match first {
            Some(level) => self.is_key_alive(level),
            None => Ok(false),
        }
    }

    /// Up to v1.12 a key ends with its line or after 1024 characters; since v1.13 only its line counts.
    pub(super) fn is_key_alive(&mut self, level: usize) -> Scanned<bool> {
        let (key, now) = (self.keys[level], self.cursor.mark());
        if !key.possible {
            return Ok(false);
        }
        if self.dialect >= Dialect::V4Rc4 {
            return Ok(key.mark.line == now.line);
        }
        if key.mark.line < now.line || key.mark.index + LONGEST_KEY < now.index {
            if key.required {
                return Err(self.missing_colon(key));
            }
            self.keys[level].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn missing_colon(&self, key: SimpleKey) -> Box<Problem> {
        Problem::scanner(
            "while scanning a simple key",
            key.mark,
            "could not find expected ':'",
            self.cursor.mark(),
        )
    }

    pub(super) fn save_key(&mut self) -> Scanned<()> {
        if !self.key_allowed {
            return Ok(());
        }
        let mark = self.cursor.mark();
        self.remove_key()?;
        let key = SimpleKey {
            possible: true,
            required: self.flow_level == 0 && self.indent == column(mark),
            token: self.taken + self.tokens.len(),
            mark,
        };
        if let Some(last) = self.keys.last_mut() {
            *last = key;
        }
        Ok(())
    }

    pub(super) fn remove_key(&mut self) -> Scanned<()> {
        let Some(&key) = self.keys.last() else {
            return Ok(());
        };
        if key.required && (key.possible || self.dialect >= Dialect::V4Rc4) {
            return Err(self.missing_colon(key));
        }
        if let Some(last) = self.keys.last_mut() {
            last.possible = false;
        }
        Ok(())
    }
}
