//! From a text to tokens, as Go's YAML cuts it.
//!
//! Which texts are YAML at all depends on the release of the library: `[::1]` is a list of one text since v1.13 and no YAML
//! before. [`Dialect`] names the releases; everything that differs asks it.

mod block;
mod cursor;
mod fetch;
mod fold;
mod key;
mod plain;
mod problem;
mod quoted;
mod tag;
mod token;

use std::collections::VecDeque;

use super::comments::CommentSpan;
use cursor::Cursor;
use key::SimpleKey;
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
    /// The first token is decided: nothing after it changes what it is.
    ready: bool,
    comments: Vec<CommentSpan>,
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
            ready: false,
            comments: Vec::new(),
        }
    }

    /// The comments between tokens so far, in their order.
    pub(super) fn take_comments(&mut self) -> Vec<CommentSpan> {
        std::mem::take(&mut self.comments)
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Scanned<&Token<'a>> {
        self.fetch_enough()?;
        Ok(&self.tokens[0])
    }

    /// The next token.
    pub(super) fn take(&mut self) -> Scanned<Token<'a>> {
        self.fetch_enough()?;
        self.taken += 1;
        self.ready = false;
        Ok(self.tokens.pop_front().unwrap_or_else(|| self.end()))
    }

    /// Comments made the library look two tokens ahead; a key that is not decided yet needs more.
    fn fetch_enough(&mut self) -> Scanned<()> {
        if self.ready {
            return Ok(());
        }
        while !self.ended && (self.tokens.len() <= 2 || self.is_undecided()?) {
            self.fetch()?;
        }
        if self.tokens.is_empty() {
            // Behind the end there is the end again.
            let end = self.end();
            self.tokens.push_back(end);
        }
        self.ready = true;
        Ok(())
    }

    fn end(&self) -> Token<'a> {
        let mark = self.cursor.mark();
        Token {
            kind: TokenKind::StreamEnd,
            start: mark,
            end: mark,
        }
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
            let tabs = self.flow_level > 0 || !self.key_allowed;
            self.cursor
                .skip_while(|byte| byte == b' ' || (tabs && byte == b'\t'));
            if self.cursor.byte(0) == b'#' {
                let (mark, start) = (self.cursor.mark(), self.cursor.at());
                self.cursor.skip_to_line_end();
                self.comments.push(CommentSpan {
                    line: mark.line as usize + 1,
                    column: mark.column as usize,
                    bytes: start..self.cursor.at(),
                });
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
}

fn column(mark: Mark) -> isize {
    isize::try_from(mark.column).unwrap_or(isize::MAX)
}
