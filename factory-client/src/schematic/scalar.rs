//! How one string appears in a schematic: the scalar rules of the factory's YAML encoder, per encoder generation.

use super::encoder::Encoder;
use super::resolve::{self, Resolved};

/// The style of a scalar in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// Writes `text` behind a key or a list dash, with its final line break.
///
/// `column` is where continuation lines of a block start.
pub(super) fn write(out: &mut String, text: &str, column: usize, encoder: Encoder) {
    let traits = Traits::of(text);
    match traits.allowed(wanted_style(text, encoder)) {
        Style::Plain => out.push_str(text),
        Style::Single => write_single(out, text, column),
        Style::Double => write_double(out, text),
        Style::Literal => return write_literal(out, text, column, encoder),
    }
    out.push('\n');
}

/// Writes a mapping key. A key is never a block, so breaks are escaped.
pub(super) fn write_key(out: &mut String, text: &str, encoder: Encoder) {
    let traits = Traits::of(text);
    let style = match wanted_style(text, encoder) {
        _ if traits.has_break => Style::Double,
        wanted => traits.allowed(wanted),
    };
    match style {
        Style::Plain => out.push_str(text),
        Style::Single => write_single(out, text, 0),
        Style::Double | Style::Literal => write_double(out, text),
    }
}

fn wanted_style(text: &str, encoder: Encoder) -> Style {
    if text.contains('\n') {
        let only_blank = text.len() < 2 || text.chars().all(char::is_whitespace);
        return if encoder.quotes_blank_blocks() && only_blank {
            Style::Double
        } else {
            Style::Literal
        };
    }
    if resolve::old_bool(text).is_some() || resolve::is_base60(text) {
        return encoder.precaution();
    }
    match resolve::resolve(text) {
        Resolved::Merge => match encoder {
            Encoder::V3 => Style::Plain,
            _ => encoder.precaution(),
        },
        Resolved::String if encoder == Encoder::V3 && resolve::is_integer_only_in_v3(text) => {
            Style::Double
        }
        Resolved::String => Style::Plain,
        _ => Style::Double,
    }
}

impl Encoder {
    /// The quotes around a string that only other YAML readers would misread.
    fn precaution(self) -> Style {
        match self {
            Self::V4Rc6 => Style::Single,
            _ => Style::Double,
        }
    }

    fn quotes_blank_blocks(self) -> bool {
        self != Self::V3
    }

    fn hints_leading_break(self) -> bool {
        matches!(self, Self::V3 | Self::V4Rc3)
    }
}

/// What the emitter looks for in a text before it picks a style.
#[derive(Debug, Default)]
struct Traits {
    has_indicator: bool,
    has_break: bool,
    has_tab: bool,
    has_special: bool,
    has_outer_blank_or_break: bool,
    ends_with_blank: bool,
    blank_before_break: bool,
    blank_after_break: bool,
}

