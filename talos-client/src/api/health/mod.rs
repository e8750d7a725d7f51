//! The health of a cluster, checked from here: the ordered checks of `talosctl health --server=false`.
//!
//! ```no_run
//! # async fn example(one: talos_client::Client, two: talos_client::Client) -> talos_client::Result<()> {
//! use futures_util::StreamExt as _;
//! use talos_client::{ClusterHealth, Poll};
//!
//! let health = ClusterHealth::new().control_plane("10.0.2.10", one).worker("10.0.2.20", two);
//! let mut checks = health.check(Poll::default());
//! while let Some(progress) = checks.next().await {
//!     println!("{}", progress?); // etcd to be healthy: passed
//! }
//! # Ok(())
//! # }
//! ```

mod rules;

use std::collections::VecDeque;
use std::fmt;

use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::{Client, Error, ErrorKind, Poll, Result};

const OPERATION: &str = "check cluster health";

/// A check of a cluster, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthCheckId {
    /// Service etcd runs and is healthy on every control plane node.
    Etcd,
    /// Every control plane node sees the same members of etcd.
    EtcdMembersConsistent,
    /// Every member of etcd is a control plane node.
    EtcdMembersControlPlane,
    /// Every node answers.
    Apid,
    /// Every node has enough memory.
    MemorySizes,
    /// Every node has enough room for its data.
    DiskSizes,
    /// No node has a diagnostic.
    Diagnostics,
    /// The kubelet of every control plane node is healthy.
    Kubelet,
    /// Every node has finished its boot sequence.
    BootSequence,
    /// Every node has registered with Kubernetes.
    NodesReport,
    /// The static pods of the control plane run.
    StaticPods,
    /// The components of the control plane are ready.
    ControlPlaneComponents,
    /// Every Kubernetes node is ready.
    NodesReady,
    /// The pods of kube-proxy are ready.
    KubeProxy,
    /// The pods of `CoreDNS` are ready.
    CoreDns,
    /// Every Kubernetes node takes new pods.
    NodesSchedulable,
}

impl HealthCheckId {
    /// Every check in order.
    pub const ALL: [Self; 16] = [
        Self::Etcd,
        Self::EtcdMembersConsistent,
        Self::EtcdMembersControlPlane,
        Self::Apid,
        Self::MemorySizes,
        Self::DiskSizes,
        Self::Diagnostics,
        Self::Kubelet,
        Self::BootSequence,
        Self::NodesReport,
        Self::StaticPods,
        Self::ControlPlaneComponents,
        Self::NodesReady,
        Self::KubeProxy,
        Self::CoreDns,
        Self::NodesSchedulable,
    ];

    /// Its name, as `talosctl health` prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Etcd => "etcd to be healthy",
            Self::EtcdMembersConsistent => "etcd members to be consistent across nodes",
            Self::EtcdMembersControlPlane => "etcd members to be control plane nodes",
            Self::Apid => "apid to be ready",
            Self::MemorySizes => "all nodes memory sizes",
            Self::DiskSizes => "all nodes disk sizes",
            Self::Diagnostics => "no diagnostics",
            Self::Kubelet => "kubelet to be healthy",
            Self::BootSequence => "all nodes to finish boot sequence",
            Self::NodesReport => "all k8s nodes to report",
            Self::StaticPods => "all control plane static pods to be running",
            Self::ControlPlaneComponents => "all control plane components to be ready",
            Self::NodesReady => "all k8s nodes to report ready",
            Self::KubeProxy => "kube-proxy to report ready",
            Self::CoreDns => "coredns to report ready",
            Self::NodesSchedulable => "all k8s nodes to report schedulable",
        }
    }
}

impl fmt::Display for HealthCheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a check is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthState {
    /// It has not passed yet, for this reason.
    Waiting(String),
    /// It has passed.
    Passed,
    /// It was left out, for this reason.
    Skipped(String),
}

/// A step of a health check. Repeated for one check only when the reason changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HealthStep {
    /// The check.
    pub check: HealthCheckId,
    /// Where it is.
    pub state: HealthState,
}

impl fmt::Display for HealthStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = self.check;
        match &self.state {
            HealthState::Waiting(reason) => write!(f, "{check}: {reason}"),
            HealthState::Passed => write!(f, "{check}: passed"),
            HealthState::Skipped(reason) => write!(f, "{check}: skipped, {reason}"),
        }
    }
}

