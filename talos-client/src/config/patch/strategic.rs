//! Strategic merge patches: matching documents, deleting, merging.

use crate::config::document::{TypedDocument, Value};
use crate::config::load::{PatchDocument, Selector, ordered};
use crate::config::schema::{Minor, Schema};

use super::delete::delete;
use super::merge::merge;

/// The documents of a configuration between two patches.
pub(super) struct Documents {
    pub(super) documents: Vec<TypedDocument>,
    /// Selectors without a document, which releases up to v1.13 print as empty documents: for each the number of documents
    /// before it, the one without a kind aside.
    pub(super) leftovers: Vec<usize>,
}

impl Documents {
    pub(super) const fn new(documents: Vec<TypedDocument>) -> Self {
        Self {
            documents,
            leftovers: Vec::new(),
        }
    }

    /// How many documents with a kind are before this one.
    fn place(&self, index: usize) -> usize {
        let before = self.documents.iter().take(index);
        before.filter(|document| !document.is_v1alpha1()).count()
    }

    fn remove(&mut self, index: usize) {
        let place = self.place(index);
        if !self.documents.remove(index).is_v1alpha1() {
            for leftover in &mut self.leftovers {
                *leftover -= usize::from(*leftover > place);
            }
        }
    }
}

/// Applies the documents of a patch to those of a configuration.
///
/// # Errors
///
/// The text of the reference; also where the reference would crash.
pub(super) fn apply(
    schema: &'static Schema,
    mut left: Documents,
    patch: Vec<PatchDocument>,
) -> Result<Documents, String> {
    for document in &left.documents {
        if let Some(ty) = not_copyable(&document.value) {
            return Err(format!("cannot deep copy {ty}"));
        }
    }
    for document in patch {
        let documents = &mut left.documents;
        match document {
            PatchDocument::Merge(right) => match position(schema, documents, &right) {
                Some(index) => {
                    merge(
                        schema,
                        right.kind.ty,
                        &mut documents[index].value,
                        right.value,
                    )?;
                }
                None => documents.push(right),
            },
            PatchDocument::Delete(selector) => match select(schema, documents, &selector) {
                Some(index) => {
                    if delete(schema, &selector, &mut documents[index])? {
                        left.remove(index);
                    }
                }
                None if schema.minor() >= Minor::V1_14 => {}
                None if selector.name.is_empty() => {
                    let end = left.place(left.documents.len());
                    left.leftovers.push(end);
                }
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
    left.documents = ordered(schema, left.documents)?;
    Ok(left)
}

fn position(schema: &Schema, documents: &[TypedDocument], right: &TypedDocument) -> Option<usize> {
    documents.iter().position(|left| {
        left.kind.kind == right.kind.kind && left.name(schema) == right.name(schema)
    })
}

/// A document of a kind with names that has none is selected by nothing.
fn select(schema: &Schema, documents: &[TypedDocument], selector: &Selector) -> Option<usize> {
    documents.iter().position(|left| {
        let same_version = left.is_v1alpha1() == selector.is_v1alpha1();
        let same_kind = left.kind.kind == selector.kind;
        let same_name = left.name(schema) == selector.name;
        let is_nameless = left.kind.named && selector.name.is_empty();
        same_version && same_kind && same_name && !is_nameless
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
