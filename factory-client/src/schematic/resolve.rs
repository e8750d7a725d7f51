//! What a plain scalar means to the YAML library of the factory (go-yaml): the type resolution of its decoder.
//!
//! The encoder asks the same question before it leaves a string unquoted, so both sides use this module.

use super::timestamp::Timestamp;

/// The value that an unquoted scalar is read as.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    /// Every integer that go-yaml can hold: `i64`, or `u64` beyond it.
    Integer(i128),
    Float(f64),
    Timestamp(Timestamp),
    Merge,
    String,
}

/// Reads `text` as an unquoted scalar, as go-yaml v4 does.
pub(super) fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        "-0" | "-0.0" => return Resolved::Float(-0.0),
        "<<" => return Resolved::Merge,
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => dotted_float(text).map_or(Resolved::String, Resolved::Float),
        b'0'..=b'9' | b'+' | b'-' => numeric(text),
        _ => Resolved::String,
    }
}

fn numeric(text: &str) -> Resolved {
    if let Some(timestamp) = Timestamp::parse(text) {
        return Resolved::Timestamp(timestamp);
    }
    if text.contains('_') {
        return number(&text.replace('_', ""));
    }
    number(text)
}

fn number(text: &str) -> Resolved {
    if let Some(value) = integer(text) {
        return Resolved::Integer(value);
    }
    if !has_float_form(text) {
        return Resolved::String;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Resolved::Float(value),
        _ => Resolved::String,
    }
}

/// Go's `ParseInt(s, 0, 64)`, then `ParseUint(s, 0, 64)`: the base follows from the prefix, a leading zero is octal,
/// and only a number without a sign may exceed `i64`.
fn integer(text: &str) -> Option<i128> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'+' => (false, true, &text[1..]),
        b'-' => (true, true, &text[1..]),
        _ => (false, false, text),
    };
    let (base, digits) = base_and_digits(digits)?;
    let magnitude = magnitude(digits, base)?;
    let value = if negative { -magnitude } else { magnitude };
    let fits = i64::try_from(value).is_ok() || (!signed && u64::try_from(value).is_ok());
    fits.then_some(value)
}

fn base_and_digits(text: &str) -> Option<(u32, &str)> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return None;
    }
    if bytes[0] != b'0' {
        return Some((10, text));
    }
    if bytes.len() >= 3 {
        match bytes[1].to_ascii_lowercase() {
            b'b' => return Some((2, &text[2..])),
            b'o' => return Some((8, &text[2..])),
            b'x' => return Some((16, &text[2..])),
            _ => {}
        }
    }
    Some((8, &text[1..]))
}

fn magnitude(digits: &str, base: u32) -> Option<i128> {
    digits.chars().try_fold(0_i128, |value, c| {
        let digit = c.to_digit(base)?;
        value
            .checked_mul(i128::from(base))?
            .checked_add(i128::from(digit))
    })
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn has_float_form(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.find('.') {
        Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
        None => (mantissa, None),
    };
    let mantissa_ok = all_digits(whole)
        && fraction.is_none_or(all_digits)
        && (!whole.is_empty() || fraction.is_some_and(|digits| !digits.is_empty()));
    let exponent_ok = exponent.is_none_or(|digits| {
        let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
        !digits.is_empty() && all_digits(digits)
    });
    mantissa_ok && exponent_ok
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Go's `ParseFloat` for a text that starts with a dot: here single underscores may stand between digits.
fn dotted_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let misplaced = bytes.iter().enumerate().any(|(at, &byte)| {
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        byte == b'_' && !(at > 0 && is_digit(at - 1) && is_digit(at + 1))
    });
    if misplaced {
        return None;
    }
    let plain = text.replace('_', "");
    if !has_float_form(&plain) {
        return None;
    }
    plain.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// The words that YAML 1.1 reads as booleans and go-yaml does not; it quotes them for the sake of other readers,
/// and accepts them where a boolean is expected.
pub(super) fn old_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: a YAML 1.1 number in base 60, such as a time of day.
pub(super) fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (head, fraction) = match text.find('.') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let mut parts = head.split(':');
    let first = parts.next().unwrap_or_default();
    let digits_and_underscores = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits_and_underscores(first)
        && head.len() > first.len()
        && parts.all(|part| match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [b'0'..=b'5', digit] => digit.is_ascii_digit(),
            _ => false,
        })
        && fraction.is_none_or(digits_and_underscores)
}

/// A quirk of go-yaml v3 alone: after `0b` and `0o` it also accepts a sign.
pub(super) fn is_integer_only_in_v3(text: &str) -> bool {
    let plain = text.replace('_', "");
    let (base, digits) = match plain.as_bytes() {
        [b'0', b'b', ..] => (2, &plain[2..]),
        [b'0', b'o', ..] => (8, &plain[2..]),
        _ => return false,
    };
    let (negative, digits) = match digits.as_bytes() {
        [b'+', _, ..] => (false, &digits[1..]),
        [b'-', _, ..] => (true, &digits[1..]),
        _ => return false,
    };
    magnitude(digits, base)
        .map(|value| if negative { -value } else { value })
        .is_some_and(|value| i64::try_from(value).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_string(text: &str) -> bool {
        resolve(text) == Resolved::String
    }

    #[test]
    fn integers_follow_their_prefix_and_ignore_underscores() {
        for (text, value) in [
            ("0", 0),
            ("0777", 511),
            ("0o17", 15),
            ("-0x1F", -31),
            ("0_x1f", 31),
            ("+1__0", 10),
            ("18446744073709551615", 18_446_744_073_709_551_615),
        ] {
            assert_eq!(resolve(text), Resolved::Integer(value), "{text}");
        }
    }

    #[test]
    fn a_signed_number_beyond_64_bits_is_a_float_and_a_hexadecimal_one_a_string() {
        assert!(matches!(
            resolve("-9223372036854775809"),
            Resolved::Float(_)
        ));
        assert!(matches!(
            resolve("+18446744073709551615"),
            Resolved::Float(_)
        ));
        assert!(is_string("0x1ffffffffffffffff"));
        assert!(is_string("-0x8000000000000001"));
    }

    #[test]
    fn floats_need_digits_and_must_be_finite() {
        for text in ["08", "1.", "1e3", ".5", ".5_0", "1.e5", "-0.0", "1e-999"] {
            assert!(matches!(resolve(text), Resolved::Float(_)), "{text}");
        }
        for text in [
            "1e", "1e999", ".", "._5", ".5_", "1.1.1", "+", "0x", "0b2", "+.nan", ".5e", "-",
        ] {
            assert!(is_string(text), "{text}");
        }
    }

    #[test]
    fn base_60_needs_a_colon_and_two_digit_groups_below_sixty() {
        for text in ["12:30", "+1:59.5", "1_0:30", "190:20:30.", "-1:0"] {
            assert!(is_base60(text), "{text}");
        }
        for text in ["12", "1:60", "1:", ":1", "1:2:", "1:2x", "_1:2", "1:200"] {
            assert!(!is_base60(text), "{text}");
        }
    }

    #[test]
    fn only_v3_reads_a_sign_after_a_binary_or_octal_prefix() {
        assert!(is_integer_only_in_v3("0b-1"));
        assert!(is_integer_only_in_v3("0o+7"));
        assert!(!is_integer_only_in_v3("0x-1"));
        assert!(!is_integer_only_in_v3("0b1"));
        assert!(is_string("0b-1"));
    }
}
