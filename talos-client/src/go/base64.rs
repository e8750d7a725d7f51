//! Base64 as Go reads it: line breaks do not count, padding is required, trailing bits are ignored.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const GO: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Decodes a text.
///
/// # Errors
///
/// The text of Go's `base64.CorruptInputError`, which names the offset and no content.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    compact.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
    GO.decode(compact.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| format!("illegal base64 data at input byte {}", corrupt_at(text)))
}

/// Encodes bytes, on one line.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    GO.encode(bytes)
}

/// The offset that Go names for a text that it refuses; line breaks count.
fn corrupt_at(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        match quantum(bytes, at) {
            Ok(next) if next < bytes.len() => at = next,
            Ok(next) => return next,
            Err(offset) => return offset,
        }
    }
}

/// Reads four characters from an offset; the offset behind them, or that of what is wrong.
fn quantum(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    let mut read = 0;
    while read < 4 {
        let Some(&byte) = bytes.get(at) else {
            return if read == 0 { Ok(at) } else { Err(at - read) };
        };
        at += 1;
        match byte {
            b'\r' | b'\n' => {}
            b'=' => return padding(bytes, at, read),
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') => read += 1,
            _ => return Err(at - 1),
        }
    }
    Ok(at)
}

/// What may follow a `=` behind some characters of a quantum: one more `=` behind two of them, and then only line breaks.
fn padding(bytes: &[u8], at: usize, read: usize) -> Result<usize, usize> {
    let line_breaks = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        from + breaks.count()
    };
    let mut at = match read {
        0 | 1 => return Err(at - 1),
        2 => {
            let second = line_breaks(at);
            match bytes.get(second) {
                None => return Err(bytes.len()),
                Some(b'=') => second + 1,
                Some(_) => return Err(second - 1),
            }
        }
        _ => at,
    };
    at = line_breaks(at);
    if at < bytes.len() { Err(at) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_trailing_bits_do_not_count() {
        for text in ["YWJj", "YW\nJj", "\r\nYWJj\n", "YWJj\n\n"] {
            assert_eq!(decode(text).unwrap().as_slice(), b"abc", "{text:?}");
        }
        assert_eq!(decode("YWI=\n").unwrap().as_slice(), b"ab");
        assert_eq!(decode("YQ=\n=\n").unwrap().as_slice(), b"a");
        assert_eq!(decode("YR==").unwrap().as_slice(), b"a");
        assert_eq!(decode("").unwrap().as_slice(), b"");
    }

    /// Answers of `base64.StdEncoding.DecodeString` of Go 1.26.
    #[test]
    fn a_refusal_names_the_offset_that_go_names() {
        for (text, offset) in [
            ("=", 0),
            ("YWJj!A==", 4),
            ("Q", 0),
            ("YWJjQ", 4),
            ("Q\n\n=Q", 3),
            ("W=jJQ!\n\n\nQYAY", 1),
            ("QY=", 3),
            ("YAj\r\rAJWY\nQY=", 12),
            ("Q\r\rQ\rY==A!", 7),
            ("A\r\r\nWY==Y", 7),
            ("WjWAjAj=\r!", 9),
            ("QJ\r\njJ\rY\n=WJ", 9),
            ("YWJj====", 4),
            ("YW J", 2),
        ] {
            assert_eq!(
                decode(text).unwrap_err(),
                format!("illegal base64 data at input byte {offset}"),
                "{text:?}"
            );
        }
    }
}
