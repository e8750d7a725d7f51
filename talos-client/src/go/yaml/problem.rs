//! What is wrong with a text, in the words of Go's YAML.

use super::node::Position;
use crate::{Error, ErrorKind};

const OPERATION: &str = "read YAML";

pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidDocument, OPERATION).with_message(message)
}

/// A refusal with the text of the reference and its place.
pub(super) fn refused_with(message: String, Position { line, column }: Position) -> Error {
    refused(message).with_target(format!("line {line}, column {column}"))
}

pub(super) fn refused_at(position: Position, problem: &str) -> Error {
    let Position { line, column } = position;
    // Go's YAML does not name the first line.
    let place = if line > 1 {
        format!("line {line}: ")
    } else {
        String::new()
    };
    refused(format!("yaml: {place}{problem}")).with_target(format!("line {line}, column {column}"))
}
