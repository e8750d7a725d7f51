//! From when until when something is accepted.

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

impl Validity {
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
