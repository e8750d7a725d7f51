//! The entries of a mapping: repeated keys and merge keys.

use super::super::mapping::{Duplicate, Entry, Mapping};
use super::super::node::{Kind, Node};
use super::super::problem::refused;
use super::super::resolve;
use super::super::scalar::Style;
use super::Oddities;
use crate::Result;

/// The entries of a mapping while it is read.
#[derive(Default)]
pub(super) struct Entries {
    mapping: Mapping,
    merged: Vec<Node>,
}

impl Entries {
    pub(super) fn add(&mut self, key: Node, value: Node, oddities: &mut Oddities) {
        let spot = key.spot;
        let Kind::Scalar(mut scalar) = key.kind else {
            oddities.key.get_or_insert(spot.position());
            return;
        };
        if resolve::is_null(&scalar) {
            // However it is written, or not written at all, it is the same key.
            scalar.text = "null".to_owned();
        }
        if scalar.style == Style::Plain && scalar.text == "<<" {
            self.merged.push(value);
            return;
        }
        if let Some(first) = self.mapping.entry(&scalar.text) {
            let duplicate = Duplicate {
                line: spot.line(),
                first_line: first.spot.line(),
                key: scalar.text,
            };
            oddities.duplicates.push(duplicate.clone());
            self.mapping.duplicates.push(duplicate);
            return;
        }
        self.mapping.insert_entry(Entry {
            key: scalar,
            spot,
            value,
        });
    }

    pub(super) fn finish(mut self) -> Result<Kind> {
        for value in self.merged {
            merge(&mut self.mapping, value)?;
        }
        Ok(Kind::Mapping(self.mapping))
    }
}

/// Takes over the keys of a `<<` value that are not there yet; the earlier of several wins.
fn merge(mapping: &mut Mapping, value: Node) -> Result<()> {
    match value.kind {
        Kind::Mapping(source) => {
            for entry in source.into_entries() {
                if !mapping.contains_key(&entry.key.text) {
                    mapping.insert_entry(entry);
                }
            }
            Ok(())
        }
        Kind::Sequence(items) if items.iter().all(|item| item.as_mapping().is_some()) => {
            items.into_iter().try_for_each(|item| merge(mapping, item))
        }
        _ => Err(refused(
            "yaml: map merge requires map or sequence of maps as the value",
        )),
    }
}
