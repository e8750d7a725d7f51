//! Patches: what `--config-patch` takes.
//!
//! A patch is either a strategic merge patch, documents that are merged into those of a configuration by the types of a Talos
//! release, or a JSON patch (RFC 6902). The text decides which, as it does for `talosctl`.

mod canonical;
mod delete;
mod detect;
mod json;
mod matching;
mod merge;
mod strategic;

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::document::{TypedDocument, encode};
use super::load::load_config;
use super::machine_config::{Document, MachineConfig};
use super::schema::Schema;
use super::version::TalosVersion;
use crate::go::yaml::{Mapping, Node};
use crate::{Error, ErrorKind, Result};
use detect::{Patch, detect};
use strategic::Documents;

const OPERATION: &str = "patch machine configuration";

/// A patch as it was written; what it means depends on the Talos release it is applied for. `Debug` does not show it.
#[derive(Clone)]
pub struct ConfigPatch {
    text: SecretString,
    origin: String,
}

impl ConfigPatch {
    /// A patch from its text: YAML documents to merge, or a list of RFC 6902 operations in JSON or YAML.
    #[must_use]
    pub fn new(text: impl Into<SecretString>) -> Self {
        Self {
            text: text.into(),
            origin: String::new(),
        }
    }

    /// Names where the text comes from; errors show it as their target.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Takes an argument of `--config-patch`: `@FILE` reads that file, and so does a text that cannot be a patch because it has
    /// neither a space nor a line break and does not start with a bracket (as `talosctl` does since v1.12). Anything else is the
    /// patch itself.
    ///
    /// # Errors
    ///
    /// `NotFound` or `InvalidInput` when the file cannot be read.
    pub fn from_argument(argument: &str) -> Result<Self> {
        let looks_like_a_file =
            !argument.contains(['\n', ' ']) && !argument.starts_with(['[', '{']);
        match argument.strip_prefix('@') {
            Some(path) => Self::from_file(path),
            None if looks_like_a_file => Self::from_file(argument),
            None => Ok(Self::new(argument)),
        }
    }

    /// Reads a patch from a file.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such file, `InvalidInput` when it cannot be read or is no UTF-8.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let (kind, reason) = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    (ErrorKind::NotFound, "no such file or directory".to_owned())
                }
                std::io::ErrorKind::PermissionDenied => {
                    (ErrorKind::InvalidInput, "permission denied".to_owned())
                }
                _ => (ErrorKind::InvalidInput, error.to_string()),
            };
            Error::new(kind, "read patch")
                .with_message(format!("open {}: {reason}", path.display()))
                .with_source(error)
        })?;
        Ok(Self {
            text: text.into(),
            origin: path.display().to_string(),
        })
    }

    /// Checks that the text is a patch for a Talos release: documents its loader takes, or a list of operations.
    ///
    /// Whether it fits a configuration is only known when it is applied.
    ///
    /// # Errors
    ///
    /// `InvalidDocument` with the text of the reference. The target is the file of the patch, if it came from one.
    pub fn check(&self, version: &TalosVersion) -> Result<()> {
        detect(Schema::of(version), self.text())
            .map(drop)
            .map_err(|text| {
                Error::new(ErrorKind::InvalidDocument, "read patch")
                    .with_target(&self.origin)
                    .with_message(text)
            })
    }

    /// Whether the text is a list of operations, and not documents to merge.
    pub(crate) fn is_json(&self, version: &TalosVersion) -> bool {
        matches!(detect(Schema::of(version), self.text()), Ok(Patch::Json(_)))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.expose_secret()
    }

    /// The file it was read from, empty for a text.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Debug for ConfigPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigPatch")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl MachineConfig {
    /// The configuration with patches applied in order, by the rules of a Talos release.
    ///
    /// After a strategic merge patch the result is what the release's types make of it: what they always print is there, what
    /// they leave out when empty is not. After a JSON patch the result is what JSON makes of it: numbers are canonical (`0x10` is `16`),
    /// dates are texts, keys are sorted.
    /// Without patches nothing changes. All patches are read before the first one is applied.
    ///
    /// Surprises of the reference are kept, for example: zero values do not replace anything, sizes and CEL expressions of a
    /// volume are replaced even by their absence, and an empty patch is an empty JSON patch. Where the reference crashes,
    /// this is an error.
    ///
    /// # Errors
    ///
    /// `InvalidDocument` with the text of the reference: a patch or the configuration cannot be decoded by the types of the
    /// release, types do not match in a merge, a path does not exist, or a JSON patch meets several documents. The target of the
    /// error is the file of the patch, if it came from one.
    ///
    /// ```
    /// use talos_client::config::{ConfigPatch, MachineConfig, TalosVersion};
    ///
    /// # fn main() -> Result<(), talos_client::Error> {
    /// let config = MachineConfig::parse("machine:\n  type: worker\n  sysctls: {a: 1}\n")?;
    /// let patch = ConfigPatch::new("machine:\n  sysctls: {b: 0x10}\n");
    ///
    /// let patched = config.patched(&[patch], &TalosVersion::parse("v1.10.7")?)?;
    ///
    /// let sysctls = patched.v1alpha1().unwrap().path(&["machine", "sysctls"]).unwrap();
    /// assert_eq!(sysctls.to_yaml(), "a: \"1\"\nb: \"0x10\"\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn patched(&self, patches: &[ConfigPatch], version: &TalosVersion) -> Result<Self> {
        let schema = Schema::of(version);
        let refused = |origin: &str, text: String| {
            Error::new(ErrorKind::InvalidDocument, OPERATION)
                .with_target(origin)
                .with_message(text)
        };
        let mut detected = Vec::with_capacity(patches.len());
        for patch in patches {
            let found =
                detect(schema, patch.text()).map_err(|text| refused(&patch.origin, text))?;
            detected.push((patch.origin.as_str(), found));
        }
        let mut state = State::of(self);
        for (origin, patch) in detected {
            state = state
                .apply(schema, patch)
                .map_err(|text| refused(origin, text))?;
        }
        Ok(Self::from_documents(
            state.into_nodes(schema).into_iter().map(Document::new),
        ))
    }

    /// The configuration with groups of patches applied in order. It is decoded by the types of the release after each group, as
    /// generation does, so that a JSON patch cannot leave behind what the release does not know.
    pub(crate) fn patched_in_groups(
        &self,
        groups: &[(&str, &[ConfigPatch])],
        version: &TalosVersion,
    ) -> Result<Self> {
        let schema = Schema::of(version);
        let mut state = State::of(self);
        for (name, patches) in groups.iter().filter(|(_, patches)| !patches.is_empty()) {
            let refused = |origin: &str, text: String| {
                Error::new(ErrorKind::InvalidDocument, OPERATION)
                    .with_target(origin)
                    .with_message(format!("error patching {name}: {text}"))
            };
            for patch in *patches {
                state = detect(schema, patch.text())
                    .and_then(|found| state.apply(schema, found))
                    .map_err(|text| refused(&patch.origin, text))?;
            }
            state = state.typed(schema).map_err(|text| refused("", text))?;
        }
        Ok(Self::from_documents(
            state.into_nodes(schema).into_iter().map(Document::new),
        ))
    }

    /// Checks that every document can be decoded by the types of a Talos release, as its loader does.
    ///
    /// # Errors
    ///
    /// `InvalidDocument` with the text of the reference: unknown keys, wrong types, kinds that are not registered, duplicate or
    /// conflicting documents.
    pub fn check(&self, version: &TalosVersion) -> Result<()> {
        load_config(
            Schema::of(version),
            self.documents().iter().map(Document::node),
        )
        .map(drop)
        .map_err(|text| {
            Error::new(ErrorKind::InvalidDocument, "load machine configuration").with_message(text)
        })
    }
}

