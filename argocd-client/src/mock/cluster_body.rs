//! The Cluster of a request: how it is decoded, compared and merged.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::response::Rejection;
use super::state::TargetProbe;

/// The fields that an update may name.
const FIELDS: [&str; 8] = [
    "name",
    "namespaces",
    "config",
    "shard",
    "clusterResources",
    "labels",
    "annotations",
    "project",
];
/// The Cluster of a request; decoding it finds wrong types, unknown fields are ignored.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub(super) server: String,
    pub(super) name: String,
    pub(super) config: Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespaces: Option<Vec<String>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) cluster_resources: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) project: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Config {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) bearer_token: String,
    pub(super) tls_client_config: Tls,
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tls {
    pub(super) insecure: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) server_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ca_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cert_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_data: Option<String>,
}

impl Body {
    /// The object of RBAC: the address, or `project/address`.
    pub(super) fn object(&self) -> String {
        if self.project.is_empty() {
            self.server.clone()
        } else {
            format!("{}/{}", self.project, self.server)
        }
    }
}

pub(super) fn probe(body: &Body) -> TargetProbe {
    let tls = &body.config.tls_client_config;
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    let decoded = |data: &String| {
        STANDARD
            .decode(data)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
    };
    TargetProbe {
        server: body.server.clone(),
        name: body.name.clone(),
        bearer_token: given(&body.config.bearer_token).map(SecretString::from),
        ca_pem: tls.ca_data.as_ref().and_then(decoded),
        insecure: tls.insecure,
        tls_server_name: given(&tls.server_name),
        has_client_certificate: tls.cert_data.is_some(),
    }
}

/// The names of the fields that differ, as the server's comparison of structures spells them.
///
/// The stored object has an ID, a name and a label of its own, so that one with labels is never the
/// same as what was sent (measured on 3.5.1).
pub(super) fn differences(stored: &Body, wanted: &Body) -> Vec<String> {
    let (a, b) = (json!(stored), json!(wanted));
    let labels = label_difference(stored, wanted);
    let mut keys: Vec<String> = Vec::new();
    if a["name"] != b["name"] {
        keys.push("Name".to_owned());
    }
    keys.extend(config_differences(&a["config"], &b["config"]));
    for (field, name) in [
        ("namespaces", "Namespaces"),
        ("shard", "Shard"),
        ("clusterResources", "ClusterResources"),
    ] {
        if a.get(field) != b.get(field) {
            keys.push(name.to_owned());
        }
    }
    keys.extend(labels.map(|label| format!("Labels,{label}")));
    if a.get("annotations") != b.get("annotations") {
        keys.push("Annotations".to_owned());
    }
    if keys.is_empty() {
        return keys;
    }
    keys.insert(0, "ID".to_owned());
    keys.extend(["ObjectMeta,Name", "ObjectMeta,Namespace"].map(str::to_owned));
    keys
}

/// The first label that differs; the server adds one of its own to those that it stores.
fn label_difference(stored: &Body, wanted: &Body) -> Option<String> {
    let mut theirs = stored.labels.clone().unwrap_or_default();
    let ours = wanted.labels.clone().unwrap_or_default();
    if theirs.is_empty() && ours.is_empty() {
        return None;
    }
    theirs.insert(
        "argocd.argoproj.io/secret-type".to_owned(),
        "cluster".to_owned(),
    );
    let names: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    names
        .into_iter()
        .find(|name| theirs.get(*name) != ours.get(*name))
        .cloned()
}

fn config_differences(a: &Value, b: &Value) -> Vec<String> {
    const NAMES: [(&str, &str); 9] = [
        ("/username", "Username"),
        ("/password", "Password"),
        ("/bearerToken", "BearerToken"),
        ("/tlsClientConfig/insecure", "TLSClientConfig,Insecure"),
        ("/tlsClientConfig/serverName", "TLSClientConfig,ServerName"),
        ("/tlsClientConfig/certData", "TLSClientConfig,CertData"),
        ("/tlsClientConfig/keyData", "TLSClientConfig,KeyData"),
        ("/tlsClientConfig/caData", "TLSClientConfig,CAData"),
        ("/proxyUrl", "ProxyUrl"),
    ];
    NAMES
        .iter()
        .filter(|(pointer, _)| a.pointer(pointer) != b.pointer(pointer))
        .map(|(_, name)| format!("Config,{name}"))
        .collect()
}

pub(super) fn decode(body: &Value) -> Result<Body, Rejection> {
    serde_json::from_value(body.clone())
        .map_err(|_| Rejection::invalid("json: cannot unmarshal into Go struct field of Cluster"))
}

/// Without a list of fields everything is replaced, credentials included.
pub(super) fn merge(stored: &Body, wanted: Body, fields: &[String]) -> Result<Body, Rejection> {
    if fields.is_empty() {
        return Ok(Body {
            server: stored.server.clone(),
            ..wanted
        });
    }
    let (mut merged, wanted) = (json!(stored), json!(wanted));
    for field in fields
        .iter()
        .filter(|field| FIELDS.contains(&field.as_str()))
    {
        match (wanted.get(field), merged.as_object_mut()) {
            (Some(value), _) => merged[field] = value.clone(),
            (None, Some(merged)) => drop(merged.remove(field)),
            (None, None) => {}
        }
    }
    decode(&merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        decode(&json!({
            "server": "https://h:6443", "name": "lungmen", "labels": {"a": "1"},
            "config": {"bearerToken": "canary", "tlsClientConfig": {"insecure": false, "caData": "Q0E="}, "proxyUrl": "http://p"},
        }))
        .unwrap()
    }

    #[test]
    fn an_update_without_fields_replaces_everything() {
        let merged = merge(
            &body(),
            Body {
                name: "x".into(),
                ..Body::default()
            },
            &[],
        )
        .unwrap();
        assert!(merged.config.bearer_token.is_empty());
        assert_eq!(merged.server, "https://h:6443");

        let labels = Body {
            labels: Some(BTreeMap::from([("b".into(), "2".into())])),
            ..Body::default()
        };
        let merged = merge(&body(), labels, &["labels".to_owned()]).unwrap();
        assert_eq!(merged.config.bearer_token, "canary");
        assert_eq!(merged.labels.unwrap().len(), 1);
    }

    #[test]
    fn differences_are_named_as_the_server_names_them() {
        let mut other = body();
        other.config.bearer_token = "x".into();
        other.config.tls_client_config.ca_data = None;
        other.project = "p".into();

        assert_eq!(
            differences(&body(), &other),
            [
                "ID",
                "Config,BearerToken",
                "Config,TLSClientConfig,CAData",
                "Labels,argocd.argoproj.io/secret-type",
                "ObjectMeta,Name",
                "ObjectMeta,Namespace",
            ]
        );
    }

    #[test]
    fn only_a_cluster_without_labels_is_the_same_when_it_is_sent_again() {
        let mut without = body();
        without.labels = None;

        assert!(!differences(&body(), &body()).is_empty());
        assert!(differences(&without, &without).is_empty());
    }
}
