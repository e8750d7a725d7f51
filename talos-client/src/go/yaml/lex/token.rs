//! Tokens and where they stand.

use std::borrow::Cow;

use super::super::scalar::Style;

/// A place in the text; all three count from 0, in characters. Texts are far shorter than these numbers reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Mark {
    pub(in super::super) index: u32,
    pub(in super::super) line: u32,
    pub(in super::super) column: u32,
}

/// A token from its first to behind its last character.
#[derive(Debug, Clone)]
pub(in super::super) struct Token<'a> {
    pub(in super::super) kind: TokenKind<'a>,
    pub(in super::super) start: Mark,
    pub(in super::super) end: Mark,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum TokenKind<'a> {
    StreamEnd,
    /// `%YAML 1.1`.
    Version(u8, u8),
    /// `%TAG !e! tag:example,2000:`.
    TagDirective {
        handle: &'a str,
        prefix: String,
    },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    Tag {
        handle: &'a str,
        suffix: String,
    },
    Scalar(Cow<'a, str>, Style),
}
