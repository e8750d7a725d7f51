//! The services of a mock node.

use tonic::Status;

use super::node::{Etcd, Mode, Node};
use crate::api::pb::machine as pb;

/// The list as a node in this state gives it.
pub(super) fn list(node: &Node) -> Vec<pb::ServiceInfo> {
    let state = node.state();
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
