//! The machine and storage services of a mock node.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, future};
use tonic::{Request, Response, Status};

use super::event::MockEvent;
use super::node::{Command, Etcd, Node, Wipe};
use super::services::Operation;
use super::{apply, client_configuration, etcd, files, kubeconfig, services, statistics};
use crate::api::channel::MAX_MESSAGE_SIZE;
use crate::api::pb::common;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::machine_service_server::{MachineService, MachineServiceServer};
use crate::api::pb::storage;
use crate::api::pb::storage::storage_service_server::{StorageService, StorageServiceServer};

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

pub(super) fn storage_server(node: &Arc<Node>) -> StorageServiceServer<Service> {
    StorageServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

type Reply<T> = Result<Response<T>, Status>;
pub(super) type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    fn start_etcd(&self, request: &pb::BootstrapRequest) -> Result<(), Status> {
        let is_old = self.node.has_maintenance_service();
        let cluster = etcd::member_id(&self.node);
        self.node.update(|state| {
            if !state.has_services {
                return Err(Status::failed_precondition(
                    "bootstrap is not available yet",
                ));
            }
            if state.etcd == Etcd::Absent {
                return Err(if is_old {
                    Status::failed_precondition(
                        "bootstrap can only be performed on a control plane node",
                    )
                } else {
                    Status::unimplemented("bootstrap is only available on control plane nodes")
                });
            }
            if !state.is_time_synced {
                return Err(Status::failed_precondition("time is not in sync yet"));
            }
            if state.has_etcd_data {
                return Err(Status::already_exists("etcd data directory is not empty"));
            }
            if request.recover_etcd {
                let snapshot = state.recovery_snapshot.as_deref();
                etcd::check_recovery(snapshot, request.recover_skip_hash_check)?;
                state.recovery_snapshot = None;
            }
            state.has_etcd_data = true;
            state.etcd_cluster = cluster;
            Ok(())
        })?;
        self.node.events.push(MockEvent::Bootstrapped);
        Ok(())
    }

    fn control_plane_only(&self, what: &str) -> Result<(), Status> {
        match &self.node.state().config {
            Some(config) if config.is_control_plane => Ok(()),
            Some(_) => Err(Status::unimplemented(format!(
                "{what} is only available on control plane nodes"
            ))),
            None => Err(Status::unimplemented(format!(
                "machine type is not set, cannot use {what} API"
            ))),
        }
    }

    /// What a node checks of a reset before it begins.
    fn check_reset(&self, asked: &pb::ResetRequest) -> Result<(), Status> {
        use pb::reset_request::WipeMode;
        let fail = |text: String| Err(Status::unknown(text));
        if asked.mode() == WipeMode::SystemDisk && !asked.user_disks_to_wipe.is_empty() {
            return fail("reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter".to_owned());
        }
        if asked.mode() == WipeMode::UserDisks && !asked.system_partitions_to_wipe.is_empty() {
            return fail("reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter".to_owned());
        }
        let installed = self.node.state().installed.clone();
        for device in &asked.user_disks_to_wipe {
            let disk = self
                .node
                .setup
                .disks
                .iter()
                .find(|disk| disk.device == *device);
            let Some(disk) = disk else {
                return fail(format!(
                    "reset user disk failed: device {device} wasn't found"
                ));
            };
            if disk.is_cdrom {
                return fail(format!(
                    "reset user disk failed: device {device} is readonly"
                ));
            }
            if installed
                .as_ref()
                .is_some_and(|system| system.disk == *device)
            {
                return fail(format!(
                    "reset user disk failed: device {device} is the system disk"
                ));
            }
        }
        for partition in &asked.system_partitions_to_wipe {
            let label = &partition.label;
            let exists = ["META", "STATE", "EPHEMERAL"].contains(&label.as_str());
            if installed.is_none() || !exists {
                return fail(format!(
                    "failed to get volume status with label {label:?}: resource VolumeStatuses.block.talos.dev(runtime/{label}@undefined) doesn't exist"
                ));
            }
        }
        Ok(())
    }

    /// What a node checks before it wipes a block device.
    fn check_wipe(&self, asked: &storage::BlockDeviceWipeDescriptor) -> Result<(), Status> {
        let path = format!("/dev/{}", asked.device);
        let disks = &self.node.setup.disks;
        let Some(disk) = disks.iter().find(|disk| disk.device == path) else {
            return Err(Status::not_found(format!(
                "blockdevice {:?} not found",
                asked.device
            )));
        };
        if disk.is_cdrom {
            return Err(Status::failed_precondition(format!(
                "blockdevice {:?} is read-only",
                asked.device
            )));
        }
        let installed = self.node.state().installed.clone();
        if !asked.skip_volume_check && installed.is_some_and(|system| system.disk == path) {
            return Err(Status::failed_precondition(format!(
                "blockdevice {:?} is in use by volume \"STATE\"",
                asked.device
            )));
        }
        Ok(())
    }

    /// Gives the node something to do, under an id for its events.
    fn command(&self, command: Command) -> String {
        self.node.update(|state| {
            state.actors = state.actors.saturating_add(1);
            state.actor = format!("5bd13a5e-6b5f-4c3a-9a0e-{:012x}", state.actors);
            state.command = Some(command);
            state.actor.clone()
        })
    }
}

