//! Writing: the block style of Go's YAML with four spaces.

use secrecy::SecretString;

use super::comments::Comments;
use super::folded::{is_folded, write_folded};
use super::inline::{is_unwritten, write_flow, write_scalar};
use super::mapping::Mapping;
use super::node::{Kind, Node, Position};
use super::scalar::Scalar;

const INDENT: usize = 4;
/// Longer keys must be written with `?`, or readers stop looking for the colon.
const MAX_SIMPLE_KEY: usize = 128;

impl Node {
    /// The document as YAML, with a final line break; scalars as they were written.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut writer = Writer::default();
        writer.document(self);
        writer.out
    }
}

/// Several documents as one text, divided by `---` lines.
#[must_use]
pub fn documents_to_yaml<'a>(documents: impl IntoIterator<Item = &'a Node>) -> SecretString {
    let mut writer = Writer::default();
    for (index, document) in documents.into_iter().enumerate() {
        if index > 0 {
            writer.out.push_str("---\n");
        }
        writer.document(document);
    }
    writer.out.into()
}

/// A node with brackets where the source had them.
pub(crate) fn as_written(node: &Node) -> String {
    let mut writer = Writer {
        keep_flow: true,
        ..Writer::default()
    };
    writer.document(node);
    writer.out
}

/// A node as error texts quote it: with brackets, folded lines and comments where the source had them.
pub(crate) fn quotation(node: &Node, comments: Comments<'_>) -> String {
    let mut writer = Writer {
        keep_flow: true,
        keep_folds: true,
        comments,
        ..Writer::default()
    };
    writer.document(node);
    writer.out
}

#[derive(Default)]
struct Writer<'c> {
    out: String,
    keep_flow: bool,
    keep_folds: bool,
    comments: Comments<'c>,
}

impl Writer<'_> {
    fn document(&mut self, node: &Node) {
        match &node.kind {
            Kind::Mapping(mapping) if self.is_block(node) => self.mapping(mapping, 0, false),
            Kind::Sequence(items) if self.is_block(node) => self.sequence(items, 0, false),
            _ => {
                self.inline(node, INDENT);
                self.out.push('\n');
            }
        }
    }

    /// The name that the source gives a node, where the text quotes the source.
    fn anchor(&mut self, node: &Node) {
        if let Some(anchor) = node.anchor.as_ref().filter(|_| self.keep_flow) {
            self.out.push_str(" &");
            self.out.push_str(anchor);
        }
    }

    /// Whether a list or mapping goes over several lines.
    fn is_block(&self, node: &Node) -> bool {
        let empty = match &node.kind {
            Kind::Mapping(mapping) => mapping.is_empty(),
            Kind::Sequence(items) => items.is_empty(),
            Kind::Scalar(_) => true,
        };
        !(empty || self.keep_flow && node.flow)
    }

    /// Where what stands below `column` begins: at the next multiple of the indent.
    const fn below(column: usize) -> usize {
        (column + INDENT) / INDENT * INDENT
    }

    fn pad(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(' ', column));
    }

    /// Writes the entries at `column`; `started` when the first one continues a line.
    fn mapping(&mut self, mapping: &Mapping, column: usize, started: bool) {
        let mut entries = mapping.entries().enumerate().peekable();
        while let Some((index, entry)) = entries.next() {
            if index > 0 || !started {
                self.comments_above(entry.position(), column);
                self.pad(column);
            } else if let Some(comment) = self.comments.behind_dash(entry.spot.line()) {
                self.out.push_str(comment);
                self.out.push('\n');
                self.pad(column);
            }
            self.key(&entry.key, column);
            self.out.push(':');
            self.value(&entry.value, column);
            let next = entries.peek().map(|(_, next)| next.spot.line());
            self.comments_below(entry.position(), &entry.value, next, column);
        }
    }

    /// The comments right above an entry or item; none for what the source does not have.
    fn comments_above(&mut self, start: Option<Position>, column: usize) {
        let Some(start) = start else {
            return;
        };
        for comment in self.comments.above(start.line, start.column - 1) {
            self.pad(column);
            self.out.push_str(comment);
            self.out.push('\n');
        }
    }

    /// The comments below an entry or item; an empty line keeps them from what follows.
    fn comments_below(
        &mut self,
        start: Option<Position>,
        value: &Node,
        next: Option<usize>,
        column: usize,
    ) {
        let Some(start) = start else {
            return;
        };
        let found = self.comments.below(value, start.column - 1, next);
        for comment in &found {
            self.pad(column);
            self.out.push_str(comment);
            self.out.push('\n');
        }
        if !found.is_empty() && next.is_some() {
            self.out.push('\n');
        }
    }

    /// The comment behind a scalar or what stands in brackets.
    fn comment_behind(&mut self, node: &Node) {
        if let Some(comment) = self.comments.behind(node) {
            self.out.push(' ');
            self.out.push_str(comment);
        }
    }

    fn sequence(&mut self, items: &[Node], column: usize, started: bool) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 || !started {
                self.comments_above(dash_of(item), column);
                self.pad(column);
            }
            self.out.push('-');
            match &item.kind {
                Kind::Mapping(mapping) if self.is_block(item) => {
                    self.out.push(' ');
                    self.mapping(mapping, column + 2, true);
                }
                Kind::Sequence(items) if self.is_block(item) => {
                    self.out.push(' ');
                    self.sequence(items, column + 2, true);
                }
                _ => {
                    self.out.push(' ');
                    self.inline(item, column + 2);
                    self.comment_behind(item);
                    self.out.push('\n');
                }
            }
            let next = items.get(index + 1).map(Node::line);
            self.comments_below(dash_of(item), item, next, column);
        }
    }

    /// What follows a colon or a dash, to the end of its last line.
    fn value(&mut self, node: &Node, column: usize) {
        self.anchor(node);
        match &node.kind {
            Kind::Mapping(mapping) if self.is_block(node) => {
                self.out.push('\n');
                self.mapping(mapping, Self::below(column), false);
            }
            Kind::Sequence(items) if self.is_block(node) => {
                self.out.push('\n');
                self.sequence(items, Self::below(column), false);
            }
            // What the source does not write stays unwritten in a quotation.
            Kind::Scalar(scalar) if self.keep_flow && is_unwritten(scalar) => self.out.push('\n'),
            _ => {
                self.out.push(' ');
                self.inline(node, Self::below(column));
                self.comment_behind(node);
                self.out.push('\n');
            }
        }
    }

    fn inline(&mut self, node: &Node, column: usize) {
        match &node.kind {
            Kind::Scalar(scalar) if self.keep_folds && is_folded(scalar) => {
                write_folded(&mut self.out, scalar, column);
            }
            Kind::Scalar(scalar) => write_scalar(&mut self.out, scalar, Some(column)),
            _ => write_flow(&mut self.out, node),
        }
    }

    fn key(&mut self, key: &Scalar, column: usize) {
        let simple = key.text.len() <= MAX_SIMPLE_KEY;
        if !simple {
            self.out.push_str("? ");
        }
        write_scalar(&mut self.out, key, None);
        if !simple {
            self.out.push('\n');
            self.pad(column);
        }
    }
}

