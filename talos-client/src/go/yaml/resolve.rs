//! What Go's YAML takes a scalar for.

use super::scalar::{Scalar, Style};
use super::timestamp::timestamp;

/// A scalar as Go's YAML reads it where no field type says otherwise.
///
/// This is YAML 1.2 with three habits of 1.1: octal by leading zero, underscores in numbers, and dates as timestamps.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer that only fits without sign.
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A date or a time, as RFC 3339.
    Timestamp(String),
    /// A text.
    String(String),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.tag())
    }
}

impl Value {
    /// The short tag by which error texts name the type.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp(_) => "!!timestamp",
            Self::String(_) => "!!str",
        }
    }
}

pub(super) fn resolve(scalar: &Scalar) -> Value {
    let text = scalar.text.as_str();
    match scalar.tag.as_deref() {
        None if scalar.style == Style::Plain => resolve_plain(text),
        Some("!!bool" | "!!int" | "!!null") => resolve_plain(text),
        Some("!!timestamp") => {
            timestamp(text).map_or_else(|| Value::String(text.to_owned()), Value::Timestamp)
        }
        Some("!!float") => match resolve_plain(text) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "the tag asks for the conversion"
            )]
            Value::Int(value) => Value::Float(value as f64),
            other => other,
        },
        _ => Value::String(text.to_owned()),
    }
}

/// The tag of the text where it cannot be what the written tag says: `!!int` on a word.
pub(super) fn tag_conflict(scalar: &Scalar) -> Option<&'static str> {
    let tag = scalar.tag.as_deref()?;
    if !matches!(
        tag,
        "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp"
    ) {
        return None;
    }
    let mut found = resolve_plain(&scalar.text);
    if tag != "!!timestamp" && matches!(found, Value::Timestamp(_)) {
        // Dates are only looked for where nothing else is asked for.
        found = Value::String(scalar.text.clone());
    }
    let found = found.tag();
    let agrees = found == tag || (tag == "!!float" && found == "!!int");
    (!agrees).then_some(found)
}

/// Whether Go takes the scalar for a point in time.
pub(super) fn is_timestamp(scalar: &Scalar) -> bool {
    match scalar.tag.as_deref() {
        None => scalar.style == Style::Plain && timestamp(&scalar.text).is_some(),
        Some("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp") => {
            matches!(resolve(scalar), Value::Timestamp(_))
        }
        Some(_) => false,
    }
}

/// Whether Go takes the plain text for a string, where no field type says otherwise.
pub(super) fn is_plain_string(text: &str) -> bool {
    let may_be_other = match text.as_bytes().first() {
        None => true,
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => true,
        Some(b'.' | b'+' | b'-' | b'0'..=b'9') => may_be_number(text),
        Some(_) => false,
    };
    !may_be_other || matches!(resolve_plain(text), Value::String(_))
}

/// Whether the text has nothing that no number and no date has; most texts that begin with a digit are ruled out so.
pub(super) fn may_be_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut dots = bytes.iter().filter(|byte| **byte == b'.');
    if dots.nth(1).is_some() && bytes.get(4) != Some(&b'-') {
        // An address: two dots are in no number, and in a date only by mistake.
        return false;
    }
    bytes.iter().all(|&byte| {
        matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b'x' | b'X' | b'o' | b'O')
            || matches!(
                byte,
                b'_' | b'.' | b'+' | b'-' | b':' | b' ' | b't' | b'T' | b'Z'
            )
            || matches!(byte, b'i' | b'I' | b'n' | b'N')
    })
}

pub(super) fn is_null(scalar: &Scalar) -> bool {
    match scalar.tag.as_deref() {
        None => scalar.style == Style::Plain && is_null_text(&scalar.text),
        Some("!!null") => is_null_text(&scalar.text),
        _ => false,
    }
}

fn is_null_text(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What a Go bool field takes: besides real booleans the words of YAML 1.1, and those even when quoted.
pub(super) fn go_bool(scalar: &Scalar) -> Option<bool> {
    match resolve(scalar) {
        Value::Bool(value) => Some(value),
        Value::String(text) => yaml_1_1_bool(&text),
        _ => None,
    }
}

pub(super) fn yaml_1_1_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'.' => go_float(text).map(Value::Float),
        b'+' | b'-' | b'0'..=b'9' if !may_be_number(text) => None,
        b'+' | b'-' | b'0'..=b'9' => timestamp(text)
            .map(Value::Timestamp)
            .or_else(|| number(text)),
        _ => None,
    };
    number.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| go_float(&plain).map(Value::Float))
}

