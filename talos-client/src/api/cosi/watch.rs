//! Following resources of a type.

use serde::{Deserialize, Serialize};

use super::query::ResourceQuery;
use super::resource::Change;
use crate::api::pb::cosi::resource as pb;

/// A place in the changes of a type, from which a watch can go on. It is worth nothing after a reboot of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark(Vec<u8>);

impl Bookmark {
    /// As bytes, to be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the bytes of an earlier one.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

/// A change and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WatchEvent<T> {
    /// What changed.
    pub change: Change<T>,
    /// Where a later watch can go on, if the node says it.
    pub bookmark: Option<Bookmark>,
}

/// Where a watch begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Start {
    Present,
    Tail(i32),
    Bookmark(Vec<u8>),
}

/// What to follow, and from where on.
///
/// Unless said otherwise a watch begins with what exists, and [`Change::Bootstrapped`] for a watch of many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct WatchRequest {
    id: Option<String>,
    query: ResourceQuery,
    start: Start,
}

impl WatchRequest {
    /// All resources of the type.
    pub fn all() -> Self {
        Self {
            id: None,
            query: ResourceQuery::all(),
            start: Start::Present,
        }
    }

    /// Those that a query selects. A resource that is changed so that it is selected (not) any more is created (destroyed)
    /// for this watch.
    pub fn matching(query: ResourceQuery) -> Self {
        Self {
            query,
            ..Self::all()
        }
    }

    /// One resource, which may not exist yet.
    pub fn of(id: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::all()
        }
    }

    /// Begins with the last `changes` instead of with what exists.
    pub fn tail(mut self, changes: u32) -> Self {
        self.start = Start::Tail(i32::try_from(changes).unwrap_or(i32::MAX).max(1));
        self
    }

    /// Begins with the first change after a place instead of with what exists. A place that the node has forgotten is
    /// [`crate::ErrorKind::NotReady`] with the text `invalid watch bookmark`: begin again from what exists.
    pub fn after(mut self, bookmark: &Bookmark) -> Self {
        self.start = Start::Bookmark(bookmark.0.clone());
        self
    }

    pub(super) fn to_wire(&self, kind: &str, namespace: &str) -> pb::WatchRequest {
        let is_kind = self.id.is_none();
        let from_present = is_kind && self.start == Start::Present;
        pb::WatchRequest {
            namespace: namespace.to_owned(),
            r#type: kind.to_owned(),
            id: self.id.clone(),
            // v1.10 answers Internal when the options are missing.
            options: Some(pb::WatchOptions {
                bootstrap_contents: from_present,
                tail_events: match self.start {
                    Start::Tail(changes) => changes,
                    Start::Present | Start::Bookmark(_) => 0,
                },
                start_from_bookmark: match &self.start {
                    Start::Bookmark(bookmark) => Some(bookmark.clone()),
                    Start::Present | Start::Tail(_) => None,
                },
                label_query: self.query.label_queries(),
                id_query: self.query.id_query(),
                ..Default::default()
            }),
            // Without it the end of what exists is not marked.
            api_version: 1,
        }
    }
}

pub(super) fn with_bookmark<T>(change: Change<T>, bookmark: Option<Vec<u8>>) -> WatchEvent<T> {
    WatchEvent {
        change,
        bookmark: bookmark.map(Bookmark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_comes_first_unless_a_place_is_named() {
        let all = WatchRequest::all().to_wire("A", "n").options.unwrap();
        assert!(all.bootstrap_contents);

        let later = WatchRequest::all().after(&Bookmark::from_bytes([1, 2]));
        let later = later.to_wire("A", "n").options.unwrap();
        assert!(!later.bootstrap_contents);
        assert_eq!(later.start_from_bookmark, Some(vec![1, 2]));

        let one = WatchRequest::of("x").tail(3).to_wire("A", "n");
        assert_eq!(one.id.as_deref(), Some("x"));
        assert_eq!(one.options.unwrap().tail_events, 3);
    }
}
