//! The machine service of a mock node: which function answers which method.

mod containers;
mod etcd;
mod images;
mod information;
pub(super) mod logs;
mod meta;
mod power;
mod storage;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, future};
use tonic::{Request, Response, Status, Streaming};

use super::content::Content;
use super::node::Node;
use super::{apply, capture, client_configuration, files, services};
use crate::api::channel::MAX_MESSAGE_SIZE;
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::machine_service_server::{MachineService, MachineServiceServer};
use crate::api::pb::machine::{DiskUsageInfo, Event, FileInfo, ImageListResponse};

pub(super) use self::storage::server as storage_server;

/// A mock node's answers; what it may answer at all was decided before.
pub(super) struct Service {
    node: Arc<Node>,
}

pub(super) fn server(node: &Arc<Node>) -> MachineServiceServer<Service> {
    MachineServiceServer::new(Service {
        node: Arc::clone(node),
    })
    .max_decoding_message_size(MAX_MESSAGE_SIZE)
}

pub(super) type Stream<T> = BoxStream<'static, Result<T, Status>>;

/// The only item of a stream.
fn once<T: Send + 'static>(item: T) -> Stream<T> {
    stream::once(future::ready(Ok(item))).boxed()
}

/// Bytes as a node streams them.
pub(super) fn pieces(content: &Content) -> Stream<Data> {
    stream::iter(content.pieces().map(|piece| Ok(data(piece)))).boxed()
}

pub(super) fn data(bytes: impl Into<Bytes>) -> Data {
    Data {
        metadata: None,
        bytes: bytes.into(),
    }
}

/// What only control plane nodes answer.
pub(super) fn control_plane_only(node: &Node, what: &str) -> Result<(), Status> {
    match &node.state().config {
        Some(config) if config.is_control_plane => Ok(()),
        Some(_) => Err(Status::unimplemented(format!(
            "{what} is only available on control plane nodes"
        ))),
        None => Err(Status::unimplemented(format!(
            "machine type is not set, cannot use {what} API"
        ))),
    }
}

/// A unary method answers with the message of this node; a stream has its items.
macro_rules! methods {
    (
        unary { $($method:ident($asked:ty) -> $answer:ident = $function:path;)+ }
        streams { $($stream:ident($wanted:ty) -> $item:ty = $source:path;)+ }
    ) => {
        #[tonic::async_trait]
        impl MachineService for Service {
            $(async fn $method(
                &self,
                request: Request<$asked>,
            ) -> Result<Response<pb::$answer>, Status> {
                let message = $function(&self.node, request.get_ref())?;
                Ok(Response::new(pb::$answer { messages: vec![message] }))
            })+

            $(async fn $stream(
                &self,
                request: Request<$wanted>,
            ) -> Result<Response<Stream<$item>>, Status> {
                $source(&self.node, request.get_ref()).map(Response::new)
            })+

            async fn etcd_recover(
                &self,
                request: Request<Streaming<Data>>,
            ) -> Result<Response<pb::EtcdRecoverResponse>, Status> {
                let message = etcd::recover(&self.node, request.into_inner()).await?;
                Ok(Response::new(pb::EtcdRecoverResponse { messages: vec![message] }))
            }
        }
    };
}

