//! Operations of one machine.
//!
//! Replies of the machine API are lists with one message per node, made for calls to many nodes. This crate
//! addresses one node at a time, so a reply must hold exactly one message, and an error in it is an error of the
//! call.

mod apply;
mod blocks;
mod bootstrap;
mod capture;
mod client_configuration;
mod containers;
mod debug;
mod etcd;
mod etcd_snapshot;
mod events;
mod files;
mod health;
mod image_service;
mod images;
mod information;
mod inspect;
mod installer;
mod kubeconfig;
mod lifecycle;
mod logs;
mod meta;
mod netstat;
mod reply;
mod services;
mod statistics;
mod upgrade;
mod upload;
mod volumes;
mod wipe;

use bytes::Bytes;
use tonic::{Response, Status, Streaming};

use crate::api::channel::{Call, MAX_MESSAGE_SIZE, Service, Transport};
use crate::api::pb::common;
use crate::api::pb::machine::machine_service_client::MachineServiceClient;
use crate::api::pb::storage::storage_service_client::StorageServiceClient;
use crate::{Resources, ResponseStream, Result};

use self::reply::{Reply, check, only};

pub use self::apply::{Applied, ApplyMode, ApplyOptions};
pub use self::bootstrap::HashCheck;
pub use self::capture::{BpfInstruction, PacketCaptureRequest};
pub use self::client_configuration::ClientConfiguration;
pub use self::containers::{Container, ContainerNamespace, ContainerStatistics};
pub use self::debug::{DebugContainerRequest, DebugInput, DebugOutput, DebugProfile};
pub use self::etcd::{EtcdAlarm, EtcdAlarmKind, EtcdMember, EtcdMemberId, EtcdStatus};
pub use self::etcd_snapshot::EtcdSnapshot;
pub use self::events::{Event, EventPayload, EventTail, SequenceAction, ServiceAction};
pub use self::files::{CopyReport, DiskUsage, DiskUsageRequest, FileInfo, FileType, ListFiles};
pub use self::health::{HealthCheck, HealthProgress};
pub use self::image_service::{ImageVerification, LayerStatus, PullProgress};
pub use self::images::{Image, ImageNamespace};
pub use self::information::{Disk, DiskKind, TimeComparison, Version};
pub use self::inspect::{ControllerDependency, DependencyKind};
pub use self::installer::InstallerOutput;
pub use self::lifecycle::{RebootMode, ResetRequest, ShutdownMode, WipeMode};
pub use self::logs::{LogDriver, LogsRequest};
pub use self::netstat::{Socket, SocketFilter};
pub use self::services::{ServiceEvent, ServiceHealth, ServiceInfo, ServiceState};
pub use self::statistics::{
    CpuFrequency, CpuInfo, CpuTime, DiskStatistics, LoadAverage, MemoryInfo, Mount,
    NetworkStatistics, Process, SystemStatistics,
};
pub use self::upgrade::{UpgradeRequest, UpgradeStarted};
pub use self::wipe::WipeRequest;

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

impl Machine {
    /// Makes a unary call of the machine service and takes its only message out.
    async fn unary<R, F, Fut>(&self, call: Call, send: F) -> Result<R::Message>
    where
        R: Reply,
        F: Fn(MachineServiceClient<Service>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let send = &send;
        let reply = self
            .transport
            .call(call, |service| send(machine_service(service)))
            .await?;
        only(&self.transport, call.operation, reply)
    }

    /// A server stream of bytes.
    fn bytes<F, Fut>(&self, operation: &'static str, open: F) -> ResponseStream<Bytes>
    where
        F: FnOnce(Service) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Response<Streaming<common::Data>>, Status>> + Send + 'static,
    {
        self.transport
            .stream(operation, open, move |data: common::Data| {
                check(operation, data.metadata.as_ref())?;
                Ok(Some(data.bytes))
            })
    }
}

fn machine_service(service: Service) -> MachineServiceClient<Service> {
    MachineServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

fn storage_service(service: Service) -> StorageServiceClient<Service> {
    StorageServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}
