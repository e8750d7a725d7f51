//! Comments: nodes have none, but error texts that quote the source show those inside of what they quote.

use std::ops::Range;

use super::node::{Kind, Node};
use super::scalar::Style;

/// Where a comment stands, from its `#` to the end of its line; lines count from 1, columns from 0.
#[derive(Debug, Clone)]
pub(crate) struct CommentSpan {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) bytes: Range<usize>,
}

/// A text and its comments, in their order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Comments<'a> {
    text: &'a str,
    spans: &'a [CommentSpan],
}

impl<'a> Comments<'a> {
    pub(crate) fn new(text: &'a str, spans: &'a [CommentSpan]) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text, spans }
    }

    fn at(self, line: usize) -> Option<&'a CommentSpan> {
        let found = self.spans.binary_search_by_key(&line, |span| span.line);
        found.ok().map(|index| &self.spans[index])
    }

    fn text_of(self, span: &CommentSpan) -> &'a str {
        self.text[span.bytes.clone()].trim_end()
    }

    fn stands_alone(self, span: &CommentSpan) -> bool {
        let before = &self.text[..span.bytes.start];
        let line = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        line.trim_start().is_empty()
    }

    /// The comment that has a line for itself.
    fn alone_at(self, line: usize) -> Option<&'a CommentSpan> {
        self.at(line).filter(|span| self.stands_alone(span))
    }

    /// The comments right above what begins on a line at a column, and not deeper than it.
    pub(super) fn above(self, line: usize, column: usize) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut above = line;
        while above > 1 {
            above -= 1;
            let Some(span) = self.alone_at(above).filter(|span| span.column <= column) else {
                break;
            };
            found.push(self.text_of(span));
        }
        found.reverse();
        found
    }

    /// The comment behind a dash whose item begins on a line below.
    pub(super) fn behind_dash(self, line: usize) -> Option<&'a str> {
        let span = self.at(line.checked_sub(1)?)?;
        let before = self.text[..span.bytes.start].rsplit(['\n', '\r']).next()?;
        (before.trim() == "-").then(|| self.text_of(span))
    }

    /// The comment behind a node that stands on one line.
    pub(super) fn behind(self, node: &Node) -> Option<&'a str> {
        let line = node.line();
        let span = self.at(line).filter(|span| !self.stands_alone(span))?;
        (last_line(node)? == line).then(|| self.text_of(span))
    }

    /// The comments below a node that do not belong to what follows at `next`: at its column or deeper, or before an empty line.
    pub(super) fn below(self, node: &Node, column: usize, next: Option<usize>) -> Vec<&'a str> {
        let Some(last) = last_line(node).filter(|last| *last > 0) else {
            return Vec::new();
        };
        let lines = self.text.lines().skip(last).enumerate();
        let mut found = Vec::new();
        for (index, line) in lines {
            let number = last + 1 + index;
            if next.is_some_and(|next| number >= next) {
                // What touches the next entry belongs to it.
                return Vec::new();
            }
            match self.alone_at(number) {
                Some(span) if span.column >= column => found.push(self.text_of(span)),
                None if line.trim().is_empty() && found.is_empty() => {}
                _ => break,
            }
        }
        found
    }
}

/// The last line of a node; nothing where its text goes over several, which it does not tell.
fn last_line(node: &Node) -> Option<usize> {
    match node.kind() {
        Kind::Scalar(scalar) => {
            let one_line = !matches!(scalar.style(), Style::Literal | Style::Folded)
                && !scalar.text().contains('\n');
            one_line.then(|| node.line())
        }
        Kind::Sequence(items) => items
            .iter()
            .try_fold(node.line(), |last, item| Some(last.max(last_line(item)?))),
        Kind::Mapping(mapping) => mapping.entries().try_fold(node.line(), |last, entry| {
            let key = entry.position().map_or(0, |position| position.line);
            Some(last.max(key).max(last_line(entry.value())?))
        }),
    }
}
