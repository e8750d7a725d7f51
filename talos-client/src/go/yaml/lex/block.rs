//! Scalars in blocks: `|` and `>`.

use std::borrow::Cow;

use super::super::scalar::Style;
use super::problem::Problem;
use super::token::{Mark, Token, TokenKind};
use super::{Dialect, Lexer, Scanned, column};

impl<'a> Lexer<'a> {
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
