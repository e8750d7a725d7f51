//! The node's services and their health.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reply::only;
use super::{Machine, machine_service};
use crate::api::channel::Call;
use crate::api::pb::machine as pb;
use crate::api::wire::timestamp;
use crate::{Error, ErrorKind, Result};

const OPERATION: &str = "list services";

/// The node waits for the service before it answers.
const SERVICE: Duration = Duration::from_mins(1);

/// Where a service is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServiceState {
    /// Known, not started.
    Initialized,
    /// About to run.
    Starting,
    /// Waits for a condition.
    Waiting,
    /// Pulls its image or runs its preparation; etcd stays here until the cluster is bootstrapped.
    Preparing,
    /// Runs; see its health.
    Running,
    /// About to end.
    Stopping,
    /// Ended as intended.
    Finished,
    /// Ended with an error.
    Failed,
    /// Not needed on this machine.
    Skipped,
    /// A state this version of the crate does not know.
    Other(String),
}

impl ServiceState {
    fn parse(text: &str) -> Self {
        match text {
            "Initialized" => Self::Initialized,
            "Starting" => Self::Starting,
            "Waiting" => Self::Waiting,
            "Preparing" => Self::Preparing,
            "Running" => Self::Running,
            "Stopping" => Self::Stopping,
            "Finished" => Self::Finished,
            "Failed" => Self::Failed,
            "Skipped" => Self::Skipped,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(text) => f.write_str(text),
            known => fmt::Debug::fmt(known, f),
        }
    }
}

/// Result of a service's health check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// No check exists, or none has run yet.
    pub is_unknown: bool,
    /// The last check passed.
    pub is_healthy: bool,
    /// What the last check said.
    pub message: String,
    /// When the result changed.
    pub changed: Option<Timestamp>,
}

impl ServiceHealth {
    pub(crate) fn from_wire(health: pb::ServiceHealth) -> Self {
        Self {
            is_unknown: health.unknown,
            is_healthy: health.healthy,
            message: health.last_message,
            changed: timestamp(health.last_change),
        }
    }
}

/// One entry of a service's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceEvent {
    /// What happened.
    pub message: String,
    /// The state it led to.
    pub state: ServiceState,
    /// When.
    pub time: Option<Timestamp>,
}

/// A service as the node lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServiceInfo {
    /// Its name: `etcd`, `kubelet`, `cri`, `ext-qemu-guest-agent`.
    pub id: String,
    /// Its state.
    pub state: ServiceState,
    /// Its health.
    pub health: Option<ServiceHealth>,
    /// Up to 64 past changes, oldest first.
    pub events: Vec<ServiceEvent>,
}

impl ServiceInfo {
    /// Whether Talos itself regards the service as up: done, not needed, or running without a failing check.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match self.state {
            ServiceState::Skipped | ServiceState::Finished => true,
            ServiceState::Running => self
                .health
                .as_ref()
                .is_none_or(|health| health.is_unknown || health.is_healthy),
            _ => false,
        }
    }

    /// Whether the cluster health check accepts it: running by its last event, and healthy.
    #[must_use]
    pub fn is_running_and_healthy(&self) -> bool {
        let running = self
            .events
            .last()
            .is_some_and(|event| event.state == ServiceState::Running);
        running && self.health.as_ref().is_some_and(|health| health.is_healthy)
    }

    fn from_wire(service: pb::ServiceInfo) -> Self {
        let events = service.events.unwrap_or_default().events;
        Self {
            id: service.id,
            state: ServiceState::parse(&service.state),
            health: service.health.map(ServiceHealth::from_wire),
            events: events
                .into_iter()
                .map(|event| ServiceEvent {
                    message: event.msg,
                    state: ServiceState::parse(&event.state),
                    time: timestamp(event.ts),
                })
                .collect(),
        }
    }
}

impl Machine {
    /// Lists the node's services. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] in maintenance mode before v1.13.
    pub async fn services(&self) -> Result<Vec<ServiceInfo>> {
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                machine_service(service).service_list(()).await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        Ok(message
            .services
            .into_iter()
            .map(ServiceInfo::from_wire)
            .collect())
    }

    /// Starts a service, and waits until it runs. Needs `os:operator`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when there is no such service or it cannot be started through the API.
    pub async fn start_service(&self, id: &str) -> Result<()> {
        let call = Call::set("start service").at_least(SERVICE);
        let request = pb::ServiceStartRequest { id: id.to_owned() };
        self.unary(call, |mut machine| {
            let request = request.clone();
            async move { machine.service_start(request).await }
        })
        .await
        .map(drop)
    }

    /// Stops a service, and waits until it has stopped. Needs `os:operator`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when there is no such service or it cannot be stopped through the API.
    pub async fn stop_service(&self, id: &str) -> Result<()> {
        let call = Call::set("stop service").at_least(SERVICE);
        let request = pb::ServiceStopRequest { id: id.to_owned() };
        self.unary(call, |mut machine| {
            let request = request.clone();
            async move { machine.service_stop(request).await }
        })
        .await
        .map(drop)
    }

    /// Restarts a service, and waits until it runs. Needs `os:operator`. A repetition restarts it again.
    ///
    /// # Errors
    /// [`ErrorKind::Server`] when there is no such service or it cannot be restarted through the API.
    pub async fn restart_service(&self, id: &str) -> Result<()> {
        let call = Call::change("restart service").at_least(SERVICE);
        let request = pb::ServiceRestartRequest { id: id.to_owned() };
        self.unary(call, |mut machine| {
            let request = request.clone();
            async move { machine.service_restart(request).await }
        })
        .await
        .map(drop)
    }

    /// One service by its name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the node has no such service, else as [`Machine::services`].
    pub async fn service(&self, id: &str) -> Result<ServiceInfo> {
        let services = self.services().await?;
        services
            .into_iter()
            .find(|service| service.id == id)
            .ok_or_else(|| {
                Error::new(ErrorKind::NotFound, OPERATION)
                    .with_target(self.transport.target())
                    .with_message(format!("no service {id:?}"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(state: &str, health: Option<(bool, bool)>) -> ServiceInfo {
        ServiceInfo::from_wire(pb::ServiceInfo {
            id: "etcd".to_owned(),
            state: state.to_owned(),
            events: Some(pb::ServiceEvents {
                events: vec![pb::ServiceEvent {
                    msg: String::new(),
                    state: state.to_owned(),
                    ts: None,
                }],
            }),
            health: health.map(|(unknown, healthy)| pb::ServiceHealth {
                unknown,
                healthy,
                ..Default::default()
            }),
        })
    }

    #[test]
    fn up_is_what_talos_means_by_it() {
        assert!(service("Finished", None).is_up());
        assert!(service("Skipped", None).is_up());
        assert!(service("Running", Some((true, false))).is_up());
        assert!(service("Running", Some((false, true))).is_up());
        assert!(!service("Running", Some((false, false))).is_up());
        assert!(!service("Preparing", None).is_up());
    }

    #[test]
    fn the_health_check_wants_more_than_up() {
        assert!(service("Running", Some((false, true))).is_running_and_healthy());
        assert!(!service("Running", Some((true, false))).is_running_and_healthy());
        assert!(!service("Finished", None).is_running_and_healthy());
    }

    #[test]
    fn an_unknown_state_is_kept() {
        assert_eq!(service("Dreaming", None).state.to_string(), "Dreaming");
    }
}
