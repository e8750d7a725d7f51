//! The virtual machines: created, started, and provably ours.

use proxmox_client::Task;
use proxmox_client::vm::{Vm, VmConfig};

use crate::desired::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::proxmox_task;
use crate::run::context::World;
use crate::run::engine::Step;
use crate::run::step::{Observation, StepId};
use crate::run::wait::{Look, Wait};

pub(crate) struct CreateMachines;

/// A running VM of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct RunningMachine {
    pub(crate) vm: Vm,
    pub(crate) config: VmConfig,
}

impl Step for CreateMachines {
    const ID: StepId = StepId::Machine;
    type Output = Vec<RunningMachine>;

    async fn observe(&self, world: &World) -> Result<Observation<Vec<RunningMachine>>> {
        let mut running = Vec::new();
        let mut missing = Vec::new();
        for machine in &world.blueprint().machines {
            let vm = vm(world, machine);
            match look(world, machine, &vm).await? {
                State::Running(config) => running.push(RunningMachine {
                    vm,
                    config: *config,
                }),
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

    async fn act(&self, world: &World) -> Result<()> {
        for machine in &world.blueprint().machines {
            let vm = vm(world, machine);
            match look(world, machine, &vm).await? {
                State::Running(_) => continue,
                State::Stopped => {}
                State::BeingCreated => wait_until_created(world, machine, &vm).await?,
                State::Absent => create(world, machine, &vm).await?,
            }
            wait(world, "the VM to start", &vm.start().await?).await?;
            world.note(format!("VM {} is started", machine.spec.vm_id));
        }
        Ok(())
    }

    fn summary(&self, machines: &Vec<RunningMachine>) -> String {
        let ids: Vec<String> = machines
            .iter()
            .map(|machine| machine.vm.id().to_string())
            .collect();
        format!("VM {} running", ids.join(", "))
    }

    fn references(&self, world: &World) -> Vec<(&'static str, String)> {
        let ids: Vec<String> = world
            .blueprint()
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

fn vm(world: &World, machine: &Machine) -> Vm {
    world
        .clients()
        .proxmox
        .node(world.blueprint().node.clone())
        .vm(machine.vm.id())
}

/// How the VM is. Anything under its id that is not provably ours is an error.
async fn look(world: &World, machine: &Machine, vm: &Vm) -> Result<State> {
    let Some(config) = vm.find_config().await? else {
        return match world.clients().proxmox.cluster().find_vm(vm.id()).await? {
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
        report_drift(world, machine, &config);
        return Ok(State::Running(Box::new(config)));
    }
    Ok(State::Stopped)
}

fn is_ours(machine: &Machine, config: &VmConfig) -> bool {
    config
        .smbios
        .as_ref()
        .and_then(|smbios| smbios.uuid.as_deref())
        .is_some_and(|uuid| machine.uuid.is(uuid))
}

fn not_ours(machine: &Machine, what: String) -> Error {
    Error::new(ErrorKind::NotOurs, "look at the VM")
        .with_target(format!("VM {}", machine.spec.vm_id))
        .with_message(format!(
            "the id belongs to something else: {what}; it was left alone"
        ))
        .with_hint("choose another machines[].vmId, or remove the VM yourself if it is not needed")
}

/// A difference is told, not mended: the owner may have grown a disk on purpose.
fn report_drift(world: &World, machine: &Machine, config: &VmConfig) {
    for difference in machine.vm.drift(config) {
        world.warn(format!(
            "VM {} differs from the specification: {difference}",
            machine.spec.vm_id
        ));
    }
}

async fn create(world: &World, machine: &Machine, vm: &Vm) -> Result<()> {
    let node = world.clients().proxmox.node(world.blueprint().node.clone());
    let created = match node.create_vm(&machine.vm).await {
        Ok(task) => wait(world, "the VM to be created", &task).await,
        Err(error) => Err(error.into()),
    };
    let Err(error) = created else {
        world.note(format!("VM {} is created", machine.spec.vm_id));
        return Ok(());
    };
    // Only what is there now tells whether a broken answer or a lost race left us a VM.
    match vm.find_config().await? {
        Some(config) if is_ours(machine, &config) => Ok(()),
        Some(_) => Err(not_ours(machine, "somebody else was faster".into()).with_source(error)),
        None => Err(error),
    }
}

async fn wait_until_created(world: &World, machine: &Machine, vm: &Vm) -> Result<()> {
    let what = format!("VM {} to be created", machine.spec.vm_id);
    Wait::new(what, world, world.timing().task)
        .until(world, || async move {
            Ok(match vm.find_config().await? {
                Some(config) if config.lock.is_some() => Look::NotYet("it is locked".into()),
                Some(config) if is_ours(machine, &config) => Look::There(()),
                Some(_) => return Err(not_ours(machine, "it is another machine".into())),
                None => {
                    return Err(Error::new(ErrorKind::Failed, "create the VM")
                        .with_message("the earlier attempt failed and removed it"));
                }
            })
        })
        .await
}

async fn wait(world: &World, what: &str, task: &Task) -> Result<()> {
    Ok(proxmox_task::finish(world, what, task, world.timing().task).await?)
}
