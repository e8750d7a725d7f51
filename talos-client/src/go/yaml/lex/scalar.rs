//! Scalars: plain, quoted and in blocks.

use std::borrow::Cow;

use super::super::scalar::Style;
use super::problem::Problem;
use super::token::{Mark, Token, TokenKind};
use super::{Dialect, Lexer, Scanned, column};

/// Line breaks inside a scalar, which fold: the first becomes a space unless more follow.
#[derive(Default)]
struct Breaks {
    first: Option<&'static str>,
    more: String,
}

impl Breaks {
    fn add(&mut self, text: &'static str) {
        if self.first.is_none() {
            self.first = Some(text);
        } else {
            self.more.push_str(text);
        }
    }

    /// Appends what they fold to.
    fn fold(&mut self, text: &mut String) {
        match self.first.take() {
            Some("\n") if self.more.is_empty() => text.push(' '),
            Some("\n") | None => {}
            Some(first) => text.push_str(first),
        }
        text.push_str(&self.more);
        self.more.clear();
    }
}

impl<'a> Lexer<'a> {
    fn at_document_indicator(&self) -> bool {
        self.cursor.mark().column == 0 && self.document_indicator().is_some()
    }

    pub(super) fn scan_plain_scalar(&mut self) -> Scanned<Token<'a>> {
        let start = self.cursor.mark();
        let from = self.cursor.at();
        let (mut end, mut end_at) = (start, from);
        let indent = self.indent + 1;
        // Borrowed as long as the text stands on one line.
        let mut text = Cow::Borrowed("");
        let mut breaks = Breaks::default();
        let mut on_new_line = false;
        loop {
            if self.at_document_indicator() || self.cursor.byte(0) == b'#' {
                break;
            }
            let word = self.cursor.at();
            while !self.cursor.is_blank_or_end(0) && !self.ends_plain_scalar() {
                self.cursor.skip();
            }
            if self.cursor.at() > word {
                if on_new_line {
                    breaks.fold(text.to_mut());
                    on_new_line = false;
                    text.to_mut().push_str(self.cursor.slice(word));
                } else if let Cow::Owned(text) = &mut text {
                    text.push_str(self.cursor.slice(end_at));
                } else {
                    text = Cow::Borrowed(self.cursor.slice(from));
                }
                (end, end_at) = (self.cursor.mark(), self.cursor.at());
            }
            if !self.cursor.is_blank() && !self.cursor.is_break(0) {
                break;
            }
            while self.cursor.is_blank() || self.cursor.is_break(0) {
                if self.cursor.is_break(0) {
                    breaks.add(self.cursor.skip_line());
                    on_new_line = true;
                    continue;
                }
                if on_new_line
                    && column(self.cursor.mark()) < indent
                    && self.cursor.byte(0) == b'\t'
                {
                    return Err(Problem::scanner(
                        "while scanning a plain scalar",
                        start,
                        "found a tab character that violates indentation",
                        self.cursor.mark(),
                    ));
                }
                self.cursor.skip();
            }
            if self.flow_level == 0 && column(self.cursor.mark()) < indent {
                break;
            }
        }
        if on_new_line {
            self.key_allowed = true;
        }
        Ok(Token {
            kind: TokenKind::Scalar(text, Style::Plain),
            start,
            end,
        })
    }

    fn ends_plain_scalar(&self) -> bool {
        let flow = self.flow_level > 0;
        match self.cursor.byte(0) {
            b':' => {
                self.cursor.is_blank_or_end(1)
                    || (flow
                        && self.dialect >= Dialect::V4Rc6
                        && matches!(self.cursor.byte(1), b',' | b']' | b'}'))
            }
            b',' | b'[' | b']' | b'{' | b'}' => flow,
            b'?' => flow && (self.dialect == Dialect::V3 || self.cursor.is_blank_or_end(1)),
            _ => false,
        }
    }

    pub(super) fn scan_quoted_scalar(&mut self, single: bool) -> Scanned<Token<'a>> {
        const CONTEXT: &str = "while scanning a quoted scalar";
        let quote = if single { b'\'' } else { b'"' };
        let start = self.cursor.mark();
        self.cursor.skip();
        let from = self.cursor.at();
        if let Some(text) = self.simple_quoted(single) {
            self.cursor.skip();
            return Ok(self.quoted_token(Cow::Borrowed(text), single, start));
        }
        let mut text = self.cursor.slice(from).to_owned();
        let mut breaks = Breaks::default();
        loop {
            if self.at_document_indicator() {
                let problem = "found unexpected document indicator";
                return Err(Problem::scanner(
                    CONTEXT,
                    start,
                    problem,
                    self.cursor.mark(),
                ));
            }
            if self.cursor.is_end() {
                let problem = "found unexpected end of stream";
                return Err(Problem::scanner(
                    CONTEXT,
                    start,
                    problem,
                    self.cursor.mark(),
                ));
            }
            let mut on_new_line = false;
            while !self.cursor.is_blank_or_end(0) {
                let byte = self.cursor.byte(0);
                if byte == quote {
                    if !(single && self.cursor.byte(1) == b'\'') {
                        break;
                    }
                    text.push('\'');
                    self.cursor.skip();
                    self.cursor.skip();
                } else if !single && byte == b'\\' && self.cursor.is_break(1) {
                    // An escaped line break joins the lines.
                    self.cursor.skip();
                    self.cursor.skip_line();
                    on_new_line = true;
                    break;
                } else if !single && byte == b'\\' {
                    text.push(self.scan_escape(start)?);
                } else {
                    let at = self.cursor.at();
                    self.cursor.skip();
                    text.push_str(self.cursor.slice(at));
                }
            }
            if self.cursor.byte(0) == quote {
                break;
            }
            self.scan_quoted_blanks(&mut text, &mut breaks, on_new_line);
        }
        self.cursor.skip();
        Ok(self.quoted_token(Cow::Owned(text), single, start))
    }

    /// Blanks between words, or the line breaks they are folded into.
    fn scan_quoted_blanks(&mut self, text: &mut String, breaks: &mut Breaks, escaped: bool) {
        let mut on_new_line = escaped;
        let blanks = self.cursor.at();
        while self.cursor.is_blank() || self.cursor.is_break(0) {
            if self.cursor.is_blank() {
                self.cursor.skip();
                continue;
            }
            let line_break = self.cursor.skip_line();
            if on_new_line {
                breaks.more.push_str(line_break);
            } else {
                breaks.first = Some(line_break);
                on_new_line = true;
            }
        }
        if on_new_line {
            breaks.fold(text);
        } else {
            text.push_str(self.cursor.slice(blanks));
        }
    }

    /// A quoted text on one line without escapes, up to its quote; where it is another one, the cursor stays at the first
    /// character that needs care.
    fn simple_quoted(&mut self, single: bool) -> Option<&'a str> {
        let from = self.cursor.at();
        let (mut safe, quote) = (from, if single { b'\'' } else { b'"' });
        loop {
            let byte = self.cursor.byte(0);
            if byte == quote {
                let doubled = single && self.cursor.byte(1) == b'\'';
                return (!doubled).then(|| self.cursor.slice(from));
            }
            if (!single && byte == b'\\') || self.cursor.is_break_or_end() {
                // Blanks in front of a line break are not part of the text.
                let blanks = self.cursor.between(safe, self.cursor.at()).len();
                if self.cursor.is_break_or_end() {
                    self.cursor.back_over_blanks(blanks);
                }
                return None;
            }
            let blank = self.cursor.is_blank();
            self.cursor.skip();
            if !blank {
                safe = self.cursor.at();
            }
        }
    }

    fn quoted_token(&self, text: Cow<'a, str>, single: bool, start: Mark) -> Token<'a> {
        let style = if single {
            Style::SingleQuoted
        } else {
            Style::DoubleQuoted
        };
        Token {
            kind: TokenKind::Scalar(text, style),
            start,
            end: self.cursor.mark(),
        }
    }

    fn scan_escape(&mut self, start: Mark) -> Scanned<char> {
        let context = if self.dialect >= Dialect::V4Rc4 {
            "while scanning a quoted scalar"
        } else {
            "while parsing a quoted scalar"
        };
        let refused = |problem: &'static str, mark: Mark| {
            Err(Problem::scanner(context, start, problem, mark))
        };
        let digits = match self.cursor.byte(1) {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            byte => {
                let Some(c) = simple_escape(byte) else {
                    return refused("found unknown escape character", self.cursor.mark());
                };
                self.cursor.skip();
                self.cursor.skip();
                return Ok(c);
            }
        };
        self.cursor.skip();
        self.cursor.skip();
        let mut code: u32 = 0;
        for ahead in 0..digits {
            let Some(digit) = char::from(self.cursor.byte(ahead)).to_digit(16) else {
                let problem = if self.dialect == Dialect::V3 {
                    "did not find expected hexdecimal number"
                } else {
                    "did not find expected hexadecimal number"
                };
                return refused(problem, self.cursor.mark());
            };
            code = code.wrapping_shl(4) | digit;
        }
        let Some(c) = char::from_u32(code) else {
            return refused(
                "found invalid Unicode character escape code",
                self.cursor.mark(),
            );
        };
        for _ in 0..digits {
            self.cursor.skip();
        }
        Ok(c)
    }

    pub(super) fn scan_block_scalar(&mut self, literal: bool) -> Scanned<Token<'a>> {
        let start = self.cursor.mark();
        self.cursor.skip();
        let (chomping, increment) = self.scan_block_header(start)?;
        self.skip_blanks();
        if self.cursor.byte(0) == b'#' {
            self.cursor.skip_to_line_end();
        }
        if !self.cursor.is_break_or_end() {
            return Err(self.block_problem("did not find expected comment or line break", start));
        }
        if self.cursor.is_break(0) {
            self.cursor.skip_line();
        }
        let mut indent = increment.map(|increment| increment + self.indent.max(0));
        let mut end = self.cursor.mark();
        let mut text = String::new();
        let (mut breaks, mut line_break) = (String::new(), "");
        self.scan_block_breaks(&mut indent, &mut breaks, start, &mut end)?;
        let mut after_blank = false;
        while column(self.cursor.mark()) == indent.unwrap_or(1) && !self.cursor.is_end() {
            let blank = self.cursor.is_blank();
            if !literal && line_break == "\n" && !after_blank && !blank {
                if breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(line_break);
            }
            text.push_str(&breaks);
            breaks.clear();
            after_blank = blank;
            let line = self.cursor.at();
            self.cursor.skip_to_line_end();
            text.push_str(self.cursor.slice(line));
            line_break = if self.cursor.is_break(0) {
                self.cursor.skip_line()
            } else {
                ""
            };
            self.scan_block_breaks(&mut indent, &mut breaks, start, &mut end)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(line_break);
        }
        if chomping == Chomping::Keep {
            text.push_str(&breaks);
        }
        let style = if literal {
            Style::Literal
        } else {
            Style::Folded
        };
        Ok(Token {
            kind: TokenKind::Scalar(Cow::Owned(text), style),
            start,
            end,
        })
    }

    fn block_problem(&self, problem: &'static str, start: Mark) -> Box<Problem> {
        Problem::scanner(
            "while scanning a block scalar",
            start,
            problem,
            self.cursor.mark(),
        )
    }

    /// `+`, `-` and a digit, in any order.
    fn scan_block_header(&mut self, start: Mark) -> Scanned<(Chomping, Option<isize>)> {
        let mut chomping = self.scan_chomping();
        let mut increment = None;
        if self.cursor.byte(0).is_ascii_digit() {
            if self.cursor.byte(0) == b'0' {
                return Err(self.block_problem("found an indentation indicator equal to 0", start));
            }
            increment = Some(isize::from(
                i8::try_from(self.cursor.byte(0) - b'0').unwrap_or(1),
            ));
            self.cursor.skip();
            if chomping.is_none() {
                chomping = self.scan_chomping();
            }
        }
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    fn scan_chomping(&mut self) -> Option<Chomping> {
        let chomping = match self.cursor.byte(0) {
            b'+' => Chomping::Keep,
            b'-' => Chomping::Strip,
            _ => return None,
        };
        self.cursor.skip();
        Some(chomping)
    }

    /// Skips indentation and empty lines; finds out the indentation where it is not given.
    fn scan_block_breaks(
        &mut self,
        indent: &mut Option<isize>,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Scanned<()> {
        *end = self.cursor.mark();
        let mut deepest = 0;
        loop {
            let inside =
                |lexer: &Self| indent.is_none_or(|indent| column(lexer.cursor.mark()) < indent);
            while inside(self) && self.cursor.byte(0) == b' ' {
                self.cursor.skip();
            }
            deepest = deepest.max(column(self.cursor.mark()));
            // Go's encoder writes blocks that begin with a tab, which its own reader refuses.
            let is_content = self.dialect == Dialect::Newest && deepest > self.indent.max(0);
            if inside(self) && self.cursor.byte(0) == b'\t' && !is_content {
                return Err(self.block_problem(
                    "found a tab character where an indentation space is expected",
                    start,
                ));
            }
            if !self.cursor.is_break(0) {
                break;
            }
            breaks.push_str(self.cursor.skip_line());
            *end = self.cursor.mark();
        }
        if indent.is_none() {
            *indent = Some(deepest.max(self.indent + 1).max(1));
        }
        Ok(())
    }
}

/// What becomes of the line breaks at the end of a block scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

fn simple_escape(byte: u8) -> Option<char> {
    Some(match byte {
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' => '\u{c}',
        b'r' => '\r',
        b'e' => '\u{1b}',
        b' ' => ' ',
        b'"' => '"',
        b'\'' => '\'',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        _ => return None,
    })
}
