//! A virtual machine: created, started, and proven to belong to the cluster by its SMBIOS UUID.

use proxmox_client::cluster::GuestKind;
use proxmox_client::vm::{ConfigUpdate, Diff, Vm, VmConfig};
use proxmox_client::{Reason, Task};

use super::user_data::UserData;
use crate::desired::{DesiredMachine, nocloud};
use crate::error::{Error, ErrorKind, Result};
use crate::nodes::each::each;
use crate::nodes::proxmox_task;
use crate::run::context::Context;
use crate::run::limits::{self, Place};
use crate::run::step::{Kind, Observation, Step, StepId};
use crate::run::wait::{Probed, Wait};

/// The VM of one machine runs.
pub(crate) struct CreateMachine<'a> {
    pub(crate) machine: &'a DesiredMachine,
}

/// A running VM of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct RunningMachine {
    pub(crate) vm: Vm,
    pub(crate) config: VmConfig,
}

impl Step for CreateMachine<'_> {
    const ID: StepId = StepId::Machine;
    const KIND: Kind = Kind::Act;
    type Output = RunningMachine;

    async fn observe(&self, context: &Context) -> Result<Observation<RunningMachine>> {
        let vm = vm(context, self.machine);
        let state = observe(context, self.machine, &vm).await?;
        let is_missing = |what: &str| Observation::absent(format!("VM {} {what}", vm.id()));
        Ok(match state {
            State::Running(config) => Observation::Done(RunningMachine {
                config: *config,
                vm,
            }),
            State::Stopped(_) => is_missing("is stopped"),
            State::BeingCreated => is_missing("is being created"),
            State::Absent => is_missing("does not exist"),
        })
    }

    async fn act(&self, context: &Context) -> Result<()> {
        bring_up(context, self.machine).await
    }

    fn summary(&self, running: &RunningMachine) -> String {
        running.vm.id().to_string()
    }

    fn references(&self, _context: &Context) -> Vec<(&'static str, String)> {
        vec![("vm", self.machine.spec.vm_id.to_string())]
    }
}

/// The running VMs in one line.
pub(crate) fn summary(ids: &[String]) -> String {
    format!("VM {} running", ids.join(", "))
}

/// Looks at the VMs of all machines, so that nothing is created while one of them is not ours or its state is unknown.
/// Changes nothing.
pub(crate) async fn look_at_all(context: &Context) -> Result<()> {
    each(&context.desired().machines, |machine| async move {
        look(context, machine, &vm(context, machine)).await
    })
    .await?;
    Ok(())
}

/// What Proxmox VE has of a machine.
pub(crate) enum State {
    Absent,
    /// A task is creating it; its configuration is not complete yet.
    BeingCreated,
    Stopped(Box<VmConfig>),
    Running(Box<VmConfig>),
}

pub(crate) fn vm(context: &Context, machine: &DesiredMachine) -> Vm {
    context
        .clients()
        .proxmox
        .node(machine.place.node.clone())
        .vm(machine.vm.id())
}

/// Creates and starts the VM of one machine, from whatever state it is in.
async fn bring_up(context: &Context, machine: &DesiredMachine) -> Result<()> {
    let vm = vm(context, machine);
    let state = look(context, machine, &vm).await?;
    if matches!(state, State::Running(_)) {
        return Ok(());
    }
    let user_data = UserData::of(context, machine)?;
    match state {
        State::Stopped(config) => update_stopped(context, machine, &vm, &config).await?,
        _ => create(context, machine, &vm).await?,
    }
    if let Some(user_data) = user_data {
        user_data.deliver(context, &vm).await?;
    }
    start(context, &vm).await
}

