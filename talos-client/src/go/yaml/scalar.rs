//! Scalars as they were written.

use std::fmt;

use super::resolve::{self, Value};
use super::scan::string_style;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Style {
    /// Without quotes: its type follows from its text and from the field it lands in.
    Plain,
    /// `'text'`: always a string.
    SingleQuoted,
    /// `"text"`: always a string.
    DoubleQuoted,
    /// A `|` block: always a string.
    Literal,
    /// A `>` block: always a string.
    Folded,
}

/// `!!int` for a tag of the core schema, others as they were written.
pub(super) fn short_tag(tag: &str) -> Box<str> {
    match tag.strip_prefix("tag:yaml.org,2002:") {
        Some(suffix) => format!("!!{suffix}").into_boxed_str(),
        None => tag.into(),
    }
}

/// A scalar as it was written. `Debug` does not show the text, because most secrets of a configuration are scalars.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
    pub(crate) tag: Option<Box<str>>,
}

impl Scalar {
    /// A scalar of `text` in `style`, without a tag.
    #[must_use]
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
            tag: None,
        }
    }

    /// A string of ours: plain when no reader can take it for anything else, else quoted as Go's YAML quotes it, or a `|` block
    /// when it has several lines.
    #[must_use]
    pub fn string(text: impl Into<String>) -> Self {
        let text = text.into();
        let style = string_style(&text);
        Self::new(text, style)
    }

    /// The text without quotes, escapes resolved.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it is written.
    #[must_use]
    pub fn style(&self) -> Style {
        self.style
    }

    /// The tag, short where it is a core tag (`!!int`, `!custom`).
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The tag of the text where it cannot be what [`Scalar::tag`] says.
    pub(crate) fn tag_conflict(&self) -> Option<&'static str> {
        resolve::tag_conflict(self)
    }

    /// Whether it is `null`, `~` or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        resolve::is_null(self)
    }

    /// Whether Go's YAML takes it for a point in time.
    pub(crate) fn is_timestamp(&self) -> bool {
        resolve::is_timestamp(self)
    }

    /// What Go's YAML takes it for where no field type says otherwise.
    #[must_use]
    pub fn value(&self) -> Value {
        resolve::resolve(self)
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}
