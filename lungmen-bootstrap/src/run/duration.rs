//! Durations as people write them.

use std::fmt;
use std::time::Duration;

/// Prints `10m`, `1m30s`, `5s`, `300ms`.
pub(crate) struct DurationText(pub(crate) Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds == 0 {
            return write!(f, "{}ms", self.0.subsec_millis());
        }
        for (value, unit) in [
            (seconds / 3600, 'h'),
            (seconds / 60 % 60, 'm'),
            (seconds % 60, 's'),
        ] {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_units_come_first_and_zeros_are_left_out() {
        for (millis, text) in [
            (0, "0ms"),
            (300, "300ms"),
            (5_000, "5s"),
            (90_000, "1m30s"),
            (600_000, "10m"),
            (3_600_000, "1h"),
        ] {
            assert_eq!(
                DurationText(Duration::from_millis(millis)).to_string(),
                text
            );
        }
    }
}
