//! The types of machine configuration, release by release.
//!
//! Talos decodes and merges configuration by the Go types of its release: whether a field is a pointer, a list that appends or
//! a text with a form of its own decides what a patch does. [`Schema`] is that type table, read from `types.txt`.

mod codec;
mod enums;
mod shape;
mod size;
mod url_parts;

use std::collections::HashMap;
use std::sync::OnceLock;

pub(crate) use codec::{
    Codec, canonical_address, canonical_hardware_address, check_byte_size, check_disk_size_matcher,
    check_percentage, disk_size_text, duration_text, parse_disk_size, parse_duration,
};
pub(crate) use enums::Enumeration;
pub(crate) use shape::{Field, Int, Merge, Shape, Struct, Type, TypeId};
pub(crate) use url_parts::UrlParts;

use super::contract::VersionContract;
use super::version::TalosVersion;
use crate::go::yaml::Dialect;

const TABLE: &str = include_str!("types.txt");
const FIRST_MINOR: u16 = VersionContract::OLDEST.minor();
const LAST_MINOR: u16 = VersionContract::NEWEST.minor();

/// The kinds of links, and since which minor version.
const LINKS: &[(&str, u16)] = &[
    ("BondConfig", 12),
    ("BridgeConfig", 12),
    ("DummyLinkConfig", 12),
    ("LinkConfig", 12),
    ("VLANConfig", 12),
    ("WireguardConfig", 12),
    ("VRFConfig", 13),
    ("VethConfig", 14),
];

/// The minor version of Talos whose habits apply, from v1.10 to v1.14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Minor(u16);

impl Minor {
    pub(crate) const V1_12: Self = Self(12);
    pub(crate) const V1_13: Self = Self(13);
    pub(crate) const V1_14: Self = Self(14);

    /// The number behind the dot.
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

/// A document kind of a release.
#[derive(Debug)]
pub(crate) struct DocumentKind {
    pub(crate) kind: &'static str,
    pub(crate) ty: TypeId,
    /// Documents of the kind are distinguished by their `name`.
    pub(crate) named: bool,
}

/// The type table of one minor version.
#[derive(Debug)]
pub(crate) struct Schema {
    minor: Minor,
    types: Vec<Type>,
    documents: HashMap<&'static str, DocumentKind>,
    bundle: TypeId,
}

impl Schema {
    /// The table for a release; the oldest for older ones, the newest for newer ones.
    pub(crate) fn of(version: &TalosVersion) -> &'static Self {
        Self::of_minor(version.generator().minor())
    }

    /// The table for a minor version, or the nearest one.
    pub(crate) fn of_minor(minor: u16) -> &'static Self {
        static SCHEMAS: [OnceLock<Schema>; VersionContract::COUNT] =
            [const { OnceLock::new() }; VersionContract::COUNT];
        let minor = minor.clamp(FIRST_MINOR, LAST_MINOR);
        SCHEMAS[usize::from(minor - FIRST_MINOR)].get_or_init(|| shape::parse(TABLE, Minor(minor)))
    }

    pub(crate) fn minor(&self) -> Minor {
        self.minor
    }

    /// The YAML library of the release.
    pub(crate) fn dialect(&self) -> Dialect {
        match self.minor.0 {
            ..=11 => Dialect::V3,
            12 => Dialect::V4Rc3,
            13 => Dialect::V4Rc4,
            _ => Dialect::V4Rc6,
        }
    }

    pub(crate) fn get(&self, ty: TypeId) -> &Type {
        &self.types[ty.index()]
    }

    /// The type of the field at a path of a struct.
    pub(crate) fn field_type(&self, shape: &Struct, path: (usize, Option<usize>)) -> TypeId {
        let outer = shape.fields[path.0].ty;
        match (path.1, &self.get(outer).shape) {
            (Some(inner), Shape::Struct(inlined)) => inlined.fields[inner].ty,
            _ => outer,
        }
    }

    /// The kind; `"v1alpha1"` for the document without one.
    pub(crate) fn document(&self, kind: &str) -> Option<&DocumentKind> {
        self.documents.get(kind)
    }

    /// The type of a secrets bundle.
    pub(crate) fn bundle(&self) -> TypeId {
        self.bundle
    }

    /// Whether a document of the kind sets up a link of its name. Since v1.14 a link may be claimed once only, also as the
    /// peer of a pair.
    pub(crate) fn claims_link(&self, kind: &str) -> bool {
        self.minor >= Minor::V1_14 && LINKS.iter().any(|(link, _)| *link == kind)
    }

    /// The kinds that must not have a document of the same name as one of `kind`.
    pub(crate) fn conflicts(&self, kind: &str) -> impl Iterator<Item = &'static str> {
        const VOLUMES: &[(&str, u16)] = &[("UserVolumeConfig", 11), ("ExistingVolumeConfig", 11)];
        const VIRTUAL_ADDRESSES: &[(&str, u16)] =
            &[("Layer2VIPConfig", 12), ("HCloudVIPConfig", 12)];
        let minor = self.minor;
        let group = [VOLUMES, VIRTUAL_ADDRESSES, LINKS]
            .into_iter()
            .find(|group| group.iter().any(|(member, _)| *member == kind));
        let others: Vec<&'static str> = group
            .unwrap_or_default()
            .iter()
            .filter(|(member, since)| *member != kind && Minor(*since) <= minor)
            .map(|(member, _)| *member)
            .collect();
        others.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(version: &str) -> &'static Schema {
        Schema::of(&TalosVersion::parse(version).unwrap())
    }

    #[test]
    fn kinds_appear_with_their_release() {
        for (kind, since) in [
            ("v1alpha1", 10),
            ("VolumeConfig", 10),
            ("SwapVolumeConfig", 11),
            ("HostnameConfig", 12),
            ("VRFConfig", 13),
            ("KubeProxyConfig", 14),
        ] {
            for minor in FIRST_MINOR..=LAST_MINOR {
                let known = schema(&format!("v1.{minor}")).document(kind).is_some();
                assert_eq!(known, minor >= since, "{kind} in v1.{minor}");
            }
        }
    }

    #[test]
    fn releases_outside_the_table_use_the_nearest() {
        assert_eq!(schema("v1.9").minor(), Minor(10));
        assert_eq!(schema("v1.15.1").minor(), Minor::V1_14);
    }

    #[test]
    fn names_tell_documents_apart_except_for_singletons() {
        let schema = schema("v1.14");
        assert!(schema.document("VolumeConfig").unwrap().named);
        assert!(!schema.document("HostnameConfig").unwrap().named);
        assert!(!schema.document("v1alpha1").unwrap().named);
    }

    #[test]
    fn every_type_of_the_table_has_a_shape() {
        for minor in FIRST_MINOR..=LAST_MINOR {
            let schema = schema(&format!("v1.{minor}"));
            for ty in &schema.types {
                assert!(
                    !matches!(ty.shape, Shape::Unknown),
                    "{} in v1.{minor}",
                    ty.name
                );
            }
        }
    }
}