fn data(bytes: Vec<u8>) -> Result<common::Data, Status> {
    Ok(common::Data {
        metadata: None,
        bytes,
    })
}

fn once<T: Send + 'static>(item: Result<T, Status>) -> Stream<T> {
    stream::once(future::ready(item)).boxed()
}

#[tonic::async_trait]
impl MachineService for Service {
    async fn apply_configuration(
        &self,
        request: Request<pb::ApplyConfigurationRequest>,
    ) -> Reply<pb::ApplyConfigurationResponse> {
        let message = apply::apply(&self.node, request.get_ref())?;
        Ok(Response::new(pb::ApplyConfigurationResponse {
            messages: vec![message],
        }))
    }

    async fn bootstrap(
        &self,
        request: Request<pb::BootstrapRequest>,
    ) -> Reply<pb::BootstrapResponse> {
        self.start_etcd(request.get_ref())?;
        Ok(Response::new(pb::BootstrapResponse {
            messages: vec![pb::Bootstrap::default()],
        }))
    }

    async fn dmesg(&self, _: Request<pb::DmesgRequest>) -> Reply<Stream<common::Data>> {
        let line = format!(
            "kern:    info: [{}]: Linux version (mock)",
            jiff::Timestamp::now()
        );
        Ok(Response::new(once(data(line.into_bytes()))))
    }

    async fn events(&self, request: Request<pb::EventsRequest>) -> Reply<Stream<pb::Event>> {
        let asked = request.into_inner();
        let log = Arc::clone(&self.node.state().events);
        let past = log.items();
        let from = match (
            asked.tail_events,
            asked.tail_id.as_str(),
            asked.tail_seconds,
        ) {
            (0, "", 0) => past.len(),
            (0, "", _) | (..0, "", 0) => 0,
            (count, "", 0) => past
                .len()
                .saturating_sub(usize::try_from(count).unwrap_or(0)),
            (0, id, 0) => past
                .iter()
                .position(|event| event.id == id)
                .map_or(past.len(), |index| index.saturating_add(1)),
            _ => {
                return Err(Status::invalid_argument(
                    "only one of tail_events, tail_id or tail_seconds should be specified",
                ));
            }
        };
        let hello = stream::iter([pb::Event {
            data: Some(prost_types::Any::default()),
            ..Default::default()
        }]);
        let actor = asked.with_actor_id;
        let meant = log
            .follow(from)
            .filter(move |event| future::ready(actor.is_empty() || event.actor_id == actor));
        Ok(Response::new(hello.chain(meant).map(Ok).boxed()))
    }

    async fn etcd_member_list(
        &self,
        request: Request<pb::EtcdMemberListRequest>,
    ) -> Reply<pb::EtcdMemberListResponse> {
        self.control_plane_only("member list")?;
        let members = etcd::member_list(&self.node, request.get_ref().query_local)?;
        Ok(Response::new(pb::EtcdMemberListResponse {
            messages: vec![members],
        }))
    }

    async fn etcd_status(&self, _: Request<()>) -> Reply<pb::EtcdStatusResponse> {
        self.control_plane_only("etcd status")?;
        let status = etcd::status(&self.node)?;
        Ok(Response::new(pb::EtcdStatusResponse {
            messages: vec![pb::EtcdStatus {
                metadata: None,
                member_status: Some(status),
            }],
        }))
    }

