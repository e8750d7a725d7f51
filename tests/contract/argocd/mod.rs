//! Contract tests of the argocd client.
