//! Strategic merge patches: matching documents, deleting, merging.

use crate::config::document::{TypedDocument, Value};
use crate::config::load::{PatchDocument, Selector, ordered};
use crate::config::schema::{Minor, Schema};

use super::delete::delete;
use super::merge::merge;

/// The outcome of a strategic merge.
pub(super) struct Merged {
    pub(super) documents: Vec<TypedDocument>,
    /// Selectors without a document, which releases up to v1.13 print as empty documents.
    pub(super) leftovers: usize,
}

/// Applies the documents of a patch to those of a configuration.
///
/// # Errors
///
/// The text of the reference; also where the reference would crash.
pub(super) fn apply(
    schema: &'static Schema,
    left: Vec<TypedDocument>,
    patch: Vec<PatchDocument>,
) -> Result<Merged, String> {
    for document in &left {
        if let Some(ty) = not_copyable(&document.value) {
            return Err(format!("cannot deep copy {ty}"));
        }
    }
    let mut left = left;
    let mut leftovers = 0;
    for document in patch {
        match document {
            PatchDocument::Merge(right) => match position(schema, &left, &right) {
                Some(index) => merge(schema, right.kind.ty, &mut left[index].value, right.value)?,
                None => left.push(right),
            },
            PatchDocument::Delete(selector) => match select(schema, &left, &selector) {
                Some(index) => {
                    if delete(schema, &selector, &mut left[index])? {
                        left.remove(index);
                    }
                }
                None if schema.minor() >= Minor::V1_14 => {}
                None if selector.name.is_empty() => leftovers += 1,
                None => {
                    // The reference tries to print the selector and crashes.
                    let Selector {
                        api_version,
                        kind,
                        name,
                        ..
                    } = &selector;
                    return Err(format!(
                        "named patch delete: document {api_version}/{kind}: name mismatch, expected {name}, got none"
                    ));
                }
            },
        }
    }
    let documents = ordered(schema, left)?;
    Ok(Merged {
        documents,
        leftovers,
    })
}

fn position(schema: &Schema, documents: &[TypedDocument], right: &TypedDocument) -> Option<usize> {
    documents.iter().position(|left| {
        left.kind.kind == right.kind.kind && left.name(schema) == right.name(schema)
    })
}

fn select(schema: &Schema, documents: &[TypedDocument], selector: &Selector) -> Option<usize> {
    documents.iter().position(|left| {
        let same_version = left.is_v1alpha1() == selector.is_v1alpha1();
        same_version && left.kind.kind == selector.kind && left.name(schema) == selector.name
    })
}

fn not_copyable(value: &Value) -> Option<&'static str> {
    match value {
        Value::Any(value) => value.not_copyable(),
        Value::Pointer(target) => target.as_deref().and_then(not_copyable),
        Value::List(items) => items.iter().flatten().find_map(not_copyable),
        Value::Map(entries) => {
            let mut values = entries.iter().flat_map(|entries| entries.values());
            values.find_map(not_copyable)
        }
        Value::Struct(fields) => fields.iter().find_map(not_copyable),
        _ => None,
    }
}
