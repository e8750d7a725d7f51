//! A specification in the words of the server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::spec::ClusterSpec;

impl ClusterSpec {
    /// The `config` object. Holds the token.
    pub(crate) fn config(&self) -> Value {
        let mut tls = Map::new();
        tls.insert("insecure".to_owned(), json!(false));
        if let Some(name) = &self.tls_server_name {
            tls.insert("serverName".to_owned(), json!(name));
        }
        tls.insert("caData".to_owned(), json!(STANDARD.encode(&self.ca_pem)));
        let mut config = Map::new();
        let (field, login) = self.auth.field();
        config.insert(field.to_owned(), login);
        config.insert("tlsClientConfig".to_owned(), tls.into());
        if let Some(proxy) = &self.proxy_url {
            config.insert("proxyUrl".to_owned(), json!(proxy.expose_secret()));
        }
        config.into()
    }

    /// The body of a creation. Empty values are left out: the server tells `""` from absent.
    pub(super) fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("server".to_owned(), json!(self.server.as_str()));
        body.insert("name".to_owned(), json!(self.name));
        body.insert("config".to_owned(), self.config());
        let annotations = self.wanted_annotations();
        let optional = [
            (
                "labels",
                (!self.labels.is_empty()).then(|| json!(self.labels)),
            ),
            (
                "annotations",
                (!annotations.is_empty()).then(|| json!(annotations)),
            ),
            (
                "namespaces",
                self.namespaces
                    .as_ref()
                    .filter(|list| !list.is_empty())
                    .map(|list| json!(list)),
            ),
            ("clusterResources", self.cluster_resources.map(Value::from)),
            (
                "project",
                self.project.as_ref().map(|project| json!(project)),
            ),
            ("shard", self.shard.map(Value::from)),
        ];
        body.extend(
            optional
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        );
        body.into()
    }
}
