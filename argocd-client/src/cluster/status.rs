//! What Argo CD knows about a cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::auth::AwsAuth;
use super::server_url::ServerUrl;
use crate::application::Destination;
use crate::wire::nullable;

/// Written by the controller about a cluster that no application targets.
const NOT_MONITORED: &str = "not being monitored";

/// A registered cluster as the server shows it: without credentials.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cluster {
    /// Address of the Kubernetes API; identifies the cluster.
    #[serde(default, deserialize_with = "nullable")]
    pub server: String,
    /// Name; the server does not keep it unique.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// The readable part of the connection settings.
    #[serde(default, deserialize_with = "nullable")]
    pub config: ClusterConfig,
    /// Labels; cluster generators select by them.
    #[serde(default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// Namespaces that Argo CD is limited to; empty means all.
    #[serde(default, deserialize_with = "nullable")]
    pub namespaces: Vec<String>,
    /// Whether cluster-wide resources are managed although namespaces are limited.
    #[serde(default, rename = "clusterResources", deserialize_with = "nullable")]
    pub cluster_resources: bool,
    /// Project that owns the cluster, if it is scoped to one.
    #[serde(default, deserialize_with = "nullable")]
    pub project: String,
    /// Controller shard it is pinned to.
    #[serde(default)]
    pub shard: Option<i64>,
    /// When the rebuild of the cache was last requested.
    #[serde(default, rename = "refreshRequestedAt")]
    pub refresh_requested_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "nullable")]
    info: ClusterInfo,
    // Deprecated copies of the fields in `info`, the only ones on some answers.
    #[serde(default, rename = "connectionState", deserialize_with = "nullable")]
    connection_state: ConnectionState,
    #[serde(default, rename = "serverVersion", deserialize_with = "nullable")]
    server_version: String,
}

/// The connection settings that the server gives back; secrets and certificates never are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// TLS settings.
    #[serde(default, rename = "tlsClientConfig", deserialize_with = "nullable")]
    pub tls: ClusterTls,
    /// Proxy between Argo CD and the cluster. May hold credentials: kept out of `Debug`.
    #[serde(default, rename = "proxyUrl", skip_serializing)]
    pub proxy_url: Option<secrecy::SecretString>,
    /// The login by AWS, when the cluster has one; an update of other fields leaves it as it is. Other ways to log in, such
    /// as a program (`execProviderConfig`, also for GCP and Azure), are never shown.
    #[serde(default, rename = "awsAuthConfig")]
    pub aws: Option<AwsAuth>,
    /// Whether responses of the cluster are not compressed.
    #[serde(default, rename = "disableCompression", deserialize_with = "nullable")]
    pub disable_compression: bool,
}

impl PartialEq for ClusterConfig {
    fn eq(&self, other: &Self) -> bool {
        let proxy = |config: &Self| {
            let url = config.proxy_url.as_ref();
            url.map(|url| url.expose_secret().to_owned())
        };
        self.tls == other.tls
            && self.aws == other.aws
            && self.disable_compression == other.disable_compression
            && proxy(self) == proxy(other)
    }
}

/// The readable TLS settings of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterTls {
    /// Whether the certificate of the cluster is not checked.
    #[serde(default, deserialize_with = "nullable")]
    pub insecure: bool,
    /// Name expected in the certificate; empty means the host of the address.
    #[serde(default, rename = "serverName", deserialize_with = "nullable")]
    pub server_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct ClusterInfo {
    #[serde(default, rename = "connectionState", deserialize_with = "nullable")]
    connection_state: ConnectionState,
    #[serde(default, rename = "serverVersion", deserialize_with = "nullable")]
    server_version: String,
    #[serde(default, rename = "cacheInfo", deserialize_with = "nullable")]
    cache_info: CacheInfo,
    #[serde(default, rename = "applicationsCount", deserialize_with = "nullable")]
    applications_count: u64,
}

/// What the controller holds in memory of a monitored cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CacheInfo {
    /// Number of watched objects.
    #[serde(default, rename = "resourcesCount", deserialize_with = "nullable")]
    pub resources_count: u64,
    /// Number of watched kinds.
    #[serde(default, rename = "apisCount", deserialize_with = "nullable")]
    pub apis_count: u64,
    /// Last complete synchronisation; absent until the first.
    #[serde(default, rename = "lastCacheSyncTime")]
    pub last_sync: Option<Timestamp>,
}

impl Cluster {
    /// The last result of talking to the cluster.
    #[must_use]
    pub fn connection(&self) -> &ConnectionState {
        if self.info.connection_state.raw_status.is_empty() {
            &self.connection_state
        } else {
            &self.info.connection_state
        }
    }

    /// Version of Kubernetes: `1.31` up to Argo CD 3.3.2, `v1.31.4` later; empty if not known.
    #[must_use]
    pub fn kubernetes_version(&self) -> &str {
        if self.info.server_version.is_empty() {
            &self.server_version
        } else {
            &self.info.server_version
        }
    }

