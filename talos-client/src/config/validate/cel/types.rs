//! Types of the Common Expression Language and the rule which type fits where.

use std::fmt;

/// A type; `Parameter` stands for any type, the same one everywhere in one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Null,
    Duration,
    Timestamp,
    List(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Optional(Box<Self>),
    /// A plain value or null, from a wrapper message of Protobuf.
    Wrapper(Box<Self>),
    /// `google.protobuf.Any`.
    Any,
    /// A message with named fields, listed in [`super::message`].
    Object(&'static str),
    /// The type of a type.
    Kind(Box<Self>),
    Dyn,
    /// The type of an expression an error was already reported for.
    Error,
    Parameter(char),
}

impl Type {
    pub(super) fn list(item: Self) -> Self {
        Self::List(Box::new(item))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    pub(super) fn kind(of: Self) -> Self {
        Self::Kind(Box::new(of))
    }

    /// The full name, which the compiler uses for the type of the whole expression.
    pub(super) fn full_name(&self) -> String {
        match self {
            Self::Null => "null_type".to_owned(),
            Self::Any => "google.protobuf.Any".to_owned(),
            Self::Duration => "google.protobuf.Duration".to_owned(),
            Self::Timestamp => "google.protobuf.Timestamp".to_owned(),
            Self::List(item) => format!("list({})", item.full_name()),
            Self::Map(key, value) => format!("map({}, {})", key.full_name(), value.full_name()),
            Self::Optional(inner) => format!("optional_type({})", inner.full_name()),
            Self::Kind(of) => format!("type({})", of.full_name()),
            other => other.to_string(),
        }
    }

    pub(super) fn is_dynamic(&self) -> bool {
        matches!(self, Self::Dyn | Self::Any | Self::Error)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Null => f.write_str("null"),
            Self::Duration => f.write_str("duration"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
            Self::Wrapper(inner) => write!(f, "wrapper({inner})"),
            Self::Any => f.write_str("any"),
            Self::Object(name) => f.write_str(name),
            Self::Kind(of) => write!(f, "type({of})"),
            Self::Dyn => f.write_str("dyn"),
            Self::Error => f.write_str("!error!"),
            Self::Parameter(name) => write!(f, "{name}"),
        }
    }
}

/// Which type each parameter of a signature stands for so far.
#[derive(Debug, Default)]
pub(super) struct Bindings(Vec<(char, Type)>);

impl Bindings {
    /// Whether `given` fits `wanted`, binding parameters on the way.
    pub(super) fn accept(&mut self, wanted: &Type, given: &Type) -> bool {
        match (wanted, given) {
            (Type::Parameter(name), _) => self.bind(*name, given),
            _ if wanted.is_dynamic() || given.is_dynamic() => true,
            (Type::List(wanted), Type::List(given))
            | (Type::Optional(wanted), Type::Optional(given)) => self.accept(wanted, given),
            (Type::Map(wanted_key, wanted_value), Type::Map(key, value)) => {
                self.accept(wanted_key, key) && self.accept(wanted_value, value)
            }
            (Type::Kind(_), Type::Kind(_)) => true,
            (
                Type::Object(_)
                | Type::Duration
                | Type::Timestamp
                | Type::Optional(_)
                | Type::Wrapper(_),
                Type::Null,
            ) => true,
            (Type::Wrapper(wanted), Type::Wrapper(given)) => wanted == given,
            (Type::Wrapper(wanted), given) => **wanted == *given,
            (wanted, Type::Wrapper(given)) => *wanted == **given,
            _ => wanted == given,
        }
    }

    fn bind(&mut self, name: char, given: &Type) -> bool {
        let Some(position) = self.0.iter().position(|(bound, _)| *bound == name) else {
            self.0.push((name, given.clone()));
            return true;
        };
        let bound = self.0[position].1.clone();
        if bound.is_dynamic() {
            self.0[position].1 = given.clone();
            return true;
        }
        let mut fresh = Self::default();
        fresh.accept(&bound, given) || (bound == Type::Null && fresh.accept(given, &bound))
    }

    /// `ty` with its parameters replaced; an unbound parameter is dynamic.
    pub(super) fn resolve(&self, ty: &Type) -> Type {
        match ty {
            Type::Parameter(name) => self
                .0
                .iter()
                .find(|(bound, _)| bound == name)
                .map_or(Type::Dyn, |(_, ty)| ty.clone()),
            Type::List(item) => Type::list(self.resolve(item)),
            Type::Map(key, value) => Type::map(self.resolve(key), self.resolve(value)),
            Type::Optional(inner) => Type::Optional(Box::new(self.resolve(inner))),
            Type::Kind(of) => Type::kind(self.resolve(of)),
            other => other.clone(),
        }
    }
}
