//! Free-form values: what Go's YAML makes of a text where the type allows anything.

use super::value::Entries;
use crate::go::number::shortest;
use crate::go::yaml::{Kind, Mapping, Node, Value as Resolved};

/// A free-form value.
#[derive(Clone)]
pub(crate) enum Any {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(String),
    Timestamp(String),
    List(Vec<Self>),
    Map(Box<Entries<Self>>),
    /// A mapping with keys that are no strings. The reference can print it, but neither copy nor merge it.
    General(Box<Node>),
}

impl PartialEq for Any {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Uint(left), Self::Uint(right)) => left == right,
            (Self::Float(left), Self::Float(right)) => left.total_cmp(right).is_eq(),
            (Self::String(left), Self::String(right))
            | (Self::Timestamp(left), Self::Timestamp(right)) => left == right,
            (Self::List(left), Self::List(right)) => left == right,
            (Self::Map(left), Self::Map(right)) => left == right,
            (Self::General(left), Self::General(right)) => {
                crate::go::yaml::first_difference(left, right).is_none()
            }
            _ => false,
        }
    }
}

impl Any {
    /// Reads a node; a repeated key is reported to `problem`.
    pub(super) fn read(node: &Node, problem: &mut dyn FnMut(String)) -> Self {
        match node.kind() {
            Kind::Scalar(scalar) => match scalar.value() {
                Resolved::Null => Self::Null,
                Resolved::Bool(value) => Self::Bool(value),
                Resolved::Int(value) => Self::Int(value),
                Resolved::Uint(value) => Self::Uint(value),
                Resolved::Float(value) => Self::Float(value),
                Resolved::Timestamp(text) => Self::Timestamp(text),
                Resolved::String(text) => Self::String(text),
            },
            Kind::Sequence(items) => {
                Self::List(items.iter().map(|item| Self::read(item, problem)).collect())
            }
            Kind::Mapping(mapping) => {
                for duplicate in &mapping.duplicates {
                    problem(duplicate.to_string());
                }
                if has_string_keys(mapping) {
                    let entries = mapping
                        .iter()
                        .map(|(key, value)| (key.to_owned(), Self::read(value, problem)));
                    Self::Map(Box::new(entries.collect()))
                } else {
                    Self::General(Box::new(node.clone()))
                }
            }
        }
    }

    /// The Go type, as error texts name it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint64",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Timestamp(_) => "time.Time",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::General(_) => "map[interface {}]interface {}",
        }
    }

    /// The Go type inside that the reference cannot copy, if there is one.
    pub(crate) fn not_copyable(&self) -> Option<&'static str> {
        match self {
            Self::Timestamp(_) | Self::General(_) => Some(self.type_name()),
            Self::List(items) => items.iter().find_map(Self::not_copyable),
            Self::Map(entries) => entries.values().find_map(Self::not_copyable),
            _ => None,
        }
    }

    pub(super) fn into_node(self) -> Node {
        match self {
            Self::Null => Node::null(),
            Self::Bool(value) => Node::bool(value),
            Self::Int(value) => Node::int(value),
            Self::Uint(value) => Node::plain(value.to_string()),
            Self::Float(value) => Node::plain(float_text(value)),
            Self::String(text) => Node::string(text),
            Self::Timestamp(text) => Node::plain(text),
            Self::List(items) => Node::sequence(items.into_iter().map(Self::into_node)),
            Self::Map(entries) => {
                let mut mapping: Mapping = entries
                    .into_iter()
                    .map(|(key, value)| (key, value.into_node()))
                    .collect();
                mapping.sort_keys();
                mapping.into()
            }
            Self::General(node) => *node,
        }
    }
}

fn has_string_keys(mapping: &Mapping) -> bool {
    mapping
        .entries()
        .all(|entry| matches!(entry.key().value(), Resolved::String(_)))
}

/// The shortest text that reads back as the same number, as Go's `%g` writes it.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    shortest(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        assert_eq!(float_text(1e30), "1e+30");
        assert_eq!(float_text(1.5e-7), "1.5e-07");
        assert_eq!(float_text(1.10), "1.1");
        assert_eq!(float_text(5.0), "5");
        assert_eq!(float_text(0.0), "0");
    }
}
