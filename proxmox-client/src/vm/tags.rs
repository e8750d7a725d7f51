//! Tags: a set, whatever order and case they are written in.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::wire;

/// A set of tags, lower-cased and sorted as the server stores them by default.
///
/// ```
/// use proxmox_client::vm::Tags;
///
/// let ours: Tags = "talos-linux;amd64".parse()?;
/// let theirs: Tags = "amd64, Talos-Linux".parse()?;
/// assert_eq!(ours, theirs);
/// assert_eq!(ours.to_string(), "amd64;talos-linux");
/// # Ok::<(), proxmox_client::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags(BTreeSet<String>);

impl Tags {
    /// A set of these tags.
    ///
    /// # Errors
    /// `InvalidInput` when a tag does not begin with a letter, digit or `_`, or has characters
    /// other than those and `-`, `+`, `.`.
    pub fn new<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Result<Self> {
        tags.into_iter()
            .map(|tag| {
                let tag = tag.as_ref();
                if is_tag(tag) {
                    Ok(tag.to_ascii_lowercase())
                } else {
                    Err(Error::field(
                        "check tags",
                        "tags",
                        format!("`{tag}` is not a tag"),
                    ))
                }
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the tag, in any letter case, is in the set.
    #[must_use]
    pub fn contains(&self, tag: &str) -> bool {
        self.0.contains(&tag.to_ascii_lowercase())
    }

    /// The tags in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn is_tag(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c))
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags: Vec<&str> = self.iter().collect();
        f.write_str(&tags.join(";"))
    }
}

impl FromStr for Tags {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(wire::split_list(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tags_are_refused_by_name() {
        for tag in ["-x", "a/b", "ä", ""] {
            assert!(Tags::new([tag]).is_err(), "{tag}");
        }
        assert!(Tags::new(["v1.10", "_x", "a+b"]).is_ok());
    }
}
