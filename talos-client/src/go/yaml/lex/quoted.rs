//! Scalars in quotes.

use std::borrow::Cow;

use super::super::scalar::Style;
use super::fold::Breaks;
use super::problem::Problem;
use super::token::{Mark, Token, TokenKind};
use super::{Dialect, Lexer, Scanned};

impl<'a> Lexer<'a> {
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
            let word = self.cursor.at();
            self.cursor
                .skip_while(|byte| byte.is_ascii_graphic() && byte != quote && byte != b'\\');
            if self.cursor.at() > word {
                safe = self.cursor.at();
            }
            let byte = self.cursor.byte(0);
            if byte == quote {
                let doubled = single && self.cursor.byte(1) == b'\'';
                return (!doubled).then(|| self.cursor.slice(from));
            }
            if (!single && byte == b'\\') || self.cursor.is_break_or_end() {
                // Blanks in front of a line break are not part of the text.
                let blanks = self.cursor.at() - safe;
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