/// The state of the VM, with a warning for each difference from the specification.
async fn observe(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<State> {
    let state = look(context, machine, vm).await?;
    if let State::Running(config) | State::Stopped(config) = &state {
        report_drift(context, machine, config);
    }
    Ok(state)
}

/// The state of the VM. A VM under its id that the cluster did not create is an error. Changes nothing.
pub(crate) async fn look(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<State> {
    let Some(config) = vm.find_config().await? else {
        return absent(context, machine, vm).await;
    };
    match ownership(machine, &config) {
        Ownership::Undecided => Ok(State::BeingCreated),
        Ownership::Other => {
            let name = config.name.unwrap_or_default();
            Err(not_ours(
                vm,
                &format!("name {name:?}, different SMBIOS UUID"),
            ))
        }
        Ownership::Ours if config.lock.as_deref() == Some("create") => Ok(State::BeingCreated),
        Ownership::Ours => {
            if vm.status().await?.is_running() {
                Ok(State::Running(Box::new(config)))
            } else {
                Ok(State::Stopped(Box::new(config)))
            }
        }
    }
}

/// There is no VM under the id on its node. The machine may still exist elsewhere.
async fn absent(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<State> {
    let proxmox = &context.clients().proxmox;
    for guest in proxmox.cluster().guests().await? {
        if guest.vmid == vm.id() && guest.node != *vm.node() {
            let other = proxmox.node(guest.node.clone()).vm(guest.vmid);
            let config = other.find_config().await?;
            if config.is_some_and(|config| ownership(machine, &config) == Ownership::Ours) {
                return Err(elsewhere(machine, vm, &other));
            }
            return Err(not_ours(vm, &format!("it is on node {}", guest.node)));
        }
        let same_name = guest.name.as_deref() == Some(machine.vm.name());
        if guest.kind != GuestKind::Vm || !same_name || guest.vmid == vm.id() {
            continue;
        }
        let other = proxmox.node(guest.node.clone()).vm(guest.vmid);
        let config = other.find_config().await?;
        if config.is_some_and(|config| ownership(machine, &config) == Ownership::Ours) {
            return Err(moved(machine, vm, &other));
        }
    }
    Ok(State::Absent)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    Ours,
    Other,
    /// A VM that is being created has no SMBIOS UUID yet.
    Undecided,
}

pub(crate) fn ownership(machine: &DesiredMachine, config: &VmConfig) -> Ownership {
    let uuid = config
        .smbios
        .as_ref()
        .and_then(|smbios| smbios.uuid.as_deref());
    match uuid {
        Some(uuid) if machine.uuid.is(uuid) => Ownership::Ours,
        None if config.lock.as_deref() == Some("create") => Ownership::Undecided,
        _ => Ownership::Other,
    }
}

fn not_ours(vm: &Vm, what: &str) -> Error {
    Error::new(ErrorKind::NotOurs, "check the VM")
        .with_target(format!("VM {}", vm.id()))
        .with_message(format!(
            "VM ID {} is already used by a VM that this cluster did not create ({what}). It was not changed.",
            vm.id()
        ))
        .with_hint("Choose another machines[].vmId, or remove the VM if it is not needed.")
}

/// The VM of the machine was migrated, or the specification was changed.
fn elsewhere(machine: &DesiredMachine, vm: &Vm, other: &Vm) -> Error {
    let name = &machine.spec.name;
    Error::new(ErrorKind::Conflict, "check the VM")
        .with_target(name.clone())
        .with_message(format!(
            "VM {} is on node {}, the specification places it on node {}",
            vm.id(),
            other.node(),
            vm.node()
        ))
        .with_hint(format!(
            "Set machines[].placement.node of {name} to {}, or migrate the VM to node {}.",
            other.node(),
            vm.node()
        ))
}

fn moved(machine: &DesiredMachine, vm: &Vm, other: &Vm) -> Error {
    Error::new(ErrorKind::Conflict, "check the VM")
        .with_target(machine.spec.name.clone())
        .with_message(format!(
            "the machine is VM {} on node {}, not VM {}",
            other.id(),
            other.node(),
            vm.id()
        ))
        .with_hint(format!(
            "Set machines[].vmId of {} back to {}, or remove VM {} if it is not needed.",
            machine.spec.name,
            other.id(),
            other.id()
        ))
}

/// Drift is reported but not corrected on a VM that runs, because the owner may have resized a disk intentionally.
fn report_drift(context: &Context, machine: &DesiredMachine, config: &VmConfig) {
    for difference in machine.vm.drift(config) {
        context.warn(format!(
            "VM {} differs from the specification: {difference}",
            machine.spec.vm_id
        ));
    }
}

/// Creates the VM until it exists: a lock that timed out, or a response that was lost, decides nothing. What the server
/// has afterwards does.
async fn create(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<()> {
    let what = format!("VM {} to be created", vm.id());
    let limit = context.timing().task;
    let _turn = limits::turn(context, &Place::node(context, vm.node()), limit).await?;
    Wait::new(what, context, limit)
        .until(context, || create_once(context, machine, vm))
        .await?;
    context.note(format!("VM {} is created", vm.id()));
    Ok(())
}

async fn create_once(context: &Context, machine: &DesiredMachine, vm: &Vm) -> Result<Probed<()>> {
    if let Some(config) = vm.find_config().await? {
        return created(machine, vm, &config);
    }
    context.before_effect().await?;
    let Err(error) = try_to_create(context, machine, vm).await else {
        return Ok(Probed::Ready(()));
    };
    match vm.find_config().await? {
        Some(config) => created(machine, vm, &config),
        None if error.reason().is_some_and(Reason::is_passing) || error.is_retryable() => {
            Ok(Probed::Retry(error.into()))
        }
        None => Err(error.into()),
    }
}

async fn try_to_create(
    context: &Context,
    machine: &DesiredMachine,
    vm: &Vm,
) -> proxmox_client::Result<()> {
    let node = context.clients().proxmox.node(vm.node().clone());
    let task = node.create_vm(&machine.vm).await?;
    wait(context, "the VM to be created", &task).await
}

/// Whether the configuration is that of the finished VM.
fn created(machine: &DesiredMachine, vm: &Vm, config: &VmConfig) -> Result<Probed<()>> {
    match ownership(machine, config) {
        Ownership::Other => Err(not_ours(vm, "another VM was created at the same time")),
        Ownership::Ours if config.lock.is_none() => Ok(Probed::Ready(())),
        _ => Ok(Probed::Pending("VM is locked".into())),
    }
}

/// A stopped VM gets the options of the specification: it may be stopped because it could not start with the old ones.
async fn update_stopped(
    context: &Context,
    machine: &DesiredMachine,
    vm: &Vm,
    config: &VmConfig,
) -> Result<()> {
    let update = machine
        .vm
        .drift(config)
        .iter()
        .filter(|diff| can_change(machine, diff))
        .fold(ConfigUpdate::new(), |update, diff| {
            update.option(&diff.path, value_of(diff, config))
        });
    if update.is_empty() {
        return Ok(());
    }
    context.before_effect().await?;
    if let Some(task) = vm.update(&update).await? {
        wait(context, "the VM to be updated", &task).await?;
    }
    context.note(format!("VM {} is updated", vm.id()));
    Ok(())
}

/// Options that change nothing on a disk.
pub(crate) fn can_change(machine: &DesiredMachine, diff: &Diff) -> bool {
    const OPTIONS: [&str; 13] = [
        "ipconfig0",
        "nameserver",
        "searchdomain",
        "cores",
        "sockets",
        "memory",
        "balloon",
        "cpu",
        "name",
        "tags",
        "description",
        "onboot",
        "agent",
    ];
    OPTIONS.contains(&diff.path.as_str())
        || diff.path.starts_with("net")
        || is_missing_nocloud_drive(machine, diff)
        || machine.spec.options.contains_key(&diff.path)
}

/// The drive that carries a static address, or user data. Proxmox VE writes it again at every start, so adding it loses nothing; another
/// device in its place stays.
fn is_missing_nocloud_drive(machine: &DesiredMachine, diff: &Diff) -> bool {
    machine.spec.has_nocloud_drive()
        && diff.path == nocloud::DRIVE.to_string()
        && diff.from.is_none()
}

/// A network card keeps its MAC address, by which DHCP servers know the machine.
fn value_of(diff: &Diff, config: &VmConfig) -> String {
    let index = diff.path.strip_prefix("net").and_then(|n| n.parse().ok());
    let device = index.and_then(|index: u8| config.networks.get(&index));
    let mac = device.and_then(|device| device.mac.as_ref());
    match (mac, diff.to.split_once(',')) {
        (Some(mac), Some((model, rest))) if !model.contains('=') => format!("{model}={mac},{rest}"),
        _ => diff.to.clone(),
    }
}

/// Starts the VM until it runs: a start that raced with another one, or whose response was lost, is decided by the status.
async fn start(context: &Context, vm: &Vm) -> Result<()> {
    let what = format!("VM {} to start", vm.id());
    let limit = context.timing().task;
    let _turn = limits::turn(context, &Place::node(context, vm.node()), limit).await?;
    Wait::new(what, context, limit)
        .until(context, || async move {
            context.before_effect().await?;
            let started = match vm.start().await {
                Ok(task) => wait(context, "the VM to start", &task).await,
                Err(error) => Err(error),
            };
            match started {
                Ok(()) => Ok(Probed::Ready(())),
                Err(error) if error.reason() == Some(Reason::VmRunning) => Ok(Probed::Ready(())),
                Err(error) if vm.status().await?.is_running() => {
                    tracing::debug!(%error, "the VM runs although its start failed");
                    Ok(Probed::Ready(()))
                }
                Err(error) if error.reason().is_some_and(Reason::is_passing) => {
                    Ok(Probed::Retry(error.into()))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await?;
    context.note(format!("VM {} is started", vm.id()));
    Ok(())
}

async fn wait(context: &Context, what: &str, task: &Task) -> proxmox_client::Result<()> {
    proxmox_task::finish(context, what, task, context.timing().task).await
}
