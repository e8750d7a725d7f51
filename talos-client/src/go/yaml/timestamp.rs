//! Dates and times as Go's YAML recognises them.

/// `2006-1-2`, `2006-1-2 15:4:5.9`, `2006-1-2T15:4:5.9Z` or with an offset; returned as RFC 3339.
pub(super) fn timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((bytes[at], &text[at + 1..]))),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (month, day) = (short_number(month)?, short_number(day)?);
    if parts.next().is_some() || jiff::civil::Date::new(year.parse().ok()?, month, day).is_err() {
        return None;
    }
    let (clock, zone) = match time {
        None => (String::from("00:00:00"), "Z"),
        Some((b' ', clock)) => (clock_time(clock)?, "Z"),
        Some((_, clock)) => {
            let at = clock.find(['Z', '+', '-'])?;
            (clock_time(&clock[..at])?, zone(&clock[at..])?)
        }
    };
    Some(format!("{year}-{month:02}-{day:02}T{clock}{zone}"))
}

fn short_number(text: &str) -> Option<i8> {
    (matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

fn clock_time(text: &str) -> Option<String> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute, second) = (
        short_number(parts.next()?)?,
        short_number(parts.next()?)?,
        short_number(parts.next()?)?,
    );
    let well_formed = parts.next().is_none()
        && fraction.len() <= 9
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !well_formed || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!(
        "{hour:02}:{minute:02}:{second:02}{point}{fraction}"
    ))
}

fn zone(text: &str) -> Option<&str> {
    let offset = matches!(text.as_bytes(), [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()));
    match text {
        "Z" | "+00:00" | "-00:00" => Some("Z"),
        _ => offset.then_some(text),
    }
}
