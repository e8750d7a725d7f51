//! Configuration documents as typed values: decoding, encoding, and what is in between.

mod any;
mod custom;
mod decode;
mod encode;
mod scalar;
mod unknown;
mod value;

pub(crate) use any::Any;
pub(crate) use decode::{decode, decode_secret, decode_text};
pub(crate) use encode::encode;
pub(crate) use encode::text_form;
pub(crate) use unknown::check_unknown_keys;
pub(crate) use value::{Entries, Value, zero};

use super::schema::{DocumentKind, Schema, Shape};

/// A document of a known kind.
#[derive(Clone)]
pub(crate) struct TypedDocument {
    pub(crate) kind: &'static DocumentKind,
    pub(crate) value: Value,
}

impl TypedDocument {
    /// Whether this is the `v1alpha1` document.
    pub(crate) fn is_v1alpha1(&self) -> bool {
        self.kind.kind == "v1alpha1"
    }

    /// The text of a top-level field.
    pub(crate) fn text(&self, schema: &Schema, key: &str) -> &str {
        let Shape::Struct(shape) = &schema.get(self.kind.ty).shape else {
            return "";
        };
        let field = shape.find(key).and_then(|path| self.value.at(path));
        match field {
            Some(Value::String(text)) => text,
            _ => "",
        }
    }

    /// The text of a field inside other fields; nothing when the kind has no such field.
    pub(crate) fn text_at(&self, schema: &Schema, path: &[&str]) -> Option<&str> {
        let (mut ty, mut value) = (self.kind.ty, &self.value);
        for key in path {
            let Shape::Struct(shape) = &schema.get(ty).shape else {
                return None;
            };
            let at = shape.find(key)?;
            (ty, value) = (schema.field_type(shape, at), value.at(at)?);
        }
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The name, empty for a kind without names.
    pub(crate) fn name(&self, schema: &Schema) -> String {
        if self.kind.named {
            self.text(schema, "name").to_owned()
        } else {
            String::new()
        }
    }
}
