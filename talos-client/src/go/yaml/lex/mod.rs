//! From a text to tokens, as Go's YAML cuts it.
//!
//! Which texts are YAML at all depends on the release of the library: `[::1]` is a list of one text since v1.13 and no YAML
//! before. [`Dialect`] names the releases; everything that differs asks it.

mod cursor;
mod problem;
mod scalar;
mod tag;
mod token;

use std::collections::VecDeque;

use cursor::Cursor;
pub(super) use problem::{Problem, Stage, check_characters};
pub(super) use token::{Mark, Token, TokenKind};

/// The YAML library of a Talos release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dialect {
    /// v1.10 and v1.11: `yaml.v3`.
    V3,
    /// v1.12: `yaml/v4` rc.3.
    V4Rc3,
    /// v1.13: `yaml/v4` rc.4.
    V4Rc4,
    /// v1.14: `yaml/v4` rc.6.
    V4Rc6,
    /// No release in particular: the newest rules, with error texts that name the line of the problem.
    Newest,
}

/// How far ahead of its `:` a key may begin, in characters, up to v1.12.
const LONGEST_KEY: usize = 1024;

/// Where a key without `?` may have begun.
#[derive(Debug, Clone, Copy, Default)]
struct SimpleKey {
    possible: bool,
    /// It stands where only a key can stand.
    required: bool,
    /// The number of its first token.
    token: usize,
    mark: Mark,
}

/// Cuts a text into tokens, one at a time, no further ahead than the library of the reference looks.
pub(super) struct Lexer<'a> {
    dialect: Dialect,
    cursor: Cursor<'a>,
    tokens: VecDeque<Token<'a>>,
    /// How many tokens were taken.
    taken: usize,
    /// The kind of the token that was found last, taken or not.
    last_opens_item: bool,
    /// The column of the block that is open; -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    flow_level: usize,
    key_allowed: bool,
    /// One for each flow level.
    keys: Vec<SimpleKey>,
    ended: bool,
}

