//! Identifiers of schematics.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// The ID of a schematic: the SHA-256 of its canonical text, as 64 lower-case hexadecimal digits.
///
/// It says nothing about the Talos version or the architecture.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchematicId(String);

impl SchematicId {
    /// The ID of the empty schematic.
    pub const EMPTY: &'static str =
        "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

    /// Reads an ID.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless `text` is 64 lower-case hexadecimal digits.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let well_formed = text.len() == 64
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if well_formed {
            return Ok(Self(text));
        }
        Err(Error::new(ErrorKind::InvalidInput, "parse schematic ID")
            .with_target(text)
            .with_message("a schematic ID has 64 lower-case hexadecimal digits"))
    }

    /// The ID of a canonical text.
    #[must_use]
    pub fn of_text(canonical: &str) -> Self {
        Self(hex(&Sha256::digest(canonical.as_bytes())))
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits: enough to tell schematics apart in a file name.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

impl fmt::Display for SchematicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for SchematicId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for SchematicId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_schematic_has_the_well_known_id() {
        assert_eq!(
            SchematicId::of_text("customization: {}\n").as_str(),
            SchematicId::EMPTY
        );
    }

    #[test]
    fn an_id_has_64_lower_case_digits() {
        assert!(SchematicId::parse(SchematicId::EMPTY).is_ok());
        for text in [
            "",
            "36cd6536",
            &SchematicId::EMPTY.to_uppercase(),
            &"g".repeat(64),
        ] {
            let error = SchematicId::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
