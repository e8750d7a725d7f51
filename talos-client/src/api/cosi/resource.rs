//! The envelope of a resource.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::api::pb::cosi::resource as pb;
use crate::api::wire::timestamp;
use crate::{Error, ErrorKind, Result};

/// What a resource type is called on the node. Implemented by the types of this module; not implementable elsewhere.
pub trait ResourceSpec: sealed::Wire {
    /// Registered name, in the exact case.
    const TYPE: &'static str;
    /// Namespace it lives in.
    const NAMESPACE: &'static str;
}

/// A type of which a node has exactly one resource.
pub trait SingletonSpec: ResourceSpec {
    /// Its id.
    const ID: &'static str;
}

pub(crate) mod sealed {
    /// How a specification is written on the wire.
    pub trait Wire: Sized + Send + 'static {
        type Message: prost::Message + Default;
        fn from_wire(message: Self::Message) -> Self;
    }
}

/// Declares the names of a resource type and its message.
macro_rules! resource_spec {
    ($spec:ident, $type:literal, $namespace:literal, $message:ty $(, id $id:literal)?) => {
        impl $crate::api::cosi::ResourceSpec for $spec {
            const TYPE: &'static str = $type;
            const NAMESPACE: &'static str = $namespace;
        }
        $(impl $crate::api::cosi::SingletonSpec for $spec {
            const ID: &'static str = $id;
        })?
        impl $crate::api::cosi::resource::sealed::Wire for $spec {
            type Message = $message;
            fn from_wire(message: $message) -> Self {
                message.into()
            }
        }
    };
}
pub(crate) use resource_spec;

/// A resource: its metadata, and what it specifies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resource<T> {
    /// Identity and history.
    pub metadata: ResourceMetadata,
    /// Content.
    pub spec: T,
}

/// Identity and history of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceMetadata {
    /// The namespace it lives in.
    pub namespace: String,
    /// The registered name of its type.
    pub resource_type: String,
    /// Its id within type and namespace.
    pub id: String,
    /// A counter, or `undefined`.
    pub version: String,
    /// Whether it is about to be destroyed.
    pub is_tearing_down: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub updated: Option<Timestamp>,
    /// The controller that writes it; empty for some.
    pub owner: String,
    /// The controllers that must act before it is destroyed.
    pub finalizers: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A change of a watched resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change<T> {
    /// It exists; also the first item of a watch for one that existed before.
    Created(Resource<T>),
    /// It has another content.
    Updated(Resource<T>),
    /// It does not exist (any more).
    Destroyed(ResourceMetadata),
    /// What existed before has been sent.
    Bootstrapped,
}

impl<T> Change<T> {
    /// The resource, if it exists now.
    #[must_use]
    pub fn resource(&self) -> Option<&Resource<T>> {
        match self {
            Self::Created(resource) | Self::Updated(resource) => Some(resource),
            Self::Destroyed(_) | Self::Bootstrapped => None,
        }
    }
}

pub(super) fn resource<T: ResourceSpec>(resource: pb::Resource) -> Result<Resource<T>> {
    let metadata = metadata(resource.metadata.unwrap_or_default());
    let spec = resource.spec.unwrap_or_default();
    let message = T::Message::decode(spec.proto_spec.as_slice()).map_err(|source| {
        Error::new(ErrorKind::Decode, "read resource")
            .with_target(format!("{} {}", T::TYPE, metadata.id))
            .with_message("the specification cannot be decoded")
            .with_source(source)
    })?;
    Ok(Resource {
        metadata,
        spec: T::from_wire(message),
    })
}

/// What an event says about resources of the type `of`, each of which `decode` takes from the wire.
pub(super) fn change<T>(
    event: pb::Event,
    of: &str,
    decode: impl Fn(pb::Resource) -> Result<Resource<T>>,
) -> Result<Option<Change<T>>> {
    let kind = event.event_type();
    let found = event.resource.unwrap_or_default();
    Ok(match kind {
        pb::EventType::Created => Some(Change::Created(decode(found)?)),
        pb::EventType::Updated => Some(Change::Updated(decode(found)?)),
        // A tombstone has no content.
        pb::EventType::Destroyed => Some(Change::Destroyed(metadata(
            found.metadata.unwrap_or_default(),
        ))),
        pb::EventType::Bootstrapped => Some(Change::Bootstrapped),
        pb::EventType::Noop => None,
        pb::EventType::Errored => {
            return Err(Error::new(ErrorKind::Interrupted, "watch resources")
                .with_target(of)
                .with_message(event.error.unwrap_or_default()));
        }
    })
}

pub(super) fn metadata(metadata: pb::Metadata) -> ResourceMetadata {
    ResourceMetadata {
        namespace: metadata.namespace,
        resource_type: metadata.r#type,
        id: metadata.id,
        version: metadata.version,
        is_tearing_down: metadata.phase == "tearingDown",
        created: timestamp(metadata.created),
        updated: timestamp(metadata.updated),
        owner: metadata.owner,
        finalizers: metadata.finalizers,
        labels: metadata.labels.into_iter().collect(),
        annotations: metadata.annotations.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cosi::TimeStatus;
    use crate::api::pb::definitions::time as wire;

    fn change(event: pb::Event) -> Result<Option<Change<TimeStatus>>> {
        super::change(event, TimeStatus::TYPE, resource)
    }

    fn event(kind: pb::EventType, spec: Option<wire::StatusSpec>) -> pb::Event {
        pb::Event {
            resource: Some(pb::Resource {
                metadata: Some(pb::Metadata {
                    id: "node".to_owned(),
                    version: "7".to_owned(),
                    ..Default::default()
                }),
                spec: spec.map(|spec| pb::Spec {
                    proto_spec: spec.encode_to_vec(),
                    yaml_spec: String::new(),
                }),
            }),
            event_type: kind.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_tombstone_has_an_id_and_no_content() {
        let change = change(event(pb::EventType::Destroyed, None))
            .unwrap()
            .unwrap();

        assert!(matches!(&change, Change::Destroyed(gone) if gone.id == "node"));
        assert_eq!(change.resource(), None);
    }

    #[test]
    fn an_update_carries_the_new_content() {
        let spec = wire::StatusSpec {
            synced: true,
            epoch: 2,
            sync_disabled: false,
        };

        let change = change(event(pb::EventType::Updated, Some(spec)))
            .unwrap()
            .unwrap();

        let resource = change.resource().unwrap();
        assert!(resource.spec.is_synced);
        assert_eq!(resource.metadata.version, "7");
    }

    #[test]
    fn an_overrun_ends_the_watch_so_that_it_is_opened_again() {
        let mut overrun = event(pb::EventType::Errored, None);
        overrun.error = Some("buffer overrun: namespace runtime".to_owned());

        let error = change(overrun).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(error.is_retryable());
    }
}
