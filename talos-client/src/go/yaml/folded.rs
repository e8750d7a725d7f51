//! Texts whose line breaks were folded when they were read, written as Go's YAML folds them again. Only quotations keep the style.

use super::scalar::{Scalar, Style};
use super::scan::is_printable;

/// Whether a scalar is written over several lines by folding: a `>` block, or single quotes around several lines.
pub(super) fn is_folded(scalar: &Scalar) -> bool {
    let text = scalar.text.as_str();
    let plain = text.chars().all(|c| c == '\n' || is_printable(c));
    let edge = text.starts_with([' ', '\n']) || text.contains(" \n");
    let several = text.contains('\n');
    let style = scalar.style;
    scalar.tag.is_none()
        && plain
        && !edge
        && !text.is_empty()
        && (style == Style::Folded || style == Style::SingleQuoted && several)
}

/// Writes such a scalar with its lines at a column.
pub(super) fn write_folded(out: &mut String, scalar: &Scalar, column: usize) {
    let pad = " ".repeat(column);
    if scalar.style == Style::SingleQuoted {
        out.push('\'');
        let text = scalar.text.replace('\'', "''");
        write_lines(out, &text, &pad, false);
        out.push('\'');
        return;
    }
    let content = scalar.text.trim_end_matches('\n');
    let breaks = scalar.text.len() - content.len();
    out.push_str(match breaks {
        0 => ">-\n",
        1 => ">\n",
        _ => ">+\n",
    });
    out.push_str(&pad);
    write_lines(out, content, &pad, true);
    out.extend(std::iter::repeat_n('\n', breaks.saturating_sub(1)));
}

/// A break that would be folded away is written twice; in a block not in front of indented lines.
fn write_lines(out: &mut String, text: &str, pad: &str, block: bool) {
    let mut previous = "";
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            let indented = block && (line.starts_with(' ') || previous.starts_with(' '));
            out.push_str(
                if previous.is_empty() || line.is_empty() && block || indented {
                    "\n"
                } else {
                    "\n\n"
                },
            );
            if !line.is_empty() {
                out.push_str(pad);
            }
        }
        out.push_str(line);
        previous = line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, style: Style) -> String {
        let mut out = String::new();
        write_folded(&mut out, &Scalar::new(text, style), 4);
        out
    }

    #[test]
    fn lines_are_kept_apart_by_empty_ones() {
        assert_eq!(written("folded", Style::Folded), ">-\n    folded");
        assert_eq!(written("a\nb\n", Style::Folded), ">\n    a\n\n    b");
        assert_eq!(written("a\nb", Style::SingleQuoted), "'a\n\n    b'");
    }
}
