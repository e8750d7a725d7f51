//! The Secrets that declare clusters (`util/db/cluster.go`, 3.5.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::cluster::{Cluster, ClusterSpec, ClusterUpdate};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::contains;

/// The label of every Secret that Argo CD reads.
pub(super) const TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
/// Says that Argo CD made the Secret and removes it with the cluster.
const MANAGED_BY: &str = "managed-by";
const MANAGER: &str = "argocd.argoproj.io";
/// Annotations that the server does not show.
const SYSTEM: [&str; 2] = [
    MANAGED_BY,
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// Whether a Secret declares a cluster.
pub(super) fn is_cluster(secret: &Value) -> bool {
    secret["metadata"]["labels"][TYPE_LABEL] == "cluster"
}

/// Whether the Secret goes with its cluster.
pub(super) fn is_managed(secret: &Value) -> bool {
    secret["metadata"]["annotations"][MANAGED_BY] == MANAGER
}

/// The Secret of a new cluster.
pub(super) fn new(spec: &ClusterSpec, namespace: &str) -> Result<Value> {
    use secrecy::ExposeSecret as _;
    let secret = spec.secret(namespace)?;
    let mut secret: Value = serde_json::from_str(secret.expose_secret()).unwrap_or_default();
    if secret["metadata"]["annotations"].is_null() {
        secret["metadata"]["annotations"] = json!({});
    }
    secret["metadata"]["annotations"][MANAGED_BY] = json!(MANAGER);
    Ok(secret)
}

/// The cluster that a Secret declares, without its credentials.
pub(super) fn cluster(secret: &Value) -> Result<Cluster> {
    let namespaces = text(secret, "namespaces");
    let namespaces: Vec<&str> = namespaces
        .split(',')
        .map(str::trim)
        .filter(|namespace| !namespace.is_empty())
        .collect();
    let metadata = &secret["metadata"];
    let shown = json!({
        "server": text(secret, "server").trim_end_matches('/'),
        "name": text(secret, "name"),
        "config": config(secret),
        "namespaces": namespaces,
        "clusterResources": text(secret, "clusterResources") == "true",
        "project": text(secret, "project"),
        "shard": text(secret, "shard").parse::<i64>().ok(),
        "labels": without(&metadata["labels"], &[TYPE_LABEL]),
        "annotations": without(&metadata["annotations"], &SYSTEM),
    });
    serde_json::from_value(shown).map_err(|_| {
        let name = metadata["name"].as_str().unwrap_or_default();
        Error::new(ErrorKind::Decode, "read cluster")
            .with_target(name)
            .with_message("the Secret does not describe a cluster")
    })
}

/// What a registration changes of a Secret. Unlike the API, Kubernetes shows the credentials, so they are compared.
pub(super) fn difference(secret: &Value, spec: &ClusterSpec) -> Result<ClusterUpdate> {
    let update = ClusterUpdate::between(&cluster(secret)?, spec);
    let (stored, wanted) = (config(secret), spec.config());
    let same = contains(&stored, &wanted) && contains(&wanted, &stored);
    Ok(if same {
        update.without_credentials()
    } else {
        update
    })
}

/// Writes an update into a Secret.
pub(super) fn apply(secret: &mut Value, update: ClusterUpdate) {
    for (field, value) in update.into_fields() {
        match field {
            "labels" => {
                secret["metadata"]["labels"] = value;
                secret["metadata"]["labels"][TYPE_LABEL] = json!("cluster");
            }
            "annotations" => {
                let mut annotations = value;
                for name in SYSTEM {
                    let system = &secret["metadata"]["annotations"][name];
                    if !system.is_null() {
                        annotations[name] = system.clone();
                    }
                }
                secret["metadata"]["annotations"] = annotations;
            }
            "namespaces" => {
                let items = value.as_array().into_iter().flatten();
                let names: Vec<&str> = items.filter_map(Value::as_str).collect();
                set(secret, field, &names.join(","));
            }
            _ => match value.as_str() {
                Some(text) => set(secret, field, text),
                None => set(secret, field, &value.to_string()),
            },
        }
    }
}

fn set(secret: &mut Value, key: &str, text: &str) {
    secret["data"][key] = json!(STANDARD.encode(text));
}

fn text(secret: &Value, key: &str) -> String {
    let encoded = secret["data"][key].as_str().unwrap_or_default();
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// The connection settings. Hold the credentials.
fn config(secret: &Value) -> Value {
    serde_json::from_str(&text(secret, "config")).unwrap_or_default()
}

fn without(map: &Value, names: &[&str]) -> Value {
    let fields = map.as_object().into_iter().flatten();
    let kept = fields.filter(|(name, _)| !names.contains(&name.as_str()));
    Value::Object(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ServerUrl;

    const CA: &str = include_str!("../../testdata/ca.pem");

    fn spec(token: &str) -> ClusterSpec {
        let server = ServerUrl::parse("https://10.5.0.2:6443").unwrap();
        ClusterSpec::new("lungmen", server, token.into(), CA)
            .label("environment", "prod")
            .namespaces(["a", "b"])
    }

    /// As Kubernetes stores it.
    fn stored(spec: &ClusterSpec) -> Value {
        let mut secret = new(spec, "argocd").unwrap();
        let data = secret["stringData"].take();
        for (key, value) in data.as_object().unwrap() {
            set(&mut secret, key, value.as_str().unwrap());
        }
        secret
    }

    #[test]
    fn a_declared_cluster_is_read_back_without_what_argo_cd_adds() {
        let cluster = cluster(&stored(&spec("canary"))).unwrap();

        assert_eq!(cluster.name, "lungmen");
        assert_eq!(cluster.server, "https://10.5.0.2:6443");
        assert_eq!(cluster.namespaces, ["a", "b"]);
        assert_eq!(cluster.labels.len(), 1);
        assert!(cluster.annotations.is_empty());
        assert!(!format!("{cluster:?}").contains("canary"));
    }

    #[test]
    fn only_what_differs_is_written_and_the_marks_of_argo_cd_stay() {
        let mut secret = stored(&spec("old"));

        assert!(difference(&secret, &spec("old")).unwrap().is_empty());
        let update = difference(
            &secret,
            &spec("new").label("team", "a").annotation("x", "y"),
        )
        .unwrap();
        assert_eq!(update.fields(), ["annotations", "config", "labels"]);
        apply(&mut secret, update);

        assert!(is_cluster(&secret) && is_managed(&secret));
        assert_eq!(config(&secret)["bearerToken"], "new");
        assert_eq!(cluster(&secret).unwrap().labels["team"], "a");
        assert!(difference(&secret, &spec("new")).unwrap().is_empty());
    }
}
