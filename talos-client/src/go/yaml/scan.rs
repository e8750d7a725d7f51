//! Which texts may stand in a document without quotes.

use super::lookalike::is_yaml_1_1_special;
use super::resolve;
use super::scalar::Style;

/// What a text allows in block context, by the rules of libyaml's emitter, which Go's YAML has too.
pub(super) struct Analysis {
    pub(super) plain: bool,
    pub(super) single_quoted: bool,
    pub(super) literal: bool,
}

/// Finds the styles that `text` can be written in.
pub(super) fn analyze(text: &str) -> Analysis {
    if is_ordinary(text) {
        return Analysis {
            plain: true,
            single_quoted: true,
            literal: true,
        };
    }
    let mut found = Found {
        indicator: text.is_empty() || text.starts_with("---") || text.starts_with("..."),
        ..Found::default()
    };
    let mut previous = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        found.look_at(c, previous, rest.peek().copied());
        previous = Some(c);
    }
    let edge = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
    let single_quoted = !found.special && !found.line_break && !found.tab;
    Analysis {
        plain: single_quoted && !found.indicator && !edge,
        single_quoted,
        literal: !found.special
            && !found.space_break
            && !text.starts_with([' ', '\n', '\t'])
            && !text.ends_with(' '),
    }
}

/// Whether the text is a word that needs no care: most texts are.
fn is_ordinary(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'/' | b'-' | b'_' | b':' | b'=' | b'+' | b'@')
    };
    matches!(bytes, [first, .., last] if (first.is_ascii_alphanumeric() || *first == b'/') && *last != b':')
        && bytes.iter().all(is_part)
}

#[derive(Default)]
struct Found {
    indicator: bool,
    special: bool,
    line_break: bool,
    space_break: bool,
    tab: bool,
}

impl Found {
    fn look_at(&mut self, c: char, previous: Option<char>, next: Option<char>) {
        let before_space = next.is_none_or(|next| matches!(next, ' ' | '\t' | '\n' | '\r'));
        self.indicator |= match c {
            ':' => before_space,
            '#' => previous.is_none_or(|previous| matches!(previous, ' ' | '\t' | '\n')),
            '-' | '?' => previous.is_none() && before_space,
            ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
            | '`' => previous.is_none(),
            _ => false,
        };
        match c {
            '\n' => {
                self.line_break = true;
                self.space_break |= matches!(previous, Some(' ' | '\t'));
            }
            '\t' => self.tab = true,
            c => self.special |= !is_printable(c),
        }
    }
}

/// Whether YAML allows the character unescaped; the line breaks of Unicode count as not, because readers differ on them.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

/// The style in which Go's YAML writes a string: plain only where every reader, YAML 1.1 or 1.2, takes it for this very string.
pub(super) fn string_style(text: &str) -> Style {
    if text.contains('\n') {
        return Style::Literal;
    }
    if !resolve::is_plain_string(text) || is_yaml_1_1_special(text) {
        return Style::DoubleQuoted;
    }
    match analyze(text) {
        Analysis { plain: true, .. } => Style::Plain,
        Analysis {
            single_quoted: true,
            ..
        } => Style::SingleQuoted,
        _ => Style::DoubleQuoted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_readers_disagree_on_are_not_left_plain() {
        for text in [
            "",
            "yes",
            "NO",
            "on",
            "y",
            "n",
            "null",
            "~",
            "1_000",
            "0X1F",
            "0o17",
            "0b1",
            "2001-01-01",
            "2001-1-1",
            "12:30:45",
            "1e3",
            ".5",
            ".inf",
            "0644",
            "010",
            "08",
            "-",
            "? x",
            "a: b",
            "a #b",
            "#a",
            "*a",
            "&a",
            "@a",
            "- a",
            " a",
            "a ",
            "a:",
            "685_230.15",
            "=",
            "<<",
            "---",
            "+1",
            "-.INF",
            "2001-01-01 00:00:00",
            "a\tb",
            "True",
            "%a",
            "!a",
            "\u{85}",
            "0x",
            "1__0",
        ] {
            assert_ne!(string_style(text), Style::Plain, "{text:?}");
        }
    }

    #[test]
    fn ordinary_texts_stay_plain() {
        for text in [
            "controlplane",
            "10.0.2.10/24",
            "https://a:6443",
            "/dev/sda",
            "0*",
            "v1.33.4",
            "a#b",
            "a:b",
            "-a",
            "ghcr.io/x:v1@sha256:00",
            "system.disk && disk.size > 40u * GiB",
            "a, b",
            "é",
            "fd00::1",
        ] {
            assert_eq!(string_style(text), Style::Plain, "{text:?}");
        }
    }
}
