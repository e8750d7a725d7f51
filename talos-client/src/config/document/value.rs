//! Values of Go types, with Go's zero values.

use indexmap::IndexMap;

use super::any::Any;
use crate::config::schema::{Codec, Schema, Shape, TypeId, UrlParts};

/// A value of a type of the schema. Lists and maps can be absent (Go's nil), which is not the same as empty.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    String(String),
    Bool(bool),
    Int(i128),
    Pointer(Option<Box<Self>>),
    List(Option<Vec<Self>>),
    Map(Option<Box<Entries<Self>>>),
    /// The fields in the order of the type.
    Struct(Vec<Self>),
    Any(Any),
    /// A text that its type keeps; absent is zero.
    Text(Option<String>),
    Size(Box<Size>),
    Url(Option<Box<UrlParts>>),
    Ports(u16, u16),
    Argument(Argument),
}

/// Keys and values in the order in which they were read. They are boxed, so that the many values that are no map stay small.
pub(crate) type Entries<T> = IndexMap<String, T>;

/// A size of a volume: the two notations are merged each for itself.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Size {
    pub(crate) bytes: Option<String>,
    pub(crate) percentage: Option<String>,
}

/// The value of a command line argument.
#[derive(Clone, PartialEq)]
pub(crate) enum Argument {
    One(String),
    Many(Vec<String>),
}

impl Value {
    /// The field at a path of a struct.
    pub(crate) fn at(&self, (field, inner): (usize, Option<usize>)) -> Option<&Self> {
        let Self::Struct(fields) = self else {
            return None;
        };
        let value = fields.get(field)?;
        match (inner, value) {
            (None, _) => Some(value),
            (Some(inner), Self::Struct(fields)) => fields.get(inner),
            _ => None,
        }
    }

    /// The field at a path of a struct, to change.
    pub(crate) fn at_mut(&mut self, (field, inner): (usize, Option<usize>)) -> Option<&mut Self> {
        let Self::Struct(fields) = self else {
            return None;
        };
        let value = fields.get_mut(field)?;
        match inner {
            None => Some(value),
            Some(inner) => match value {
                Self::Struct(fields) => fields.get_mut(inner),
                _ => None,
            },
        }
    }

    /// What a pointer points to, or the value itself.
    pub(crate) fn target(&self) -> Option<&Self> {
        match self {
            Self::Pointer(target) => target.as_deref(),
            value => Some(value),
        }
    }

    /// Whether it is what Go makes of an absent field.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::String(text) => text.is_empty(),
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Pointer(target) => target.is_none(),
            Self::List(items) => items.is_none(),
            Self::Map(entries) => entries.is_none(),
            Self::Struct(fields) => fields.iter().all(Self::is_zero),
            Self::Any(value) => matches!(value, Any::Null),
            Self::Text(text) => text.is_none(),
            Self::Size(size) => **size == Size::default(),
            Self::Url(url) => url.is_none(),
            Self::Ports(low, high) => (*low, *high) == (0, 0),
            Self::Argument(argument) => matches!(argument, Argument::One(text) if text.is_empty()),
        }
    }

    /// Whether it is left out where a field says so: zero, or an empty list or map.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::List(items) => items.as_ref().is_none_or(Vec::is_empty),
            Self::Map(entries) => entries.as_ref().is_none_or(|entries| entries.is_empty()),
            Self::Struct(fields) => fields.iter().all(Self::is_empty),
            value => value.is_zero(),
        }
    }
}

/// The zero value of a type.
pub(crate) fn zero(schema: &Schema, ty: TypeId) -> Value {
    match &schema.get(ty).shape {
        Shape::String => Value::String(String::new()),
        Shape::Bool => Value::Bool(false),
        Shape::Int(_) => Value::Int(0),
        Shape::Any | Shape::Unknown => Value::Any(Any::Null),
        Shape::Pointer(_) => Value::Pointer(None),
        Shape::List(_) => Value::List(None),
        Shape::Map(_) => Value::Map(None),
        Shape::Struct(shape) => Value::Struct(
            shape
                .fields
                .iter()
                .map(|field| zero(schema, field.ty))
                .collect(),
        ),
        Shape::Codec(codec) => match codec {
            Codec::Duration | Codec::Enumeration(_) | Codec::DiskSize | Codec::FileMode => {
                Value::Int(0)
            }
            Codec::Size => Value::Size(Box::default()),
            Codec::Url => Value::Url(None),
            Codec::PortRange => Value::Ports(0, 0),
            Codec::Argument => Value::Argument(Argument::One(String::new())),
            Codec::ByteSize
            | Codec::Expression
            | Codec::Address(_)
            | Codec::HardwareAddress
            | Codec::DiskSizeMatcher
            | Codec::Base64 => Value::Text(None),
        },
    }
}
