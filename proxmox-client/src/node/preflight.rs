//! What a node lacks for a VM, before the VM is created.

use super::Node;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::docs::read_errors;
use crate::error::Result;
use crate::storage::Content;
use crate::vm::{DiskSource, Drive, VmSpec};

impl Node {
    /// Compares a specification with this node: processors, storages and bridges. Changes nothing.
    ///
    /// The server accepts a VM with more cores than the node has, or with a bridge that does not exist there, and
    /// fails when the VM is started (measured on 9.2.11 and 8.4.21). A bridge that the caller may not see is reported
    /// as missing, because the start fails for it as well. Ask for the privileges with
    /// [`VmSpec::requirements`] and [`Client::preflight`](crate::Client::preflight).
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` for a name that no node of the cluster has")]
    pub async fn preflight_vm(&self, spec: &VmSpec) -> Result<Diagnostics> {
        let mut found = Diagnostics::new();
        self.check_processors(spec, &mut found).await?;
        self.check_storages(spec, &mut found).await?;
        self.check_bridges(spec, &mut found).await?;
        Ok(found)
    }

    async fn check_processors(&self, spec: &VmSpec, found: &mut Diagnostics) -> Result<()> {
        let status = self.status().await?;
        let Some(limit) = status.cpu.and_then(|cpu| cpu.cpus) else {
            return Ok(());
        };
        let wanted = spec.cores.saturating_mul(spec.sockets);
        if wanted > limit {
            let problem = format!(
                "the VM has {wanted} vCPUs, and node {} has {limit}",
                self.name
            );
            found.push(Diagnostic::error("cores", problem));
        }
        Ok(())
    }

    async fn check_storages(&self, spec: &VmSpec, found: &mut Diagnostics) -> Result<()> {
        let storages = self.storages().await?;
        for (slot, drive) in &spec.drives {
            let (storage, content) = match drive {
                Drive::Disk(disk) => match &disk.source {
                    DiskSource::Volume(_) => continue,
                    source => (source.storage(), Content::Images),
                },
                Drive::Cdrom(crate::vm::Cdrom::Image(volume)) => (volume.storage(), Content::Iso),
                Drive::Cdrom(_) => continue,
            };
            let known = storages
                .iter()
                .find(|known| known.storage.as_deref() == Some(storage.as_str()));
            let problem = match known {
                None => format!("node {} has no storage `{storage}`", self.name),
                Some(info) if !info.active => format!("the storage `{storage}` is not active"),
                Some(info) if content == Content::Images && !info.supports(content) => {
                    format!("the storage `{storage}` is not configured for VM disks (images)")
                }
                Some(_) => continue,
            };
            found.push(Diagnostic::error(slot.to_string(), problem));
        }
        Ok(())
    }

    async fn check_bridges(&self, spec: &VmSpec, found: &mut Diagnostics) -> Result<()> {
        let bridges = self.bridges().await?;
        for (index, device) in &spec.networks {
            let Some(bridge) = &device.bridge else {
                continue;
            };
            let known = bridges.iter().find(|known| known.iface == bridge.as_str());
            let field = format!("net{index}");
            match (known, device.vlan) {
                (None, _) => {
                    let problem = format!("node {} has no bridge `{bridge}`", self.name);
                    let help = "or the caller has neither SDN.Use nor SDN.Audit on it";
                    found.push(Diagnostic::error(field, problem).with_help(help));
                }
                (Some(known), Some(vlan)) if !known.carries_vlan(vlan) => {
                    let problem = format!("the bridge `{bridge}` does not carry VLAN {vlan}");
                    found.push(Diagnostic::error(field, problem));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
