//! The privileges that a specification needs.

use super::{Cdrom, DiskSource, Drive, VmSpec};
use crate::access::Requirement;
use crate::id::StorageName;
use crate::version::Version;

impl VmSpec {
    /// The privileges that creating and starting this VM needs, for [`Client::preflight`].
    ///
    /// With a pool the rights on `/pool/POOL` are enough for the options at creation; the list names those on the VM.
    /// `SDN.Use` is needed on the bridge, or on the bridge with its VLAN ID.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::id::VmId;
    /// use proxmox_client::{mock::PveMock, vm::VmSpec};
    ///
    /// let mock = PveMock::start().await;
    /// let client = mock.client();
    /// let spec = VmSpec::new(VmId::new(104)?, "tal01");
    /// client.preflight(&spec.requirements(&client.version().await?)).await?;
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// [`Client::preflight`]: crate::Client::preflight
    #[must_use]
    pub fn requirements(&self, version: &Version) -> Vec<Requirement> {
        let vm = format!("/vms/{}", self.id);
        let mut privileges = vec![
            "VM.Allocate",
            "VM.Audit",
            "VM.PowerMgmt",
            "VM.Config.CPU",
            "VM.Config.Memory",
            "VM.Config.HWType",
            "VM.Config.Options",
        ];
        if !self.networks.is_empty() {
            privileges.push("VM.Config.Network");
        }
        if self.boot_order.is_some() || !self.drives.is_empty() {
            privileges.push("VM.Config.Disk");
        }
        if self
            .drives
            .values()
            .any(|drive| matches!(drive, Drive::Cdrom(_)))
        {
            privileges.push("VM.Config.CDROM");
        }
        let mut needed: Vec<Requirement> = privileges
            .into_iter()
            .map(|privilege| Requirement::new(&vm, privilege))
            .collect();
        if self.agent.as_ref().is_some_and(|agent| agent.enabled) {
            needed.push(Requirement::new(&vm, version.guest_agent_privilege()));
        }
        needed.extend(self.storage_requirements());
        needed.extend(self.bridge_requirements());
        needed
    }

    fn storage_requirements(&self) -> Vec<Requirement> {
        let mut allocated: Vec<StorageName> = Vec::new();
        let mut read: Vec<StorageName> = Vec::new();
        for drive in self.drives.values() {
            match drive {
                Drive::Disk(disk) if matches!(disk.source, DiskSource::Volume(_)) => {
                    read.push(disk.source.storage());
                }
                Drive::Disk(disk) => allocated.push(disk.source.storage()),
                Drive::Cdrom(Cdrom::Image(volume)) => read.push(volume.storage()),
                Drive::Cdrom(_) => {}
            }
        }
        allocated.extend(self.efi_disk.as_ref().map(|disk| disk.source.storage()));
        allocated.extend(self.tpm.as_ref().map(|tpm| tpm.source.storage()));
        allocated.sort();
        allocated.dedup();
        read.sort();
        read.dedup();
        read.retain(|storage| !allocated.contains(storage));
        let path = |storage: &StorageName| format!("/storage/{storage}");
        let space = "Datastore.AllocateSpace";
        let allocated = allocated
            .iter()
            .map(|storage| Requirement::new(path(storage), space));
        let read = read
            .iter()
            .map(|storage| Requirement::new(path(storage), space).or("Datastore.Audit"));
        allocated.chain(read).collect()
    }

    fn bridge_requirements(&self) -> Vec<Requirement> {
        let bridges = self.networks.values().filter_map(|device| {
            let bridge = device.bridge.as_ref()?;
            let path = format!("/sdn/zones/localnetwork/{bridge}");
            let path = match device.vlan {
                Some(vlan) => format!("{path}/{vlan}"),
                None => path,
            };
            Some(Requirement::new(path, "SDN.Use"))
        });
        bridges.collect()
    }
}
