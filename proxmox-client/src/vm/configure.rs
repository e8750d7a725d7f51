//! Reading and changing the configuration of a VM.

use super::{ConfigUpdate, PendingOption, Vm, VmConfig};
use crate::docs::{read_errors, write_errors};
use crate::error::{Error, Result};
use crate::params::joined;
use crate::reason::Reason;
use crate::reread::reread;
use crate::rule;
use crate::task::Task;

const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";

impl Vm {
    /// The configuration, with pending changes merged in. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn config(&self) -> Result<VmConfig> {
        self.client
            .call(self.get("read VM configuration", CONFIG))
            .await
    }

    /// The configuration of the running VM, without pending changes.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn running_config(&self) -> Result<VmConfig> {
        let request = self
            .get("read running VM configuration", CONFIG)
            .param("current", "1");
        self.client.call(request).await
    }

    /// The configuration, or `None` when there is no such VM on this node.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn find_config(&self) -> Result<Option<VmConfig>> {
        match self.config().await {
            Ok(config) => Ok(Some(config)),
            Err(error) if error.reason() == Some(Reason::VmMissing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All options with their present and pending values. Needs `VM.Audit`.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when the VM is not on this node")]
    pub async fn pending(&self) -> Result<Vec<PendingOption>> {
        let route = "/nodes/{node}/qemu/{vmid}/pending";
        self.client
            .call(self.get("read pending VM options", route))
            .await
    }

    /// Starts to change the configuration; `None`, without a request, when there is nothing to change. What a running VM
    /// cannot take over becomes pending until the VM is stopped and started.
    ///
    /// Each option needs its privilege: `VM.Config.CPU`, `.Memory`, `.Disk`, `.CDROM`, `.Network`, `.HWType`, `.Options`,
    /// `.Cloudinit`.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::vm::ConfigUpdate;
    /// use proxmox_client::{Poll, id::VmId, mock::PveMock};
    ///
    /// let mock = PveMock::start().await;
    /// mock.add_vm(VmId::new(104)?, &[("memory", "2048")]);
    /// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
    ///
    /// let update = ConfigUpdate::new().option("memory", 4096);
    /// if let Some(task) = vm.update(&update).await? {
    ///     task.wait(Poll::default()).await?;
    /// }
    /// assert_eq!(vm.config().await?.memory_mib, Some(4096));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for an unusable value; `Conflict` when the configuration does not have the given digest any more; `NotFound`")]
    pub async fn update(&self, update: &ConfigUpdate) -> Result<Option<Task>> {
        if update.is_empty() {
            return Ok(None);
        }
        let request = self
            .post("change VM configuration", CONFIG)
            .params(update.to_params()?);
        self.client.start_optional_task(request).await
    }

    /// Changes the configuration and waits for it within the request. Not for new disks, which take longer than a
    /// forwarding node waits (30 s): use [`update`](Self::update). Nothing is sent when there is nothing to change.
    ///
    /// # Errors
    #[doc = write_errors!("`InvalidInput` for an unusable value; `Conflict` when the configuration does not have the given digest any more; `NotFound`")]
    pub async fn set(&self, update: &ConfigUpdate) -> Result<()> {
        if update.is_empty() {
            return Ok(());
        }
        let request = self
            .put("change VM configuration", CONFIG)
            .params(update.to_params()?);
        self.client.run(request).await
    }

    /// Reads the configuration, lets `plan` decide what to change, and changes it only if nobody else has changed it
    /// meanwhile. When somebody has, the configuration is read and planned once more.
    ///
    /// Safe to use while another program, or the migration of the VM, changes the same configuration: no change of
    /// theirs is overwritten. `plan` is called once or twice.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::vm::ConfigUpdate;
    /// use proxmox_client::{id::VmId, mock::PveMock};
    ///
    /// let mock = PveMock::start().await;
    /// mock.add_vm(VmId::new(104)?, &[("cores", "2")]);
    /// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
    ///
    /// vm.set_planned(|config| match config.cores {
    ///     Some(4) => ConfigUpdate::new(),
    ///     _ => ConfigUpdate::new().option("cores", 4),
    /// })
    /// .await?;
    /// assert_eq!(vm.config().await?.cores, Some(4));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the configuration changed twice; `InvalidInput` for an unusable value; `NotFound`")]
    pub async fn set_planned(&self, mut plan: impl FnMut(&VmConfig) -> ConfigUpdate) -> Result<()> {
        reread(async || self.set(&self.planned(&mut plan).await?).await).await
    }

    /// Reads, plans and changes as [`set_planned`](Self::set_planned) does, and starts the change as
    /// [`update`](Self::update) does.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the configuration changed twice; `InvalidInput` for an unusable value; `NotFound`")]
    pub async fn update_planned(
        &self,
        mut plan: impl FnMut(&VmConfig) -> ConfigUpdate,
    ) -> Result<Option<Task>> {
        reread(async || self.update(&self.planned(&mut plan).await?).await).await
    }

    async fn planned(
        &self,
        plan: &mut impl FnMut(&VmConfig) -> ConfigUpdate,
    ) -> Result<ConfigUpdate> {
        let config = self.config().await?;
        let update = plan(&config);
        Ok(match &config.digest {
            Some(digest) => update.digest(digest),
            None => update,
        })
    }

    /// Drops pending changes of these options.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound`; `InvalidInput` without an option")]
    pub async fn revert(&self, options: &[&str]) -> Result<()> {
        const OPERATION: &str = "revert VM options";
        if options.is_empty() {
            return Err(Error::field(OPERATION, "revert", "names no option"));
        }
        let request = self
            .put(OPERATION, CONFIG)
            .fitting("revert", joined(options), rule::OPTIONS);
        self.client.run(request).await
    }
}