/// The nodes of a cluster, or some of them, and which checks to run.
///
/// The checks ask the machine API only, so they need no kubeconfig: what Kubernetes thinks of a node is read from the node. What only
/// the Kubernetes API knows, kube-proxy and `CoreDNS`, is skipped and said to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct ClusterHealth {
    control_planes: Vec<(String, Client)>,
    workers: Vec<(String, Client)>,
    checks: VecDeque<HealthCheckId>,
}

impl Default for ClusterHealth {
    fn default() -> Self {
        Self::new()
    }
}

impl ClusterHealth {
    /// No nodes yet, and every check.
    pub fn new() -> Self {
        Self {
            control_planes: Vec::new(),
            workers: Vec::new(),
            checks: HealthCheckId::ALL.into(),
        }
    }

    /// Adds a control plane node by its address, which must be the one that etcd knows. The client may be direct or forwarded
    /// ([`Client::to_node`]).
    pub fn control_plane(mut self, address: impl Into<String>, client: Client) -> Self {
        self.control_planes.push((address.into(), client));
        self
    }

    /// Adds a worker.
    pub fn worker(mut self, address: impl Into<String>, client: Client) -> Self {
        self.workers.push((address.into(), client));
        self
    }

    /// Runs only these checks, in their usual order. Without a network plugin leave out [`HealthCheckId::NodesReady`].
    pub fn only(mut self, checks: impl IntoIterator<Item = HealthCheckId>) -> Self {
        let mut checks: Vec<HealthCheckId> = checks.into_iter().collect();
        checks.sort_unstable();
        checks.dedup();
        self.checks = checks.into();
        self
    }

    /// Runs the checks in order, each until it passes. Needs `os:reader` on every node. Changes nothing.
    ///
    /// The stream ends without an error when all have passed. It ends with [`ErrorKind::Deadline`] when the time of `poll` is over; the
    /// message names the check and what was missing. An error that no repetition helps, such as a missing role, ends it at once.
    pub fn check(
        &self,
        poll: Poll,
    ) -> impl Stream<Item = Result<HealthStep>> + Send + Unpin + use<> {
        let run = Run {
            health: self.clone(),
            poll,
            end: poll.ends_at(),
            last: String::new(),
            attempt: 0,
        };
        Box::pin(stream::unfold(run, |mut run| async move {
            let step = run.next().await?;
            Some((step, run))
        }))
    }

    fn nodes(&self) -> impl Iterator<Item = &(String, Client)> {
        self.control_planes.iter().chain(&self.workers)
    }
}

/// What one attempt of a check came to.
enum Verdict {
    Passed,
    Skipped(&'static str),
    Missing(String),
}

/// The checks that are left.
struct Run {
    health: ClusterHealth,
    poll: Poll,
    end: Instant,
    last: String,
    attempt: u32,
}

impl Run {
    async fn next(&mut self) -> Option<Result<HealthStep>> {
        let check = *self.health.checks.front()?;
        let news = match timeout_at(self.end, self.until_news(check)).await {
            Ok(news) => news,
            Err(_) => Err(self.timed_out(check)),
        };
        match &news {
            Ok(HealthState::Waiting(_)) => {}
            Ok(_) => {
                self.health.checks.pop_front();
                self.last.clear();
                self.attempt = 0;
            }
            // Nothing comes after an error.
            Err(_) => self.health.checks.clear(),
        }
        Some(news.map(|state| HealthStep { check, state }))
    }

    /// Repeats a check until there is something to say.
    async fn until_news(&mut self, check: HealthCheckId) -> Result<HealthState> {
        loop {
            if self.attempt > 0 {
                tokio::time::sleep(self.poll.interval(self.attempt)).await;
            }
            self.attempt = self.attempt.saturating_add(1);
            let missing = match rules::verdict(&self.health, check).await {
                Ok(Verdict::Passed) => return Ok(HealthState::Passed),
                Ok(Verdict::Skipped(reason)) => return Ok(HealthState::Skipped(reason.to_owned())),
                Ok(Verdict::Missing(reason)) => reason,
                Err(error) if rules::may_pass_later(&error) => error.to_string(),
                Err(error) => return Err(error),
            };
            if missing != self.last {
                self.last.clone_from(&missing);
                return Ok(HealthState::Waiting(missing));
            }
        }
    }

    fn timed_out(&self, check: HealthCheckId) -> Error {
        let last = if self.last.is_empty() {
            "no response"
        } else {
            &self.last
        };
        Error::new(ErrorKind::Deadline, OPERATION).with_message(format!(
            "timed out waiting for {check}; last status: {last}"
        ))
    }
}
