//! What a node says about its own resource types.

use serde::{Deserialize, Serialize};

use super::resource::resource_spec;
use crate::api::pb::cosi::resource::meta as pb;

/// A resource type that a node knows. Its id is the type in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceDefinition {
    /// The registered name, for example `Disks.block.talos.dev`.
    pub resource_type: String,
    /// The name of one resource, for example `Disk`.
    pub display_type: String,
    /// The namespace that its resources live in unless another one is named.
    pub default_namespace: String,
    /// Its short names.
    pub aliases: Vec<String>,
    /// The short names and the beginnings of the registered name: what `talosctl get` takes.
    pub all_aliases: Vec<String>,
    /// The columns of a table of its resources.
    pub print_columns: Vec<PrintColumn>,
    /// Whether only administrators may read it.
    pub is_sensitive: bool,
}

/// A column of a table of resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PrintColumn {
    /// Its title.
    pub name: String,
    /// Where its value is in the specification, as a JSON path in braces.
    pub json_path: String,
}

impl ResourceDefinition {
    /// Whether `name` means this type: the registered name in any case, or one of the aliases.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.resource_type.to_lowercase() == name || self.all_aliases.contains(&name)
    }
}

impl From<pb::ResourceDefinitionSpec> for ResourceDefinition {
    fn from(spec: pb::ResourceDefinitionSpec) -> Self {
        let is_sensitive =
            spec.sensitivity() == pb::resource_definition_spec::Sensitivity::Sensitive;
        let columns = spec.print_columns.into_iter().map(|column| PrintColumn {
            name: column.name,
            json_path: column.json_path,
        });
        Self {
            resource_type: spec.resource_type,
            display_type: spec.display_type,
            default_namespace: spec.default_namespace,
            aliases: spec.aliases,
            all_aliases: spec.all_aliases,
            print_columns: columns.collect(),
            is_sensitive,
        }
    }
}

resource_spec!(
    ResourceDefinition,
    "ResourceDefinitions.meta.cosi.dev",
    "meta",
    pb::ResourceDefinitionSpec
);

/// A namespace that a node knows; its id is its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamespaceDefinition {
    /// What it is for, in the words of the node.
    pub description: String,
}

impl From<pb::NamespaceSpec> for NamespaceDefinition {
    fn from(spec: pb::NamespaceSpec) -> Self {
        Self {
            description: spec.description,
        }
    }
}

resource_spec!(
    NamespaceDefinition,
    "Namespaces.meta.cosi.dev",
    "meta",
    pb::NamespaceSpec
);
