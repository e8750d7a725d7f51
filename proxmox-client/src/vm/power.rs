//! Power: start, stop, shut down, reboot, reset, suspend, resume.

use std::time::Duration;

use super::Vm;
use crate::docs::write_errors;
use crate::error::Result;
use crate::task::Task;

impl Vm {
    /// Starts the VM. Needs `VM.PowerMgmt`, as all power calls do.
    ///
    /// On a VM that runs, or that does not exist, the *task* fails (with reason `VmRunning` or `VmMissing`). An unknown
    /// bridge, a missing ISO image, or more cores than the node has are found only now, by the task as well.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::{Poll, id::VmId, mock::PveMock};
    ///
    /// let mock = PveMock::start().await;
    /// mock.add_vm(VmId::new(104)?, &[("memory", "2048")]);
    /// let vm = mock.client().node("pve-01".parse()?).vm(VmId::new(104)?);
    ///
    /// vm.start().await?.wait(Poll::default()).await?;
    /// assert!(vm.status().await?.is_running());
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn start(&self) -> Result<Task> {
        self.power("start VM", "/nodes/{node}/qemu/{vmid}/status/start", &[])
            .await
    }

    /// Switches the VM off, as by pulling the plug. On a stopped VM the task does nothing. Waits for a shutdown in
    /// progress; see [`stop_now`](Self::stop_now). May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn stop(&self) -> Result<Task> {
        self.power("stop VM", "/nodes/{node}/qemu/{vmid}/status/stop", &[])
            .await
    }

    /// Switches the VM off and aborts a shutdown in progress, which otherwise holds the lock of the VM until its timeout.
    /// May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn stop_now(&self) -> Result<Task> {
        let params = [("overrule-shutdown", "1".to_owned())];
        self.power("stop VM", "/nodes/{node}/qemu/{vmid}/status/stop", &params)
            .await
    }

    /// Asks the guest to shut down, by its agent or by ACPI; the task fails when the guest has not done so after
    /// `timeout` (whole seconds). On a stopped VM the task succeeds.
    ///
    /// Talos in maintenance mode may treat this as a reboot (siderolabs/extensions#367): use
    /// [`stop_now`](Self::stop_now) for a node without configuration.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn shutdown(&self, timeout: Duration) -> Result<Task> {
        let params = [("timeout", timeout.as_secs().to_string())];
        let route = "/nodes/{node}/qemu/{vmid}/status/shutdown";
        self.power("shut down VM", route, &params).await
    }

    /// Asks the guest to shut down, as [`shutdown`](Self::shutdown) does, and switches the VM off when the guest has not
    /// done so after `timeout`.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn shutdown_or_stop(&self, timeout: Duration) -> Result<Task> {
        let params = [
            ("timeout", timeout.as_secs().to_string()),
            ("forceStop", "1".to_owned()),
        ];
        let route = "/nodes/{node}/qemu/{vmid}/status/shutdown";
        self.power("shut down VM", route, &params).await
    }

    /// Shuts the guest down and starts the VM again, which applies pending changes.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the VM does not run; `NotFound` when it does not exist")]
    pub async fn reboot(&self, timeout: Duration) -> Result<Task> {
        let params = [("timeout", timeout.as_secs().to_string())];
        let route = "/nodes/{node}/qemu/{vmid}/status/reboot";
        self.power("reboot VM", route, &params).await
    }

    /// Resets the VM, as by the reset button. Pending changes stay pending.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the VM does not run; `NotFound` when it does not exist")]
    pub async fn reset(&self) -> Result<Task> {
        self.power("reset VM", "/nodes/{node}/qemu/{vmid}/status/reset", &[])
            .await
    }

    /// Pauses the VM in memory.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the VM does not run; `NotFound` when it does not exist")]
    pub async fn suspend(&self) -> Result<Task> {
        self.power(
            "suspend VM",
            "/nodes/{node}/qemu/{vmid}/status/suspend",
            &[],
        )
        .await
    }

    /// Saves the memory of the VM to a disk and stops it; the next start continues from there. Needs
    /// `Datastore.AllocateSpace` on the storage of the state as well.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the VM does not run; `NotFound` when it does not exist")]
    pub async fn hibernate(&self) -> Result<Task> {
        let params = [("todisk", "1".to_owned())];
        let route = "/nodes/{node}/qemu/{vmid}/status/suspend";
        self.power("hibernate VM", route, &params).await
    }

    /// Continues a paused VM.
    ///
    /// # Errors
    #[doc = write_errors!("`Conflict` when the VM does not run; `NotFound` when it does not exist")]
    pub async fn resume(&self) -> Result<Task> {
        self.power("resume VM", "/nodes/{node}/qemu/{vmid}/status/resume", &[])
            .await
    }

    async fn power(
        &self,
        operation: &'static str,
        route: &'static str,
        params: &[(&str, String)],
    ) -> Result<Task> {
        let params = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let request = self.post(operation, route).params(params);
        self.client.start_task(request).await
    }
}
