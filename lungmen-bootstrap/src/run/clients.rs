//! The clients of a run.

use crate::openbao;

/// One client for each server. OpenBao and Argo CD are there when the specification wants them.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) proxmox: proxmox_client::Client,
    pub(crate) factory: factory_client::Client,
    pub(crate) openbao: Option<openbao::Client>,
    pub(crate) argocd: Option<argocd_client::Client>,
}
