//! Reading and writing the file.

use secrecy::{ExposeSecret, SecretString};

use super::context::{Auth, Basic};
use super::{Context, Talosconfig};
use crate::error::{Error, ErrorKind, Result};
use crate::go::yaml::{Fields, Mismatch, Node, documents_to_yaml, parse_documents};

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
        documents.first().map_or_else(
            || Ok(Self::new()),
            |root| {
                Fields::root(root)
                    .and_then(|root| read(&root))
                    .map_err(mistyped)
            },
        )
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

fn read(root: &Fields<'_>) -> Result<Talosconfig, Mismatch> {
    let mut talosconfig = Talosconfig::new();
    root.text("context")?.clone_into(&mut talosconfig.current);
    let contexts = root.fields("contexts")?;
    for name in contexts.keys() {
        // A null context is a nil pointer in the reference, which crashes on it later.
        talosconfig.add(name, read_context(&contexts.fields(name)?)?);
    }
    Ok(talosconfig)
}

fn read_context(fields: &Fields<'_>) -> Result<Context, Mismatch> {
    let text = |key| fields.text(key).map(str::to_owned);
    let mut endpoints = fields.texts("endpoints")?;
    let target = text("target")?;
    if !target.is_empty() {
        endpoints.push(target);
    }
    Ok(Context {
        endpoints,
        nodes: fields.texts("nodes")?,
        ca: text("ca")?,
        crt: text("crt")?,
        key: fields.text("key")?.into(),
        auth: read_auth(&fields.fields("auth")?)?,
        cluster: text("cluster")?,
        proxy_url: text("proxy-url")?,
    })
}

fn read_auth(auth: &Fields<'_>) -> Result<Auth, Mismatch> {
    let basic = auth.fields("basic")?;
    let siderov1 = auth.fields("siderov1")?;
    let read_basic = || {
        let (username, password) = (basic.text("username")?, basic.text("password")?);
        Ok(Basic {
            username: username.to_owned(),
            password: password.into(),
        })
    };
    let identity = || siderov1.text("identity").map(str::to_owned);
    Ok(Auth {
        basic: basic.is_present().then(read_basic).transpose()?,
        siderov1_identity: siderov1.is_present().then(identity).transpose()?,
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

fn mistyped(mismatch: Mismatch) -> Error {
    let text = mismatch.to_string();
    Error::new(ErrorKind::InvalidDocument, OPERATION)
        .with_target(mismatch.path)
        .with_message(text)
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
