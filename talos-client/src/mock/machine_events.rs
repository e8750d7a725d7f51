//! The events of a boot, derived from changes of the state.

use prost::Message;

use super::node::{Etcd, Mode, State};
use super::resources;
use crate::api::cosi::Stage;
use crate::api::pb::{common, machine as pb};

/// What events are about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    stage: Stage,
    mode: Mode,
    etcd: Etcd,
    status: pb::MachineStatusEvent,
}

impl Snapshot {
    pub(super) fn of(state: &State) -> Self {
        let unmet = resources::unmet_conditions(state);
        Self {
            stage: state.stage,
            mode: state.mode,
            etcd: state.etcd,
            status: pb::MachineStatusEvent {
                stage: resources::stage_number(state.stage),
                status: Some(pb::machine_status_event::MachineStatus {
                    ready: unmet.is_empty(),
                    unmet_conditions: unmet
                        .into_iter()
                        .map(|(name, reason)| {
                            pb::machine_status_event::machine_status::UnmetCondition {
                                name: name.to_owned(),
                                reason,
                            }
                        })
                        .collect(),
                }),
            },
        }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }
}

/// What happened between two states.
pub(super) fn between(before: &Snapshot, after: &Snapshot) -> Vec<pb::Event> {
    let mut events = Vec::new();
    if (before.mode == Mode::Maintenance) != (after.mode == Mode::Maintenance) {
        events.push(event(
            "TaskEvent",
            &pb::TaskEvent {
                task: "runningMaintenance".to_owned(),
                action: i32::from(after.mode != Mode::Maintenance),
            },
        ));
    }
    if before.stage != after.stage
        && let Some((sequence, action)) = sequence(after.stage)
    {
        events.push(event(
            "SequenceEvent",
            &pb::SequenceEvent {
                sequence: sequence.to_owned(),
                action: action.into(),
                error: None,
            },
        ));
    }
    if before.etcd != after.etcd
        && let Some((action, message)) = etcd(after.etcd)
    {
        events.push(event(
            "ServiceStateEvent",
            &pb::ServiceStateEvent {
                service: "etcd".to_owned(),
                action: action.into(),
                message: message.to_owned(),
                health: Some(pb::ServiceHealth {
                    unknown: after.etcd != Etcd::Healthy,
                    healthy: after.etcd == Etcd::Healthy,
                    ..Default::default()
                }),
            },
        ));
    }
    if before.status != after.status {
        events.push(event("MachineStatusEvent", &after.status));
    }
    events
}

fn sequence(stage: Stage) -> Option<(&'static str, pb::sequence_event::Action)> {
    use pb::sequence_event::Action;
    Some(match stage {
        Stage::Booting => ("boot", Action::Start),
        Stage::Running => ("boot", Action::Stop),
        Stage::Installing => ("install", Action::Start),
        Stage::Rebooting => ("reboot", Action::Start),
        Stage::ShuttingDown => ("shutdown", Action::Start),
        Stage::Resetting => ("reset", Action::Start),
        Stage::Upgrading => ("upgrade", Action::Start),
        _ => return None,
    })
}

/// A phase of a sequence begins.
pub(super) fn phase(phase: &str) -> pb::Event {
    event(
        "PhaseEvent",
        &pb::PhaseEvent {
            phase: phase.to_owned(),
            action: pb::phase_event::Action::Start.into(),
        },
    )
}

/// A sequence has failed, and the node reboots.
pub(super) fn fatal(sequence: &str, reason: &str) -> pb::Event {
    event(
        "SequenceEvent",
        &pb::SequenceEvent {
            sequence: sequence.to_owned(),
            action: pb::sequence_event::Action::Noop.into(),
            error: Some(common::Error {
                code: common::Code::Fatal.into(),
                message: format!("sequence failed: {reason}"),
                details: Vec::new(),
            }),
        },
    )
}

fn etcd(etcd: Etcd) -> Option<(pb::service_state_event::Action, &'static str)> {
    use pb::service_state_event::Action;
    Some(match etcd {
        Etcd::Absent => return None,
        Etcd::Preparing => (Action::Preparing, "Running pre state"),
        Etcd::Starting => (Action::Running, "Started task etcd"),
        Etcd::Healthy => (Action::Running, "Health check successful"),
        Etcd::Unhealthy => (
            Action::Running,
            "Health check failed: context deadline exceeded",
        ),
    })
}

fn event(name: &str, message: &impl Message) -> pb::Event {
    pb::Event {
        data: Some(prost_types::Any {
            type_url: format!("talos/runtime/machine.{name}"),
            value: message.encode_to_vec(),
        }),
        id: id(),
        ..Default::default()
    }
}

/// Twenty characters that sort by time, like the ids of a real node.
fn id() -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    format!("{now:020x}")
}
