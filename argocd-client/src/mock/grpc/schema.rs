//! The messages and services of the server, read from the `.proto` texts of this crate.

use std::collections::HashMap;
use std::sync::OnceLock;

use http::Method as HttpMethod;

const TEXTS: [&str; 16] = [
    include_str!("../../../proto/account.proto"),
    include_str!("../../../proto/application.proto"),
    include_str!("../../../proto/applicationset.proto"),
    include_str!("../../../proto/certificate.proto"),
    include_str!("../../../proto/cluster.proto"),
    include_str!("../../../proto/events.proto"),
    include_str!("../../../proto/gpgkey.proto"),
    include_str!("../../../proto/kubernetes.proto"),
    include_str!("../../../proto/manifests.proto"),
    include_str!("../../../proto/objects.proto"),
    include_str!("../../../proto/project.proto"),
    include_str!("../../../proto/repocreds.proto"),
    include_str!("../../../proto/repository.proto"),
    include_str!("../../../proto/session.proto"),
    include_str!("../../../proto/settings.proto"),
    include_str!("../../../proto/version.proto"),
];

/// Everything that the texts declare.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: HashMap<String, Vec<Field>>,
    methods: HashMap<String, Method>,
}

/// A field of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// Whether JSON has the fields of this message in its parent.
    pub(super) inline: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bytes,
    Bool,
    Integer,
    Message(String),
    /// A map with texts as keys.
    Map(Box<Self>),
}

/// A call, and the request of the gateway that means the same.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) request: String,
    pub(super) response: String,
    /// Whether the client sends several messages.
    pub(super) collects: bool,
    pub(super) streams: bool,
    pub(super) verb: HttpMethod,
    /// The path, with the names of fields in braces.
    pub(super) path: String,
    /// The field that is the body; `*` for all that is left.
    pub(super) body: Option<String>,
}

impl Schema {
    pub(super) fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| {
            let mut schema = Self::default();
            for text in TEXTS {
                Parser::new(text).file(&mut schema);
            }
            schema
        })
    }

    pub(super) fn fields(&self, message: &str) -> &[Field] {
        self.messages.get(message).map_or(&[], Vec::as_slice)
    }

    /// The call of a path such as `cluster.ClusterService/List`.
    pub(super) fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<&'a str>>,
    package: &'a str,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut tokens = Vec::new();
        for line in text.lines() {
            // No quoted text of ours has two slashes.
            let code = line.split("//").next().unwrap_or_default();
            tokens.extend(tokenize(code));
        }
        Self {
            tokens: tokens.into_iter().peekable(),
            package: "",
        }
    }

    fn next(&mut self) -> &'a str {
        self.tokens.next().unwrap_or_default()
    }

    /// Takes what follows, when it is this token.
    fn take(&mut self, token: &str) -> bool {
        self.tokens.next_if(|next| *next == token).is_some()
    }

    /// Skips the rest of a statement.
    fn skip(&mut self) {
        while !matches!(self.next(), "" | ";") {}
    }

    fn file(&mut self, schema: &mut Schema) {
        loop {
            match self.next() {
                "" => return,
                "package" => {
                    self.package = self.next();
                    self.skip();
                }
                "message" => {
                    let (package, name) = (self.package, self.next());
                    let name = format!("{package}.{name}");
                    let fields = self.fields();
                    schema.messages.insert(name, fields);
                }
                "service" => self.service(schema),
                _ => self.skip(),
            }
        }
    }

    fn fields(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        self.take("{");
        while !self.take("}") && self.tokens.peek().is_some() {
            let repeated = self.take("repeated");
            let kind = self.kind();
            let name = self.next().to_owned();
            self.take("=");
            let number = self.next().parse().unwrap_or_default();
            let inline = self.take("[");
            self.skip();
            fields.push(Field {
                number,
                name,
                kind,
                repeated,
                inline,
            });
        }
        fields
    }

    fn kind(&mut self) -> Kind {
        match self.next() {
            "string" => Kind::Text,
            "bytes" => Kind::Bytes,
            "bool" => Kind::Bool,
            "int32" | "int64" | "uint32" | "uint64" => Kind::Integer,
            "map" => {
                self.take("<");
                self.next();
                self.take(",");
                let value = self.kind();
                self.take(">");
                Kind::Map(Box::new(value))
            }
            name => Kind::Message(name.to_owned()),
        }
    }

    fn service(&mut self, schema: &mut Schema) {
        let (package, name) = (self.package, self.next());
        let service = format!("{package}.{name}");
        self.take("{");
        while self.take("rpc") {
            let name = self.next();
            self.take("(");
            let collects = self.take("stream");
            let request = self.next().to_owned();
            self.take(")");
            self.take("returns");
            self.take("(");
            let streams = self.take("stream");
            let response = self.next().to_owned();
            self.take(")");
            let mut method = Method {
                request,
                response,
                collects,
                streams,
                verb: HttpMethod::GET,
                path: String::new(),
                body: None,
            };
            self.rule(&mut method);
            schema.methods.insert(format!("{service}/{name}"), method);
        }
        self.take("}");
    }

    /// `{ option (google.api.http) = { get: "/path" body: "*" }; }`
    fn rule(&mut self, method: &mut Method) {
        for token in ["{", "option", "(", "google.api.http", ")", "=", "{"] {
            self.take(token);
        }
        while !self.take("}") && self.tokens.peek().is_some() {
            let word = self.next();
            self.take(":");
            let value = self.next().trim_matches('"').to_owned();
            match word {
                "body" => method.body = Some(value),
                verb => {
                    method.verb = HttpMethod::from_bytes(verb.to_uppercase().as_bytes())
                        .unwrap_or(HttpMethod::GET);
                    method.path = value;
                }
            }
        }
        self.take(";");
        self.take("}");
    }
}

/// Words, quoted texts, and single marks.
fn tokenize(line: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
        let length = if first == '"' {
            rest[1..].find('"').map_or(rest.len(), |end| end + 2)
        } else if is_word(first) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_that_is_named_is_declared() {
        let schema = Schema::get();
        let known =
            |name: &str| name == "google.protobuf.Empty" || schema.messages.contains_key(name);

        for (name, fields) in &schema.messages {
            for field in fields {
                let kind = match &field.kind {
                    Kind::Map(value) => value,
                    kind => kind,
                };
                if let Kind::Message(message) = kind {
                    assert!(known(message), "{name}.{}: {message}", field.name);
                }
                assert!(field.number > 0, "{name}.{}", field.name);
            }
        }
        for (name, method) in &schema.methods {
            assert!(known(&method.request) && known(&method.response), "{name}");
            assert!(method.path.starts_with("/api/"), "{name}: {}", method.path);
        }
        assert_eq!(schema.methods.len(), 106);
    }

    #[test]
    fn options_maps_and_streams_are_read() {
        let schema = Schema::get();

        let node = &schema.fields("v1alpha1.ResourceNode")[0];
        assert!(node.inline);
        let labels = schema.fields("k8s.ObjectMeta").iter();
        let labels = labels
            .filter(|field| field.name == "labels")
            .collect::<Vec<_>>();
        assert_eq!(labels[0].kind, Kind::Map(Box::new(Kind::Text)));
        let watch = schema
            .method("application.ApplicationService/Watch")
            .unwrap();
        assert!(watch.streams && !watch.collects);
        let files = schema.method("application.ApplicationService/GetManifestsWithFiles");
        assert!(files.unwrap().collects);
        let create = schema
            .method("application.ApplicationService/Create")
            .unwrap();
        assert_eq!(create.body.as_deref(), Some("application"));
        assert_eq!(create.verb, HttpMethod::POST);
    }
}
