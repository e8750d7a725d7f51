//! The differences between two configurations, for people to read. Secrets never appear.

mod secret;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine_config::{Document, MachineConfig};
use crate::go::yaml::{Kind, Mapping, Node, Scalar, Value, first_difference};
use secret::is_secret;

const REDACTED: &str = "[redacted]";

/// One difference between two configurations.
///
/// `Display` gives one line, for example `~ v1alpha1 machine.install.image: a -> b`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Diff {
    /// The document: its kind, and its name if it has one.
    pub document: String,
    /// Keys and indices from the top of the document, for example `machine.certSANs[2]`; empty for the whole document.
    pub path: String,
    /// The former value on one line, or `[redacted]`; `None` when it did not exist.
    pub from: Option<String>,
    /// The new value on one line, or `[redacted]`; `None` when it was removed.
    pub to: Option<String>,
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = [self.document.as_str(), self.path.as_str()].join(" ");
        let place = place.trim_end();
        match (&self.from, &self.to) {
            (Some(before), Some(after)) => write!(f, "~ {place}: {before} -> {after}"),
            (Some(before), None) => write!(f, "- {place}: {before}"),
            (None, Some(after)) => write!(f, "+ {place}: {after}"),
            (None, None) => write!(f, "  {place}"),
        }
    }
}

/// The differences between two configurations, in the order of the documents and keys.
///
/// The order of keys, the style of scalars and the notation of numbers make no difference. Items of lists are compared by
/// position, lists of texts by what they hold. Values of secret fields, of files and environments, private keys and URLs with
/// a password are shown as `[redacted]`; that they changed is shown.
///
/// ```
/// use talos_client::config::{MachineConfig, diff};
///
/// # fn main() -> Result<(), talos_client::Error> {
/// let before = MachineConfig::parse("machine: {type: worker, token: a, certSANs: [x]}")?;
/// let after = MachineConfig::parse("machine: {type: worker, token: b, certSANs: [x, y]}")?;
///
/// let lines: Vec<String> = diff(&before, &after).iter().map(ToString::to_string).collect();
/// assert_eq!(lines, ["~ v1alpha1 machine.token: [redacted] -> [redacted]", "+ v1alpha1 machine.certSANs: y"]);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn diff(before: &MachineConfig, after: &MachineConfig) -> Vec<Diff> {
    let mut differ = Differ::default();
    for old in before.documents() {
        differ.document = label(old);
        match after.document(old.kind(), old.name()) {
            Some(new) => differ.node(old.node(), new.node()),
            None => differ.one_side(old.node(), Side::Before),
        }
    }
    for new in after.documents() {
        if before.document(new.kind(), new.name()).is_none() {
            differ.document = label(new);
            differ.one_side(new.node(), Side::After);
        }
    }
    differ.changes
}

