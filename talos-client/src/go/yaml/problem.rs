//! What is wrong with a text, in the words of Go's YAML.

use super::node::Position;
use crate::{Error, ErrorKind};

const OPERATION: &str = "read YAML";

pub(super) fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidDocument, OPERATION).with_message(message)
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

/// Go's wording for problems that both scanners find.
pub(super) fn go_problem(info: &str) -> &str {
    match info {
        "while parsing a block collection, did not find expected '-' indicator" => {
            "did not find expected '-' indicator"
        }
        "while parsing a block mapping, did not find expected key" | "simple key expected" => {
            "did not find expected key"
        }
        "while parsing a flow mapping, did not find expected ',' or '}'" => {
            "did not find expected ',' or '}'"
        }
        "while parsing a flow sequence, expected ',' or ']'" => "did not find expected ',' or ']'",
        "while parsing a node, did not find expected node content" => {
            "did not find expected node content"
        }
        "simple key expect ':'" => "could not find expected ':'",
        "recursion limit exceeded" => "exceeded max depth",
        "tabs disallowed in this context"
        | "tab cannot be used as indentation"
        | "tabs disallowed within this context (block indentation)" => {
            "found character that cannot start any token"
        }
        info => info.split_once(", ").map_or(info, |(context, problem)| {
            if context.starts_with("while ") {
                problem
            } else {
                info
            }
        }),
    }
}

pub(super) fn unknown_anchor(name: &str) -> Error {
    refused(format!("yaml: unknown anchor '{name}' referenced"))
}
