//! `overlay.options`: free-form values that the factory decodes and encodes again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::encoder::Encoder;
use super::scalar::{self, indent};

/// A value below `overlay.options`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OptionValue {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer; always written in decimal. The factory holds `i64` and `u64`.
    Integer(i128),
    /// A floating point number; written in Go's shortest form, so `1.0` becomes `1`.
    Float(f64),
    /// Text.
    String(String),
    /// An unquoted timestamp, in RFC 3339.
    Timestamp(String),
    /// A list.
    List(Vec<Self>),
    /// A map; written in natural order of its keys.
    Map(BTreeMap<String, Self>),
}

impl OptionValue {
    /// Whether every encoder generation is known to write this value with the same bytes.
    fn is_plain(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Integer(_) => true,
            Self::String(text) => scalar::uncertainty(text).is_none(),
            _ => false,
        }
    }
}

impl From<&str> for OptionValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for OptionValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for OptionValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for OptionValue {
    fn from(value: i64) -> Self {
        Self::Integer(value.into())
    }
}

/// Why the encoding of these options depends on the encoder generation.
pub(super) fn uncertainty(options: &BTreeMap<String, OptionValue>) -> Option<&'static str> {
    let plain_key = |key: &str| {
        !key.is_empty()
            && key.is_ascii()
            && !key.contains(|c: char| c.is_ascii_control())
            && scalar::uncertainty(key).is_none()
    };
    if options.keys().any(|key| !plain_key(key)) {
        return Some("has a key that is not simple ASCII text");
    }
    (!options.values().all(OptionValue::is_plain))
        .then_some("has a value other than a simple string, boolean or integer")
}

/// Writes the entries of a map, each line starting at `column`.
pub(super) fn write_map(
    out: &mut String,
    map: &BTreeMap<String, OptionValue>,
    column: usize,
    encoder: Encoder,
) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by(|(a, _), (b, _)| natural_order(a, b));
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            indent(out, column);
        }
        scalar::write_key(out, key, encoder);
        out.push(':');
        let inner = next_level(column);
        match value {
            OptionValue::Map(map) if !map.is_empty() => {
                out.push('\n');
                indent(out, inner);
                write_map(out, map, inner, encoder);
            }
            OptionValue::List(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, inner);
                write_list(out, items, inner, encoder);
            }
            value => {
                out.push(' ');
                write_leaf(out, value, inner, encoder);
            }
        }
    }
}

fn write_list(out: &mut String, items: &[OptionValue], column: usize, encoder: Encoder) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            indent(out, column);
        }
        out.push_str("- ");
        let inner = column + 2;
        match item {
            OptionValue::Map(map) if !map.is_empty() => write_map(out, map, inner, encoder),
            OptionValue::List(items) if !items.is_empty() => write_list(out, items, inner, encoder),
            item => write_leaf(out, item, inner, encoder),
        }
    }
}

/// Levels stand on multiples of four, counted from whatever column a list item left them at.
fn next_level(column: usize) -> usize {
    (column + 4) / 4 * 4
}

fn write_leaf(out: &mut String, value: &OptionValue, column: usize, encoder: Encoder) {
    match value {
        OptionValue::String(text) => return scalar::write(out, text, column, encoder),
        OptionValue::Null => out.push_str("null"),
        OptionValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        OptionValue::Integer(value) => {
            let _ = write!(out, "{value}");
        }
        OptionValue::Float(value) => out.push_str(&go_float(*value)),
        OptionValue::Timestamp(text) => out.push_str(text),
        OptionValue::List(_) => out.push_str("[]"),
        OptionValue::Map(_) => out.push_str("{}"),
    }
    out.push('\n');
}

/// Go's `FormatFloat(value, 'g', -1, 64)`, with YAML's names for what is not a number.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-.inf" } else { ".inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..6).contains(&exponent) => format!("{value}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        Err(_) => scientific,
    }
}

/// The key order of go-yaml: letters by code point, runs of digits by value, and what is neither before letters.
fn natural_order(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if natural_less(&a, &b) {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

fn natural_less(a: &[char], b: &[char]) -> bool {
    let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (Some(&left), Some(&right)) = (a.get(shared), b.get(shared)) else {
        return a.len() < b.len();
    };
    let after_digit = shared > 0 && a[shared - 1].is_numeric();
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left < right,
        (true, false) => return after_digit,
        (false, true) => return !after_digit,
        (false, false) => {}
    }
    // A zero behind other digits of the same number counts as a digit of it.
    let inside_number = (left == '0' || right == '0')
        && a[..shared]
            .iter()
            .rev()
            .take_while(|c| c.is_numeric())
            .any(|&c| c != '0');
    let (left_number, left_length) = number_from(a, shared, inside_number);
    let (right_number, right_length) = number_from(b, shared, inside_number);
    if left_number != right_number {
        return left_number < right_number;
    }
    if left_length != right_length {
        return left_length < right_length;
    }
    left < right
}

fn number_from(text: &[char], start: usize, inside_number: bool) -> (i64, usize) {
    let digits = text[start..].iter().map_while(|c| c.to_digit(10));
    digits.fold((i64::from(inside_number), 0), |(number, length), digit| {
        (
            number.wrapping_mul(10).wrapping_add(digit.into()),
            length + 1,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_the_way_go_does() {
        for (value, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (1e6, "1e+06"),
            (999_999.0, "999999"),
            (12_345_678.9, "1.23456789e+07"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-.inf"),
        ] {
            assert_eq!(go_float(value), text);
        }
    }

    #[test]
    fn keys_sort_naturally() {
        let mut keys = ["x10", "x9", "b", "a1", "a", "1", "a-b", "x09"];
        keys.sort_by(|a, b| natural_order(a, b));

        assert_eq!(keys, ["1", "a", "a-b", "a1", "b", "x9", "x09", "x10"]);
    }
}
