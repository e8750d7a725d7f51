//! Strategic merge: the right value into the left one, by the rules of their type.

use std::net::Ipv6Addr;

use indexmap::IndexMap;

use super::matching::{Index, Matching};
use crate::config::document::{Any, Value};
use crate::config::schema::{Codec, Field, Merge, Minor, Schema, Shape, TypeId};

/// Merges `right` into `left`, both of a type.
///
/// # Errors
///
/// `merge PATH: REASON`, with the reason as the reference words it, and where the reference would crash.
pub(super) fn merge(
    schema: &'static Schema,
    ty: TypeId,
    left: &mut Value,
    right: Value,
) -> Result<(), String> {
    let mut merger = Merger {
        schema,
        path: Vec::new(),
    };
    merger
        .value(ty, left, right, Context::default())
        .map_err(|reason| format!("merge field {}: {reason}", merger.path.join(".")))
}

/// What the place of a value changes about its merge.
#[derive(Clone, Copy, Default)]
struct Context {
    /// The field says that it is replaced as a whole.
    replace: bool,
    /// The value stands behind a pointer: being there at all is a statement, so zero counts.
    pointed_at: bool,
}

struct Merger {
    schema: &'static Schema,
    /// Where the merge is; left as it is on errors.
    path: Vec<String>,
}

impl Merger {
    fn inside<T>(
        &mut self,
        step: &str,
        merge: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.path.push(step.to_owned());
        let merged = merge(self)?;
        self.path.pop();
        Ok(merged)
    }

    fn value(
        &mut self,
        ty: TypeId,
        left: &mut Value,
        right: Value,
        context: Context,
    ) -> Result<(), String> {
        let described = self.schema.get(ty);
        match described.merge {
            Merge::ByShape => {}
            Merge::Overwrite => {
                *left = right;
                return Ok(());
            }
            Merge::Whole => {
                if !right.is_zero() {
                    *left = right;
                }
                return Ok(());
            }
            by_items => return self.items(ty, by_items, left, right),
        }
        match (&described.shape, left, right) {
            (Shape::Pointer(target), left, right) => {
                self.pointer(*target, left, right, context.replace)
            }
            (Shape::List(_), left, Value::List(Some(items))) => {
                append(left, items, context.replace);
                Ok(())
            }
            (Shape::Map(value), Value::Map(left), Value::Map(Some(right))) => {
                if context.replace {
                    *left = Some(right);
                    return Ok(());
                }
                self.map(*value, left.get_or_insert_default(), right)
            }
            (Shape::List(_) | Shape::Map(_), _, _) => Ok(()),
            (Shape::Struct(_), left, right) if context.replace => {
                if !right.is_zero() {
                    *left = right;
                }
                Ok(())
            }
            (Shape::Struct(shape), Value::Struct(left), Value::Struct(right)) => {
                self.fields(&shape.fields, left, right)
            }
            (Shape::Codec(codec), left, right) => self.codec(*codec, left, right, context),
            (_, left, right) => {
                if matches!(right, Value::Bool(_)) || context.pointed_at || !right.is_zero() {
                    *left = right;
                }
                Ok(())
            }
        }
    }

    fn pointer(
        &mut self,
        target: TypeId,
        left: &mut Value,
        right: Value,
        replace: bool,
    ) -> Result<(), String> {
        let Value::Pointer(Some(right)) = right else {
            return Ok(());
        };
        match left {
            Value::Pointer(Some(left)) => {
                let context = Context {
                    replace,
                    pointed_at: self.schema.minor() >= Minor::V1_12,
                };
                self.value(target, left, *right, context)
            }
            left => {
                *left = Value::Pointer(Some(right));
                Ok(())
            }
        }
    }

    fn fields(
        &mut self,
        fields: &[Field],
        left: &mut [Value],
        right: Vec<Value>,
    ) -> Result<(), String> {
        for ((field, left), right) in fields.iter().zip(left).zip(right) {
            let context = Context {
                replace: field.replace,
                pointed_at: false,
            };
            if field.inline {
                self.value(field.ty, left, right, context)?;
            } else {
                self.inside(field.name, |merger| {
                    merger.value(field.ty, left, right, context)
                })?;
            }
        }
        Ok(())
    }

    fn map(
        &mut self,
        ty: TypeId,
        left: &mut IndexMap<String, Value>,
        right: IndexMap<String, Value>,
    ) -> Result<(), String> {
        for (key, right) in right {
            match left.get_mut(&key) {
                Some(left) if !is_nil(left) => {
                    self.inside(&key, |merger| match (left, right) {
                        (Value::Any(left), Value::Any(right)) => merger.any(left, right),
                        (left, right) => merger.value(ty, left, right, Context::default()),
                    })?;
                }
                _ => drop(left.insert(key, right)),
            }
        }
        Ok(())
    }

