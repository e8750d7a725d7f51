//! Faults in the words of Proxmox VE.

use super::fault::Fault;

impl Fault {
    /// The rejection of a call for a VM on which another task works (status 500). It passes.
    #[must_use]
    pub fn locked(vmid: u32) -> Self {
        let text =
            format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
        Self::Status(500, text)
    }

    /// The rejection for a missing privilege (status 403).
    #[must_use]
    pub fn forbidden(path: &str, privilege: &str) -> Self {
        Self::Status(
            403,
            format!("Permission check failed ({path}, {privilege})"),
        )
    }

    /// The rejection of a write while the cluster has no quorum (status 500). It passes.
    #[must_use]
    pub fn no_quorum() -> Self {
        Self::Status(500, "cluster not ready - no quorum?".to_owned())
    }

    /// The response of a node that cannot reach the target node (status 595). Nothing was executed.
    #[must_use]
    pub fn node_unreachable() -> Self {
        Self::Status(595, "No route to host".to_owned())
    }
}
