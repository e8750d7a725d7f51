//! The resources that hold the configuration of a node, which only administrators may read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::{Resources, put};
use crate::api::cosi::{MachineConfigStatus, ResourceSpec as _};
use crate::api::pb::resource;
use crate::config::TalosVersion;
use crate::mock::document::NodeConfig;
use crate::mock::node::State;
use crate::mock::store::Content;
use crate::yaml::{Node, Scalar, Style};

pub(super) fn minor_of(state: &State) -> u64 {
    TalosVersion::parse(&state.image.version)
        .unwrap_or_else(|_| TalosVersion::latest())
        .release()
        .minor
}

/// A configuration, which only administrators may read. The specification is the document itself (facts of Talos v1.10, resource
/// MachineConfigs).
pub(super) fn machine_config(id: &str, config: &NodeConfig, minor: u64, resources: &mut Resources) {
    let text = config.text.expose_secret();
    let proto = resource::config::MachineConfigSpec {
        yaml_marshalled: text.as_bytes().to_vec(),
    };
    // Since v1.12 the specification is one text that holds the documents.
    let is_text = minor >= 12;
    let yaml = if is_text {
        Node::from(Scalar::new(text, Style::Literal)).to_yaml()
    } else {
        text.to_owned()
    };
    put::<MachineConfigStatus>(resources, id, &proto, yaml);
    let key = (MachineConfigStatus::TYPE, id.to_owned());
    if let Some(content) = resources.get_mut(&key) {
        content.annotation = is_text.then_some(("talos.dev/yaml-spec", "1"));
    }
}

/// The authority of the machine API, which only administrators may read.
pub(super) fn authority(config: &NodeConfig, resources: &mut Resources) {
    let key = config.talos_ca.key.as_ref();
    let key = key.map(|key| STANDARD.encode(key.expose_secret()));
    resources.insert(
        ("OSRootSecrets.secrets.talos.dev", "os".to_owned()),
        Content {
            namespace: "secrets",
            owner: "secrets.RootOSController",
            annotation: None,
            proto: Vec::new(),
            yaml: format!(
                "issuingCA:\n    crt: {}\n    key: {}\n",
                STANDARD.encode(&config.talos_ca.certificate),
                key.unwrap_or_default()
            ),
        },
    );
}
