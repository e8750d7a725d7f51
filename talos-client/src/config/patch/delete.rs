//! Applying what `$patch: delete` selected.

use crate::config::document::{Any, TypedDocument, Value, text_form, zero};
use crate::config::load::Selector;
use crate::config::schema::{Minor, Schema, Shape, TypeId};

const LOOKUP_FAILED: &str = "lookup failed";

/// Deletes what a selector selects from its document; true when that is the document itself.
///
/// # Errors
///
/// The text of the reference, with the path of the selector.
pub(super) fn delete(
    schema: &Schema,
    selector: &Selector,
    document: &mut TypedDocument,
) -> Result<bool, String> {
    if selector.path.is_empty() {
        return Ok(true);
    }
    let deletion = Deletion { schema, selector };
    let path: Vec<&str> = selector.path.iter().map(String::as_str).collect();
    let result = deletion.value(document.kind.ty, &mut document.value, &path);
    result.map(|()| false).map_err(|reason| {
        let path = selector.path_text();
        let of = format!("{}/{}", selector.api_version, selector.kind);
        let inner = format!("failed to delete path '{path}': {reason}");
        if selector.name.is_empty() {
            format!("patch delete: path '{path}' in document '{of}': {inner}")
        } else {
            format!("named patch delete: document {of}: {inner}")
        }
    })
}

struct Deletion<'a> {
    schema: &'a Schema,
    selector: &'a Selector,
}

impl Deletion<'_> {
    /// Since v1.12 free-form objects, and other fields that stand among those of their parent, are searched too.
    fn searches_inlined(&self) -> bool {
        self.schema.minor() >= Minor::V1_12
    }

    fn value(&self, ty: TypeId, value: &mut Value, path: &[&str]) -> Result<(), String> {
        let Some((key, rest)) = path.split_first() else {
            return Err("path is empty".to_owned());
        };
        match (&self.schema.get(ty).shape, value) {
            (Shape::Pointer(target), Value::Pointer(Some(value))) => {
                self.value(*target, value, path)
            }
            (Shape::List(item), Value::List(items)) => self.item(*item, items, key, rest),
            (Shape::Map(ty), Value::Map(Some(entries))) => match entries.get_mut(*key) {
                None => Err(LOOKUP_FAILED.to_owned()),
                Some(_) if rest.is_empty() => {
                    entries.swap_remove(*key);
                    Ok(())
                }
                Some(value) => self.value(*ty, value, rest),
            },
            (Shape::Any, Value::Any(value)) => self.any(value, path),
            (Shape::Struct(shape), value) => {
                let found = shape
                    .find(key)
                    .filter(|(_, inner)| inner.is_none() || self.searches_inlined());
                if let (Some(path), Some(target)) =
                    (found, found.and_then(|path| value.at_mut(path)))
                {
                    let ty = self.schema.field_type(shape, path);
                    if rest.is_empty() {
                        *target = zero(self.schema, ty);
                        return Ok(());
                    }
                    return self.value(ty, target, rest);
                }
                match shape
                    .inline_map
                    .and_then(|field| Some((shape.fields[field].ty, value.at_mut((field, None))?)))
                {
                    Some((ty, entries)) if self.searches_inlined() => self.value(ty, entries, path),
                    _ => Err(LOOKUP_FAILED.to_owned()),
                }
            }
            _ => Err(LOOKUP_FAILED.to_owned()),
        }
    }

    fn any(&self, value: &mut Any, path: &[&str]) -> Result<(), String> {
        let Some((key, rest)) = path.split_first() else {
            return Err("path is empty".to_owned());
        };
        match value {
            Any::Map(entries) if rest.is_empty() => entries
                .shift_remove(*key)
                .map(drop)
                .ok_or_else(|| LOOKUP_FAILED.to_owned()),
            Any::Map(entries) => match entries.get_mut(*key) {
                Some(value) => self.any(value, rest),
                None => Err(LOOKUP_FAILED.to_owned()),
            },
            Any::List(_) => Err(list_refusal(key, rest).unwrap_or(LOOKUP_FAILED).to_owned()),
            _ => Err(LOOKUP_FAILED.to_owned()),
        }
    }

    /// Removes the first item whose field has the text that the marked item gives.
    fn item(
        &self,
        ty: TypeId,
        items: &mut Option<Vec<Value>>,
        key: &str,
        rest: &[&str],
    ) -> Result<(), String> {
        if let Some(refusal) = list_refusal(key, rest) {
            return Err(refusal.to_owned());
        }
        let (Some((field, text)), Some(items)) = (&self.selector.item, items) else {
            return Err(LOOKUP_FAILED.to_owned());
        };
        let target = match &self.schema.get(ty).shape {
            Shape::Pointer(target) => *target,
            _ => ty,
        };
        let Shape::Struct(shape) = &self.schema.get(target).shape else {
            return Err(LOOKUP_FAILED.to_owned());
        };
        let found = shape
            .find(field)
            .filter(|(_, inner)| inner.is_none() || self.searches_inlined());
        let Some(path) = found else {
            return Err(LOOKUP_FAILED.to_owned());
        };
        let field_type = self.schema.field_type(shape, path);
        let matching = items.iter().position(|item| {
            let value = item.target().and_then(|item| item.at(path));
            value.is_some_and(|value| self.has_text(field_type, value, text))
        });
        match matching {
            Some(index) => {
                items.remove(index);
                Ok(())
            }
            None => Err(LOOKUP_FAILED.to_owned()),
        }
    }

    fn has_text(&self, ty: TypeId, value: &Value, text: &str) -> bool {
        match (&self.schema.get(ty).shape, value) {
            (Shape::String, Value::String(value)) => value == text,
            (Shape::Pointer(target), Value::Pointer(Some(value))) if self.searches_inlined() => {
                self.has_text(*target, value, text)
            }
            (Shape::Codec(codec), value) if self.searches_inlined() => {
                text_form(*codec, value, self.schema.minor()).as_deref() == Some(text)
            }
            _ => false,
        }
    }
}

/// Why a path cannot go on into a list.
fn list_refusal(key: &str, rest: &[&str]) -> Option<&'static str> {
    if !rest.is_empty() {
        Some("searching for complex paths in slices is not supported")
    } else if key.is_empty() {
        Some("searching for '' in a slice is not supported")
    } else if !key.starts_with('[') {
        Some("searching for non-integer keys in slices is not supported")
    } else {
        None
    }
}
