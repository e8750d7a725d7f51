//! Timestamps as go-yaml recognises them, with the exact leniency of Go's `time.Parse`.

use std::fmt;

/// A point in time that a plain scalar stands for; displays as RFC 3339, which is how it is written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timestamp {
    date: (u32, u32, u32),
    time: (u32, u32, u32),
    /// Digits behind the decimal point, without trailing zeros, nine at most.
    fraction: String,
    /// Seconds east of UTC.
    offset: i32,
}

impl Timestamp {
    /// Recognises `YYYY-M-D`, the date with `T` or `t`, time and zone, and the date with blanks and a time without
    /// zone. The date must exist in the calendar.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = Cursor(text.as_bytes());
        let year = rest.year()?;
        rest.expect(b'-')?;
        let month = rest.one_or_two_digits()?;
        rest.expect(b'-')?;
        let day = rest.one_or_two_digits()?;
        if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
            return None;
        }
        let mut timestamp = Self {
            date: (year, month, day),
            time: (0, 0, 0),
            fraction: String::new(),
            offset: 0,
        };
        match rest.next() {
            None => return Some(timestamp),
            Some(b'T' | b't') => {
                timestamp.read_time(&mut rest)?;
                timestamp.offset = rest.zone()?;
            }
            // Go treats a run of blanks in the input like the single blank of the layout.
            Some(b' ') => {
                rest.skip_blanks();
                timestamp.read_time(&mut rest)?;
            }
            Some(_) => return None,
        }
        rest.0.is_empty().then_some(timestamp)
    }

    fn read_time(&mut self, rest: &mut Cursor<'_>) -> Option<()> {
        let hour = rest.one_or_two_digits()?;
        rest.expect(b':')?;
        let minute = rest.one_or_two_digits()?;
        rest.expect(b':')?;
        let second = rest.one_or_two_digits()?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        self.time = (hour, minute, second);
        self.fraction = rest.fraction();
        Some(())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date;
        let (hour, minute, second) = self.time;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if !self.fraction.is_empty() {
            write!(f, ".{}", self.fraction)?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let minutes = self.offset.abs() / 60;
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn digit(&mut self) -> Option<u32> {
        let digit = char::from(*self.0.first()?).to_digit(10)?;
        self.0 = &self.0[1..];
        Some(digit)
    }

    fn year(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |year, _| Some(year * 10 + self.digit()?))
    }

    fn one_or_two_digits(&mut self) -> Option<u32> {
        let first = self.digit()?;
        Some(self.digit().map_or(first, |second| first * 10 + second))
    }

    fn two_digits(&mut self) -> Option<i32> {
        i32::try_from(self.digit()? * 10 + self.digit()?).ok()
    }

    fn skip_blanks(&mut self) {
        while let Some((b' ', rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }

    fn fraction(&mut self) -> String {
        let [b'.' | b',', b'0'..=b'9', ..] = self.0 else {
            return String::new();
        };
        self.0 = &self.0[1..];
        let mut digits = String::new();
        while let Some(&byte) = self.0.first().filter(|byte| byte.is_ascii_digit()) {
            digits.push(char::from(byte));
            self.0 = &self.0[1..];
        }
        digits.truncate(9);
        digits.truncate(digits.trim_end_matches('0').len());
        digits
    }

    fn zone(&mut self) -> Option<i32> {
        let sign = match self.next()? {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.two_digits()?;
        self.expect(b':')?;
        let minutes = self.two_digits()?;
        // Go lets 24 hours and 60 minutes pass.
        (hours <= 24 && minutes <= 60).then_some(sign * (hours * 60 + minutes) * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognised_forms_are_written_as_rfc_3339() {
        for (text, written) in [
            ("2001-01-01", "2001-01-01T00:00:00Z"),
            ("2001-1-1", "2001-01-01T00:00:00Z"),
            ("2001-1-1 1:2:3.50", "2001-01-01T01:02:03.5Z"),
            ("2001-1-1   01:02:03", "2001-01-01T01:02:03Z"),
            ("2001-1-1T1:2:3,25Z", "2001-01-01T01:02:03.25Z"),
            ("2001-1-1t1:2:3-05:30", "2001-01-01T01:02:03-05:30"),
            ("2004-02-29", "2004-02-29T00:00:00Z"),
        ] {
            let parsed = Timestamp::parse(text).unwrap();
            assert_eq!(parsed.to_string(), written, "{text}");
        }
    }

    #[test]
    fn a_zone_belongs_to_the_form_with_t_and_only_to_it() {
        for text in [
            "2001-01-01T01:02:03",
            "2001-01-01 01:02:03Z",
            "2001-01-01T01:02:03+1",
            "2001-01-01T01:02:03+25:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_outside_the_calendar_are_plain_text() {
        for text in [
            "2001-02-29",
            "2001-13-01",
            "2001-00-01",
            "2001-01-00",
            "201-01-01",
            "02001-01-01",
            "2001-01-01x",
            "2001-01-01 24:00:00",
            "2001-01-01 01:02:03.",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
