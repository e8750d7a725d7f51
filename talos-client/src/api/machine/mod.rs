//! Operations of one machine.
//!
//! Replies of the machine API are lists with one message per node, made for calls to many nodes. This crate
//! addresses one node at a time, so a reply must hold exactly one message, and an error in it is an error of the
//! call.

mod apply;
mod bootstrap;
mod etcd;
mod events;
mod health;
mod information;
mod kubeconfig;
mod lifecycle;
mod logs;
mod reply;
mod services;

use crate::Resources;
use crate::api::channel::{MAX_MESSAGE_SIZE, Service, Transport};
use crate::api::pb::machine::machine_service_client::MachineServiceClient;
use crate::api::pb::storage::storage_service_client::StorageServiceClient;

pub use self::apply::{Applied, ApplyMode, ApplyOptions};
pub use self::etcd::{EtcdMember, EtcdStatus};
pub use self::events::{Event, EventPayload, EventTail, SequenceAction, ServiceAction};
pub use self::health::{HealthCheck, HealthProgress};
pub use self::information::{Disk, DiskKind, Image, ImageNamespace, Version};
pub use self::lifecycle::{RebootMode, ResetRequest, WipeMode};
pub use self::logs::{LogDriver, LogsRequest};
pub use self::services::{ServiceEvent, ServiceHealth, ServiceInfo, ServiceState};

pub(crate) use self::apply::apply;
pub(crate) use self::information::disks;

/// One machine: its configuration, life cycle, services and logs. A cheap handle.
#[derive(Debug, Clone)]
pub struct Machine {
    transport: Transport,
}

impl Machine {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport }
    }

    pub(crate) fn resources(&self) -> Resources {
        Resources::new(self.transport.clone())
    }

    pub(crate) fn target(&self) -> String {
        self.transport.target()
    }
}

fn machine_service(service: Service) -> MachineServiceClient<Service> {
    MachineServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

fn storage_service(service: Service) -> StorageServiceClient<Service> {
    StorageServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}
