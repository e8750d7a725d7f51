//! Checksums that the server verifies after an upload or a download.

use crate::error::{Error, Result};

/// A checksum and its algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: &'static str,
    hex: String,
}

impl Checksum {
    /// A SHA-256 in hexadecimal digits.
    ///
    /// # Errors
    /// `InvalidInput` when the text does not have 64 hexadecimal digits.
    pub fn sha256(hex: &str) -> Result<Self> {
        Self::new("sha256", hex, 64)
    }

    /// A SHA-512 in hexadecimal digits.
    ///
    /// # Errors
    /// `InvalidInput` when the text does not have 128 hexadecimal digits.
    pub fn sha512(hex: &str) -> Result<Self> {
        Self::new("sha512", hex, 128)
    }

    fn new(algorithm: &'static str, hex: &str, digits: usize) -> Result<Self> {
        if hex.len() == digits && hex.chars().all(|c| c.is_ascii_hexdigit()) {
            Ok(Self {
                algorithm,
                hex: hex.to_ascii_lowercase(),
            })
        } else {
            let problem = format!("a {algorithm} has {digits} hexadecimal digits");
            Err(Error::field("check checksum", "checksum", problem))
        }
    }

    /// The parameters, in the order that the upload parser requires.
    pub(super) fn params(&self) -> [(&'static str, String); 2] {
        [
            ("checksum-algorithm", self.algorithm.to_owned()),
            ("checksum", self.hex.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_and_digits_are_checked() {
        assert!(Checksum::sha256(&"ab".repeat(32)).is_ok());
        assert!(Checksum::sha256(&"ab".repeat(31)).is_err());
        assert!(Checksum::sha256(&"xy".repeat(32)).is_err());
        assert!(Checksum::sha512(&"AB".repeat(64)).is_ok());
    }
}