    async fn etcd_alarm_list(&self, _: Request<()>) -> Reply<pb::EtcdAlarmListResponse> {
        self.control_plane_only("etcd alarm list")?;
        etcd::local(&self.node)?;
        let member_alarms = self.node.state().etcd_alarms.clone();
        Ok(Response::new(pb::EtcdAlarmListResponse {
            messages: vec![pb::EtcdAlarm {
                metadata: None,
                member_alarms,
            }],
        }))
    }

    async fn etcd_alarm_disarm(&self, _: Request<()>) -> Reply<pb::EtcdAlarmDisarmResponse> {
        self.control_plane_only("etcd alarm disarm")?;
        etcd::local(&self.node)?;
        let member_alarms = self
            .node
            .update(|state| std::mem::take(&mut state.etcd_alarms));
        Ok(Response::new(pb::EtcdAlarmDisarmResponse {
            messages: vec![pb::EtcdAlarmDisarm {
                metadata: None,
                member_alarms,
            }],
        }))
    }

    async fn etcd_defragment(&self, _: Request<()>) -> Reply<pb::EtcdDefragmentResponse> {
        self.control_plane_only("etcd defragment")?;
        etcd::local(&self.node)?;
        Ok(Response::new(pb::EtcdDefragmentResponse {
            messages: vec![pb::EtcdDefragment::default()],
        }))
    }

    async fn etcd_forfeit_leadership(
        &self,
        _: Request<pb::EtcdForfeitLeadershipRequest>,
    ) -> Reply<pb::EtcdForfeitLeadershipResponse> {
        self.control_plane_only("etcd forfeit leadership")?;
        let message = etcd::forfeit(&self.node)?;
        Ok(Response::new(pb::EtcdForfeitLeadershipResponse {
            messages: vec![message],
        }))
    }

    async fn etcd_leave_cluster(
        &self,
        _: Request<pb::EtcdLeaveClusterRequest>,
    ) -> Reply<pb::EtcdLeaveClusterResponse> {
        self.control_plane_only("etcd leave")?;
        etcd::leave(&self.node)?;
        Ok(Response::new(pb::EtcdLeaveClusterResponse {
            messages: vec![pb::EtcdLeaveCluster::default()],
        }))
    }

    async fn etcd_remove_member_by_id(
        &self,
        request: Request<pb::EtcdRemoveMemberByIdRequest>,
    ) -> Reply<pb::EtcdRemoveMemberByIdResponse> {
        self.control_plane_only("etcd remove member")?;
        etcd::remove_by_id(&self.node, request.get_ref().member_id)?;
        Ok(Response::new(pb::EtcdRemoveMemberByIdResponse {
            messages: vec![pb::EtcdRemoveMemberById::default()],
        }))
    }

    async fn etcd_snapshot(
        &self,
        _: Request<pb::EtcdSnapshotRequest>,
    ) -> Reply<Stream<common::Data>> {
        self.control_plane_only("etcd snapshot")?;
        Ok(Response::new(etcd::chunks(etcd::snapshot(&self.node)?)))
    }

    async fn etcd_recover(
        &self,
        request: Request<tonic::Streaming<common::Data>>,
    ) -> Reply<pb::EtcdRecoverResponse> {
        if !self.node.state().has_services {
            return Err(Status::failed_precondition(
                "etcd service is not ready for recovery yet",
            ));
        }
        self.control_plane_only("etcd recover")?;
        etcd::recover(&self.node, request).await?;
        Ok(Response::new(pb::EtcdRecoverResponse {
            messages: vec![pb::EtcdRecover::default()],
        }))
    }

    async fn etcd_downgrade_validate(
        &self,
        request: Request<pb::EtcdDowngradeValidateRequest>,
    ) -> Reply<pb::EtcdDowngradeValidateResponse> {
        self.control_plane_only("etcd downgrade validate")?;
        etcd::check_downgrade(&request.get_ref().version)?;
        etcd::local(&self.node)?;
        Ok(Response::new(pb::EtcdDowngradeValidateResponse {
            messages: vec![pb::EtcdDowngradeValidate {
                metadata: None,
                cluster_downgrade: cluster_version(),
            }],
        }))
    }

