//! The services of a mock node.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use tonic::Status;

use super::node::{Etcd, Mode, Node, State};
use crate::api::pb::machine as pb;

/// How many changes of a service a node remembers (v1.10.7 to v1.14.0-rc.1).
const REMEMBERED: usize = 64;

/// What a service did in this boot.
#[derive(Debug, Clone, Default)]
struct Past {
    events: VecDeque<pb::ServiceEvent>,
    health: pb::ServiceHealth,
}

/// What the services did in this boot.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<String, Past>);

impl History {
    /// Notes what is different now.
    pub(super) fn note(&mut self, services: Vec<pb::ServiceInfo>) {
        let now = Some(SystemTime::now().into());
        for service in services {
            let past = self.0.entry(service.id).or_default();
            for event in service.events.unwrap_or_default().events {
                let last = past.events.back();
                if last.is_none_or(|last| (&last.msg, &last.state) != (&event.msg, &event.state)) {
                    past.events.push_back(pb::ServiceEvent { ts: now, ..event });
                }
            }
            while past.events.len() > REMEMBERED {
                past.events.pop_front();
            }
            let health = service.health.unwrap_or_default();
            let was = &past.health;
            let is_new = was.last_change.is_none();
            if is_new || (was.healthy, was.unknown) != (health.healthy, health.unknown) {
                past.health = pb::ServiceHealth {
                    last_change: now,
                    ..health
                };
            }
        }
    }

    fn of(&self, id: &str) -> Option<(pb::ServiceEvents, pb::ServiceHealth)> {
        let past = self.0.get(id)?;
        let events = past.events.iter().cloned().collect();
        Some((pb::ServiceEvents { events }, past.health.clone()))
    }
}

/// The list as a node gives it.
pub(super) fn list(node: &Node) -> Vec<pb::ServiceInfo> {
    let state = node.state();
    let mut services = current(&state);
    for service in &mut services {
        if let Some((events, health)) = state.service_history.of(&service.id) {
            service.events = Some(events);
            service.health = Some(health);
        }
    }
    services
}

/// The services of a node in this state, without their past.
pub(super) fn current(state: &State) -> Vec<pb::ServiceInfo> {
    let is_configured = state.mode == Mode::Configured;
    let mut services = vec![service(
        "apid",
        "Running",
        Some(true),
        "Health check successful",
    )];
    if !is_configured {
        return services;
    }
    services.push(if state.has_services {
        service("cri", "Running", Some(true), "Health check successful")
    } else {
        service("cri", "Waiting", None, "Waiting for network")
    });
    match state.etcd {
        Etcd::Absent => {}
        Etcd::Preparing => services.push(service("etcd", "Preparing", None, "Running pre state")),
        Etcd::Starting | Etcd::Unhealthy => {
            services.push(service("etcd", "Running", Some(false), "Started task etcd"));
        }
        Etcd::Healthy => {
            services.push(service(
                "etcd",
                "Running",
                Some(true),
                "Health check successful",
            ));
        }
    }
    if state.has_services {
        let healthy = state.has_static_pods;
        services.push(service(
            "kubelet",
            "Running",
            Some(healthy),
            "Started task kubelet",
        ));
        for extension in &state.image.extensions {
            let name = extension.rsplit('/').next().unwrap_or(extension);
            let id = format!("ext-{name}");
            let text = format!("Started task {id}");
            services.push(service(&id, "Running", None, &text));
        }
    }
    for service in &mut services {
        if state.stopped_services.contains(&service.id) {
            service.state = "Finished".to_owned();
            let finished = pb::ServiceEvent {
                msg: "Service finished successfully".to_owned(),
                state: service.state.clone(),
                ts: None,
            };
            service.events = Some(pb::ServiceEvents {
                events: vec![finished],
            });
        }
    }
    services
}

pub(super) fn listed(node: &Node, _: &()) -> Result<pb::ServiceList, Status> {
    Ok(pb::ServiceList {
        metadata: None,
        services: list(node),
    })
}

pub(super) fn start(
    node: &Node,
    asked: &pb::ServiceStartRequest,
) -> Result<pb::ServiceStart, Status> {
    Ok(pb::ServiceStart {
        metadata: None,
        resp: operate(node, &asked.id, Operation::Start)?,
    })
}

pub(super) fn stop(node: &Node, asked: &pb::ServiceStopRequest) -> Result<pb::ServiceStop, Status> {
    Ok(pb::ServiceStop {
        metadata: None,
        resp: operate(node, &asked.id, Operation::Stop)?,
    })
}

pub(super) fn restart(
    node: &Node,
    asked: &pb::ServiceRestartRequest,
) -> Result<pb::ServiceRestart, Status> {
    Ok(pb::ServiceRestart {
        metadata: None,
        resp: operate(node, &asked.id, Operation::Restart)?,
    })
}

/// What to do with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Start,
    Stop,
    Restart,
}

/// Starts, stops or restarts a service as far as the API allows it: the kubelet and services of extensions.
fn operate(node: &Node, id: &str, operation: Operation) -> Result<String, Status> {
    let services = list(node);
    if !services.iter().any(|service| service.id == id) {
        return Err(Status::unknown(format!("service {id:?} not defined")));
    }
    let is_stopped = node.state().stopped_services.iter().any(|name| name == id);
    let is_extension = id.starts_with("ext-");
    let (is_done, is_allowed, word, past) = match operation {
        Operation::Start => (
            !is_stopped,
            is_extension || id == "kubelet",
            "start",
            "started",
        ),
        Operation::Stop => (is_stopped, is_extension, "stop", "stopped"),
        Operation::Restart => (
            false,
            is_extension || id == "kubelet",
            "restart",
            "restarted",
        ),
    };
    let done = format!("Service {id:?} {past}");
    if is_done {
        return Ok(done);
    }
    if !is_allowed {
        return Err(Status::unknown(format!(
            "service {id:?} doesn't support {word} operation via API"
        )));
    }
    node.update(|state| {
        state.stopped_services.retain(|name| name != id);
        if operation == Operation::Stop {
            state.stopped_services.push(id.to_owned());
        }
    });
    Ok(done)
}

fn service(id: &str, state: &str, healthy: Option<bool>, message: &str) -> pb::ServiceInfo {
    pb::ServiceInfo {
        id: id.to_owned(),
        state: state.to_owned(),
        events: Some(pb::ServiceEvents {
            events: vec![pb::ServiceEvent {
                msg: message.to_owned(),
                state: state.to_owned(),
                ts: None,
            }],
        }),
        health: Some(pb::ServiceHealth {
            unknown: healthy.is_none(),
            healthy: healthy == Some(true),
            last_message: String::new(),
            last_change: None,
        }),
    }
}
