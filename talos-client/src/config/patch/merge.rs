//! Strategic merge: the right value into the left one, by the rules of their type.

use std::net::Ipv6Addr;

use super::matching::{Index, Matching};
use crate::config::document::{Any, Entries, Value};
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
    Merger { schema }
        .value(ty, left, right, Context::default())
        .map_err(|failure| {
            let path: Vec<String> = failure.path.into_iter().rev().collect();
            format!("merge field {}: {}", path.join("."), failure.reason)
        })
}

/// Why two values cannot be merged, and where.
struct Failure {
    reason: String,
    /// The steps that lead there, the last one first.
    path: Vec<String>,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            path: Vec::new(),
        }
    }
}

impl Failure {
    fn inside(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }
}

/// What the place of a value changes about its merge.
#[derive(Clone, Copy, Default)]
struct Context {
    /// The field says that it is replaced as a whole.
    replace: bool,
    /// The value stands behind a pointer: being there at all is a statement, so zero counts.
    pointed_at: bool,
}

#[derive(Clone, Copy)]
struct Merger {
    schema: &'static Schema,
}

impl Merger {
    fn value(
        self,
        ty: TypeId,
        left: &mut Value,
        right: Value,
        context: Context,
    ) -> Result<(), Failure> {
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
                self.map(*value, left.get_or_insert_default(), *right)
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
        self,
        target: TypeId,
        left: &mut Value,
        right: Value,
        replace: bool,
    ) -> Result<(), Failure> {
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
        self,
        fields: &[Field],
        left: &mut [Value],
        right: Vec<Value>,
    ) -> Result<(), Failure> {
        for ((field, left), right) in fields.iter().zip(left).zip(right) {
            let context = Context {
                replace: field.replace,
                pointed_at: false,
            };
            if field.inline {
                self.value(field.ty, left, right, context)?;
            } else {
                self.value(field.ty, left, right, context)
                    .map_err(|failure| failure.inside(field.name))?;
            }
        }
        Ok(())
    }

    fn map(
        self,
        ty: TypeId,
        left: &mut Entries<Value>,
        right: Entries<Value>,
    ) -> Result<(), Failure> {
        for (key, right) in right {
            match left.get_mut(&key) {
                Some(left) if !is_nil(left) => {
                    let merged = match (left, right) {
                        (Value::Any(left), Value::Any(right)) => self.any(left, right),
                        (left, right) => self.value(ty, left, right, Context::default()),
                    };
                    merged.map_err(|failure| failure.inside(key))?;
                }
                _ => drop(left.insert(key, right)),
            }
        }
        Ok(())
    }

    /// Free-form values: what is there on both sides must be of one type.
    fn any(self, left: &mut Any, right: Any) -> Result<(), Failure> {
        let (left_type, right_type) = (left.type_name(), right.type_name());
        if matches!(right, Any::Null) {
            // The reference dereferences nothing here and crashes.
            return Err(format!("merge type mismatch left {left_type} right <nil>").into());
        }
        if left_type != right_type {
            return Err(format!("merge type mismatch left {left_type} right {right_type}").into());
        }
        match (left, right) {
            (Any::List(left), Any::List(right)) => left.extend(right),
            (Any::Map(left), Any::Map(right)) => {
                for (key, right) in *right {
                    match left.get_mut(&key) {
                        Some(left) if !matches!(left, Any::Null) => {
                            self.any(left, right)
                                .map_err(|failure| failure.inside(key))?;
                        }
                        _ => drop(left.insert(key, right)),
                    }
                }
            }
            (Any::Timestamp(_) | Any::General(_), _) => {
                return Err(format!("merge not possible, left {left_type} is not settable").into());
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
        self,
        codec: Codec,
        left: &mut Value,
        right: Value,
        context: Context,
    ) -> Result<(), Failure> {
        match (codec, left, right) {
            (Codec::Url, Value::Url(left), Value::Url(right)) => match (left.as_mut(), right) {
                (_, None) => Ok(()),
                (Some(left), Some(right)) => left.merge(*right).map_err(Failure::from),
                (None, right) => {
                    *left = right;
                    Ok(())
                }
            },
            (Codec::Size, Value::Size(left), Value::Size(right)) => {
                left.bytes = right.bytes.or(left.bytes.take());
                left.percentage = right.percentage.or(left.percentage.take());
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
                Err(format!("merge not possible, left {left} is not settable").into())
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
        self,
        ty: TypeId,
        merge: Merge,
        left: &mut Value,
        right: Value,
    ) -> Result<(), Failure> {
        match (&self.schema.get(ty).shape, left, right) {
            (Shape::Map(_), Value::Map(left), Value::Map(Some(right))) => {
                if !right.is_empty() {
                    left.get_or_insert_default().extend(*right);
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
        self,
        matching: &Matching,
        index: &mut Index,
        left: &mut Vec<Value>,
        right: Value,
    ) -> Result<(), Failure> {
        let Some(target) = right.target() else {
            // The reference dereferences nothing here and crashes.
            return Err("merge not possible, right item is null".to_owned().into());
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
                self.value(matching.item, &mut left[at], right, Context::default())
                    .map_err(|failure| failure.inside(format!("[{at}]")))?;
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
