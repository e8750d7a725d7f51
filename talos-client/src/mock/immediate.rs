//! Which changes of a configuration a node can apply while it runs: machined's rule until v1.13.

use secrecy::ExposeSecret as _;

use super::document::NodeConfig;
use super::text_diff;
use crate::config::{ConfigPatch, MachineConfig, TalosVersion};
use crate::yaml::Node;

/// Keys of `machine` that need no reboot.
const MACHINE: [&str; 18] = [
    "ca",
    "acceptedCAs",
    "time",
    "certSANs",
    "install",
    "network",
    "sysfs",
    "sysctls",
    "logging",
    "controlPlane",
    "kubelet",
    "kernel",
    "registries",
    "pods",
    "seccompProfiles",
    "nodeAnnotations",
    "nodeLabels",
    "nodeTaints",
];

/// Keys of `machine.features` that need no reboot, when both configurations have features.
const FEATURES: [&str; 5] = [
    "kubernetesTalosAPIAccess",
    "kubePrism",
    "hostDNS",
    "imageCache",
    "nodeAddressSortAlgorithm",
];

/// The configuration as a release writes it, without comments.
pub(super) fn encoded(config: &NodeConfig, version: &TalosVersion) -> String {
    let text = config.text.expose_secret();
    let typed = MachineConfig::parse(text)
        .and_then(|config| config.patched(&[ConfigPatch::new("version: v1alpha1\n")], version));
    typed.map_or_else(
        |_| text.to_owned(),
        |config| config.to_yaml().expose_secret().to_owned(),
    )
}

/// Why a change needs a reboot; `None` when it does not. Documents beside the v1alpha1 one never do.
pub(super) fn refusal(
    current: &NodeConfig,
    new: &NodeConfig,
    version: &TalosVersion,
) -> Option<String> {
    let (current, new) = (main(current, version)?, main(new, version)?);
    let new = without_allowed(&current, new);
    let diff = text_diff::unified(&current.to_yaml(), &new.to_yaml());
    (!diff.is_empty())
        .then(|| format!("this config change can't be applied in immediate mode\ndiff:\n{diff}"))
}

fn main(config: &NodeConfig, version: &TalosVersion) -> Option<Node> {
    let config = MachineConfig::parse(&encoded(config, version)).ok()?;
    config.v1alpha1().cloned()
}

/// The new configuration with everything that needs no reboot as it was.
fn without_allowed(current: &Node, mut new: Node) -> Node {
    keep(&mut new, current, &["debug", "cluster"]);
    let (Some(machine), Some(before)) = (get_mut(&mut new, "machine"), current.get("machine"))
    else {
        return new;
    };
    keep(machine, before, &MACHINE);
    if let (Some(features), Some(before)) = (get_mut(machine, "features"), before.get("features"))
        && features.as_mapping().is_some()
        && before.as_mapping().is_some()
    {
        keep(features, before, &FEATURES);
    }
    new
}

fn get_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    node.as_mapping_mut()?.get_mut(key)
}

/// Makes these keys what they were, in the place where they were.
fn keep(new: &mut Node, current: &Node, keys: &[&str]) {
    let (Some(changed), Some(before)) = (new.as_mapping(), current.as_mapping()) else {
        return;
    };
    let is_kept = |key: &str| keys.contains(&key);
    let mut merged: Vec<(String, Node)> = Vec::new();
    for (key, value) in before.iter() {
        if is_kept(key) {
            merged.push((key.to_owned(), value.clone()));
        } else if let Some(value) = changed.get(key) {
            merged.push((key.to_owned(), value.clone()));
        }
    }
    for (key, value) in changed.iter() {
        if !is_kept(key) && !before.contains_key(key) {
            merged.push((key.to_owned(), value.clone()));
        }
    }
    *new = Node::mapping(merged);
}