fn label(document: &Document) -> String {
    [document.kind(), document.name()]
        .join(" ")
        .trim_end()
        .to_owned()
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

#[derive(Default)]
struct Differ {
    document: String,
    path: Vec<String>,
    changes: Vec<Diff>,
}

impl Differ {
    fn inside(&mut self, step: &str, compare: impl FnOnce(&mut Self)) {
        self.path.push(step.to_owned());
        compare(self);
        self.path.pop();
    }

    fn node(&mut self, before: &Node, after: &Node) {
        match (before.kind(), after.kind()) {
            (Kind::Mapping(before), Kind::Mapping(after)) => self.mapping(before, after),
            (Kind::Sequence(before), Kind::Sequence(after)) => self.list(before, after),
            _ if first_difference(before, after).is_none() => {}
            _ => {
                let (before, after) = (self.shown(before), self.shown(after));
                self.change(Some(before), Some(after));
            }
        }
    }

    fn mapping(&mut self, before: &Mapping, after: &Mapping) {
        for (key, old) in before.iter() {
            self.inside(key, |differ| match after.get(key) {
                Some(new) => differ.node(old, new),
                None => differ.one_side(old, Side::Before),
            });
        }
        for (key, new) in after.iter().filter(|(key, _)| !before.contains_key(key)) {
            self.inside(key, |differ| differ.one_side(new, Side::After));
        }
    }

    fn list(&mut self, before: &[Node], after: &[Node]) {
        let scalars = |items: &[Node]| items.iter().all(|item| item.as_scalar().is_some());
        if scalars(before) && scalars(after) {
            for (item, side) in missing_from(before, after, Side::Before).chain(missing_from(
                after,
                before,
                Side::After,
            )) {
                self.one_side(item, side);
            }
            return;
        }
        for index in 0..before.len().max(after.len()) {
            self.inside(&format!("[{index}]"), |differ| {
                match (before.get(index), after.get(index)) {
                    (Some(before), Some(after)) => differ.node(before, after),
                    (Some(before), None) => differ.one_side(before, Side::Before),
                    (None, Some(after)) => differ.one_side(after, Side::After),
                    (None, None) => {}
                }
            });
        }
    }

    /// Something that is only there on one side, value by value.
    fn one_side(&mut self, node: &Node, side: Side) {
        match node.kind() {
            Kind::Mapping(mapping) if !mapping.is_empty() => {
                for (key, value) in mapping.iter() {
                    self.inside(key, |differ| differ.one_side(value, side));
                }
            }
            Kind::Sequence(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.inside(&format!("[{index}]"), |differ| differ.one_side(item, side));
                }
            }
            _ => {
                let shown = Some(self.shown(node));
                match side {
                    Side::Before => self.change(shown, None),
                    Side::After => self.change(None, shown),
                }
            }
        }
    }

    fn change(&mut self, before: Option<String>, after: Option<String>) {
        let mut path = String::new();
        for step in &self.path {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        self.changes.push(Diff {
            document: self.document.clone(),
            path,
            from: before,
            to: after,
        });
    }

    fn shown(&self, node: &Node) -> String {
        match node.kind() {
            Kind::Mapping(mapping) => format!("{{{} keys}}", mapping.len()),
            Kind::Sequence(items) => format!("[{} items]", items.len()),
            Kind::Scalar(scalar) if is_secret(&self.path, scalar) => REDACTED.to_owned(),
            Kind::Scalar(scalar) => one_line(scalar),
        }
    }
}

/// The items of a list that another list lacks, each as often as it is missing.
fn missing_from<'a>(
    list: &'a [Node],
    other: &'a [Node],
    side: Side,
) -> impl Iterator<Item = (&'a Node, Side)> {
    let mut unmatched: Vec<&Node> = other.iter().collect();
    list.iter().filter_map(move |item| {
        match unmatched
            .iter()
            .position(|candidate| first_difference(item, candidate).is_none())
        {
            Some(index) => {
                unmatched.swap_remove(index);
                None
            }
            None => Some((item, side)),
        }
    })
}

fn one_line(scalar: &Scalar) -> String {
    match scalar.value() {
        Value::Null => "null".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) if text.contains('\n') => format!("({} lines)", text.lines().count()),
        _ => scalar.text().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(before: &str, after: &str) -> Vec<String> {
        let parse = |text| MachineConfig::parse(text).unwrap();
        diff(&parse(before), &parse(after))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn equal_configurations_do_not_differ() {
        assert_eq!(
            lines("machine: {a: 1, b: 'x'}", "machine:\n  b: x\n  a: 0x1\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn documents_keys_and_items_are_told_apart() {
        let before = "machine: {install: {disk: /dev/sda}, list: [{a: 1}], gone: ''}\n---\nkind: VolumeConfig\nname: X\n";
        let after = "machine: {install: {disk: /dev/vda}, list: [{a: 2}, {b: 3}]}\n---\nkind: KmsgLogConfig\nname: y\n";

        assert_eq!(
            lines(before, after),
            [
                "~ v1alpha1 machine.install.disk: /dev/sda -> /dev/vda",
                "~ v1alpha1 machine.list[0].a: 1 -> 2",
                "+ v1alpha1 machine.list[1].b: 3",
                "- v1alpha1 machine.gone: \"\"",
                "- VolumeConfig X kind: VolumeConfig",
                "- VolumeConfig X name: X",
                "+ KmsgLogConfig y kind: KmsgLogConfig",
                "+ KmsgLogConfig y name: y",
            ]
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let before = "machine: {}";
        let after = "
machine:
  token: SECRET
  ca: {crt: SECRET, key: SECRET}
  files: [{content: SECRET, path: /x}]
  network: {interfaces: [{wireguard: {privateKey: SECRET}, vip: {hcloud: {apiToken: SECRET}}}]}
  registries: {config: {x: {auth: {username: SECRET, password: SECRET}}}}
cluster:
  secret: SECRET
  aescbcEncryptionSecret: SECRET
  controlPlane: {endpoint: 'https://user:SECRET@a'}
---
kind: ExtensionServiceConfig
name: tailscale
environment: [TS_AUTHKEY=SECRET]
---
kind: SideroLinkConfig
apiUrl: grpc://a?jointoken=SECRET
";
        let lines = lines(before, after);

        assert!(
            lines.iter().all(|line| !line.contains("SECRET")),
            "{lines:#?}"
        );
        assert!(lines.contains(&"+ v1alpha1 machine.files[0].path: /x".to_owned()));
    }
}
