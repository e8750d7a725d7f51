//! Texts that a reader of YAML 1.1 takes for something else than Go does.

use super::resolve::{go_float, may_be_number, yaml_1_1_bool};

/// Whether a reader of YAML 1.1 takes the plain text for something else than a string, although Go does not.
pub(super) fn is_yaml_1_1_special(text: &str) -> bool {
    yaml_1_1_bool(text).is_some()
        || matches!(text, "=" | "<<")
        || (text.starts_with([
            '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
        ]) && may_be_number(text)
            && looks_like_number(text))
}

/// Numbers and times in any notation that some reader knows: base 60, prefixes in capitals, underscores, half written prefixes.
fn looks_like_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    if digits.starts_with("0x")
        || digits.starts_with("0X")
        || digits.starts_with("0b")
        || digits.starts_with("0B")
    {
        return digits[2..]
            .chars()
            .all(|c| c.is_ascii_hexdigit() || c == '_');
    }
    if let Some(rest) = digits
        .strip_prefix("0O")
        .or_else(|| digits.strip_prefix("0o"))
    {
        return rest.chars().all(|c| c.is_ascii_digit() || c == '_');
    }
    base_60(digits) || go_float(&digits.replace('_', "")).is_some() || is_date(text)
}

/// `12:30:45`, in YAML 1.1 a number.
fn base_60(digits: &str) -> bool {
    let whole = digits.split('.').next().unwrap_or_default();
    let fraction = digits.get(whole.len() + 1..).unwrap_or_default();
    let number = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'_')
    };
    let mut parts = whole.split(':');
    parts
        .next()
        .is_some_and(|first| number(first) && !first.starts_with('_'))
        && whole.contains(':')
        && parts.all(|part| part.len() <= 2 && part.parse::<u8>().is_ok_and(|part| part < 60))
        && (fraction.is_empty() || number(fraction))
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"-:. TtZ+".contains(byte))
}
