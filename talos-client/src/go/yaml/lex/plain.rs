//! Scalars without quotes.

use std::borrow::Cow;

use super::super::scalar::Style;
use super::fold::Breaks;
use super::problem::Problem;
use super::token::{Token, TokenKind};
use super::{Dialect, Lexer, Scanned, column};

impl<'a> Lexer<'a> {
    pub(super) fn at_document_indicator(&self) -> bool {
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
            loop {
                self.cursor.skip_while(is_inside);
                if self.cursor.is_blank_or_end(0) || self.ends_plain_scalar() {
                    break;
                }
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
}

/// Whether the character belongs to a plain scalar whatever stands around it.
fn is_inside(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b':' | b'?' | b',' | b'[' | b']' | b'{' | b'}')
}
