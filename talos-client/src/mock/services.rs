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
        Etcd::Starting => {
            services.push(service("etcd", "Running", Some(false), "Started task etcd"))
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
    }
    services
}

/// What etcd's client says while there is no etcd.
pub(super) fn etcd_is_up(node: &Node) -> Result<(), Status> {
    if node.state().etcd == Etcd::Healthy {
        Ok(())
    } else {
        Err(Status::unknown(
            "error listing etcd members: context deadline exceeded",
        ))
    }
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
