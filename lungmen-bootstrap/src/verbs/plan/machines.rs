//! What a run does about each machine: its VM, its node, the configuration of the node.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proxmox_client::vm::Diff;

use super::planner::{Claim, Planner, machine_item};
use super::{Action, Change, RemovedMachine};
use crate::desired::DesiredMachine;
use crate::desired::user_data::Delivery;
use crate::error::{Error, Result};
use crate::nodes::found::FoundNode;
use crate::nodes::identity::Identity;
use crate::nodes::owned;
use crate::nodes::progress::Progress;
use crate::run::context::Context;
use crate::run::step::{Observation, Step as _, StepId};
use crate::run::wait::Probed;
use crate::state::record::ClusterRecord;
use crate::steps::apply::{Apply, Need};
use crate::steps::configuration::Files;
use crate::steps::first_boot;
use crate::steps::machine::{self, RunningMachine, State, can_change};
use crate::steps::user_data::Withdraw;

/// The record is away, or it contradicts the specification.
pub(super) const NO_RECORD: &str = "there is no cluster record that can be used";

/// The node of a machine, as far as it can be seen.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Its VM does not exist yet.
    NotYet,
    Found(FoundNode),
    /// Nothing can be said, with the action that follows.
    Other(Action),
}

/// The nodes by the names of their machines.
pub(crate) type Nodes = BTreeMap<String, Node>;

impl Node {
    pub(super) fn is_configured(&self) -> bool {
        matches!(self, Self::Found(found) if found.is_configured())
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::NotYet)
    }
}

impl Planner {
    /// The VMs and the nodes behind them. The nodes are probed at once.
    pub(super) async fn machines(&mut self, claim: &Claim) -> Nodes {
        let context = self.at(StepId::Machine);
        let (context, record) = (&context, self.record.exists().map(|record| &**record));
        let machines = &context.desired().machines;
        let seen = join_all(machines.iter().map(|machine| async move {
            let (action, vm) = vm_of(context, machine, claim).await;
            let node = node_of(context, machine, record, vm).await;
            (machine.spec.name.clone(), action, node)
        }));
        let (mut vms, mut boots, mut nodes) = (Vec::new(), Vec::new(), Nodes::new());
        for (machine, (name, action, node)) in machines.iter().zip(seen.await) {
            let mut details = vec![machine.hardware()];
            details.extend(machine.delivery.storage().map(|storage| {
                format!("configuration by user data on storage {storage} until it is installed")
            }));
            vms.push(machine_item(&name, details, action));
            boots.push(machine_item(&name, Vec::new(), boot_of(&node)));
            nodes.insert(name, node);
        }
        self.add(StepId::Machine, vms);
        self.add(StepId::FirstBoot, boots);
        nodes
    }

    /// Machines that were removed from the specification.
    pub(super) async fn removed(&mut self, claim: &Claim) {
        let Claim::Recorded(record) = claim else {
            return;
        };
        let context = self.at(StepId::Machine);
        match owned::vms(&context, &record.cluster_id).await {
            Ok(vms) => {
                let removed = vms.into_iter().filter(|vm| !vm.is_declared);
                self.plan.removed = removed
                    .map(|owned| RemovedMachine {
                        name: owned.name,
                        vm_id: owned.vm.id().get(),
                        node: owned.vm.node().to_string(),
                    })
                    .collect();
            }
            Err(error) => context.warn(format!(
                "Whether machines were removed from the specification is unknown: {}",
                error.cause_line()
            )),
        }
    }

