//! Health of the whole cluster, as a control plane node judges it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Machine;
use super::reply::check;
use crate::api::channel::{MAX_MESSAGE_SIZE, Service};
use crate::api::pb::cluster as pb;
use crate::api::pb::cluster::cluster_service_client::ClusterServiceClient;
use crate::{ResponseStream, Result};

const OPERATION: &str = "check cluster health";

/// Which nodes to expect, and how long the node may wait for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct HealthCheck {
    wait: Duration,
    control_plane_nodes: Vec<String>,
    worker_nodes: Vec<String>,
    endpoint: String,
}

impl HealthCheck {
    /// Lets the node wait for health, and discover the members itself.
    pub fn new(deadline: Duration) -> Self {
        Self {
            wait: deadline,
            control_plane_nodes: Vec::new(),
            worker_nodes: Vec::new(),
            endpoint: String::new(),
        }
    }

    /// The addresses of all control plane nodes. With any node named, all must be: others fail the check.
    pub fn control_plane_nodes(mut self, addresses: impl IntoIterator<Item = String>) -> Self {
        self.control_plane_nodes = addresses.into_iter().collect();
        self
    }

    /// The addresses of all workers.
    pub fn worker_nodes(mut self, addresses: impl IntoIterator<Item = String>) -> Self {
        self.worker_nodes = addresses.into_iter().collect();
        self
    }

    /// Reaches Kubernetes at `host[:port]` instead of the cluster's endpoint, which may not resolve on the node.
    pub fn kubernetes_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    fn to_wire(&self) -> pb::HealthCheckRequest {
        pb::HealthCheckRequest {
            wait_timeout: prost_types::Duration::try_from(self.wait).ok(),
            cluster_info: Some(pb::ClusterInfo {
                control_plane_nodes: self.control_plane_nodes.clone(),
                worker_nodes: self.worker_nodes.clone(),
                force_endpoint: self.endpoint.clone(),
            }),
        }
    }
}

/// A line of a health check, such as `waiting for etcd to be healthy: OK`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HealthProgress {
    /// The line as the node sends it.
    pub message: String,
}

impl HealthProgress {
    /// The check and its state (`OK`, `SKIP`, `...` or what is wrong), if the line is about one.
    #[must_use]
    pub fn check(&self) -> Option<(&str, &str)> {
        self.message.strip_prefix("waiting for ")?.split_once(": ")
    }
}

impl Machine {
    /// Streams the cluster's health check. It ends without an error when every check has passed.
    ///
    /// Needs `os:admin` from the first check of Kubernetes on. When time runs out the stream ends with
    /// [`crate::ErrorKind::Timeout`], and the line before says what was missing. With `cni: none` it cannot pass
    /// on v1.10 to v1.12 before a network plugin runs.
    pub fn health_check(&self, check_request: HealthCheck) -> ResponseStream<HealthProgress> {
        let deadline = check_request.wait + Duration::from_secs(30);
        self.transport
            .stream(
                OPERATION,
                move |service| async move {
                    cluster_service(service)
                        .health_check(check_request.to_wire())
                        .await
                },
                progress,
            )
            .deadline(deadline)
    }
}

fn cluster_service(service: Service) -> ClusterServiceClient<Service> {
    ClusterServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

fn progress(progress: pb::HealthCheckProgress) -> Result<Option<HealthProgress>> {
    check(OPERATION, progress.metadata.as_ref())?;
    Ok(Some(HealthProgress {
        message: progress.message,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_wait_is_on_the_wire() {
        let wire = HealthCheck::new(Duration::from_secs(90)).to_wire();

        assert_eq!(wire.wait_timeout.map(|wait| wait.seconds), Some(90));
        assert!(wire.cluster_info.is_some());
    }

    #[test]
    fn a_line_is_about_a_check_or_not() {
        let line = |message: &str| HealthProgress {
            message: message.to_owned(),
        };

        assert_eq!(
            line("waiting for etcd to be healthy: OK").check(),
            Some(("etcd to be healthy", "OK"))
        );
        assert_eq!(line("discovered nodes: [\"10.0.2.10\"]").check(), None);
    }
}