    async fn etcd_downgrade_enable(
        &self,
        request: Request<pb::EtcdDowngradeEnableRequest>,
    ) -> Reply<pb::EtcdDowngradeEnableResponse> {
        self.control_plane_only("etcd downgrade enable")?;
        etcd::check_downgrade(&request.get_ref().version)?;
        etcd::local(&self.node)?;
        Ok(Response::new(pb::EtcdDowngradeEnableResponse {
            messages: vec![pb::EtcdDowngradeEnable {
                metadata: None,
                cluster_downgrade: cluster_version(),
            }],
        }))
    }

    async fn etcd_downgrade_cancel(
        &self,
        _: Request<()>,
    ) -> Reply<pb::EtcdDowngradeCancelResponse> {
        self.control_plane_only("etcd downgrade cancel")?;
        etcd::local(&self.node)?;
        Ok(Response::new(pb::EtcdDowngradeCancelResponse {
            messages: vec![pb::EtcdDowngradeCancel {
                metadata: None,
                cluster_downgrade: cluster_version(),
            }],
        }))
    }

    async fn hostname(&self, _: Request<()>) -> Reply<pb::HostnameResponse> {
        Ok(Response::new(pb::HostnameResponse {
            messages: vec![pb::Hostname {
                metadata: None,
                hostname: self.node.hostname(),
            }],
        }))
    }

    async fn kubeconfig(&self, _: Request<()>) -> Reply<Stream<common::Data>> {
        self.control_plane_only("kubeconfig")?;
        let config = self.node.state().config.clone();
        let config = config.ok_or_else(|| Status::unknown("no configuration"))?;
        let archive = kubeconfig::archive(&config)?;
        self.node.events.push(MockEvent::KubeconfigIssued);
        Ok(Response::new(once(data(archive))))
    }

    async fn logs(&self, request: Request<pb::LogsRequest>) -> Reply<Stream<common::Data>> {
        let asked = request.into_inner();
        if asked.tail_lines == 0 {
            return Ok(Response::new(stream::empty().boxed()));
        }
        let line = format!("{}: log of the mock\n", asked.id);
        Ok(Response::new(once(data(line.into_bytes()))))
    }

    async fn memory(&self, _: Request<()>) -> Reply<pb::MemoryResponse> {
        Ok(Response::new(pb::MemoryResponse {
            messages: vec![pb::Memory {
                metadata: None,
                meminfo: Some(pb::MemInfo {
                    memtotal: self.node.setup.memory_mib.saturating_mul(1024),
                    ..Default::default()
                }),
            }],
        }))
    }

    async fn read(&self, request: Request<pb::ReadRequest>) -> Reply<Stream<common::Data>> {
        let content = files::read(&self.node, &request.get_ref().path)?;
        Ok(Response::new(etcd::chunks(content)))
    }