    /// Free-form values: what is there on both sides must be of one type.
    fn any(&mut self, left: &mut Any, right: Any) -> Result<(), String> {
        let (left_type, right_type) = (left.type_name(), right.type_name());
        if matches!(right, Any::Null) {
            // The reference dereferences nothing here and crashes.
            return Err(format!("merge type mismatch left {left_type} right <nil>"));
        }
        if left_type != right_type {
            return Err(format!(
                "merge type mismatch left {left_type} right {right_type}"
            ));
        }
        match (left, right) {
            (Any::List(left), Any::List(right)) => left.extend(right),
            (Any::Map(left), Any::Map(right)) => {
                for (key, right) in right {
                    match left.get_mut(&key) {
                        Some(left) if !matches!(left, Any::Null) => {
                            self.inside(&key, |merger| merger.any(left, right))?
                        }
                        _ => drop(left.insert(key, right)),
                    }
                }
            }
            (Any::Timestamp(_) | Any::General(_), _) => {
                return Err(format!(
                    "merge not possible, left {left_type} is not settable"
                ));
            }
            (left, right) => {
                let is_zero = match &right {
                    Any::Int(value) => *value == 0,
                    Any::Uint(value) => *value == 0,
                    Any::Float(value) => *value == 0.0,
                    Any::String(text) => text.is_empty(),
                    _ => false,
                };
                if !is_zero {
                    *left = right;
                }
            }
        }
        Ok(())
    }

    fn codec(
        &mut self,
        codec: Codec,
        left: &mut Value,
        right: Value,
        context: Context,
    ) -> Result<(), String> {
        match (codec, left, right) {
            (Codec::Url, Value::Url(left), Value::Url(right)) => match (left.as_mut(), right) {
                (_, None) => Ok(()),
                (Some(left), Some(right)) => left.merge(*right),
                (None, right) => {
                    *left = right;
                    Ok(())
                }
            },
            (
                Codec::Size,
                Value::Size { bytes, percentage },
                Value::Size {
                    bytes: right_bytes,
                    percentage: right_percentage,
                },
            ) => {
                *bytes = right_bytes.or_else(|| bytes.take());
                *percentage = right_percentage.or_else(|| percentage.take());
                Ok(())
            }
            // Their Go types hide the fields that hold the value, which the generic merge then cannot set.
            (Codec::Address(_) | Codec::DiskSizeMatcher, left, _) => {
                let left = match left {
                    Value::Text(Some(text)) if matches!(codec, Codec::DiskSizeMatcher) => {
                        text.clone()
                    }
                    Value::Text(Some(text)) => upper_half(text).to_string(),
                    _ => "0".to_owned(),
                };
                Err(format!("merge not possible, left {left} is not settable"))
            }
            (_, left, right) => {
                if context.pointed_at || !right.is_zero() {
                    *left = right;
                }
                Ok(())
            }
        }
    }

    /// Lists and maps whose items are matched by a rule of their own.
    fn items(
        &mut self,
        ty: TypeId,
        merge: Merge,
        left: &mut Value,
        right: Value,
    ) -> Result<(), String> {
        match (&self.schema.get(ty).shape, left, right) {
            (Shape::Map(_), Value::Map(left), Value::Map(Some(right))) => {
                if !right.is_empty() {
                    left.get_or_insert_default().extend(right);
                }
                Ok(())
            }
            (Shape::List(item), Value::List(left), Value::List(Some(right))) => {
                let matching = Matching::new(self.schema, *item, merge);
                let mut index = matching.index(left.iter().flatten());
                for right in right {
                    self.item(&matching, &mut index, left.get_or_insert_default(), right)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn item(
        &mut self,
        matching: &Matching,
        index: &mut Index,
        left: &mut Vec<Value>,
        right: Value,
    ) -> Result<(), String> {
        let Some(target) = right.target() else {
            // The reference dereferences nothing here and crashes.
            return Err("merge not possible, right item is null".to_owned());
        };
        let at = match matching
            .key(target)
            .and_then(|key| index.get(&key).copied())
        {
            None => {
                left.push(right);
                left.len() - 1
            }
            Some(at) if matching.replaces() => {
                left[at] = right;
                at
            }
            Some(at) => {
                let step = format!("[{at}]");
                self.inside(&step, |merger| {
                    merger.value(matching.item, &mut left[at], right, Context::default())
                })?;
                at
            }
        };
        matching.add(index, at, &left[at]);
        Ok(())
    }
}

/// Whether a value of a map counts as missing.
fn is_nil(value: &Value) -> bool {
    matches!(
        value,
        Value::Pointer(None) | Value::List(None) | Value::Map(None) | Value::Any(Any::Null)
    )
}

/// The first number of a Go address: the upper half of IPv6, nothing of IPv4.
fn upper_half(address: &str) -> u64 {
    let address = address.split('/').next().unwrap_or_default();
    let address = address
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next())
        .unwrap_or(address);
    address
        .parse::<Ipv6Addr>()
        .map_or(0, |ip| (ip.to_bits() >> 64) as u64)
}

fn append(left: &mut Value, right: Vec<Value>, replace: bool) {
    match left {
        Value::List(Some(items)) if !replace => items.extend(right),
        left => *left = Value::List(Some(right)),
    }
}