/// Go's `ParseInt` with base 0, then `ParseUint`.
fn integer(text: &str) -> Option<Value> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let bytes = digits.as_bytes();
    let (radix, digits) = match (bytes.first()?, bytes.get(1)) {
        (b'0', Some(b'x' | b'X')) => (16, &digits[2..]),
        (b'0', Some(b'o' | b'O')) => (8, &digits[2..]),
        (b'0', Some(b'b' | b'B')) => (2, &digits[2..]),
        (b'0', Some(_)) => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    if negative && magnitude == 0 {
        // A float, because integers have no negative zero.
        return Some(Value::Float(-0.0));
    }
    let value = if negative { -magnitude } else { magnitude };
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Some(Value::Int(value)),
        (_, Ok(value)) if !signed => Some(Value::Uint(value)),
        _ => None,
    }
}

/// A float of the form `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
pub(super) fn go_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let exponent_is_fine = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    if !well_formed || !exponent_is_fine {
        return None;
    }
    // Go refuses what does not fit instead of rounding it to infinity.
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Value {
        resolve(&Scalar::new(text, Style::Plain))
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        assert!(plain("0644") == Value::Int(420));
        assert!(plain("0x1A4") == Value::Int(420));
        assert!(plain("1_000") == Value::Int(1000));
        assert!(plain("0b11") == Value::Int(3));
        assert!(plain("-0o17") == Value::Int(-15));
        assert!(plain("08") == Value::Float(8.0));
        assert!(plain("1e3") == Value::Float(1000.0));
        assert!(plain("18446744073709551615") == Value::Uint(u64::MAX));
        assert!(plain("12:30:45") == Value::String("12:30:45".into()));
    }

    #[test]
    fn dates_are_timestamps_and_words_are_not_booleans() {
        assert!(plain("2020-01-01") == Value::Timestamp("2020-01-01T00:00:00Z".into()));
        assert!(
            plain("2020-1-2T3:04:05.50+02:00")
                == Value::Timestamp("2020-01-02T03:04:05.5+02:00".into())
        );
        assert!(plain("2020-13-01") == Value::String("2020-13-01".into()));
        assert!(plain("yes") == Value::String("yes".into()));
    }

    #[test]
    fn the_short_ways_agree_with_the_long_one() {
        for text in [
            "",
            "~",
            "null",
            "nul",
            "true",
            "Tru",
            "false",
            ".inf",
            "-.INF",
            "+.inf",
            ".nan",
            ".5",
            "0x1F",
            "0b11",
            "0o17",
            "1_000",
            "1e3",
            "12:30:45",
            "2020-01-01",
            "2020-1-2T3:04:05.50+02:00",
            "2020-1-2 3:04:05",
            "10.0.0.1/24",
            "10.0.0.1",
            "fd00::1",
            "1.10",
            "-",
            "+",
            "-a",
            "0*",
            "deadbeef",
            "0xg",
            "1Gi",
            "v1",
            "é",
            "0é",
        ] {
            assert_eq!(
                is_plain_string(text),
                matches!(plain(text), Value::String(_)),
                "{text:?}"
            );
            for style in [Style::Plain, Style::DoubleQuoted] {
                for tag in [None, Some("!!timestamp"), Some("!!str"), Some("!!int")] {
                    let mut scalar = Scalar::new(text, style);
                    scalar.tag = tag.map(Into::into);
                    assert_eq!(
                        is_timestamp(&scalar),
                        matches!(resolve(&scalar), Value::Timestamp(_)),
                        "{text:?} {style:?} {tag:?}"
                    );
                    assert_eq!(
                        is_null(&scalar) || tag == Some("!!int"),
                        matches!(resolve(&scalar), Value::Null) || tag == Some("!!int"),
                        "{text:?} {style:?} {tag:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn bool_fields_take_quoted_words_but_not_quoted_booleans() {
        assert_eq!(
            go_bool(&Scalar::new("yes", Style::DoubleQuoted)),
            Some(true)
        );
        assert_eq!(go_bool(&Scalar::new("true", Style::DoubleQuoted)), None);
        assert_eq!(go_bool(&Scalar::new("TRUE", Style::Plain)), Some(true));
        assert_eq!(go_bool(&Scalar::new("1", Style::Plain)), None);
    }
}
