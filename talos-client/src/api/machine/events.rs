//! What happens on a node, as it happens.

use std::time::Duration;

use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::reply::check;
use super::{Machine, ServiceHealth, machine_service};
use crate::api::cosi::{Stage, UnmetCondition};
use crate::api::pb::{common, machine as pb};
use crate::{Error, ErrorKind, ResponseStream, Result};

const OPERATION: &str = "watch events";

/// Not `type.googleapis.com/`, so generic decoders do not recognize it.
const TYPE_PREFIX: &str = "talos/runtime/machine.";

/// How much of the past a stream of events begins with. Events live in memory and are lost with a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventTail {
    /// Only what happens from now on.
    #[default]
    None,
    /// Everything the node remembers, at most a thousand events.
    All,
    /// The last so many.
    Last(u16),
    /// Those not older than this.
    Since(Duration),
    /// Those after the event with this id.
    After(String),
}

/// Something that happened on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its id; sorts by time.
    pub id: String,
    /// The request that caused it, as reboot, reset and shutdown return it.
    pub actor: String,
    /// What happened.
    pub payload: EventPayload,
}

/// Begin or end of a sequence, phase or task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SequenceAction {
    /// Nothing ran; with an error it says why.
    Noop,
    /// It began.
    Start,
    /// It ended.
    Stop,
}

/// What a service did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the words of the machine API")]
pub enum ServiceAction {
    Initialized,
    Preparing,
    Waiting,
    Running,
    Stopping,
    Finished,
    Failed,
    Skipped,
    Starting,
    Unknown,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventPayload {
    /// A sequence (`boot`, `initialize`, `install`, `reset`, …) began or ended.
    Sequence {
        /// Its name.
        sequence: String,
        /// Begin or end.
        action: SequenceAction,
        /// Why it failed. A fatal error is followed by a reboot.
        error: Option<String>,
    },
    /// A phase of a sequence began or ended.
    Phase {
        /// Its name.
        phase: String,
        /// Begin or end.
        action: SequenceAction,
    },
    /// A task of a phase began or ended; `runningMaintenance` brackets maintenance mode.
    Task {
        /// Its name.
        task: String,
        /// Begin or end.
        action: SequenceAction,
    },
    /// A service changed its state or health.
    Service {
        /// Its name.
        service: String,
        /// What it did.
        action: ServiceAction,
        /// In words.
        message: String,
        /// Its health.
        health: Option<ServiceHealth>,
    },
    /// The stage or readiness of the machine changed.
    MachineStatus {
        /// The stage.
        stage: Stage,
        /// Whether nothing is missing.
        is_ready: bool,
        /// What is missing.
        unmet_conditions: Vec<UnmetCondition>,
    },
    /// The node's addresses.
    Addresses {
        /// Its host name.
        hostname: String,
        /// Its addresses.
        addresses: Vec<String>,
    },
    /// The platform's configuration could not be loaded; the node tries forever.
    ConfigLoadError(String),
    /// The platform's configuration is not valid.
    ConfigValidationError(String),
    /// The machine is about to restart, with this command of `reboot(2)`.
    Restart(i64),
    /// A kind this version of the crate does not know.
    Other(String),
}

impl Machine {
    /// Streams events; the tail first, then what happens.
    ///
    /// When the node's buffer overruns, the stream ends without an error: open it again with [`EventTail::After`].
    pub fn events(&self, tail: EventTail) -> ResponseStream<Event> {
        self.watch_events(request(&tail))
    }

    /// As [`Machine::events`], only those that one request caused: `actor` is what reboot, reset, shutdown and upgrade
    /// return.
    pub fn events_of(&self, actor: &str, tail: EventTail) -> ResponseStream<Event> {
        self.watch_events(pb::EventsRequest {
            with_actor_id: actor.to_owned(),
            ..request(&tail)
        })
    }