/// The configuration between two patches: JSON patches work on nodes, strategic ones on typed documents.
enum State<'a> {
    Unchanged(&'a MachineConfig),
    Nodes(Vec<Node>),
    Typed(Documents),
}

impl<'a> State<'a> {
    fn of(config: &'a MachineConfig) -> Self {
        Self::Unchanged(config)
    }

    /// The documents by the types of a release.
    fn into_typed(self, schema: &'static Schema) -> Result<Documents, String> {
        match self {
            Self::Unchanged(config) => {
                let nodes = config.documents().iter().map(Document::node);
                load_config(schema, nodes).map(Documents::new)
            }
            Self::Nodes(nodes) => load_config(schema, &nodes).map(Documents::new),
            Self::Typed(documents) => Ok(documents),
        }
    }

    /// The same, decoded by the types of a release.
    fn typed(self, schema: &'static Schema) -> Result<Self, String> {
        self.into_typed(schema).map(Self::Typed)
    }

    fn apply(self, schema: &'static Schema, patch: Patch) -> Result<Self, String> {
        match patch {
            Patch::Json(operations) => {
                let mut nodes = self.into_nodes(schema);
                let [document] = nodes.as_mut_slice() else {
                    return Err("JSON6902 patches are not supported for multi-document machine configuration".to_owned());
                };
                json::apply(document, &operations)?;
                Ok(Self::Nodes(nodes))
            }
            Patch::Strategic(patch) => {
                let documents = self.into_typed(schema)?;
                strategic::apply(schema, documents, patch).map(Self::Typed)
            }
        }
    }

    fn into_nodes(self, schema: &Schema) -> Vec<Node> {
        match self {
            Self::Unchanged(config) => {
                let documents = config.documents().iter();
                documents.map(|document| document.node().clone()).collect()
            }
            Self::Nodes(nodes) => nodes,
            Self::Typed(Documents {
                documents,
                leftovers,
            }) => {
                let first = usize::from(documents.first().is_some_and(TypedDocument::is_v1alpha1));
                let mut nodes: Vec<Node> = documents
                    .into_iter()
                    .map(|document| encode(schema, document.kind.ty, document.value))
                    .collect();
                // The last one first, so that the places of the others stay.
                for place in leftovers.into_iter().rev() {
                    nodes.insert(first + place, Mapping::new().into());
                }
                nodes
            }
        }
    }
}
