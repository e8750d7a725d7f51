//! The resource types and namespaces that the nodes of a release know.

use prost::Message as _;

use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::meta::resource_definition_spec::{PrintColumn, Sensitivity};
use crate::api::pb::cosi::resource::meta::{NamespaceSpec, ResourceDefinitionSpec};
use crate::yaml::Node;

/// What the registries of v1.10.7, v1.11.6, v1.12.11, v1.13.9 and v1.14.0-rc.1 hold.
const DATA: &str = include_str!("definitions.txt");

pub(super) const TYPES: &str = "ResourceDefinitions.meta.cosi.dev";
pub(super) const NAMESPACES: &str = "Namespaces.meta.cosi.dev";

/// A type as a line of the data describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Definition {
    name: &'static str,
    display: &'static str,
    namespace: &'static str,
    aliases: &'static str,
    columns: &'static str,
    pub(super) is_sensitive: bool,
    /// Whether the beginnings of its name are no aliases.
    is_short: bool,
}

/// The lines of the data for Talos v1.`minor`, without their minors.
fn lines(minor: u64) -> impl Iterator<Item = &'static str> {
    DATA.lines().filter_map(move |line| {
        let (minors, rest) = line.split_once('|')?;
        let (first, last) = minors.split_once('-')?;
        let minors = first.parse::<u64>().ok()?..=last.parse::<u64>().ok()?;
        minors.contains(&minor).then_some(rest)
    })
}

pub(super) fn namespaces(minor: u64) -> impl Iterator<Item = &'static str> {
    lines(minor).filter_map(|line| line.strip_prefix("namespace|"))
}

pub(super) fn types(minor: u64) -> impl Iterator<Item = Definition> {
    lines(minor).filter_map(|line| {
        let mut parts = line.splitn(6, '|');
        let kind = parts.next()?;
        let definition = Definition {
            name: parts.next()?,
            display: parts.next()?,
            namespace: parts.next()?,
            aliases: parts.next()?,
            columns: parts.next()?,
            is_sensitive: kind == "secret",
            is_short: kind == "short",
        };
        Some(definition)
    })
}

/// The type with this name, in any case.
pub(super) fn find(minor: u64, name: &str) -> Option<Definition> {
    types(minor).find(|definition| definition.name.eq_ignore_ascii_case(name))
}

/// The resources of one of the two types about types; `None` for another type.
pub(super) fn resources(kind: &str, minor: u64) -> Option<Vec<pb::Resource>> {
    match kind {
        TYPES => Some(types(minor).map(Definition::to_resource).collect()),
        NAMESPACES => Some(namespaces(minor).map(namespace).collect()),
        _ => None,
    }
}

impl Definition {
    fn columns(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.columns
            .split(';')
            .filter_map(|column| column.split_once('='))
    }

    fn aliases(self) -> impl Iterator<Item = String> {
        self.aliases
            .split(',')
            .filter(|alias| !alias.is_empty())
            .map(ToOwned::to_owned)
    }

    /// The beginnings of the name, then the aliases.
    fn all_aliases(self) -> Vec<String> {
        let name = self.name.to_lowercase();
        let ends = name.match_indices('.').map(|(end, _)| end);
        let beginnings = ends
            .filter_map(|end| name.get(..end))
            .map(ToOwned::to_owned);
        let beginnings = beginnings.filter(|_| !self.is_short);
        beginnings.chain(self.aliases()).collect()
    }

    fn to_resource(self) -> pb::Resource {
        let columns = self.columns().map(|(name, path)| PrintColumn {
            name: name.to_owned(),
            json_path: path.to_owned(),
        });
        let spec = ResourceDefinitionSpec {
            resource_type: self.name.to_owned(),
            display_type: self.display.to_owned(),
            default_namespace: self.namespace.to_owned(),
            aliases: self.aliases().collect(),
            all_aliases: self.all_aliases(),
            print_columns: columns.collect(),
            sensitivity: if self.is_sensitive {
                Sensitivity::Sensitive
            } else {
                Sensitivity::NonSensitive
            }
            .into(),
        };
        resource(
            TYPES,
            self.name.to_lowercase(),
            spec.encode_to_vec(),
            self.to_yaml(),
        )
    }

    fn to_yaml(self) -> String {
        let columns = self.columns().map(|(name, path)| {
            let entries = [
                ("name", Node::string(name)),
                ("jsonPath", Node::string(path)),
            ];
            Node::mapping(entries)
        });
        let mut entries = vec![
            ("type", Node::string(self.name)),
            ("displayType", Node::string(self.display)),
            ("defaultNamespace", Node::string(self.namespace)),
            ("aliases", Node::strings(self.aliases())),
            ("allAliases", Node::strings(self.all_aliases())),
        ];
        if self.is_short {
            entries.push(("skipAutomaticAliases", Node::bool(true)));
        }
        entries.push(("printColumns", Node::sequence(columns)));
        if self.is_sensitive {
            entries.push(("sensitivity", Node::string("sensitive")));
        }
        Node::mapping(entries).to_yaml()
    }
}

fn namespace(name: &str) -> pb::Resource {
    let spec = NamespaceSpec::default();
    let yaml = "description: \"\"\n".to_owned();
    resource(NAMESPACES, name.to_owned(), spec.encode_to_vec(), yaml)
}

fn resource(kind: &str, id: String, proto: Vec<u8>, yaml: String) -> pb::Resource {
    pb::Resource {
        metadata: Some(pb::Metadata {
            namespace: "meta".to_owned(),
            r#type: kind.to_owned(),
            id,
            version: "1".to_owned(),
            owner: "meta".to_owned(),
            phase: "running".to_owned(),
            created: Some(prost_types::Timestamp::default()),
            updated: Some(prost_types::Timestamp::default()),
            ..Default::default()
        }),
        spec: Some(pb::Spec {
            proto_spec: proto,
            yaml_spec: yaml,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_namespace_or_a_type() {
        for minor in 10..=14 {
            let known = types(minor).count() + namespaces(minor).count();
            assert_eq!(lines(minor).count(), known);
            assert!(known > 150, "v1.{minor} has {known}");
        }
        assert_eq!(lines(9).count(), 0);
    }

    #[test]
    fn types_come_and_change_with_releases() {
        assert!(find(13, "BootIDs.runtime.talos.dev").is_none());
        assert!(find(14, "bootids.runtime.talos.dev").is_some());
        let name = "APIServerConfigs.kubernetes.talos.dev";
        assert!(!find(10, name).unwrap().is_sensitive);
        assert!(find(12, name).unwrap().is_sensitive);
    }

    #[test]
    fn aliases_include_the_beginnings_of_the_name_unless_the_type_says_no() {
        let disks = find(10, "Disks.block.talos.dev").unwrap();
        let expected = ["disks", "disks.block", "disks.block.talos", "disk"];
        assert_eq!(disks.all_aliases(), expected);

        let mounts = find(10, "MountStatuses.runtime.talos.dev").unwrap();
        assert_eq!(mounts.all_aliases(), ["mounts"]);
    }
}