/// Where the dash of an item stands, one space in front of it.
fn dash_of(item: &Node) -> Option<Position> {
    item.position().map(|position| Position {
        column: position.column.saturating_sub(2).max(1),
        ..position
    })
}

#[cfg(test)]
mod tests {
    use super::super::{first_difference, parse_documents};
    use super::*;

    #[test]
    fn go_layout_is_used() {
        let node = Node::mapping([
            ("a", Node::strings(["x", "true", ""])),
            (
                "b",
                Node::sequence([Node::mapping([
                    ("c", Node::int(1)),
                    ("d", Node::sequence([])),
                ])]),
            ),
            ("e", Node::string("one\ntwo\n")),
        ]);

        assert_eq!(
            node.to_yaml(),
            "a:\n    - x\n    - \"true\"\n    - \"\"\nb:\n    - c: 1\n      d: []\ne: |\n    one\n    two\n"
        );
    }

    #[test]
    fn scalars_come_out_as_they_went_in() {
        let text = "a: 1.10\nb: yes\nc: 0644\nd: \"yes\"\ne: 'x'\nf: 1_000\ng: 2020-01-01\nh: !!int \"3\"\ni: ~\nj: 0x1F\n";

        assert_eq!(parse_documents(text).unwrap()[0].to_yaml(), text);
    }

    #[test]
    fn every_text_survives_writing_and_reading() {
        let long = "k".repeat(300);
        for text in [
            "",
            "\n",
            "\n\n",
            "a\n\n",
            "\n  indented\n",
            "a\n  b\n",
            " a\nb",
            "a\t\nb",
            "tab\there",
            "\u{7}bell",
            "\u{85}",
            "é\n漢\n",
            "# no comment\n",
            "a \nb\n",
            "--- a",
            "trailing\n\n\n",
            "\r\n",
            "\"quoted\" 'both' \\",
            "\u{feff}bom",
            "a: |\n  x\n",
            "\u{2028}",
            "a\n---\nb\n",
            "a\n...\n",
            long.as_str(),
            "- a\n- b",
            "\u{1F600}",
        ] {
            let node = Node::mapping([(
                text,
                Node::sequence([
                    Node::string(text),
                    Node::mapping([("k", Node::string(text))]),
                ]),
            )]);
            let written = node.to_yaml();
            let read = parse_documents(&written)
                .unwrap_or_else(|error| panic!("{text:?}: {error}\n{written}"));

            assert_eq!(
                first_difference(&node, &read[0]),
                None,
                "{text:?}:\n{written}"
            );
        }
    }
}
