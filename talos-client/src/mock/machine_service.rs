//! The machine and storage services of a mock node.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, future};
use tonic::{Request, Response, Status};

use super::event::MockEvent;
use super::node::{Command, Etcd, Node};
use super::resources::MEMBER_ID;
use super::{apply, kubeconfig, services};
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
type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    fn start_etcd(&self) -> Result<(), Status> {
        let is_old = self.node.has_maintenance_service();
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
            state.has_etcd_data = true;
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

    fn command(&self, command: Command) -> String {
        self.node.update(|state| state.command = Some(command));
        "5bd13a5e-6b5f-4c3a-9a0e-2a6f7d0c1b2e".to_owned()
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
    type DmesgStream = Stream<common::Data>;
    type EventsStream = Stream<pb::Event>;
    type KubeconfigStream = Stream<common::Data>;
    type LogsStream = Stream<common::Data>;
    type ReadStream = Stream<common::Data>;
    type ImageListStream = Stream<pb::ImageListResponse>;

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
        if request.get_ref().recover_etcd {
            return Err(Status::unimplemented("the mock recovers no etcd"));
        }
        self.start_etcd()?;
        Ok(Response::new(pb::BootstrapResponse {
            messages: vec![pb::Bootstrap::default()],
        }))
    }

    async fn dmesg(&self, _: Request<pb::DmesgRequest>) -> Reply<Self::DmesgStream> {
        let line = format!(
            "kern:    info: [{}]: Linux version (mock)",
            jiff::Timestamp::now()
        );
        Ok(Response::new(once(data(line.into_bytes()))))
    }

    async fn events(&self, request: Request<pb::EventsRequest>) -> Reply<Self::EventsStream> {
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
        Ok(Response::new(hello.chain(log.follow(from)).map(Ok).boxed()))
    }

    async fn etcd_member_list(
        &self,
        _: Request<pb::EtcdMemberListRequest>,
    ) -> Reply<pb::EtcdMemberListResponse> {
        self.control_plane_only("etcd member list")?;
        services::etcd_is_up(&self.node)?;
        let urls = |port: u16| {
            let addresses = self.node.setup.addresses.iter();
            addresses
                .map(|address| format!("https://{address}:{port}"))
                .collect()
        };
        Ok(Response::new(pb::EtcdMemberListResponse {
            messages: vec![pb::EtcdMembers {
                members: vec![pb::EtcdMember {
                    id: MEMBER_ID,
                    hostname: self.node.hostname(),
                    peer_urls: urls(2380),
                    client_urls: urls(2379),
                    is_learner: false,
                }],
                ..Default::default()
            }],
        }))
    }

    async fn etcd_status(&self, _: Request<()>) -> Reply<pb::EtcdStatusResponse> {
        self.control_plane_only("etcd status")?;
        services::etcd_is_up(&self.node)?;
        Ok(Response::new(pb::EtcdStatusResponse {
            messages: vec![pb::EtcdStatus {
                metadata: None,
                member_status: Some(pb::EtcdMemberStatus {
                    member_id: MEMBER_ID,
                    leader: MEMBER_ID,
                    protocol_version: "3.5.21".to_owned(),
                    db_size: 20 * 1024 * 1024,
                    db_size_in_use: 8 * 1024 * 1024,
                    ..Default::default()
                }),
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

    async fn kubeconfig(&self, _: Request<()>) -> Reply<Self::KubeconfigStream> {
        self.control_plane_only("kubeconfig")?;
        let config = self.node.state().config.clone();
        let config = config.ok_or_else(|| Status::unknown("no configuration"))?;
        let archive = kubeconfig::archive(&config)?;
        self.node.events.push(MockEvent::KubeconfigIssued);
        Ok(Response::new(once(data(archive))))
    }

    async fn logs(&self, request: Request<pb::LogsRequest>) -> Reply<Self::LogsStream> {
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

    async fn read(&self, request: Request<pb::ReadRequest>) -> Reply<Self::ReadStream> {
        let path = &request.get_ref().path;
        if path == "/var/lib/etcd/member" && self.node.state().has_etcd_data {
            return Err(Status::unknown("path must be a regular file"));
        }
        Err(Status::not_found(format!(
            "open {path}: no such file or directory"
        )))
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
        let actor_id = self.command(Command::Reset {
            keep_talos: !asked.system_partitions_to_wipe.is_empty(),
            reboot: asked.reboot,
        });
        Ok(Response::new(pb::ResetResponse {
            messages: vec![pb::Reset {
                metadata: None,
                actor_id,
            }],
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
                    name: "nocloud".to_owned(),
                    mode: "cloud".to_owned(),
                }),
                features: Some(pb::FeaturesInfo { rbac: true }),
            }],
        }))
    }

    async fn image_list(
        &self,
        request: Request<pb::ImageListRequest>,
    ) -> Reply<Self::ImageListStream> {
        if request.get_ref().namespace == 0 {
            return Err(Status::invalid_argument("invalid namespace NS_UNKNOWN"));
        }
        Ok(Response::new(stream::empty().boxed()))
    }
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
}
