//! Sizes as the server writes them.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A size in bytes; printed with the largest unit in which it is whole, as the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

const UNITS: [(u64, &str); 4] = [
    (1 << 40, "T"),
    (1 << 30, "G"),
    (1 << 20, "M"),
    (1 << 10, "K"),
];

impl Size {
    /// So many GiB.
    #[must_use]
    pub const fn gib(count: u32) -> Self {
        Self((count as u64) << 30)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .iter()
            .find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = Error;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked range"
    )]
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::field("parse size", "size", format!("`{text}` is not a size"));
        let plain = text.trim_end_matches("iB");
        let (number, unit) = UNITS
            .iter()
            .find_map(|(unit, name)| Some((plain.strip_suffix(name)?, *unit)))
            .unwrap_or((plain, 1));
        if number.is_empty() || number.starts_with(['+', '-']) {
            return Err(wrong());
        }
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(unit).map(Self).ok_or_else(wrong);
        }
        let fraction: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = fraction * unit as f64;
        if bytes.is_finite() && (0.0..1.8e19).contains(&bytes) {
            Ok(Self(bytes as u64))
        } else {
            Err(wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_with_the_largest_whole_unit() {
        for (text, bytes, printed) in [
            ("32G", 32 << 30, "32G"),
            ("528K", 528 << 10, "528K"),
            ("4M", 4 << 20, "4M"),
            ("1024M", 1 << 30, "1G"),
            ("1.5G", 1536 << 20, "1536M"),
            ("2GiB", 2 << 30, "2G"),
            ("1000", 1000, "1000"),
            ("0", 0, "0"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(
                (size.bytes(), size.to_string().as_str()),
                (bytes, printed),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_no_sizes() {
        for text in ["", "G", "-1G", "+1G", "1X", "nan", "99999999999T"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_number_of_bytes_is_read_back(bytes in 0..u64::MAX) {
            let size = Size(bytes);
            proptest::prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }
    }
}