    async fn copy(&self, request: Request<pb::CopyRequest>) -> Reply<Stream<common::Data>> {
        let archive = files::archive(&self.node, &request.get_ref().root_path)?;
        Ok(Response::new(etcd::chunks(archive)))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Reply<Stream<pb::FileInfo>> {
        files::list(&self.node, request.get_ref()).map(Response::new)
    }

    async fn disk_usage(
        &self,
        request: Request<pb::DiskUsageRequest>,
    ) -> Reply<Stream<pb::DiskUsageInfo>> {
        Ok(Response::new(files::usage(&self.node, request.get_ref())))
    }

    async fn reboot(&self, _: Request<pb::RebootRequest>) -> Reply<pb::RebootResponse> {
        let actor_id = self.command(Command::Reboot);
        Ok(Response::new(pb::RebootResponse {
            messages: vec![pb::Reboot {
                metadata: None,
                actor_id,
            }],
        }))
    }

    async fn reset(&self, request: Request<pb::ResetRequest>) -> Reply<pb::ResetResponse> {
        let asked = request.get_ref();
        self.check_reset(asked)?;
        let actor_id = self.command(Command::Reset {
            wipe: wiped(asked),
            reboot: asked.reboot,
        });
        Ok(Response::new(pb::ResetResponse {
            messages: vec![pb::Reset {
                metadata: None,
                actor_id,
            }],
        }))
    }

    async fn rollback(&self, _: Request<pb::RollbackRequest>) -> Reply<pb::RollbackResponse> {
        if self.node.state().installed.is_none() {
            return Err(Status::failed_precondition("system disk not found"));
        }
        if self.node.state().previous.is_none() {
            return Err(Status::unknown("previous boot entry not found"));
        }
        self.command(Command::Rollback);
        Ok(Response::new(pb::RollbackResponse {
            messages: vec![pb::Rollback::default()],
        }))
    }

    async fn upgrade(&self, request: Request<pb::UpgradeRequest>) -> Reply<pb::UpgradeResponse> {
        let asked = request.into_inner();
        if self.node.state().installed.is_none() {
            return Err(Status::failed_precondition("Talos is not installed"));
        }
        if self.control_plane_only("upgrade").is_ok() && !asked.force {
            etcd::with_leader(&self.node)?;
        }
        let actor_id = self.command(Command::Upgrade {
            image: asked.image,
            is_staged: asked.stage,
        });
        Ok(Response::new(pb::UpgradeResponse {
            messages: vec![pb::Upgrade {
                metadata: None,
                ack: "Upgrade request received".to_owned(),
                actor_id,
            }],
        }))
    }

    async fn service_start(
        &self,
        request: Request<pb::ServiceStartRequest>,
    ) -> Reply<pb::ServiceStartResponse> {
        let id = &request.get_ref().id;
        services::operate(&self.node, id, Operation::Start)?;
        Ok(Response::new(pb::ServiceStartResponse {
            messages: vec![pb::ServiceStart {
                metadata: None,
                resp: format!("Service {id:?} started"),
            }],
        }))
    }

    async fn service_stop(
        &self,
        request: Request<pb::ServiceStopRequest>,
    ) -> Reply<pb::ServiceStopResponse> {
        let id = &request.get_ref().id;
        services::operate(&self.node, id, Operation::Stop)?;
        Ok(Response::new(pb::ServiceStopResponse {
            messages: vec![pb::ServiceStop {
                metadata: None,
                resp: format!("Service {id:?} stopped"),
            }],
        }))
    }

    async fn service_restart(
        &self,
        request: Request<pb::ServiceRestartRequest>,
    ) -> Reply<pb::ServiceRestartResponse> {
        let id = &request.get_ref().id;
        services::operate(&self.node, id, Operation::Restart)?;
        Ok(Response::new(pb::ServiceRestartResponse {
            messages: vec![pb::ServiceRestart {
                metadata: None,
                resp: format!("Service {id:?} restarted"),
            }],
        }))
    }

    async fn logs_containers(&self, _: Request<()>) -> Reply<pb::LogsContainersResponse> {
        let services = services::list(&self.node);
        Ok(Response::new(pb::LogsContainersResponse {
            messages: vec![pb::LogsContainer {
                metadata: None,
                ids: services.into_iter().map(|service| service.id).collect(),
            }],
        }))
    }

    async fn containers(
        &self,
        request: Request<pb::ContainersRequest>,
    ) -> Reply<pb::ContainersResponse> {
        let containers = statistics::containers(&self.node, &request.get_ref().namespace)?;
        Ok(Response::new(pb::ContainersResponse {
            messages: vec![pb::Container {
                metadata: None,
                containers,
            }],
        }))
    }

    async fn stats(&self, request: Request<pb::StatsRequest>) -> Reply<pb::StatsResponse> {
        let stats = statistics::usage(&self.node, &request.get_ref().namespace)?;
        Ok(Response::new(pb::StatsResponse {
            messages: vec![pb::Stats {
                metadata: None,
                stats,
            }],
        }))
    }

    async fn restart(&self, request: Request<pb::RestartRequest>) -> Reply<pb::RestartResponse> {
        let asked = request.get_ref();
        let containers = statistics::containers(&self.node, &asked.namespace)?;
        if !containers.iter().any(|container| container.id == asked.id) {
            return Err(Status::unknown(format!(
                "container {:?} not found",
                asked.id
            )));
        }
        Ok(Response::new(pb::RestartResponse {
            messages: vec![pb::Restart::default()],
        }))
    }

    async fn processes(&self, _: Request<()>) -> Reply<pb::ProcessesResponse> {
        Ok(Response::new(pb::ProcessesResponse {
            messages: vec![pb::Process {
                metadata: None,
                processes: statistics::processes(&self.node),
            }],
        }))
    }

    async fn mounts(&self, _: Request<()>) -> Reply<pb::MountsResponse> {
        Ok(Response::new(pb::MountsResponse {
            messages: vec![pb::Mounts {
                metadata: None,
                stats: statistics::mounts(&self.node),
            }],
        }))
    }

    async fn load_avg(&self, _: Request<()>) -> Reply<pb::LoadAvgResponse> {
        Ok(Response::new(pb::LoadAvgResponse {
            messages: vec![pb::LoadAvg {
                metadata: None,
                load1: 0.5,
                load5: 0.25,
                load15: 0.125,
            }],
        }))
    }

    async fn cpu_info(&self, _: Request<()>) -> Reply<pb::CpuInfoResponse> {
        Ok(Response::new(pb::CpuInfoResponse {
            messages: vec![pb::CpUsInfo {
                metadata: None,
                cpu_info: statistics::cpus(),
            }],
        }))
    }

    async fn disk_stats(&self, _: Request<()>) -> Reply<pb::DiskStatsResponse> {
        let devices = statistics::disks(&self.node);
        Ok(Response::new(pb::DiskStatsResponse {
            messages: vec![pb::DiskStats {
                metadata: None,
                total: Some(pb::DiskStat::default()),
                devices,
            }],
        }))
    }

    async fn network_device_stats(&self, _: Request<()>) -> Reply<pb::NetworkDeviceStatsResponse> {
        Ok(Response::new(pb::NetworkDeviceStatsResponse {
            messages: vec![pb::NetworkDeviceStats {
                metadata: None,
                total: Some(pb::NetDev::default()),
                devices: statistics::interfaces(),
            }],
        }))
    }

    async fn netstat(&self, request: Request<pb::NetstatRequest>) -> Reply<pb::NetstatResponse> {
        Ok(Response::new(pb::NetstatResponse {
            messages: vec![pb::Netstat {
                metadata: None,
                connectrecord: statistics::sockets(request.get_ref()),
            }],
        }))
    }

    async fn meta_write(
        &self,
        request: Request<pb::MetaWriteRequest>,
    ) -> Reply<pb::MetaWriteResponse> {
        let asked = request.into_inner();
        if asked.key > u32::from(u8::MAX) {
            return Err(Status::invalid_argument("key must be a uint8"));
        }
        self.node
            .update(|state| state.meta.insert(asked.key, asked.value));
        Ok(Response::new(pb::MetaWriteResponse {
            messages: vec![pb::MetaWrite::default()],
        }))
    }

    async fn meta_delete(
        &self,
        request: Request<pb::MetaDeleteRequest>,
    ) -> Reply<pb::MetaDeleteResponse> {
        let key = request.get_ref().key;
        if key > u32::from(u8::MAX) {
            return Err(Status::invalid_argument("key must be a uint8"));
        }
        if self.node.update(|state| state.meta.remove(&key)).is_none() {
            return Err(Status::not_found("meta key not found"));
        }
        Ok(Response::new(pb::MetaDeleteResponse {
            messages: vec![pb::MetaDelete::default()],
        }))
    }

    async fn image_pull(
        &self,
        request: Request<pb::ImagePullRequest>,
    ) -> Reply<pb::ImagePullResponse> {
        let asked = request.into_inner();
        if asked.namespace == 0 {
            return Err(Status::invalid_argument("invalid namespace NS_UNKNOWN"));
        }
        self.node.update(|state| {
            let image = (asked.namespace, asked.reference);
            if !state.images.contains(&image) {
                state.images.push(image);
            }
        });
        Ok(Response::new(pb::ImagePullResponse {
            messages: vec![pb::ImagePull::default()],
        }))
    }

    async fn generate_client_configuration(
        &self,
        request: Request<pb::GenerateClientConfigurationRequest>,
    ) -> Reply<pb::GenerateClientConfigurationResponse> {
        self.control_plane_only("generate client configuration")?;
        let message = client_configuration::issue(&self.node, request.get_ref())?;
        Ok(Response::new(pb::GenerateClientConfigurationResponse {
            messages: vec![message],
        }))
    }

    async fn service_list(&self, _: Request<()>) -> Reply<pb::ServiceListResponse> {
        Ok(Response::new(pb::ServiceListResponse {
            messages: vec![pb::ServiceList {
                metadata: None,
                services: services::list(&self.node),
            }],
        }))
    }

    async fn shutdown(&self, _: Request<pb::ShutdownRequest>) -> Reply<pb::ShutdownResponse> {
        let actor_id = self.command(Command::Shutdown);
        Ok(Response::new(pb::ShutdownResponse {
            messages: vec![pb::Shutdown {
                metadata: None,
                actor_id,
            }],
        }))
    }

    async fn system_stat(&self, _: Request<()>) -> Reply<pb::SystemStatResponse> {
        let booted = self.node.state().booted;
        Ok(Response::new(pb::SystemStatResponse {
            messages: vec![pb::SystemStat {
                boot_time: booted
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |age| age.as_secs()),
                ..Default::default()
            }],
        }))
    }

