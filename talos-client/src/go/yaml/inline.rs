//! Writing scalars, and lists and mappings in brackets.

use super::node::{Kind, Node};
use super::scalar::{Scalar, Style};
use super::scan::{analyze, is_printable};

/// Whether the source has nothing in its place.
pub(super) fn is_unwritten(scalar: &Scalar) -> bool {
    scalar.style == Style::Plain && scalar.text.is_empty() && scalar.tag.is_none()
}

/// Writes a scalar; a block is only possible where `block` gives the column of its lines.
pub(super) fn write_scalar(out: &mut String, scalar: &Scalar, block: Option<usize>) {
    let text = scalar.text.as_str();
    let plain_null = scalar.style == Style::Plain && text.is_empty();
    match scalar.tag.as_deref() {
        // A string whatever it looks like: quotes say the same.
        Some("!!str" | "!") => return write_quoted(out, text),
        Some(tag) => {
            // A tag without an exclamation mark was written in full, between angle brackets.
            if tag.starts_with('!') {
                out.push_str(tag);
            } else {
                out.push_str("!<");
                out.push_str(tag);
                out.push('>');
            }
            out.push(' ');
        }
        None if plain_null => return out.push_str("null"),
        None => {}
    }
    if plain_null {
        return;
    }
    match scalar.style {
        Style::Plain if analyze(text).plain => out.push_str(text),
        Style::SingleQuoted if analyze(text).single_quoted => write_single_quoted(out, text),
        Style::Literal | Style::Folded if text.contains('\n') && analyze(text).literal => {
            match block {
                Some(column) => write_literal(out, text, column),
                None => write_double_quoted(out, text),
            }
        }
        _ => write_quoted(out, text),
    }
}

/// Quotes that cannot be misread; double ones, unless nothing in the text needs an escape but they would.
fn write_quoted(out: &mut String, text: &str) {
    if text.contains(['"', '\\']) && analyze(text).single_quoted {
        write_single_quoted(out, text);
    } else {
        write_double_quoted(out, text);
    }
}

fn write_single_quoted(out: &mut String, text: &str) {
    out.push('\'');
    for c in text.chars() {
        if c == '\'' {
            out.push('\'');
        }
        out.push(c);
    }
    out.push('\'');
}

fn write_double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                let escape = match code {
                    0..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                out.push_str(&escape);
            }
        }
    }
    out.push('"');
}

/// A `|` block without its last line break, which the caller writes.
fn write_literal(out: &mut String, text: &str, column: usize) {
    let content = text.trim_end_matches('\n');
    let final_breaks = text.len() - content.len();
    out.push_str(match final_breaks {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in content.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', column));
            out.push_str(line);
        }
    }
    out.extend(std::iter::repeat_n('\n', final_breaks.saturating_sub(1)));
}

/// Writes a node with brackets.
pub(super) fn write_flow(out: &mut String, node: &Node) {
    match &node.kind {
        Kind::Scalar(scalar) => write_scalar(out, scalar, None),
        Kind::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_flow(out, item);
            }
            out.push(']');
        }
        Kind::Mapping(mapping) => {
            out.push('{');
            for (index, entry) in mapping.entries().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_scalar(out, &entry.key, None);
                out.push_str(": ");
                write_flow(out, &entry.value);
            }
            out.push('}');
        }
    }
}