    fn watch_events(&self, request: pb::EventsRequest) -> ResponseStream<Event> {
        self.transport.stream(
            OPERATION,
            |service| async move { machine_service(service).events(request).await },
            decode,
        )
    }
}

fn request(tail: &EventTail) -> pb::EventsRequest {
    let mut request = pb::EventsRequest::default();
    match tail {
        EventTail::None => {}
        EventTail::All => request.tail_events = -1,
        EventTail::Last(count) => request.tail_events = i32::from(*count),
        EventTail::Since(age) => {
            request.tail_seconds = i32::try_from(age.as_secs()).unwrap_or(i32::MAX);
        }
        EventTail::After(id) => request.tail_id.clone_from(id),
    }
    request
}

fn decode(event: pb::Event) -> Result<Option<Event>> {
    check(OPERATION, event.metadata.as_ref())?;
    let data = event.data.unwrap_or_default();
    // The first event has no content: it says that the subscription is active.
    if data.type_url.is_empty() {
        return Ok(None);
    }
    let payload = payload(&data).map_err(|source| {
        Error::new(ErrorKind::Decode, OPERATION)
            .with_message(format!("cannot decode a {}", data.type_url))
            .with_source(source)
    })?;
    Ok(Some(Event {
        id: event.id,
        actor: event.actor_id,
        payload,
    }))
}

fn payload(data: &prost_types::Any) -> Result<EventPayload, prost::DecodeError> {
    let value = data.value.as_slice();
    let name = data.type_url.strip_prefix(TYPE_PREFIX).unwrap_or_default();
    Ok(match name {
        "SequenceEvent" => sequence(pb::SequenceEvent::decode(value)?),
        "PhaseEvent" => {
            let event = pb::PhaseEvent::decode(value)?;
            EventPayload::Phase {
                action: bracket(event.action),
                phase: event.phase,
            }
        }
        "TaskEvent" => {
            let event = pb::TaskEvent::decode(value)?;
            EventPayload::Task {
                action: bracket(event.action),
                task: event.task,
            }
        }
        "ServiceStateEvent" => service(pb::ServiceStateEvent::decode(value)?),
        "MachineStatusEvent" => machine_status(pb::MachineStatusEvent::decode(value)?),
        "AddressEvent" => {
            let event = pb::AddressEvent::decode(value)?;
            EventPayload::Addresses {
                hostname: event.hostname,
                addresses: event.addresses,
            }
        }
        "ConfigLoadErrorEvent" => {
            EventPayload::ConfigLoadError(pb::ConfigLoadErrorEvent::decode(value)?.error)
        }
        "ConfigValidationErrorEvent" => EventPayload::ConfigValidationError(
            pb::ConfigValidationErrorEvent::decode(value)?.error,
        ),
        "RestartEvent" => EventPayload::Restart(pb::RestartEvent::decode(value)?.cmd),
        _ => EventPayload::Other(data.type_url.clone()),
    })
}

fn sequence(event: pb::SequenceEvent) -> EventPayload {
    EventPayload::Sequence {
        action: match event.action {
            1 => SequenceAction::Start,
            2 => SequenceAction::Stop,
            _ => SequenceAction::Noop,
        },
        sequence: event.sequence,
        error: event.error.map(|error: common::Error| error.message),
    }
}

/// Phases and tasks know no "nothing ran", so their numbers begin with the start.
fn bracket(action: i32) -> SequenceAction {
    match action {
        0 => SequenceAction::Start,
        _ => SequenceAction::Stop,
    }
}

fn service(event: pb::ServiceStateEvent) -> EventPayload {
    EventPayload::Service {
        action: match event.action {
            0 => ServiceAction::Initialized,
            1 => ServiceAction::Preparing,
            2 => ServiceAction::Waiting,
            3 => ServiceAction::Running,
            4 => ServiceAction::Stopping,
            5 => ServiceAction::Finished,
            6 => ServiceAction::Failed,
            7 => ServiceAction::Skipped,
            8 => ServiceAction::Starting,
            _ => ServiceAction::Unknown,
        },
        service: event.service,
        message: event.message,
        health: event.health.map(ServiceHealth::from_wire),
    }
}

fn machine_status(event: pb::MachineStatusEvent) -> EventPayload {
    let status = event.status.unwrap_or_default();
    EventPayload::MachineStatus {
        stage: Stage::from_wire(event.stage),
        is_ready: status.ready,
        unmet_conditions: status
            .unmet_conditions
            .into_iter()
            .map(|condition| UnmetCondition::new(condition.name, condition.reason))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, message: &impl prost::Message) -> pb::Event {
        pb::Event {
            data: Some(prost_types::Any {
                type_url: format!("talos/runtime/{name}"),
                value: message.encode_to_vec(),
            }),
            id: "ck1".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn the_empty_hello_is_no_event() {
        assert_eq!(decode(pb::Event::default()).unwrap(), None);
        assert_eq!(
            decode(pb::Event {
                data: Some(prost_types::Any::default()),
                ..Default::default()
            })
            .unwrap(),
            None
        );
    }

    #[test]
    fn start_is_one_for_sequences_and_zero_for_tasks() {
        let task = pb::TaskEvent {
            task: "runningMaintenance".to_owned(),
            action: 0,
        };
        let sequence = pb::SequenceEvent {
            sequence: "boot".to_owned(),
            action: 1,
            error: None,
        };

        let task = decode(event("machine.TaskEvent", &task)).unwrap().unwrap();
        let sequence = decode(event("machine.SequenceEvent", &sequence))
            .unwrap()
            .unwrap();

        assert!(matches!(
            task.payload,
            EventPayload::Task {
                action: SequenceAction::Start,
                ..
            }
        ));
        assert!(matches!(
            sequence.payload,
            EventPayload::Sequence {
                action: SequenceAction::Start,
                error: None,
                ..
            }
        ));
    }

    #[test]
    fn a_kind_of_a_newer_version_is_passed_on_by_name() {
        let unknown = decode(event("machine.NewEvent", &pb::PhaseEvent::default()))
            .unwrap()
            .unwrap();

        assert_eq!(
            unknown.payload,
            EventPayload::Other("talos/runtime/machine.NewEvent".to_owned())
        );
    }

    #[test]
    fn at_most_one_tail_is_asked_for() {
        assert_eq!(request(&EventTail::None), pb::EventsRequest::default());
        assert_eq!(request(&EventTail::All).tail_events, -1);
        assert_eq!(
            request(&EventTail::Since(Duration::from_secs(5))).tail_seconds,
            5
        );
        assert_eq!(request(&EventTail::After("ck1".to_owned())).tail_id, "ck1");
    }
}
