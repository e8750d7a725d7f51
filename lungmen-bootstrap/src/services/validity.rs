//! From when until when something is accepted.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::certificates;
use super::error::{Error, ErrorKind, Result};

/// From when until when a certificate or a token is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// The first moment.
    pub begin: Timestamp,
    /// The last moment.
    pub end: Timestamp,
}

/// How long before its end a certificate is replaced, unless it lasts less than three times as long.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);

impl Validity {
    /// Whether it is to be replaced now: in its last 30 days, or in the last third of a shorter life. A new one that were due
    /// at once would be replaced by every run.
    pub(crate) fn is_due(self, now: Timestamp) -> bool {
        let life = self.end.duration_since(self.begin).as_secs();
        let margin = (life / 3).min(RENEW_BEFORE.as_secs().cast_signed());
        self.end.duration_since(now).as_secs() < margin
    }

    /// That of the first certificate of a PEM text; `None` for times that no calendar has.
    ///
    /// # Errors
    /// `Configuration` when the text has no certificate that can be read.
    pub(crate) fn of(pem: &str) -> Result<Option<Self>> {
        let chain = certificates(pem)?;
        let Some(first) = chain.first() else {
            return Ok(None);
        };
        let (_, first) = x509_parser::parse_x509_certificate(first).map_err(|error| {
            Error::new(ErrorKind::Configuration, "read a certificate")
                .with_message(error.to_string())
        })?;
        let validity = first.validity();
        let begin = Timestamp::from_second(validity.not_before.timestamp()).ok();
        let end = Timestamp::from_second(validity.not_after.timestamp()).ok();
        Ok(begin.zip(end).map(|(begin, end)| Self { begin, end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_in_its_last_thirty_days_or_in_the_last_third_of_a_short_life() {
        const DAY: i64 = 86_400;
        let at = |second| Timestamp::from_second(1_000_000_000 + second).unwrap();
        let due = |life: i64, left: i64| {
            let validity = Validity {
                begin: at(left - life),
                end: at(left),
            };
            validity.is_due(at(0))
        };

        let year = 365 * DAY;
        assert!(due(year, -1) && due(year, 0) && due(year, 30 * DAY - 1));
        assert!(!due(year, 30 * DAY) && !due(90 * DAY, 30 * DAY));
        assert!(!due(DAY, DAY) && !due(DAY, DAY / 3) && due(DAY, DAY / 3 - 1));
        assert!(due(0, -1));
    }
}