impl Traits {
    fn of(text: &str) -> Self {
        let mut traits = Self {
            has_indicator: text.starts_with("---") || text.starts_with("..."),
            ..Self::default()
        };
        let mut previous = None;
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let next = characters.peek().copied();
            traits.look_at(previous, c, next);
            previous = Some(c);
        }
        traits
    }

    fn look_at(&mut self, previous: Option<char>, c: char, next: Option<char>) {
        let blank_follows = matches!(next, None | Some(' ' | '\t'));
        self.has_indicator |= match previous {
            None => match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"'
                | '%' | '@' | '`' => true,
                '?' | ':' | '-' => blank_follows,
                _ => false,
            },
            Some(before) => match c {
                ':' => blank_follows,
                '#' => matches!(before, ' ' | '\t' | '\0') || is_break(before),
                _ => false,
            },
        };
        self.has_tab |= c == '\t';
        self.has_special |= c != '\t' && !is_printable(c);
        self.has_break |= is_break(c);
        let outer = previous.is_none() || next.is_none();
        self.has_outer_blank_or_break |= outer && (c == ' ' || is_break(c));
        self.ends_with_blank |= next.is_none() && c == ' ';
        self.blank_before_break |= c == ' ' && next.is_some_and(is_break);
        self.blank_after_break |= c == ' ' && previous.is_some_and(is_break);
    }

    /// `wanted`, or the next style that can hold the text.
    fn allowed(&self, wanted: Style) -> Style {
        let single_quoted = !(self.has_tab
            || self.has_special
            || self.blank_before_break
            || self.blank_after_break);
        let plain = single_quoted
            && !(self.has_indicator || self.has_outer_blank_or_break || self.has_break);
        let literal = !(self.ends_with_blank || self.blank_before_break || self.has_special);
        match wanted {
            Style::Plain if plain => Style::Plain,
            Style::Plain | Style::Single if single_quoted => Style::Single,
            Style::Literal if literal => Style::Literal,
            _ => Style::Double,
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// go-yaml counts no character beyond the basic plane as printable.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != BOM
}

const BOM: char = '\u{feff}';

fn write_single(out: &mut String, text: &str, column: usize) {
    out.push('\'');
    let mut after_break = false;
    for c in text.chars() {
        if is_break(c) {
            after_break = true;
        } else if std::mem::take(&mut after_break) {
            indent(out, column);
        }
        if c == '\'' {
            out.push('\'');
        }
        out.push(c);
    }
    out.push('\'');
}

fn write_double(out: &mut String, text: &str) {
    // go-yaml looks for the byte order mark at the start of the text whichever character it is at, so after one
    // every character counts as special.
    let escape_all = text.starts_with(BOM);
    out.push('"');
    for c in text.chars() {
        if escape_all || c == '"' || c == '\\' || is_break(c) || !is_printable(c) {
            write_escape(out, c);
        } else {
            out.push(c);
        }
    }
    out.push('"');
}

fn write_escape(out: &mut String, c: char) {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return out.push_str(&match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            });
        }
    };
    out.push('\\');
    out.push(short);
}

fn write_literal(out: &mut String, text: &str, column: usize, encoder: Encoder) {
    out.push('|');
    let hint = |c| c == ' ' || (encoder.hints_leading_break() && is_break(c));
    if text.starts_with(hint) {
        // Always the configured indentation, also inside list items where the text stands only two columns in.
        out.push('4');
    }
    let mut from_end = text.chars().rev();
    match (from_end.next(), from_end.next()) {
        (Some(last), _) if !is_break(last) => out.push('-'),
        (Some(_), None) => out.push('+'),
        (Some(_), Some(before)) if is_break(before) => out.push('+'),
        _ => {}
    }
    // v3 leaves the line break after the header to the first line of text, and so swallows a leading one.
    let mut line_is_open = encoder == Encoder::V3;
    if !line_is_open {
        out.push('\n');
    }
    let mut after_break = true;
    for c in text.chars() {
        if is_break(c) {
            after_break = true;
            line_is_open = false;
        } else if std::mem::take(&mut after_break) {
            if line_is_open {
                out.push('\n');
            }
            indent(out, column);
            line_is_open = true;
        }
        out.push(c);
    }
    if line_is_open {
        out.push('\n');
    }
}

pub(super) fn indent(out: &mut String, column: usize) {
    out.extend(std::iter::repeat_n(' ', column));
}

/// Why the canonical form of a string cannot be relied upon without asking the factory.
pub(super) fn uncertainty(text: &str) -> Option<&'static str> {
    if text.contains(['\u{85}', '\u{2028}', '\u{2029}', BOM]) {
        return Some("holds a Unicode line break or a byte order mark");
    }
    if text.contains('\n') {
        return text
            .starts_with(|c: char| c == ' ' || is_break(c))
            .then_some("has several lines and starts with a blank or a line break")
            .or_else(|| {
                (text.chars().all(char::is_whitespace))
                    .then_some("is only white space with a line break")
            });
    }
    if resolve::old_bool(text).is_some() {
        return Some("is a YAML 1.1 boolean");
    }
    if resolve::is_base60(text) {
        return Some("looks like a base 60 number");
    }
    if text == "<<" {
        return Some("is the YAML merge key");
    }
    resolve::is_integer_only_in_v3(text).then_some("is a number only to the oldest encoder")
}