    async fn version(&self, _: Request<()>) -> Reply<pb::VersionResponse> {
        Ok(Response::new(pb::VersionResponse {
            messages: vec![pb::Version {
                metadata: None,
                version: Some(pb::VersionInfo {
                    tag: self.node.state().image.version.clone(),
                    sha: "0000000".to_owned(),
                    os: "linux".to_owned(),
                    arch: "amd64".to_owned(),
                    ..Default::default()
                }),
                platform: Some(pb::PlatformInfo {
                    name: self.node.setup.platform.clone(),
                    mode: match self.node.setup.platform.as_str() {
                        "metal" => "metal",
                        _ => "cloud",
                    }
                    .to_owned(),
                }),
                features: Some(pb::FeaturesInfo { rbac: true }),
            }],
        }))
    }

    async fn image_list(
        &self,
        request: Request<pb::ImageListRequest>,
    ) -> Reply<Stream<pb::ImageListResponse>> {
        let namespace = request.get_ref().namespace;
        if namespace == 0 {
            return Err(Status::invalid_argument("invalid namespace NS_UNKNOWN"));
        }
        let images = self.node.state().images.clone().into_iter();
        let images = images
            .filter(move |(of, _)| *of == namespace)
            .map(|(_, name)| {
                Ok(pb::ImageListResponse {
                    digest: format!("sha256:{}", statistics::hex_digest(&name)),
                    name,
                    size: 1024,
                    ..Default::default()
                })
            });
        Ok(Response::new(stream::iter(images).boxed()))
    }
}

