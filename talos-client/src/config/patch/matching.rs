//! Which items of two lists belong together, where a list is not just appended.

use std::collections::HashMap;

use crate::config::document::Value;
use crate::config::schema::{Merge, Schema, Shape, Struct, TypeId};

/// Where the item with a key is; the first one where several have it.
pub(super) type Index = HashMap<Key, usize>;

/// What two items have in common when they belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Text(String),
    Number(i128),
    /// The texts of a device selector.
    Selector(Vec<String>),
}

/// The rule by which items of a list are matched.
pub(super) struct Matching {
    pub(super) item: TypeId,
    shape: Option<&'static Struct>,
    merge: Merge,
}

impl Matching {
    pub(super) fn new(schema: &'static Schema, item: TypeId, merge: Merge) -> Self {
        let target = match &schema.get(item).shape {
            Shape::Pointer(target) => *target,
            _ => item,
        };
        let shape = match &schema.get(target).shape {
            Shape::Struct(shape) => Some(shape),
            _ => None,
        };
        Self { item, shape, merge }
    }

    /// Whether a matching item is replaced instead of merged.
    pub(super) fn replaces(&self) -> bool {
        matches!(self.merge, Merge::ReplaceItemsBy(_))
    }

    pub(super) fn index<'a>(&self, items: impl Iterator<Item = &'a Value>) -> Index {
        let mut index = Index::new();
        for (at, item) in items.enumerate() {
            self.add(&mut index, at, item);
        }
        index
    }

    /// Makes an item known under all its keys.
    pub(super) fn add(&self, index: &mut Index, at: usize, item: &Value) {
        let Some(item) = item.target() else { return };
        let keys = match self.merge {
            Merge::Interfaces => [self.name(item), self.selector(item)],
            _ => [self.key(item), None],
        };
        for key in keys.into_iter().flatten() {
            let first = index.entry(key).or_insert(at);
            *first = at.min(*first);
        }
    }

    /// The key by which an item of the right list looks for its counterpart; nothing when it is appended.
    pub(super) fn key(&self, item: &Value) -> Option<Key> {
        match self.merge {
            Merge::ItemsBy(field) | Merge::ReplaceItemsBy(field) => {
                match self.field(item, field)? {
                    Value::String(text) => Some(Key::Text(text.clone())),
                    Value::Int(number) => Some(Key::Number(*number)),
                    _ => None,
                }
            }
            Merge::Interfaces => self.name(item).or_else(|| self.selector(item)),
            Merge::ByShape | Merge::Overwrite | Merge::Whole => None,
        }
    }

    fn name(&self, item: &Value) -> Option<Key> {
        match self.field(item, "interface")? {
            Value::String(name) if !name.is_empty() => Some(Key::Text(name.clone())),
            _ => None,
        }
    }

    /// Go compares the pointer to `physical` and not what it points to, so a selector with it equals no other.
    fn selector(&self, item: &Value) -> Option<Key> {
        let Value::Struct(fields) = self.field(item, "deviceSelector")?.target()? else {
            return None;
        };
        let texts = fields.iter().map(|field| match field {
            Value::String(text) => Some(text.clone()),
            Value::Pointer(None) => Some(String::new()),
            _ => None,
        });
        texts.collect::<Option<_>>().map(Key::Selector)
    }

    fn field<'v>(&self, item: &'v Value, key: &str) -> Option<&'v Value> {
        item.at(self.shape?.find(key)?)
    }
}
