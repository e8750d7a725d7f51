//! Reading and writing the file.

use secrecy::{ExposeSecret, SecretString};

use super::context::{Auth, Basic};
use super::{Context, Talosconfig};
use crate::error::{Error, ErrorKind, Result};
use crate::yaml::{Node, documents_to_yaml, parse_documents};

const OPERATION: &str = "read talosconfig";

impl Talosconfig {
    /// Reads a talosconfig. An empty text is an empty configuration; unknown keys are ignored and not written back.
    ///
    /// The deprecated `target` becomes the last endpoint.
    ///
    /// # Errors
    /// `InvalidDocument` when the text is no YAML or a field has the wrong type. The message never holds a key.
    pub fn parse(text: &str) -> Result<Self> {
        let documents = parse_documents(text)?;
        let Some(root) = documents.first().filter(|root| !root.is_null()) else {
            return Ok(Self::new());
        };
        let root = Fields::new(root, "")?;
        let mut talosconfig = Self::new();
        talosconfig.current = root.text("context")?;
        if let Some(contexts) = root.fields("contexts")? {
            for name in contexts.keys() {
                // A null context is a nil pointer in the reference, which crashes on it later.
                let context = contexts
                    .fields(name)?
                    .map(|fields| read_context(&fields))
                    .transpose()?;
                talosconfig.add(name, context.unwrap_or_default());
            }
        }
        Ok(talosconfig)
    }

    /// The text of the file, as `talosctl` writes it. Store it with mode 0600.
    #[must_use]
    pub fn to_yaml(&self) -> SecretString {
        let contexts = self
            .contexts()
            .map(|(name, context)| (name, write_context(context)));
        documents_to_yaml([&Node::mapping([
            ("context", Node::string(self.current())),
            ("contexts", Node::mapping(contexts)),
        ])])
    }
}

fn read_context(fields: &Fields<'_>) -> Result<Context> {
    let mut endpoints = fields.list("endpoints")?;
    let target = fields.text("target")?;
    if !target.is_empty() {
        endpoints.push(target);
    }
    Ok(Context {
        endpoints,
        nodes: fields.list("nodes")?,
        ca: fields.text("ca")?,
        crt: fields.text("crt")?,
        key: fields.text("key")?.into(),
        auth: read_auth(fields.fields("auth")?)?,
        cluster: fields.text("cluster")?,
        proxy_url: fields.text("proxy-url")?,
    })
}

fn read_auth(auth: Option<Fields<'_>>) -> Result<Auth> {
    let Some(auth) = auth else {
        return Ok(Auth::default());
    };
    let basic = auth.fields("basic")?;
    let siderov1 = auth.fields("siderov1")?;
    Ok(Auth {
        basic: basic
            .map(|basic| {
                Ok(Basic {
                    username: basic.text("username")?,
                    password: basic.text("password")?.into(),
                })
            })
            .transpose()?,
        siderov1_identity: siderov1
            .map(|siderov1| siderov1.text("identity"))
            .transpose()?,
    })
}

fn write_context(context: &Context) -> Node {
    let mut fields = vec![("endpoints", Node::strings(&context.endpoints))];
    if !context.nodes.is_empty() {
        fields.push(("nodes", Node::strings(&context.nodes)));
    }
    let optional = |key, text: &str| (!text.is_empty()).then(|| (key, Node::string(text)));
    fields.extend(optional("ca", &context.ca));
    fields.extend(optional("crt", &context.crt));
    fields.extend(optional("key", context.key.expose_secret()));
    fields.extend(write_auth(&context.auth).map(|auth| ("auth", auth)));
    fields.extend(optional("cluster", &context.cluster));
    fields.extend(optional("proxy-url", &context.proxy_url));
    Node::mapping(fields)
}

fn write_auth(auth: &Auth) -> Option<Node> {
    let mut methods = Vec::new();
    if let Some(basic) = &auth.basic {
        let fields = [
            ("username", Node::string(basic.username.as_str())),
            ("password", Node::string(basic.password.expose_secret())),
        ];
        methods.push(("basic", Node::mapping(fields)));
    }
    if let Some(identity) = &auth.siderov1_identity {
        methods.push((
            "siderov1",
            Node::mapping([("identity", Node::string(identity.as_str()))]),
        ));
    }
    (!methods.is_empty()).then(|| Node::mapping(methods))
}

