//! What a test sees and changes in the world of the mock, beside what clients do.

use bytes::Bytes;
use futures_util::Stream;

use super::auth::Acl;
use super::event::MockEvent;
use super::state::{VmRecord, VolumeRecord};
use super::{PveMock, power};
use crate::id::{NodeName, StorageName, VmId, VolumeId};
use crate::vm::guest::GuestInterface;

impl PveMock {
    /// Replaces what a token may do, from the next request on. Does nothing for a token that was not given to the
    /// builder.
    pub fn set_token_acl(&self, id: &str, acl: Acl) {
        if let Some((_, known)) = self.inner.shared.state().accounts.tokens.get_mut(id) {
            *known = acl;
        }
    }

    /// Deletes a token that was given to the builder: its requests get status 401 from now on.
    pub fn delete_token(&self, id: &str) {
        self.inner.shared.state().accounts.tokens.remove(id);
    }

    /// The events from now on. The stream does not keep the server alive.
    pub fn events(&self) -> impl Stream<Item = MockEvent> + Send + use<> {
        self.inner.shared.state().events.subscribe()
    }

    /// A VM, including one that is being created.
    #[must_use]
    pub fn vm(&self, id: VmId) -> Option<VmRecord> {
        self.inner.shared.state().record(id)
    }

    /// The ids of all VMs.
    #[must_use]
    pub fn vm_ids(&self) -> Vec<VmId> {
        self.inner.shared.state().vms.keys().copied().collect()
    }

    /// A file or disk.
    #[must_use]
    pub fn volume(&self, id: &VolumeId) -> Option<VolumeRecord> {
        self.inner.shared.state().volumes.get(id).cloned()
    }

    /// A file or disk as this node sees it: the nodes have their own files on a storage that is not shared.
    #[must_use]
    pub fn volume_on(&self, node: &NodeName, id: &VolumeId) -> Option<VolumeRecord> {
        self.inner.shared.state().volume_on(node, id).cloned()
    }

    /// All files and disks of all nodes.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeRecord> {
        let state = self.inner.shared.state();
        let elsewhere = state.files_elsewhere.values();
        state.volumes.values().chain(elsewhere).cloned().collect()
    }

    /// Puts a file onto a storage, as if it had been uploaded earlier.
    ///
    /// # Panics
    /// When the storage does not exist or is full.
    pub fn add_file(&self, id: VolumeId, body: impl Into<Bytes>) {
        let content = id.name().split('/').next().unwrap_or_default().to_owned();
        let record = VolumeRecord::file(id, &content, body.into(), None);
        let added = self.inner.shared.state().add_volume(record);
        assert_eq!(added, Ok(()), "a file for the mock");
    }

    /// Puts a file onto the storage of this node, as [`add_file`](Self::add_file) does on the first one.
    ///
    /// # Panics
    /// When the storage does not exist or is full.
    pub fn add_file_on(&self, node: &NodeName, id: VolumeId, body: impl Into<Bytes>) {
        let content = id.name().split('/').next().unwrap_or_default().to_owned();
        let record = VolumeRecord::file(id, &content, body.into(), None);
        let added = self.inner.shared.state().add_file(node, record);
        assert_eq!(added, Ok(()), "a file for the mock");
    }

    /// Puts a backup of a VM onto a storage, as if it had been made earlier, and returns its volume.
    ///
    /// # Errors
    /// The text of the server when there is no such VM or storage, or when the storage is full.
    pub fn add_backup(&self, id: VmId, storage: &StorageName) -> Result<VolumeId, String> {
        super::backup::add(&mut self.inner.shared.state(), id, storage)
    }

    /// Sets what the guest agent of a running VM reports; `None` means that the agent does not respond. Stopping the VM
    /// removes the setting.
    pub fn set_guest_interfaces(&self, id: VmId, interfaces: Option<Vec<GuestInterface>>) {
        if let Some(vm) = self.inner.shared.state().vms.get_mut(&id) {
            vm.interfaces = interfaces;
        }
    }

    /// Sets the commands that the guest agent of a VM knows, such as `guest-exec`; others are refused as the real server
    /// refuses them.
    pub fn set_guest_commands(&self, id: VmId, commands: &[&str]) {
        if let Some(vm) = self.inner.shared.state().vms.get_mut(&id) {
            let commands = commands.iter().map(|name| (*name).to_owned());
            vm.agent_commands = Some(commands.collect());
        }
    }

    /// Sets or removes an option of a VM, as if its file had been changed on the node: nothing is checked.
    pub fn set_vm_option(&self, id: VmId, name: &str, value: Option<&str>) {
        if let Some(vm) = self.inner.shared.state().vms.get_mut(&id) {
            match value {
                Some(value) => vm.options.insert(name.to_owned(), value.to_owned()),
                None => vm.options.remove(name),
            };
        }
    }

    /// Takes the quorum from the cluster, or gives it back: without quorum every write of a VM fails.
    pub fn set_quorate(&self, quorate: Quorum) {
        self.inner.shared.state().quorate = quorate == Quorum::Present;
    }

    /// Stops the VM, as if its guest had shut down.
    pub fn stop_vm(&self, id: VmId) {
        let mut state = self.inner.shared.state();
        // Stopping has no way to fail.
        let stopped = power::stop(&mut state, id);
        debug_assert!(stopped.is_ok());
    }

    /// Adds a stopped VM with these options on the first node, as if another client had created it.
    ///
    /// # Panics
    /// When a drive cannot be allocated.
    pub fn add_vm(&self, id: VmId, options: &[(&str, &str)]) {
        let added = self.inner.shared.state().add_vm(None, id, options);
        assert_eq!(added, Ok(()), "a VM for the mock");
    }

    /// Adds a stopped VM on this node, as [`add_vm`](Self::add_vm) does on the first one.
    ///
    /// # Panics
    /// When a drive cannot be allocated.
    pub fn add_vm_on(&self, node: &NodeName, id: VmId, options: &[(&str, &str)]) {
        let added = self.inner.shared.state().add_vm(Some(node), id, options);
        assert_eq!(added, Ok(()), "a VM for the mock");
    }
}

/// Whether the cluster has a majority of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quorum {
    /// Writes succeed.
    Present,
    /// Reads succeed, writes fail.
    Lost,
}
