//! Whether two documents say the same to a Go reader.

use super::node::{Kind, Node};
use super::resolve::Value;

/// Whether two lists of documents hold the same values in the same order of documents; the order of keys, the style of scalars
/// and the notation of numbers do not count, the type of every scalar does.
#[must_use]
pub fn documents_equal(left: &[Node], right: &[Node]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| first_difference(left, right).is_none())
}

/// The path of the first place where two nodes differ, for example `machine.certSANs[1]`; nothing when they are equal.
/// The path holds keys and indices, never values.
#[must_use]
pub fn first_difference(left: &Node, right: &Node) -> Option<String> {
    let mut path = String::new();
    differs(left, right, &mut path).then_some(path)
}

fn differs(left: &Node, right: &Node, path: &mut String) -> bool {
    let length = path.len();
    match (&left.kind, &right.kind) {
        (Kind::Scalar(left), Kind::Scalar(right)) => !same_value(&left.value(), &right.value()),
        (Kind::Sequence(left), Kind::Sequence(right)) => {
            left.len() != right.len()
                || left
                    .iter()
                    .zip(right)
                    .enumerate()
                    .any(|(index, (left, right))| {
                        path.push_str(&format!("[{index}]"));
                        keep_on_difference(path, length, |path| differs(left, right, path))
                    })
        }
        (Kind::Mapping(left), Kind::Mapping(right)) => {
            left.iter().any(|(key, value)| {
                push_key(path, key);
                keep_on_difference(path, length, |path| {
                    right
                        .get(key)
                        .is_none_or(|other| differs(value, other, path))
                })
            }) || right.keys().any(|key| {
                push_key(path, key);
                keep_on_difference(path, length, |_| !left.contains_key(key))
            })
        }
        _ => true,
    }
}

fn keep_on_difference(
    path: &mut String,
    length: usize,
    differs: impl FnOnce(&mut String) -> bool,
) -> bool {
    let different = differs(path);
    if !different {
        path.truncate(length);
    }
    different
}

fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float(left), Value::Float(right)) if left.is_nan() => right.is_nan(),
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_documents;
    use super::*;

    fn difference(left: &str, right: &str) -> Option<String> {
        first_difference(
            &parse_documents(left).unwrap()[0],
            &parse_documents(right).unwrap()[0],
        )
    }

    #[test]
    fn order_and_notation_do_not_count_but_types_do() {
        assert_eq!(difference("{a: 1, b: 'x'}", "{b: x, a: 0x1}"), None);
        assert_eq!(
            difference("a: [1, {b: true}]", "a: [1, {b: 'true'}]").as_deref(),
            Some("a[1].b")
        );
        assert_eq!(difference("a: 1", "{a: 1, b: 2}").as_deref(), Some("b"));
    }
}
