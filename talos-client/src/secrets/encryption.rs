//! The key for secrets in a configuration of Kubernetes' encryption at rest, which is free in form.

use crate::go::yaml::{Kind, Mapping, Node, Value, parse_documents};

const KEY: &str = r#"struct { Name string "yaml:\"name\""; Secret string "yaml:\"secret\"" }"#;

/// The secret of the first secretbox key for the resource `secrets`, if the first provider is a secretbox.
///
/// # Errors
///
/// The text of the reference, without values, when a part of the configuration has another type than Kubernetes gives it. Lines
/// are those of the configuration when it is printed with sorted keys.
pub(super) fn secretbox_key(config: &Node) -> Result<Option<String>, String> {
    let printed = sorted(config).to_yaml();
    let documents = parse_documents(&printed).map_err(|error| error.message().to_owned())?;
    let mut reader = Reader::default();
    let key = documents.first().and_then(|root| reader.root(root));
    if reader.problems.is_empty() {
        return Ok(key);
    }
    Err(format!(
        "failed to unmarshal encryption config: yaml: construct errors: {}",
        reader.problems.join("; ")
    ))
}

/// The same with sorted keys, as Go prints maps.
fn sorted(node: &Node) -> Node {
    match node.kind() {
        Kind::Scalar(_) => node.clone(),
        Kind::Sequence(items) => Node::sequence(items.iter().map(sorted)),
        Kind::Mapping(mapping) => {
            let mut copy: Mapping = mapping
                .iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            copy.sort_keys();
            copy.into()
        }
    }
}

/// Reads the parts that matter and notes those of a wrong type.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn root(&mut self, root: &Node) -> Option<String> {
        let root = self.mapping(root, "secrets.etcdEncryptionConfigReduced")?;
        let resources = self.list(
            root.get("resources"),
            "secrets.etcdEncryptionConfigResource",
        );
        let keys: Vec<Option<String>> = resources
            .iter()
            .map(|resource| self.resource(resource))
            .collect();
        keys.into_iter().flatten().next()
    }

    fn resource(&mut self, resource: &Node) -> Option<String> {
        let resource = self.mapping(resource, "secrets.etcdEncryptionConfigResource")?;
        // Types are checked in the order of the text.
        let (mut names, mut keys) = (Vec::new(), Vec::new());
        for (key, value) in resource.iter() {
            match key {
                "resources" => {
                    let listed = self.list(Some(value), "string");
                    names = listed.iter().filter_map(|name| self.text(name)).collect();
                }
                "providers" => {
                    let listed = self.list(Some(value), "secrets.etcdEncryptionConfigProvider");
                    keys = listed.iter().map(|it| self.provider(it)).collect();
                }
                _ => {}
            }
        }
        let first = keys.into_iter().next().flatten();
        first.filter(|_| names.iter().any(|name| name == "secrets"))
    }

    fn provider(&mut self, provider: &Node) -> Option<String> {
        let provider = self.mapping(provider, "secrets.etcdEncryptionConfigProvider")?;
        let target = format!(r#"struct {{ Keys []{KEY} "yaml:\"keys\"" }}"#);
        let secretbox = self.mapping(provider.get("secretbox")?, &target)?;
        let keys = self.list(secretbox.get("keys"), KEY);
        let secrets: Vec<String> = keys.iter().map(|key| self.key(key)).collect();
        secrets.into_iter().next()
    }

    fn key(&mut self, key: &Node) -> String {
        let mut secret = String::new();
        for (name, value) in self.mapping(key, KEY).into_iter().flat_map(Mapping::iter) {
            let text = match name {
                "name" | "secret" => self.text(value),
                _ => None,
            };
            if let (Some(text), "secret") = (text, name) {
                secret = text;
            }
        }
        secret
    }

    /// A mapping; nothing for `null`.
    fn mapping<'n>(&mut self, node: &'n Node, target: &str) -> Option<&'n Mapping> {
        if node.as_mapping().is_none() && !node.is_null() {
            self.misfit(node, target);
        }
        node.as_mapping()
    }

    /// The items of a list of `target`s.
    fn list<'n>(&mut self, node: Option<&'n Node>, target: &str) -> &'n [Node] {
        let Some(node) = node else {
            return &[];
        };
        if node.as_sequence().is_none() && !node.is_null() {
            self.misfit(node, &format!("[]{target}"));
        }
        node.as_sequence().unwrap_or_default()
    }

    /// The text of a scalar that is no date; nothing for `null`.
    fn text(&mut self, node: &Node) -> Option<String> {
        match node.as_scalar() {
            Some(scalar) if !scalar.is_timestamp() => node.as_str().map(str::to_owned),
            _ => {
                self.misfit(node, "string");
                None
            }
        }
    }

    fn misfit(&mut self, node: &Node, target: &str) {
        let found = match node.kind() {
            Kind::Mapping(_) => "!!map",
            Kind::Sequence(_) => "!!seq",
            Kind::Scalar(scalar) => match scalar.value() {
                Value::Bool(_) => "!!bool",
                Value::Int(_) | Value::Uint(_) => "!!int",
                Value::Float(_) => "!!float",
                Value::Timestamp(_) => "!!timestamp",
                _ => "!!str",
            },
        };
        let line = node.line();
        self.problems.push(format!(
            "line {line}: cannot construct {found} into {target}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<Option<String>, String> {
        secretbox_key(&parse_documents(text).unwrap()[0])
    }

    #[test]
    fn the_first_secretbox_that_encrypts_secrets_is_found() {
        let resource = |resource: &str, provider: &str| {
            format!("- {{resources: [{resource}], providers: [{provider}]}}\n")
        };
        let secretbox = |secret: &str| {
            format!(
                "{{secretbox: {{keys: [{{name: k, secret: {secret}}}, {{name: l, secret: no}}]}}}}"
            )
        };
        let text = [
            resource("configmaps", &secretbox("a")),
            resource(
                "secrets",
                &format!("{{identity: {{}}}}, {}", secretbox("b")),
            ),
            resource("secrets", "{secretbox: {keys: []}}"),
            resource("x, secrets", &secretbox("c")),
            resource("secrets", &secretbox("d")),
        ];

        let text = format!("resources:\n{}", text.concat());

        assert_eq!(key(&text), Ok(Some("c".to_owned())));
        assert_eq!(key("resources: null\n"), Ok(None));
        assert_eq!(key("{}"), Ok(None));
    }

    #[test]
    fn wrong_types_are_named_with_their_line_and_without_their_value() {
        for (text, problems) in [
            (
                "resources: canary\n",
                "line 1: cannot construct !!str into []secrets.etcdEncryptionConfigResource",
            ),
            (
                "resources: [{resources: [secrets], providers: [canary]}]\n",
                "line 3: cannot construct !!str into secrets.etcdEncryptionConfigProvider",
            ),
            (
                "resources: [{resources: {a: canary}, providers: [{secretbox: {keys: [canary]}}]}]\n",
                "line 5: cannot construct !!str into struct { Name string \"yaml:\\\"name\\\"\"; Secret string \"yaml:\\\"secret\\\"\" }; \
                 line 7: cannot construct !!map into []string",
            ),
        ] {
            let error = key(text).unwrap_err();

            assert_eq!(
                error,
                format!(
                    "failed to unmarshal encryption config: yaml: construct errors: {problems}"
                )
            );
        }
    }
}
