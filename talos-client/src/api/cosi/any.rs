//! Resources of types that this crate does not model.

use secrecy::{ExposeSecret as _, SecretString};

use serde::{Deserialize, Serialize};

use super::definition::ResourceDefinition;
use super::resource::{Resource, ResourceMetadata, ResourceSpec, metadata};
use crate::api::pb::cosi::resource as pb;
use crate::go::yaml::as_written;
use crate::yaml::{Node, Scalar, Style, parse_documents};
use crate::{Error, ErrorKind, Result};

/// The type of the resources that hold the configuration of a machine.
const MACHINE_CONFIG: &str = "MachineConfigs.config.talos.dev";

/// A resource type and the namespace to look in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[must_use]
pub struct ResourceType {
    pub(super) name: String,
    pub(super) namespace: String,
}

impl ResourceType {
    /// A type by its registered name, for example `Disks.block.talos.dev`, in a namespace.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
        }
    }

    /// A type of this crate.
    pub fn of<T: ResourceSpec>() -> Self {
        Self::new(T::TYPE, T::NAMESPACE)
    }

    /// Looks in another namespace than the default one.
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Its registered name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl From<&ResourceDefinition> for ResourceType {
    fn from(definition: &ResourceDefinition) -> Self {
        Self::new(&definition.resource_type, &definition.default_namespace)
    }
}

/// The specification of a resource as the node writes it. It may hold secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct AnySpec {
    /// YAML.
    pub yaml: SecretString,
}

impl std::fmt::Debug for AnySpec {
    /// Without the content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnySpec").finish_non_exhaustive()
    }
}

impl Resource<AnySpec> {
    /// Metadata and specification as `talosctl get -o yaml` prints them, without its line about the node.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] when the node's YAML cannot be read.
    pub fn to_yaml(&self) -> Result<SecretString> {
        let spec = self.spec_node()?;
        let document = Node::mapping([("metadata", self.metadata.to_node()), ("spec", spec)]);
        // The reference keeps what the node left unwritten, and its brackets.
        Ok(as_written(&document).into())
    }

    fn spec_node(&self) -> Result<Node> {
        let text = self.spec.yaml.expose_secret();
        // Until v1.11 nodes write the documents themselves, later one text that holds them. The tool prints a text.
        if self.metadata.resource_type == MACHINE_CONFIG && self.metadata.annotations.is_empty() {
            return Ok(Scalar::new(text, Style::Literal).into());
        }
        let documents = parse_documents(text).map_err(|error| {
            Error::new(ErrorKind::Decode, "print resource")
                .with_target(format!(
                    "{} {}",
                    self.metadata.resource_type, self.metadata.id
                ))
                .with_message("the specification is no YAML")
                .with_source(error)
        })?;
        Ok(documents.into_iter().next().unwrap_or_else(Node::null))
    }
}

impl ResourceMetadata {
    /// The order and the form of the reference.
    fn to_node(&self) -> Node {
        let phase = if self.is_tearing_down {
            "tearingDown"
        } else {
            "running"
        };
        let time = |time: Option<jiff::Timestamp>| {
            let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            Node::plain(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        };
        let plain = |text: &String| Node::plain(text.as_str());
        let mut entries = vec![
            ("namespace", plain(&self.namespace)),
            ("type", plain(&self.resource_type)),
            ("id", plain(&self.id)),
            ("version", plain(&self.version)),
            ("owner", plain(&self.owner)),
            ("phase", Node::plain(phase)),
            ("created", time(self.created)),
            ("updated", time(self.updated)),
        ];
        for (key, values) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !values.is_empty() {
                let values = values.iter().map(|(key, value)| (key, plain(value)));
                entries.push((key, Node::mapping(values)));
            }
        }
        if !self.finalizers.is_empty() {
            let finalizers = self.finalizers.iter().map(plain);
            entries.push(("finalizers", Node::sequence(finalizers)));
        }
        Node::mapping(entries)
    }
}

pub(super) fn any(resource: pb::Resource) -> Result<Resource<AnySpec>> {
    Ok(Resource {
        metadata: metadata(resource.metadata.unwrap_or_default()),
        spec: AnySpec {
            yaml: resource.spec.unwrap_or_default().yaml_spec.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, yaml: &str, annotated: bool) -> Resource<AnySpec> {
        let created = prost_types::Timestamp {
            seconds: 1_735_787_045,
            nanos: 120_000_000,
        };
        any(pb::Resource {
            metadata: Some(pb::Metadata {
                namespace: "runtime".to_owned(),
                r#type: kind.to_owned(),
                id: "x".to_owned(),
                version: "3".to_owned(),
                phase: "running".to_owned(),
                created: Some(created),
                updated: Some(created),
                annotations: annotated
                    .then(|| ("talos.dev/yaml-spec".to_owned(), "1".to_owned()))
                    .into_iter()
                    .collect(),
                finalizers: vec!["v1alpha1.ServiceController".to_owned()],
                ..Default::default()
            }),
            spec: Some(pb::Spec {
                proto_spec: Vec::new(),
                yaml_spec: yaml.to_owned(),
            }),
        })
        .unwrap()
    }

    #[test]
    fn a_resource_is_printed_as_the_tool_prints_it() {
        let resource = read("Versions.runtime.talos.dev", "version: v1.10.7\n", false);

        assert_eq!(
            resource.to_yaml().unwrap().expose_secret(),
            "metadata:\n    namespace: runtime\n    type: Versions.runtime.talos.dev\n    id: x\n    version: 3\n    \
             owner:\n    phase: running\n    created: 2025-01-02T03:04:05Z\n    updated: 2025-01-02T03:04:05Z\n    \
             finalizers:\n        - v1alpha1.ServiceController\nspec:\n    version: v1.10.7\n"
        );
    }

    #[test]
    fn a_specification_may_be_a_word() {
        let resource = read("MachineTypes.config.talos.dev", "controlplane\n", false);

        let text = resource.to_yaml().unwrap();

        assert!(text.expose_secret().ends_with("\nspec: controlplane\n"));
    }

    #[test]
    fn the_configuration_is_a_text_whatever_the_release_writes() {
        for (yaml, annotated) in [
            ("version: v1alpha1\n---\nkind: x\n", false),
            ("|\n    version: v1alpha1\n    ---\n    kind: x\n", true),
        ] {
            let resource = read(MACHINE_CONFIG, yaml, annotated);

            let text = resource.to_yaml().unwrap();

            let end = "spec: |\n    version: v1alpha1\n    ---\n    kind: x\n";
            assert!(
                text.expose_secret().ends_with(end),
                "{}",
                text.expose_secret()
            );
        }
    }
}