/// A mapping and where it stands.
struct Fields<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> Fields<'a> {
    fn new(node: &'a Node, path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        match node.as_mapping() {
            Some(_) => Ok(Self { node, path }),
            None => Err(mismatch(node, &path, "a mapping")),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.node
            .as_mapping()
            .into_iter()
            .flat_map(|mapping| mapping.keys())
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    fn fields(&self, key: &str) -> Result<Option<Self>> {
        self.get(key)
            .map(|node| Fields::new(node, self.path_of(key)))
            .transpose()
    }

    fn text(&self, key: &str) -> Result<String> {
        let Some(node) = self.get(key) else {
            return Ok(String::new());
        };
        node.as_str()
            .map(str::to_owned)
            .ok_or_else(|| mismatch(node, &self.path_of(key), "string"))
    }

    fn list(&self, key: &str) -> Result<Vec<String>> {
        let Some(node) = self.get(key) else {
            return Ok(Vec::new());
        };
        let path = self.path_of(key);
        let items = node
            .as_sequence()
            .ok_or_else(|| mismatch(node, &path, "[]string"))?;
        items
            .iter()
            .map(|item| match item.as_scalar() {
                Some(_) => Ok(item.as_str().unwrap_or_default().to_owned()),
                None => Err(mismatch(item, &path, "string")),
            })
            .collect()
    }
}

/// The value is left out of the text: it may be a key.
fn mismatch(node: &Node, path: &str, wanted: &str) -> Error {
    let line = node.position().map_or(0, |position| position.line);
    Error::new(ErrorKind::InvalidDocument, OPERATION)
        .with_target(path)
        .with_message(format!("yaml: line {line}: {wanted} expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        Talosconfig::parse(text)
            .unwrap()
            .to_yaml()
            .expose_secret()
            .to_owned()
    }

    #[test]
    fn endpoints_are_always_written_and_the_rest_only_when_there_is_something() {
        let written =
            round_trip("context: a\ncontexts: {a: {nodes: [], auth: {}, crt: ''}, b: }\n");

        assert_eq!(
            written,
            "context: a\ncontexts:\n    a:\n        endpoints: []\n    b:\n        endpoints: []\n"
        );
    }

    #[test]
    fn all_known_fields_survive_in_the_order_of_the_reference() {
        let text = "context: a
contexts:
    a:
        endpoints:
            - 10.0.2.10
        nodes:
            - 10.0.2.11
        ca: Y2E=
        crt: Y3J0
        key: a2V5
        auth:
            basic:
                username: u
                password: p
            siderov1:
                identity: me@example.com
        cluster: c
        proxy-url: socks5://127.0.0.1
";

        assert_eq!(round_trip(text), text);
    }

    #[test]
    fn a_target_becomes_an_endpoint_and_unknown_keys_are_dropped() {
        let written = round_trip(
            "context: a\ncontexts:\n    a:\n        target: 10.0.0.1\n        new: thing\nother: 1\n",
        );

        assert_eq!(
            written,
            "context: a\ncontexts:\n    a:\n        endpoints:\n            - 10.0.0.1\n"
        );
    }

    #[test]
    fn nothing_is_an_empty_configuration() {
        assert_eq!(round_trip(""), "context: \"\"\ncontexts: {}\n");
        assert_eq!(round_trip("# nothing\n"), "context: \"\"\ncontexts: {}\n");
    }

    #[test]
    fn a_wrong_type_is_refused_without_its_value() {
        for text in [
            "[]",
            "contexts: canary",
            "contexts: {a: {key: {canary: 1}}}",
            "contexts: {a: {nodes: canary}}",
        ] {
            let error = Talosconfig::parse(text).unwrap_err();

            assert_eq!(error.kind(), ErrorKind::InvalidDocument, "{text}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
