//! What a test can wait for.

/// Something that happened in the mock cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KubernetesEvent {
    /// The port is open; everything answers 503.
    Listening,
    /// The API server serves objects.
    ApiReady,
    /// The kubelets have registered their nodes.
    NodesRegistered,
    /// API server, controller manager and scheduler are Ready.
    StaticPodsReady,
    /// Every node is Ready.
    NodesReady,
    /// The cluster is complete.
    Complete,
    /// The token controller has filled the Secret of this ServiceAccount.
    TokenIssued(String),
}
