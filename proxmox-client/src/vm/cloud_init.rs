//! The cloud-init drive of a VM.

use super::{CloudInitPart, PendingOption, Vm};
use crate::docs::{read_errors, write_errors};
use crate::error::Result;

impl Vm {
    /// The cloud-init options with their present and pending values. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn cloud_init(&self) -> Result<Vec<PendingOption>> {
        let route = "/nodes/{node}/qemu/{vmid}/cloudinit";
        self.client
            .call(self.get("read cloud-init options", route))
            .await
    }

    /// Writes the cloud-init drive again from the present options. Needs `VM.Config.Cloudinit`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when the VM is not on this node")]
    pub async fn regenerate_cloud_init(&self) -> Result<()> {
        let route = "/nodes/{node}/qemu/{vmid}/cloudinit";
        self.client
            .run(self.put("regenerate cloud-init drive", route))
            .await
    }

    /// A generated file of the cloud-init drive. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn cloud_init_dump(&self, part: impl Into<CloudInitPart>) -> Result<String> {
        let route = "/nodes/{node}/qemu/{vmid}/cloudinit/dump";
        let request = self
            .get("dump cloud-init", route)
            .param("type", part.into().as_str());
        self.client.call(request).await
    }
}
