//! The VMs: proven once more, stopped and deleted.

use proxmox_client::vm::{Vm, VmConfig};
use proxmox_client::{Reason, Task};

use super::teardown::Teardown;
use crate::desired::ownership::MachineUuid;
use crate::error::Result;
use crate::nodes::owned::{self, OwnedVm};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::step::StepId;
use crate::run::wait::{Probed, Wait};
use crate::steps::machine::{self, Ownership, ownership};
use crate::steps::user_data::own_files;

const PROOF: &str = "its SMBIOS UUID follows from the id of the cluster and its name";
const SNIPPET_PROOF: &str = "name and first line have the SMBIOS UUID of the machine";

impl Teardown {
    /// Stops and deletes a VM with its disks, and returns when it does not exist any more.
    pub(super) async fn vm(&mut self, owned: &OwnedVm) -> Result<()> {
        let what = format!(
            "VM {} ({}) on {}",
            owned.vm.id(),
            owned.name,
            owned.vm.node()
        );
        let context = self
            .context
            .for_step(StepId::Machine)
            .for_machine(&owned.name);
        if !owned::is_owned(&context, &owned.vm).await? {
            return Ok(());
        }
        // Before the VM, by which a call that is cut short is continued.
        self.user_data(&owned.name).await?;
        self.announce(StepId::Machine, &what).await?;
        let waiting = format!("VM {} to be deleted", owned.vm.id());
        Wait::new(waiting, &context, context.timing().task)
            .until(&context, || delete_once(&context, &owned.vm))
            .await?;
        context.note(format!("{what} is deleted"));
        self.removed(what, PROOF);
        Ok(())
    }

    /// Removes what a run that was cut short has left of the configuration of a machine in the folders for snippets.
    pub(super) async fn user_data(&mut self, machine: &str) -> Result<()> {
        let context = self.context.for_step(StepId::Machine).for_machine(machine);
        let uuid = MachineUuid::derive(self.record.cluster_id.as_str(), machine);
        for (storage, store) in context.all_snippets() {
            for name in own_files(store, uuid).await? {
                let what = format!("the user data of {machine} on storage {storage}, {name}");
                self.announce(StepId::Machine, &what).await?;
                store.remove(&name).await?;
                context.note(format!("{what}, are deleted"));
                self.removed(what, SNIPPET_PROOF);
            }
        }
        Ok(())
    }

    /// Reports VMs under the ids of the specification that are still there. Returns whether one of them may be the cluster's.
    pub(super) async fn remaining(&mut self) -> Result<bool> {
        let context = self.context.clone();
        let mut is_left = false;
        for machine in &context.desired().machines {
            let vm = machine::vm(&context, machine);
            let Some(config) = vm.find_config().await? else {
                continue;
            };
            let ownership = ownership(machine, &config);
            is_left |= ownership != Ownership::Other;
            let why = match ownership {
                Ownership::Ours => "it has another name now; rename it, or delete it by hand",
                Ownership::Undecided => "it is being created; destroy again when that has ended",
                Ownership::Other => "this cluster did not create it",
            };
            self.keep(format!("VM {} ({})", vm.id(), name_of(&config)), why);
        }
        Ok(is_left)
    }
}

fn name_of(config: &VmConfig) -> String {
    config.name.clone().unwrap_or_default()
}

/// One attempt from whatever state the VM is in. It is proven again each time: between two attempts it may have become
/// another one.
async fn delete_once(context: &Context, vm: &Vm) -> Result<Probed<()>> {
    if !owned::is_owned(context, vm).await? {
        return Ok(Probed::Ready(()));
    }
    context.before_effect().await?;
    let attempt = async {
        if vm.status().await?.is_running() {
            // A shutdown would wait for a guest that may be dead.
            finish(context, "the VM to stop", &vm.stop_now().await?).await?;
        }
        match vm.delete().await? {
            Some(task) => finish(context, "the VM to be deleted", &task).await,
            None => Ok(()),
        }
    };
    match attempt.await {
        Ok(()) => Ok(Probed::Pending("VM still exists".into())),
        Err(error) if error.reason().is_some_and(Reason::is_passing) || error.is_retryable() => {
            Ok(Probed::Retry(error.into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Switches the VM off, when it runs and is still proven.
pub(super) async fn switch_off(context: &Context, vm: &Vm) -> Result<()> {
    if !owned::is_owned(context, vm).await? || !vm.status().await?.is_running() {
        return Ok(());
    }
    context.before_effect().await?;
    let task = vm.stop_now().await?;
    finish(context, "the VM to stop", &task).await?;
    Ok(())
}

async fn finish(context: &Context, what: &str, task: &Task) -> proxmox_client::Result<()> {
    proxmox_task::finish(context, what, task, context.timing().task).await
}