    /// What each node needs, by its own word.
    pub(super) async fn apply(&mut self, claim: &Claim, nodes: &Nodes) {
        let context = self.at(StepId::Apply);
        let files = files_of(&context, claim);
        let (context, files) = (&context, &files);
        let machines = context.desired().machines.iter();
        let items = join_all(machines.map(|machine| async move {
            let name = &machine.spec.name;
            let node = nodes.get(name).unwrap_or(&Node::NotYet);
            let action = match (node, files, claim) {
                (Node::Found(found), Some(Ok(files)), _) => {
                    configuration_of(context, machine, found, files).await
                }
                (Node::Found(_), Some(Err(error)), _) => Action::of_error(error),
                (Node::Found(_), None, Claim::New) => {
                    Action::create("the cluster has no identity yet")
                }
                (Node::Found(_), None, _) => Action::unknown(NO_RECORD),
                (Node::NotYet, ..) => Action::create("the node does not exist yet"),
                (Node::Other(action), ..) => action.clone(),
            };
            let installer = format!("installer {}", machine.installer);
            machine_item(name, vec![installer], action)
        }));
        let items = items.await;
        self.add(StepId::Apply, items);
    }
}

/// The VM behind a machine, where there is one.
enum Vm {
    Absent,
    Running(Box<RunningMachine>),
    Other(Action),
}

async fn vm_of(context: &Context, machine: &DesiredMachine, claim: &Claim) -> (Action, Vm) {
    let vm = machine::vm(context, machine);
    let id = vm.id();
    let state = match machine::look(context, machine, &vm).await {
        Ok(state) => state,
        // Whose VM it is follows from the record.
        Err(error) if matches!(claim, Claim::Unknown) && !error.is_retryable() => {
            let action = Action::unknown(format!(
                "VM {id} exists; whether it is this machine is unknown without the cluster record"
            ));
            return (action.clone(), Vm::Other(action));
        }
        Err(error) => {
            let action = Action::of_error(&error);
            return (action.clone(), Vm::Other(action));
        }
    };
    match state {
        State::Absent => (
            Action::create(format!("VM {id} does not exist")),
            Vm::Absent,
        ),
        State::BeingCreated => {
            let action = Action::create(format!("VM {id} is being created"));
            (action, Vm::Absent)
        }
        State::Stopped(config) => {
            let changes = machine.vm.drift(&config);
            let node = Action::unknown(format!("VM {id} is stopped, so its node cannot be asked"));
            (stopped(machine, &changes), Vm::Other(node))
        }
        State::Running(config) => {
            let action = running(machine, &machine.vm.drift(&config));
            let config = *config;
            (action, Vm::Running(Box::new(RunningMachine { vm, config })))
        }
    }
}

fn changes<'a>(diffs: impl IntoIterator<Item = &'a Diff>) -> Vec<Change> {
    diffs.into_iter().map(Change::from).collect()
}

/// A stopped VM gets the options that change nothing on a disk, and is started.
fn stopped(machine: &DesiredMachine, drift: &[Diff]) -> Action {
    let id = machine.spec.vm_id;
    let (now, never): (Vec<&Diff>, Vec<&Diff>) =
        drift.iter().partition(|diff| can_change(machine, diff));
    let mut reason = format!("VM {id} is stopped; it is started");
    if !never.is_empty() {
        let fields: Vec<&str> = never.iter().map(|diff| diff.path.as_str()).collect();
        reason.push_str(&format!(
            ". A run does not change {}; that is left to a person",
            fields.join(", ")
        ));
    }
    Action::Change {
        reason,
        changes: changes(now),
    }
}

fn running(machine: &DesiredMachine, drift: &[Diff]) -> Action {
    let id = machine.spec.vm_id;
    if drift.is_empty() {
        return Action::nothing(format!("VM {id} runs"));
    }
    let all_change = drift.iter().all(|diff| can_change(machine, diff));
    let permission = if all_change {
        format!("stop VM {id}: a run changes a stopped VM and starts it")
    } else {
        format!(
            "change VM {id} by hand, or restore the specification: disks and firmware are never changed by a run"
        )
    };
    Action::NeedsPermission {
        reason: format!("VM {id} runs and differs from the specification"),
        permission,
        changes: changes(drift),
    }
}

