//! Objects of Kubernetes that Argo CD passes on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::nullable;

/// An event of Kubernetes about an object of Argo CD.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Event {
    /// The reason in one word, such as `ResourceCreated`.
    #[serde(default, deserialize_with = "nullable")]
    pub reason: String,
    /// The text.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
    /// `Normal` or `Warning`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// How often it happened.
    #[serde(default, deserialize_with = "nullable")]
    pub count: u64,
    /// The object that it is about.
    #[serde(default, deserialize_with = "nullable")]
    pub involved_object: InvolvedObject,
    /// Which component wrote it.
    #[serde(default, deserialize_with = "nullable")]
    pub source: EventSource,
    /// When it happened first.
    #[serde(default)]
    pub first_timestamp: Option<Timestamp>,
    /// When it happened last.
    #[serde(default)]
    pub last_timestamp: Option<Timestamp>,
}

/// The object that an event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InvolvedObject {
    /// Kind.
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    /// Namespace.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
}

/// The component that wrote an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventSource {
    /// For example `argocd-server`.
    #[serde(default, deserialize_with = "nullable")]
    pub component: String,
}