methods! {
    unary {
        apply_configuration(pb::ApplyConfigurationRequest) -> ApplyConfigurationResponse = apply::apply;
        bootstrap(pb::BootstrapRequest) -> BootstrapResponse = etcd::bootstrap;
        containers(pb::ContainersRequest) -> ContainersResponse = containers::list;
        cpu_freq_stats(()) -> CpuFreqStatsResponse = information::cpu_frequencies;
        cpu_info(()) -> CpuInfoResponse = information::cpus;
        disk_stats(()) -> DiskStatsResponse = information::disks;
        etcd_alarm_disarm(()) -> EtcdAlarmDisarmResponse = etcd::disarm;
        etcd_alarm_list(()) -> EtcdAlarmListResponse = etcd::alarms;
        etcd_defragment(()) -> EtcdDefragmentResponse = etcd::defragment;
        etcd_downgrade_cancel(()) -> EtcdDowngradeCancelResponse = etcd::cancel_downgrade;
        etcd_downgrade_enable(pb::EtcdDowngradeEnableRequest) -> EtcdDowngradeEnableResponse = etcd::enable_downgrade;
        etcd_downgrade_validate(pb::EtcdDowngradeValidateRequest) -> EtcdDowngradeValidateResponse = etcd::validate_downgrade;
        etcd_forfeit_leadership(pb::EtcdForfeitLeadershipRequest) -> EtcdForfeitLeadershipResponse = etcd::forfeit;
        etcd_leave_cluster(pb::EtcdLeaveClusterRequest) -> EtcdLeaveClusterResponse = etcd::leave;
        etcd_member_list(pb::EtcdMemberListRequest) -> EtcdMemberListResponse = etcd::members;
        etcd_remove_member_by_id(pb::EtcdRemoveMemberByIdRequest) -> EtcdRemoveMemberByIdResponse = etcd::remove_member;
        etcd_status(()) -> EtcdStatusResponse = etcd::status;
        generate_client_configuration(pb::GenerateClientConfigurationRequest) -> GenerateClientConfigurationResponse = client_configuration::issue;
        hostname(()) -> HostnameResponse = information::hostname;
        image_pull(pb::ImagePullRequest) -> ImagePullResponse = images::pull;
        load_avg(()) -> LoadAvgResponse = information::load;
        logs_containers(()) -> LogsContainersResponse = logs::ids;
        memory(()) -> MemoryResponse = information::memory;
        meta_delete(pb::MetaDeleteRequest) -> MetaDeleteResponse = meta::delete;
        meta_write(pb::MetaWriteRequest) -> MetaWriteResponse = meta::write;
        mounts(()) -> MountsResponse = information::mounts;
        netstat(pb::NetstatRequest) -> NetstatResponse = information::sockets;
        network_device_stats(()) -> NetworkDeviceStatsResponse = information::interfaces;
        processes(()) -> ProcessesResponse = information::processes;
        reboot(pb::RebootRequest) -> RebootResponse = power::reboot;
        reset(pb::ResetRequest) -> ResetResponse = power::reset;
        restart(pb::RestartRequest) -> RestartResponse = containers::restart;
        rollback(pb::RollbackRequest) -> RollbackResponse = power::rollback;
        service_list(()) -> ServiceListResponse = services::listed;
        service_restart(pb::ServiceRestartRequest) -> ServiceRestartResponse = services::restart;
        service_start(pb::ServiceStartRequest) -> ServiceStartResponse = services::start;
        service_stop(pb::ServiceStopRequest) -> ServiceStopResponse = services::stop;
        shutdown(pb::ShutdownRequest) -> ShutdownResponse = power::shutdown;
        stats(pb::StatsRequest) -> StatsResponse = containers::usage;
        system_stat(()) -> SystemStatResponse = information::system;
        upgrade(pb::UpgradeRequest) -> UpgradeResponse = power::upgrade;
        version(()) -> VersionResponse = information::version;
    }
    streams {
        copy(pb::CopyRequest) -> Data = files::copied;
        disk_usage(pb::DiskUsageRequest) -> DiskUsageInfo = files::usage;
        dmesg(pb::DmesgRequest) -> Data = logs::kernel;
        etcd_snapshot(pb::EtcdSnapshotRequest) -> Data = etcd::snapshot;
        events(pb::EventsRequest) -> Event = logs::events;
        image_list(pb::ImageListRequest) -> ImageListResponse = images::list;
        kubeconfig(()) -> Data = information::kubeconfig;
        list(pb::ListRequest) -> FileInfo = files::list;
        logs(pb::LogsRequest) -> Data = logs::logs;
        packet_capture(pb::PacketCaptureRequest) -> Data = capture::packets;
        read(pb::ReadRequest) -> Data = files::content;
    }
}
