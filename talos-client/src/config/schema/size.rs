//! Sizes and durations in the notations of Go libraries.

use crate::go::text::quoted;

const UNITS: [(&str, u64); 25] = [
    ("", 1),
    ("b", 1),
    ("k", 1_000),
    ("kb", 1_000),
    ("ki", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("mi", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("gi", 1 << 30),
    ("gib", 1 << 30),
    ("t", 1_000_000_000_000),
    ("tb", 1_000_000_000_000),
    ("ti", 1 << 40),
    ("tib", 1 << 40),
    ("p", 1_000_000_000_000_000),
    ("pb", 1_000_000_000_000_000),
    ("pi", 1 << 50),
    ("pib", 1 << 50),
    ("e", 1_000_000_000_000_000_000),
    ("eb", 1_000_000_000_000_000_000),
    ("ei", 1 << 60),
];

/// Reads `32GiB`, `1,5 tb`, `100`, as go-humanize does.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the reference multiplies floats and cuts off"
)]
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let number: Vec<u8> = number
        .iter()
        .copied()
        .filter(|byte| *byte != b',')
        .collect();
    let value: f64 = std::str::from_utf8(&number)
        .ok()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| {
            let number = quoted_bytes(&number);
            format!("strconv.ParseFloat: parsing {number}: invalid syntax")
        })?;
    let unit = String::from_utf8_lossy(unit).trim().to_lowercase();
    let factor = if unit == "eib" {
        1 << 60
    } else {
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        known
            .map(|(_, factor)| *factor)
            .ok_or_else(|| format!("unhandled size name: {unit}"))?
    };
    let bytes = value * factor as f64;
    if bytes >= u64::MAX as f64 {
        return Err(format!("too large: {text}"));
    }
    Ok(bytes as u64)
}

/// Cuts a size behind its number. The library of the reference counts characters but cuts bytes, which shows in the error
/// for digits that are not ASCII.
fn split_number(text: &str) -> (&[u8], &[u8]) {
    let is_digit = |c: char| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric());
    let characters = text
        .chars()
        .take_while(|c| is_digit(*c) || matches!(c, '.' | ','))
        .count();
    text.as_bytes().split_at(characters)
}

/// Quotes bytes as Go does, where a part of a character is `\xd9`.
fn quoted_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(quoted(chunk.valid()).trim_matches('"'));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    format!("\"{text}\"")
}

/// Writes an SI size as go-humanize does (`100 GB`), if reading it again gives the same.
#[expect(
    clippy::cast_precision_loss,
    reason = "checked by reading the result again"
)]
pub(super) fn si_text(bytes: u64) -> Option<String> {
    if !bytes.is_multiple_of(1000) {
        return None;
    }
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    let mut factor = 1_u64;
    while unit + 1 < units.len() && bytes / factor >= 1000 {
        unit += 1;
        factor *= 1000;
    }
    let value = (bytes as f64 / factor as f64 * 10.0 + 0.5).floor() / 10.0;
    let text = if bytes < 10 {
        format!("{bytes} B")
    } else if value < 10.0 {
        format!("{value:.1} {}", units[unit])
    } else {
        format!("{value:.0} {}", units[unit])
    };
    (parse_bytes(&text) == Ok(bytes)).then_some(text)
}

/// Reads a percentage: `50%`, `-50%`.
pub(super) fn check_percentage(text: &str, negative: bool) -> Result<(), String> {
    let Some(number) = text.strip_suffix('%') else {
        return Err("percentage must end with '%'".to_owned());
    };
    let number = number
        .strip_prefix('-')
        .filter(|_| negative)
        .unwrap_or(number);
    let value: f64 = number.parse().map_err(|_| {
        format!("invalid percentage value: strconv.ParseFloat: parsing {number:?}: invalid syntax")
    })?;
    if (0.0..=100.0).contains(&value) {
        Ok(())
    } else {
        Err(format!("percentage must be between 0 and 100, got {value}"))
    }
}

const DURATION_UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a Go duration (`1h30m`, `1.5s`) in nanoseconds.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, *factor)?)?;
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// `1.5` times a factor, cut off.
fn scaled(number: &str, factor: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() > 19 {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut value = whole * factor;
    let mut scale = factor;
    for digit in fraction.bytes() {
        scale /= 10;
        value += i128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?) * scale;
    }
    Some(value)
}

/// Writes nanoseconds as Go does: `1h30m0s`, `1.5s`, `90ms`.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let value = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let mut text = format!("{}", value / unit);
        let rest = value % unit;
        if rest > 0 {
            let width = unit.ilog10() as usize;
            text.push('.');
            text.push_str(format!("{rest:0width$}").trim_end_matches('0'));
        }
        text + name
    };
    match value {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{value}ns"),
        1_000..1_000_000 => sign.to_owned() + &fraction(value, 1_000, "µs"),
        1_000_000..1_000_000_000 => sign.to_owned() + &fraction(value, 1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (value / 60_000_000_000, value % 60_000_000_000);
            let seconds = fraction(rest, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_all_units() {
        assert_eq!(parse_bytes("32GiB"), Ok(32 << 30));
        assert_eq!(parse_bytes("1,000 kb"), Ok(1_000_000));
        assert_eq!(parse_bytes("1.5Mi"), Ok(1_572_864));
        assert_eq!(parse_bytes("2EiB"), Ok(2 << 60));
        assert_eq!(
            parse_bytes("1zib"),
            Err("unhandled size name: zib".to_owned())
        );
        assert_eq!(
            parse_bytes("GiB"),
            Err("strconv.ParseFloat: parsing \"\": invalid syntax".to_owned())
        );
        assert_eq!(parse_bytes("99EB"), Err("too large: 99EB".to_owned()));
        assert_eq!(
            parse_bytes("٣GiB"),
            Err("strconv.ParseFloat: parsing \"\\xd9\": invalid syntax".to_owned())
        );
    }

    #[test]
    fn si_sizes_are_written_when_they_are_exact() {
        assert_eq!(si_text(100_000_000_000).as_deref(), Some("100 GB"));
        assert_eq!(si_text(2_500_000).as_deref(), Some("2.5 MB"));
        assert_eq!(si_text(2_512_000), None);
        assert_eq!(si_text(1 << 30), None);
        assert_eq!(si_text(0).as_deref(), Some("0 B"));
    }

    #[test]
    fn durations_are_written_canonically() {
        for (text, canonical) in [
            ("1m", "1m0s"),
            ("90s", "1m30s"),
            ("168h", "168h0m0s"),
            ("1.5s", "1.5s"),
            ("2h30m", "2h30m0s"),
            ("100ms", "100ms"),
            ("1500us", "1.5ms"),
            ("-1m", "-1m0s"),
            ("0", "0s"),
            (".5h", "30m0s"),
        ] {
            assert_eq!(
                parse_duration(text).map(duration_text).as_deref(),
                Some(canonical),
                "{text}"
            );
        }
        for text in ["", "1", "m", "1x", "1m2", "--1m", "99999999h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
