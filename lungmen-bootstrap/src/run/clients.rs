//! The clients of a run.

/// One client for each server; OpenBao is reached through the secret store. Argo CD is optional.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) proxmox: proxmox_client::Client,
    pub(crate) factory: factory_client::Client,
    pub(crate) argocd: Option<argocd_client::Client>,
}
