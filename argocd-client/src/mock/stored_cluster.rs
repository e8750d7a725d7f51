//! A registered cluster: what is stored, what is shown of it, and how it changes.

use std::collections::BTreeMap;
use std::time::Instant;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::cluster_body::{Body, Config, probe};
use super::state::{MockServer, now};
use crate::version;

const IN_CLUSTER: &str = "https://kubernetes.default.svc";
const NOT_MONITORED: &str = "Cluster has no applications and is not being monitored.";
/// The parts of the configuration that are never given back.
const HIDDEN: [&str; 4] = ["username", "password", "bearerToken", "execProviderConfig"];

/// A registered cluster as it is stored, credentials included.
#[derive(Clone)]
pub(super) struct StoredCluster {
    pub(super) body: Body,
    /// The local cluster is known without one.
    has_secret: bool,
    version: String,
    checked: Instant,
    checked_at: String,
    failure: Option<String>,
    pub(super) refresh_requested_at: Option<String>,
}

/// A registered cluster, for assertions: what the server keeps, except the token itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterRecord {
    /// Address.
    pub server: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The token.
    pub bearer_token: Option<SecretString>,
    /// CA in PEM.
    pub ca_pem: Option<String>,
    /// Whether a client certificate is stored.
    pub has_client_certificate: bool,
}

impl StoredCluster {
    pub(super) fn in_cluster(kubernetes: &str) -> Self {
        let body = Body {
            server: IN_CLUSTER.to_owned(),
            name: "in-cluster".to_owned(),
            ..Body::default()
        };
        let version = kubernetes.trim_start_matches('v').to_owned();
        Self {
            has_secret: false,
            ..Self::new(body, version)
        }
    }

    /// The cluster with another content: what was requested before stays requested.
    pub(super) fn replaced(&self, body: Body, version: String) -> Self {
        Self {
            has_secret: true,
            refresh_requested_at: self.refresh_requested_at.clone(),
            ..Self::new(body, version)
        }
    }

    pub(super) fn has_secret(&self) -> bool {
        self.has_secret
    }

    pub(super) fn object(&self) -> String {
        self.body.object()
    }

    /// A request to rebuild the cache is an annotation of the Secret.
    pub(super) fn request_refresh(&mut self, time: &str) {
        self.refresh_requested_at = Some(time.to_owned());
        self.body
            .annotations
            .get_or_insert_default()
            .insert("argocd.argoproj.io/refresh".to_owned(), time.to_owned());
    }

    pub(super) fn new(body: Body, version: String) -> Self {
        Self {
            body,
            has_secret: true,
            version,
            checked: Instant::now(),
            checked_at: now(),
            failure: None,
            refresh_requested_at: None,
        }
    }

    pub(super) fn server(&self) -> &str {
        &self.body.server
    }

    pub(super) fn name(&self) -> &str {
        &self.body.name
    }

    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        self.body.labels.clone().unwrap_or_default()
    }

    pub(super) fn fail(&mut self, message: Option<String>) {
        self.failure = message;
    }

    pub(super) fn record(&self) -> ClusterRecord {
        let probe = probe(&self.body);
        ClusterRecord {
            server: self.body.server.clone(),
            name: self.body.name.clone(),
            labels: self.labels(),
            annotations: self.body.annotations.clone().unwrap_or_default(),
            bearer_token: probe.bearer_token,
            ca_pem: probe.ca_pem,
            has_client_certificate: probe.has_client_certificate,
        }
    }

    /// The cluster as the API shows it: without credentials, with its current connection state.
    pub(super) fn render(&self, server: &MockServer, applications: usize) -> Value {
        let (status, message) = self.connection(server, applications);
        let connection =
            json!({"status": status, "message": message, "attemptedAt": self.checked_at});
        let monitored = applications > 0 && status == "Successful";
        let mut info = json!({"connectionState": connection, "cacheInfo": {}, "applicationsCount": applications});
        if monitored {
            info["cacheInfo"] =
                json!({"resourcesCount": 412, "apisCount": 98, "lastCacheSyncTime": now()});
            info["apiVersions"] = json!(["v1", "apps/v1"]);
        }
        let mut cluster = json!(self.body);
        cluster["config"] = redacted(&self.body.config);
        cluster["connectionState"] = connection;
        cluster["info"] = info;
        // The version of an idle cluster is forgotten with its connection state.
        let known = status == "Successful" || self.server() == IN_CLUSTER;
        if !self.version.is_empty() && known {
            let version = written(&self.version, server);
            cluster["serverVersion"] = json!(version);
            cluster["info"]["serverVersion"] = json!(version);
        }
        if let Some(time) = &self.refresh_requested_at {
            cluster["refreshRequestedAt"] = json!(time);
        }
        cluster
    }

    fn connection(&self, server: &MockServer, applications: usize) -> (&'static str, String) {
        if let Some(message) = &self.failure {
            return ("Failed", message.clone());
        }
        let fresh =
            self.server() != IN_CLUSTER && self.checked.elapsed() < server.settings.monitor_delay;
        if fresh || applications > 0 {
            ("Successful", String::new())
        } else {
            ("Unknown", NOT_MONITORED.to_owned())
        }
    }
}

/// `1.33` up to Argo CD 3.3.2, `v1.33.4` later.
fn written(kubernetes: &str, server: &MockServer) -> String {
    match version::number(kubernetes) {
        Some((major, minor, _)) if !server.is_at_least((3, 3, 3)) => format!("{major}.{minor}"),
        _ => kubernetes.to_owned(),
    }
}

fn redacted(config: &Config) -> Value {
    let mut tls = json!({"insecure": config.tls_client_config.insecure});
    if !config.tls_client_config.server_name.is_empty() {
        tls["serverName"] = json!(config.tls_client_config.server_name);
    }
    let mut shown = json!({"tlsClientConfig": tls});
    for (key, value) in &config.other {
        if !HIDDEN.contains(&key.as_str()) {
            shown[key] = value.clone();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::cluster_body::decode;
    use super::*;

    #[test]
    fn reads_are_redacted() {
        let body = decode(&json!({
            "config": {
                "bearerToken": "canary", "tlsClientConfig": {"insecure": false, "caData": "Q0E="}, "proxyUrl": "http://p",
                "execProviderConfig": {"command": "canary"}, "awsAuthConfig": {"clusterName": "eks"},
            },
        }));

        assert_eq!(
            redacted(&body.unwrap().config),
            json!({
                "tlsClientConfig": {"insecure": false}, "proxyUrl": "http://p",
                "awsAuthConfig": {"clusterName": "eks"},
            })
        );
    }
}
