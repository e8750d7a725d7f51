//! The Secret that declares a cluster, for Argo CD without its API: GitOps, or core mode.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::server_url::ServerUrl;
use super::spec::ClusterSpec;
use crate::error::Result;

impl ServerUrl {
    /// The name of the Secret under which the server stores this cluster: `cluster-<host>-<hash>`, where the hash is the
    /// 32-bit FNV-1a of the address (`util/db/secrets.go`, 3.5.1). A Secret of another name for the same address is a second
    /// cluster.
    #[must_use]
    pub fn secret_name(&self) -> String {
        secret_name(self.as_str())
    }
}

impl ClusterSpec {
    /// The Secret that declares this cluster in the namespace of Argo CD, as JSON for `kubectl apply`. Nothing is sent.
    ///
    /// Nobody tries the credentials on this way: a mistake is found once an application targets the cluster.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) from [`check`](Self::check).
    pub fn secret(&self, namespace: &str) -> Result<SecretString> {
        self.check()?;
        let mut labels = self.labels.clone();
        labels.insert(
            "argocd.argoproj.io/secret-type".to_owned(),
            "cluster".to_owned(),
        );
        let mut data = Map::from_iter([
            ("name".to_owned(), json!(self.name)),
            ("server".to_owned(), json!(self.server.as_str())),
            ("config".to_owned(), json!(self.config().to_string())),
        ]);
        let namespaces = self.namespaces.as_ref().filter(|list| !list.is_empty());
        let optional = [
            ("namespaces", namespaces.map(|list| list.join(","))),
            (
                "clusterResources",
                self.cluster_resources.map(|all| all.to_string()),
            ),
            ("project", self.project.clone()),
            ("shard", self.shard.map(|shard| shard.to_string())),
        ];
        for (key, value) in optional {
            data.extend(value.map(|value| (key.to_owned(), json!(value))));
        }
        let mut metadata = json!({
            "name": self.server.secret_name(), "namespace": namespace, "labels": labels,
        });
        let annotations = self.wanted_annotations();
        if !annotations.is_empty() {
            metadata["annotations"] = json!(annotations);
        }
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque",
            "stringData": Value::Object(data),
        });
        Ok(SecretString::from(secret.to_string()))
    }
}

fn secret_name(server: &str) -> String {
    let authority = server.split_once("://").map_or(server, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or(authority);
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or(address),
        None => authority.split(':').next().unwrap_or(authority),
    };
    let host = host.to_lowercase().replace(':', "-");
    format!("cluster-{host}-{}", fnv1a(server.as_bytes()))
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn names_of_secrets_are_those_of_the_server() {
        for (server, name) in [
            ("http://foo", "cluster-foo-752281925"),
            ("https://mycluster", "cluster-mycluster-3274446258"),
            (
                "http://thelongestdomainnameintheworld.argocd-project.com:3000",
                "cluster-thelongestdomainnameintheworld.argocd-project.com-2721640553",
            ),
            (
                "http://[fe80::1ff:fe23:4567:890a]:8000",
                "cluster-fe80--1ff-fe23-4567-890a-664858999",
            ),
            (
                "http://[FE80::1FF:FE23:4567:890A]:8000",
                "cluster-fe80--1ff-fe23-4567-890a-682802007",
            ),
            ("https://10.5.0.2:6443", "cluster-10.5.0.2-3178016125"),
        ] {
            assert_eq!(secret_name(server), name);
        }
    }

    #[test]
    fn the_secret_says_everything_that_the_specification_says() {
        let server = ServerUrl::parse("https://10.5.0.2:6443").unwrap();
        let ca = include_str!("../../testdata/ca.pem");
        let spec = ClusterSpec::new("lungmen", server, "token".into(), ca)
            .label("environment", "prod")
            .namespaces(["a", "b"])
            .project("infra")
            .shard(1);

        let secret = spec.secret("argocd").unwrap();

        let secret: Value = serde_json::from_str(secret.expose_secret()).unwrap();
        assert_eq!(
            secret["metadata"],
            json!({"name": "cluster-10.5.0.2-3178016125", "namespace": "argocd",
                "labels": {"environment": "prod", "argocd.argoproj.io/secret-type": "cluster"}})
        );
        let data = &secret["stringData"];
        assert_eq!(data["namespaces"], "a,b");
        assert_eq!(
            (&data["project"], &data["shard"]),
            (&json!("infra"), &json!("1"))
        );
        let config: Value = serde_json::from_str(data["config"].as_str().unwrap()).unwrap();
        assert_eq!(config["bearerToken"], "token");
    }
}