type Scanned<T> = Result<T, Box<Problem>>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            dialect,
            cursor: Cursor::new(text),
            tokens: VecDeque::new(),
            taken: 0,
            last_opens_item: false,
            indent: -1,
            indents: Vec::new(),
            flow_level: 0,
            key_allowed: true,
            keys: vec![SimpleKey::default()],
            ended: false,
        }
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Scanned<&Token<'a>> {
        self.fetch_enough()?;
        // Behind the end there is the end again.
        let mark = self.cursor.mark();
        if self.tokens.is_empty() {
            self.push(TokenKind::StreamEnd, mark, mark);
        }
        Ok(&self.tokens[0])
    }

    /// Takes the token that was looked at.
    pub(super) fn take(&mut self) -> Option<Token<'a>> {
        self.taken += 1;
        self.tokens.pop_front()
    }

    /// Comments made the library look two tokens ahead; a key that is not decided yet needs more.
    fn fetch_enough(&mut self) -> Scanned<()> {
        while !self.ended && (self.tokens.len() <= 2 || self.is_undecided()?) {
            self.fetch()?;
        }
        Ok(())
    }

    /// Whether the first token may turn out to begin a key.
    fn is_undecided(&mut self) -> Scanned<bool> {
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
    fn is_key_alive(&mut self, level: usize) -> Scanned<bool> {
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

    fn push(&mut self, kind: TokenKind<'a>, start: Mark, end: Mark) {
        self.last_opens_item = matches!(kind, TokenKind::FlowEntry | TokenKind::FlowSequenceStart);
        self.tokens.push_back(Token { kind, start, end });
    }

    /// A token of one character.
    fn push_indicator(&mut self, kind: TokenKind<'a>) {
        let start = self.cursor.mark();
        self.cursor.skip();
        self.push(kind, start, self.cursor.mark());
    }

    fn fetch(&mut self) -> Scanned<()> {
        self.skip_to_token();
        let mark = self.cursor.mark();
        self.unroll_indent(column(mark));
        if self.cursor.is_end() {
            return self.fetch_end();
        }
        if mark.column == 0 {
            if self.cursor.byte(0) == b'%' {
                return self.fetch_directive();
            }
            if let Some(kind) = self.document_indicator() {
                return self.fetch_document_indicator(kind);
            }
        }
        let followed_by_blank = self.cursor.is_blank_or_end(1);
        let flow = self.flow_level > 0;
        match self.cursor.byte(0) {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if followed_by_blank => self.fetch_block_entry(),
            b'?' if followed_by_blank || (flow && self.dialect == Dialect::V3) => self.fetch_key(),
            b':' if followed_by_blank || (flow && !self.colon_may_begin_text()) => {
                self.fetch_value()
            }
            b'*' => self.fetch_anchor(true),
            b'&' => self.fetch_anchor(false),
            b'!' => self.fetch_tag(),
            b'|' if !flow => self.fetch_block_scalar(true),
            b'>' if !flow => self.fetch_block_scalar(false),
            b'\'' => self.fetch_quoted_scalar(true),
            b'"' => self.fetch_quoted_scalar(false),
            _ if self.begins_plain_scalar() => self.fetch_plain_scalar(),
            _ => Err(Problem::scanner(
                "while scanning for the next token",
                mark,
                "found character that cannot start any token",
                mark,
            )),
        }
    }

    /// Since v1.13 a `:` at the beginning of an item belongs to the item.
    fn colon_may_begin_text(&self) -> bool {
        self.dialect >= Dialect::V4Rc4 && self.last_opens_item
    }

    fn begins_plain_scalar(&self) -> bool {
        match self.cursor.byte(0) {
            b'-' => !matches!(self.cursor.byte(1), b' ' | b'\t'),
            b'?' | b':' => {
                !self.cursor.is_blank_or_end(1)
                    && (self.flow_level == 0 || self.dialect > Dialect::V3)
            }
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
            | b'"' | b'%' | b'@' | b'`' => false,
            _ => !self.cursor.is_blank_or_end(0),
        }
    }

    /// Skips spaces, comments and line breaks; tabs only where they cannot be indentation.
    fn skip_to_token(&mut self) {
        loop {
            if self.cursor.mark().column == 0 && self.cursor.starts_with("\u{feff}") {
                self.cursor.skip();
            }
            while self.cursor.byte(0) == b' '
                || (self.cursor.byte(0) == b'\t' && (self.flow_level > 0 || !self.key_allowed))
            {
                self.cursor.skip();
            }
            if self.cursor.byte(0) == b'#' {
                self.cursor.skip_to_line_end();
            }
            if !self.cursor.is_break(0) {
                return;
            }
            self.cursor.skip_line();
            if self.flow_level == 0 {
                self.key_allowed = true;
            }
        }
    }

    fn document_indicator(&self) -> Option<TokenKind<'a>> {
        if !self.cursor.is_blank_or_end(3) {
            return None;
        }
        if self.cursor.starts_with("---") {
            return Some(TokenKind::DocumentStart);
        }
        self.cursor
            .starts_with("...")
            .then_some(TokenKind::DocumentEnd)
    }

    /// Ends all blocks that are indented deeper than a column.
    fn unroll_indent(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        let mark = self.cursor.mark();
        while self.indent > column {
            self.push(TokenKind::BlockEnd, mark, mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    /// Begins a block at a column, in front of the token with a number or at the end.
    fn roll_indent(&mut self, mark: Mark, number: Option<usize>, kind: TokenKind<'a>) {
        if self.flow_level > 0 || self.indent >= column(mark) {
            return;
        }
        self.indents.push(self.indent);
        self.indent = column(mark);
        match number {
            None => self.push(kind, mark, mark),
            Some(number) => self.insert(number, kind, mark),
        }
    }

    fn insert(&mut self, number: usize, kind: TokenKind<'a>, mark: Mark) {
        let at = number.saturating_sub(self.taken).min(self.tokens.len());
        self.tokens.insert(
            at,
            Token {
                kind,
                start: mark,
                end: mark,
            },
        );
    }

    fn save_key(&mut self) -> Scanned<()> {
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

    fn remove_key(&mut self) -> Scanned<()> {
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

    fn fetch_end(&mut self) -> Scanned<()> {
        self.cursor.force_new_line();
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        self.ended = true;
        let mark = self.cursor.mark();
        self.push(TokenKind::StreamEnd, mark, mark);
        Ok(())
    }

    fn fetch_directive(&mut self) -> Scanned<()> {
        self.unroll_indent(-1);
        self.remove_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let kind = self.scan_directive()?;
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    fn fetch_document_indicator(&mut self, kind: TokenKind<'a>) -> Scanned<()> {
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

    fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Scanned<()> {
        self.save_key()?;
        self.keys.push(SimpleKey::default());
        self.flow_level += 1;
        self.key_allowed = true;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Scanned<()> {
        self.remove_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            self.keys.pop();
        }
        self.key_allowed = false;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Scanned<()> {
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

    fn fetch_block_entry(&mut self) -> Scanned<()> {
        self.ensure_key_allowed("block sequence entries are not allowed in this context")?;
        let mark = self.cursor.mark();
        self.roll_indent(mark, None, TokenKind::BlockSequenceStart);
        self.remove_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Scanned<()> {
        self.ensure_key_allowed("mapping keys are not allowed in this context")?;
        let mark = self.cursor.mark();
        self.roll_indent(mark, None, TokenKind::BlockMappingStart);
        self.remove_key()?;
        self.key_allowed = self.flow_level == 0;
        self.push_indicator(TokenKind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Scanned<()> {
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

    fn fetch_anchor(&mut self, alias: bool) -> Scanned<()> {
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

    fn fetch_tag(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let kind = self.scan_tag()?;
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    fn fetch_block_scalar(&mut self, literal: bool) -> Scanned<()> {
        self.remove_key()?;
        self.key_allowed = true;
        let token = self.scan_block_scalar(literal)?;
        self.push(token.kind, token.start, token.end);
        Ok(())
    }

    fn fetch_quoted_scalar(&mut self, single: bool) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let token = self.scan_quoted_scalar(single)?;
        self.push(token.kind, token.start, token.end);
        Ok(())
    }

    fn fetch_plain_scalar(&mut self) -> Scanned<()> {
        self.save_key()?;
        self.key_allowed = false;
        let token = self.scan_plain_scalar()?;
        self.push(token.kind, token.start, token.end);
        Ok(())
    }
}

fn column(mark: Mark) -> isize {
    isize::try_from(mark.column).unwrap_or(isize::MAX)
}