/// Who answers for the machine. Where Proxmox VE is away, the node at the declared address is asked all the same: it proves
/// itself by the certificate authority of the cluster.
async fn node_of(
    context: &Context,
    machine: &DesiredMachine,
    record: Option<&ClusterRecord>,
    vm: Vm,
) -> Node {
    let running = match vm {
        Vm::Absent => return Node::NotYet,
        Vm::Running(running) => Some(running),
        Vm::Other(Action::Unknown { .. }) => None,
        Vm::Other(action) => return Node::Other(action),
    };
    let Some(record) = record else {
        return Node::Other(Action::unknown(
            "the node is recognized by the cluster record, which cannot be read",
        ));
    };
    match probe(context, machine, running.as_deref(), record).await {
        Ok(Probed::Ready(found)) => Node::Found(found),
        Ok(Probed::Pending(cause)) => Node::Other(Action::unknown(cause)),
        Ok(Probed::Retry(error)) | Err(error) => Node::Other(Action::of_error(&error)),
    }
}

async fn probe(
    context: &Context,
    machine: &DesiredMachine,
    running: Option<&RunningMachine>,
    record: &ClusterRecord,
) -> Result<Probed<FoundNode>> {
    let authority = Identity::of(record.bundle.clone(), jiff::Timestamp::now())?.authority()?;
    first_boot::probe(context, machine, running, &authority).await
}

fn boot_of(node: &Node) -> Action {
    match node {
        Node::NotYet => Action::check("boots when its VM is created"),
        Node::Found(found) => Action::nothing(found.to_string()),
        Node::Other(action) => action.clone(),
    }
}

/// The files of a recorded cluster; `None` for a new one.
pub(super) fn files_of(context: &Context, claim: &Claim) -> Option<Result<Files>> {
    match claim {
        Claim::Recorded(record) => Some(Files::of(context, record.bundle.clone())),
        _ => None,
    }
}

async fn configuration_of(
    context: &Context,
    machine: &DesiredMachine,
    found: &FoundNode,
    files: &Files,
) -> Action {
    match compared(context, machine, found, files).await {
        Ok(action) => action,
        Err(error) => Action::of_error(&error),
    }
}

/// Where the configuration of an installed node still is user data.
async fn user_data_left(
    context: &Context,
    machine: &DesiredMachine,
    identity: &Identity,
) -> Result<Option<String>> {
    if machine.delivery == Delivery::Maintenance && context.all_snippets().next().is_none() {
        return Ok(None);
    }
    let vm = machine::vm(context, machine);
    let config = vm.config().await?;
    let withdraw = Withdraw {
        machine,
        running: &RunningMachine { vm, config },
        identity,
    };
    Ok(match withdraw.observe(context).await? {
        Observation::Done(()) => None,
        Observation::Absent(place) => Some(place),
    })
}

async fn compared(
    context: &Context,
    machine: &DesiredMachine,
    found: &FoundNode,
    files: &Files,
) -> Result<Action, Error> {
    let config = files.config(&context.desired().artifact_of(machine));
    let progress = Progress {
        machine: machine.clone(),
        found: found.clone(),
        config: config.cloned().unwrap_or_default(),
    };
    let apply = Apply {
        identity: &files.identity,
        node: &progress,
    };
    Ok(match apply.need(context).await? {
        Need::Nothing => match user_data_left(context, machine, &files.identity).await? {
            None => Action::nothing("runs its configuration"),
            Some(place) => Action::Change {
                reason: format!("{place}; it is removed"),
                changes: Vec::new(),
            },
        },
        Need::Configuration if found.is_configured() => {
            Action::unknown("the node does not answer to the credentials of the cluster")
        }
        Need::Configuration => Action::create("the node waits in maintenance mode"),
        Need::Changes(diffs) => {
            let changes = diffs.iter().map(Change::from).collect();
            let needs_reboot = apply.needs_reboot(context).await?;
            if needs_reboot && !context.options().allow_reboots {
                Action::NeedsPermission {
                    reason: "the changed configuration requires a reboot of the node".into(),
                    permission: "allow reboots (--allow-reboots)".into(),
                    changes,
                }
            } else {
                let how = if needs_reboot {
                    "with a reboot"
                } else {
                    "without a reboot"
                };
                Action::Change {
                    reason: format!("the node runs another configuration; it is applied {how}"),
                    changes,
                }
            }
        }
    })
}
