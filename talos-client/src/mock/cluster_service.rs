//! Cluster health and time of a mock node.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::node::{Etcd, Node, State};
use crate::api::cosi::Stage;
use crate::api::pb::cluster as pb;
use crate::api::pb::cluster::cluster_service_server::{ClusterService, ClusterServiceServer};
use crate::api::pb::time;
use crate::api::pb::time::time_service_server::{TimeService, TimeServiceServer};

/// The checks in the order of the reference, with what each needs and says when it is missing.
const CHECKS: [(&str, Need); 16] = [
    ("etcd to be healthy", Need::Etcd),
    ("etcd members to be consistent across nodes", Need::Etcd),
    ("etcd members to be control plane nodes", Need::Etcd),
    ("apid to be ready", Need::Nothing),
    ("all nodes memory sizes", Need::Nothing),
    ("all nodes disk sizes", Need::Nothing),
    ("no diagnostics", Need::Nothing),
    ("kubelet to be healthy", Need::StaticPods),
    ("all nodes to finish boot sequence", Need::Running),
    ("all k8s nodes to report", Need::StaticPods),
    (
        "all control plane static pods to be running",
        Need::StaticPods,
    ),
    ("all control plane components to be ready", Need::StaticPods),
    ("all k8s nodes to report ready", Need::NodeReady),
    ("kube-proxy to report ready", Need::NodeReady),
    ("coredns to report ready", Need::NodeReady),
    ("all k8s nodes to report schedulable", Need::NodeReady),
];

#[derive(Clone, Copy)]
enum Need {
    Nothing,
    Etcd,
    StaticPods,
    Running,
    NodeReady,
}

impl Need {
    fn missing(self, state: &State) -> Option<&'static str> {
        let (is_met, text) = match self {
            Self::Nothing => (true, ""),
            Self::Etcd => (state.etcd == Etcd::Healthy, "service \"etcd\" not healthy"),
            Self::StaticPods => (state.has_static_pods, "connection refused"),
            Self::Running => (state.stage == Stage::Running, "machine is not running"),
            Self::NodeReady => (state.is_node_ready, "some nodes are not ready"),
        };
        (!is_met).then_some(text)
    }
}

/// A mock node's judgement of its cluster.
pub(super) struct Service {
    node: Arc<Node>,
}

pub(super) fn server(node: &Arc<Node>) -> ClusterServiceServer<Service> {
    ClusterServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

pub(super) fn time_server(node: &Arc<Node>) -> TimeServiceServer<Service> {
    TimeServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

type Line = Result<pb::HealthCheckProgress, Status>;

fn line(message: String) -> Line {
    Ok(pb::HealthCheckProgress {
        metadata: None,
        message,
    })
}

#[tonic::async_trait]
impl ClusterService for Service {
    async fn health_check(
        &self,
        request: Request<pb::HealthCheckRequest>,
    ) -> Result<Response<BoxStream<'static, Line>>, Status> {
        let asked = request.into_inner();
        let wait = asked
            .wait_timeout
            .and_then(|wait| Duration::try_from(wait).ok())
            .unwrap_or_default();
        let limit = Instant::now() + wait;
        let nodes = asked.cluster_info.unwrap_or_default().control_plane_nodes;
        let nodes = if nodes.is_empty() {
            self.node
                .setup
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect()
        } else {
            nodes
        };
        let first = stream::iter([line(format!("discovered nodes: {nodes:?}"))]);
        let node = Arc::clone(&self.node);
        let checks = stream::iter(CHECKS)
            .flat_map(move |(name, need)| check(Arc::clone(&node), name, need, limit));
        // After a check that has failed there are no others.
        let checks = checks.scan(false, |failed, line| {
            let is_over = std::mem::replace(failed, line.is_err());
            std::future::ready((!is_over).then_some(line))
        });
        Ok(Response::new(first.chain(checks).boxed()))
    }
}

/// The lines of one check: what is missing, then that it passed or that time is over.
fn check(
    node: Arc<Node>,
    name: &'static str,
    need: Need,
    limit: Instant,
) -> BoxStream<'static, Line> {
    let missing = need.missing(&node.state());
    let pending = missing.map(|missing| line(format!("waiting for {name}: {missing}")));
    let end = async move {
        let met = node.until(|state| need.missing(state).is_none());
        match tokio::time::timeout_at(limit, met).await {
            Ok(()) => line(format!("waiting for {name}: OK")),
            Err(_) => Err(Status::deadline_exceeded("context deadline exceeded")),
        }
    };
    let begin = stream::iter([line(format!("waiting for {name}: ..."))]);
    begin
        .chain(stream::iter(pending))
        .chain(stream::once(end))
        .boxed()
}

/// What the mock compares its clock with, unless asked for another server.
const TIME_SERVER: &str = "time.cloudflare.com";

#[tonic::async_trait]
impl TimeService for Service {
    async fn time(&self, _: Request<()>) -> Result<Response<time::TimeResponse>, Status> {
        Ok(self.compared(TIME_SERVER.to_owned()))
    }

    async fn time_check(
        &self,
        request: Request<time::TimeRequest>,
    ) -> Result<Response<time::TimeResponse>, Status> {
        let server = request.into_inner().server;
        if server.is_empty() {
            return Err(Status::invalid_argument("ntp server is required"));
        }
        Ok(self.compared(server))
    }
}

impl Service {
    fn compared(&self, server: String) -> Response<time::TimeResponse> {
        let now = SystemTime::now();
        let ahead = self.node.state().clock_ahead;
        Response::new(time::TimeResponse {
            messages: vec![time::Time {
                metadata: None,
                server,
                localtime: Some((now + ahead).into()),
                remotetime: Some(now.into()),
            }],
        })
    }
}