    /// How many applications target the cluster, as the controller last counted.
    #[must_use]
    pub fn applications_count(&self) -> u64 {
        self.info.applications_count
    }

    /// What the controller holds of the cluster.
    #[must_use]
    pub fn cache(&self) -> &CacheInfo {
        &self.info.cache_info
    }

    /// Whether the controller watches the cluster successfully.
    #[must_use]
    pub fn is_monitored(&self) -> bool {
        self.connection().status() == ConnectionStatus::Successful
            && self.info.cache_info.last_sync.is_some()
    }

    /// Whether a destination means this cluster, by its address or by its name.
    #[must_use]
    pub fn is_target_of(&self, destination: &Destination) -> bool {
        if destination.server.is_empty() {
            !destination.name.is_empty() && destination.name == self.name
        } else {
            destination.server.trim_end_matches('/') == self.server.trim_end_matches('/')
        }
    }

    /// Whether this entry is for the given address.
    #[must_use]
    pub fn is_at(&self, server: &ServerUrl) -> bool {
        server.matches(&self.server)
    }
}

/// The last result of talking to a cluster. The server forgets it after ten minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionState {
    #[serde(default, rename = "status", deserialize_with = "nullable")]
    raw_status: String,
    /// Why it is so, in the words of the server.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
    /// When it was found out.
    #[serde(default, rename = "attemptedAt")]
    pub attempted_at: Option<Timestamp>,
}

/// What a [`ConnectionState`] means.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// The last attempt succeeded.
    Successful,
    /// The last attempt failed; the message says why.
    Failed,
    /// No application targets the cluster, so the controller leaves it alone. Not a failure:
    /// about ten seconds after its registration every cluster without applications looks so.
    NotMonitored,
    /// The controller has not built its cache yet.
    Unknown,
    /// The server has no entry: never looked, or not for ten minutes.
    Unset,
    /// A value that this version of the crate does not know.
    Other(String),
}

impl ConnectionState {
    /// What this state means.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        match self.raw_status.as_str() {
            "Successful" => ConnectionStatus::Successful,
            "Failed" => ConnectionStatus::Failed,
            "Unknown" if self.message.contains(NOT_MONITORED) => ConnectionStatus::NotMonitored,
            "Unknown" => ConnectionStatus::Unknown,
            "" => ConnectionStatus::Unset,
            other => ConnectionStatus::Other(other.to_owned()),
        }
    }
}

impl std::fmt::Display for ConnectionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Successful => "successful",
            Self::Failed => "failed",
            Self::NotMonitored => "not monitored",
            Self::Unknown => "unknown",
            Self::Unset => "not checked yet",
            Self::Other(text) => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(json: &str) -> Cluster {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_cluster_without_applications_is_not_monitored_rather_than_unknown() {
        let cluster = cluster(
            r#"{"server":"https://10.5.0.2:6443","name":"lungmen","config":{"tlsClientConfig":{"insecure":false}},
                "info":{"connectionState":{"status":"Unknown","message":"Cluster has no applications and is not being monitored.","attemptedAt":"2025-08-20T10:00:10Z"},"cacheInfo":{},"applicationsCount":0}}"#,
        );

        assert_eq!(
            cluster.connection().status(),
            ConnectionStatus::NotMonitored
        );
        assert!(!cluster.is_monitored());
    }

    #[test]
    fn a_monitored_cluster_has_a_synchronised_cache() {
        let cluster = cluster(
            r#"{"server":"s","name":"n","serverVersion":"1.31","connectionState":{"status":"Successful","message":"","attemptedAt":null},
                "info":{"connectionState":{"status":"Successful","message":""},"serverVersion":"v1.33.4","cacheInfo":{"resourcesCount":412,"lastCacheSyncTime":"2025-08-20T10:03:00Z"},"applicationsCount":7,"apiVersions":["v1"]}}"#,
        );

        assert!(cluster.is_monitored());
        assert_eq!(cluster.kubernetes_version(), "v1.33.4");
        assert_eq!(cluster.applications_count(), 7);
    }

    #[test]
    fn null_and_absent_fields_and_the_deprecated_copies_are_read() {
        let cluster = cluster(
            r#"{"server":"s","name":"n","config":null,"labels":null,"namespaces":null,"serverVersion":"1.31",
                "connectionState":{"status":"Successful","message":"","attemptedAt":null},"info":{"connectionState":{"status":"","message":"","attemptedAt":null},"cacheInfo":{},"applicationsCount":0}}"#,
        );

        assert_eq!(cluster.connection().status(), ConnectionStatus::Successful);
        assert_eq!(cluster.kubernetes_version(), "1.31");
        assert_eq!(ConnectionState::default().status(), ConnectionStatus::Unset);
    }
}
