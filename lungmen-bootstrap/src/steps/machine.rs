//! The virtual machines: created, started, and provably ours.

use std::collections::BTreeMap;

use proxmox_client::Task;
use proxmox_client::vm::{Vm, VmConfig};

use crate::desired::DesiredMachine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};

pub(crate) struct CreateMachines;

/// A running VM of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct RunningMachine {
    pub(crate) vm: Vm,
    pub(crate) config: VmConfig,
}

impl Step for CreateMachines {
    const ID: StepId = StepId::Machine;
    const KIND: Kind = Kind::Act;
    /// The running VMs by the name of their machine.
    type Output = BTreeMap<String, RunningMachine>;

    async fn observe(&self, context: &Context) -> Result<Observation<Self::Output>> {
        let mut running = BTreeMap::new();
        let mut missing = Vec::new();
        for machine in &context.desired().machines {
            let vm = vm(context, machine);
            match look(context, machine, &vm).await? {
                State::Running(config) => {
                    let config = *config;
                    running.insert(machine.spec.name.clone(), RunningMachine { vm, config });
                }
                State::Stopped => missing.push(format!("VM {} is stopped", machine.spec.vm_id)),
                State::BeingCreated => {
                    missing.push(format!("VM {} is being created", machine.spec.vm_id))
                }
                State::Absent => missing.push(format!("VM {} does not exist", machine.spec.vm_id)),
            }
        }
        if missing.is_empty() {
            Ok(Observation::Done(running))
        } else {
            Ok(Observation::absent(missing.join(", ")))
        }
    }

    async fn act(&self, context: &Context) -> Result<()> {
        for machine in &context.desired().machines {
            let vm = vm(context, machine);
            match look(context, machine, &vm).await? {
                State::Running(_) => continue,
                State::Stopped => {}
                State::BeingCreated => wait_until_created(context, machine, &vm).await?,
                State::Absent => create(context, machine, &vm).await?,
            }
            wait(context, "the VM to start", &vm.start().await?).await?;
            context.note(format!("VM {} is started", machine.spec.vm_id));
        }
        Ok(())
    }

    fn summary(&self, machines: &Self::Output) -> String {
        let ids: Vec<String> = machines
            .values()
            .map(|machine| machine.vm.id().to_string())
            .collect();
        format!("VM {} running", ids.join(", "))
    }

    fn references(&self, context: &Context) -> Vec<(&'static str, String)> {
        let ids: Vec<String> = context
            .desired()
            .machines
            .iter()
            .map(|machine| machine.spec.vm_id.to_string())
            .collect();
        vec![("vms", ids.join(","))]
    }
}

enum State {
    Absent,
    /// An earlier attempt began to create it and its task still works.
    BeingCreated,
    Stopped,
    Running(Box<VmConfig>),
}

fn vm(context: &Context, machine: &DesiredMachine) -> Vm {
    context
        .clients()
        .proxmox
        .node(context.desired().node.clone())
        .vm(machine.vm.id())
}

/// How the VM is. Anything under its id that is not provably ours is an error.
async fn look(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<State> {
    let Some(config) = vm.find_config().await? else {
        return match context.clients().proxmox.cluster().find_vm(vm.id()).await? {
            None => Ok(State::Absent),
            Some(elsewhere) if elsewhere.node() == vm.node() => Ok(State::Absent),
            Some(elsewhere) => Err(not_ours(
                machine,
                format!("it is on node {}", elsewhere.node()),
            )),
        };
    };
    if config.lock.as_deref() == Some("create") {
        return Ok(State::BeingCreated);
    }
    if !is_ours(machine, &config) {
        let name = config.name.unwrap_or_default();
        return Err(not_ours(
            machine,
            format!("it is called {name:?} and its SMBIOS UUID is not the one of this machine"),
        ));
    }
    if vm.status().await?.is_running() {
        report_drift(context, machine, &config);
        return Ok(State::Running(Box::new(config)));
    }
    Ok(State::Stopped)
}

fn is_ours(machine: &DesiredMachine, config: &VmConfig) -> bool {
    config
        .smbios
        .as_ref()
        .and_then(|smbios| smbios.uuid.as_deref())
        .is_some_and(|uuid| machine.uuid.is(uuid))
}

fn not_ours(machine: &DesiredMachine, what: String) -> Error {
    Error::new(ErrorKind::NotOurs, "look at the VM")
        .with_target(format!("VM {}", machine.spec.vm_id))
        .with_message(format!(
            "the id belongs to something else: {what}; it was left alone"
        ))
        .with_hint("choose another machines[].vmId, or remove the VM yourself if it is not needed")
}

/// A difference is told, not mended: the owner may have grown a disk on purpose.
fn report_drift(context: &Context, machine: &DesiredMachine, config: &VmConfig) {
    for difference in machine.vm.drift(config) {
        context.warn(format!(
            "VM {} differs from the specification: {difference}",
            machine.spec.vm_id
        ));
    }
}

async fn create(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<()> {
    let node = context
        .clients()
        .proxmox
        .node(context.desired().node.clone());
    let created = match node.create_vm(&machine.vm).await {
        Ok(task) => wait(context, "the VM to be created", &task).await,
        Err(error) => Err(error.into()),
    };
    let Err(error) = created else {
        context.note(format!("VM {} is created", machine.spec.vm_id));
        return Ok(());
    };
    // Only what is there now tells whether a broken answer or a lost race left us a VM.
    match vm.find_config().await? {
        Some(config) if is_ours(machine, &config) => Ok(()),
        Some(_) => Err(not_ours(machine, "somebody else was faster".into()).with_source(error)),
        None => Err(error),
    }
}

async fn wait_until_created(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<()> {
    let what = format!("VM {} to be created", machine.spec.vm_id);
    Wait::new(what, context, context.timing().task)
        .until(context, || async move {
            Ok(match vm.find_config().await? {
                Some(config) if config.lock.is_some() => Probed::Pending("it is locked".into()),
                Some(config) if is_ours(machine, &config) => Probed::Ready(()),
                Some(_) => return Err(not_ours(machine, "it is another machine".into())),
                None => {
                    return Err(Error::new(ErrorKind::Server, "create the VM")
                        .with_message("the earlier attempt failed and removed it"));
                }
            })
        })
        .await
}

async fn wait(context: &Context, what: &str, task: &Task) -> Result<()> {
    Ok(proxmox_task::finish(context, what, task, context.timing().task).await?)
}