/// Without partitions named the whole system disk is wiped, unless only user disks are.
fn wiped(asked: &pb::ResetRequest) -> Wipe {
    let only_user_disks = asked.mode() == pb::reset_request::WipeMode::UserDisks;
    let named = &asked.system_partitions_to_wipe;
    let is_wiped = |label: &str| {
        !only_user_disks
            && (named.is_empty() || named.iter().any(|partition| partition.label == label))
    };
    Wipe {
        state: is_wiped("STATE"),
        data: is_wiped("EPHEMERAL"),
        talos: !only_user_disks && (named.is_empty() || is_wiped("META")),
    }
}

/// The version of etcd's cluster.
fn cluster_version() -> Option<pb::EtcdClusterDowngrade> {
    Some(pb::EtcdClusterDowngrade {
        cluster_version: "3.5.0".to_owned(),
    })
}

#[tonic::async_trait]
impl StorageService for Service {
    async fn disks(&self, _: Request<()>) -> Reply<storage::DisksResponse> {
        use storage::disk::DiskType;
        let system = self.node.state().installed.clone();
        let disks = self.node.setup.disks.iter().map(|disk| storage::Disk {
            size: disk.size,
            model: "QEMU HARDDISK".to_owned(),
            device_name: disk.device.clone(),
            r#type: if disk.is_cdrom {
                DiskType::Cd
            } else {
                DiskType::Ssd
            }
            .into(),
            system_disk: system
                .as_ref()
                .is_some_and(|system| system.disk == disk.device),
            readonly: disk.is_cdrom,
            ..Default::default()
        });
        Ok(Response::new(storage::DisksResponse {
            messages: vec![storage::Disks {
                metadata: None,
                disks: disks.collect(),
            }],
        }))
    }

    async fn block_device_wipe(
        &self,
        request: Request<storage::BlockDeviceWipeRequest>,
    ) -> Reply<storage::BlockDeviceWipeResponse> {
        for asked in &request.get_ref().devices {
            self.check_wipe(asked)?;
        }
        Ok(Response::new(storage::BlockDeviceWipeResponse {
            messages: vec![storage::BlockDeviceWipe::default()],
        }))
    }
}
