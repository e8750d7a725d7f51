//! Paths of mounts and secrets: names separated by slashes, each percent-encoded in the URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::services::{Error, ErrorKind, Result};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The path as a part of a URL.
///
/// # Errors
///
/// `InvalidInput` for empty and relative names and control characters: the server would normalise them and act on another
/// path.
pub(super) fn encode(path: &str) -> Result<String> {
    let names: Result<Vec<String>> = path
        .split('/')
        .map(|name| encode_name(path, name))
        .collect();
    names.map(|names| names.join("/"))
}

fn encode_name(path: &str, name: &str) -> Result<String> {
    let problem = match name {
        "" => "an empty part",
        "." | ".." => "a relative part",
        name if name.chars().any(char::is_control) => "a control character",
        name => return Ok(utf8_percent_encode(name, RESERVED).to_string()),
    };
    Err(Error::new(ErrorKind::InvalidInput, "encode path")
        .with_target(path)
        .with_message(format!("{path:?} has {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_slashes_kept() {
        assert_eq!(encode("talos/lungmen.akn").unwrap(), "talos/lungmen.akn");
        assert_eq!(encode("a b/c#d?e").unwrap(), "a%20b/c%23d%3Fe");
        assert_eq!(encode("clé").unwrap(), "cl%C3%A9");
    }

    #[test]
    fn paths_that_the_server_would_rewrite_are_rejected() {
        for path in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb"] {
            assert_eq!(
                encode(path).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{path:?}"
            );
        }
    }
}
