//! What the machine is: version, name, memory, disks, clock.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reply::{check, only};
use super::{Machine, machine_service, storage_service};
use crate::api::channel::{Call, Service, Transport};
use crate::api::pb::time::time_service_client::TimeServiceClient;
use crate::api::pb::{common, machine as pb, storage, time as pb_time};
use crate::api::wire::timestamp;
use crate::{Error, ErrorKind, Result};

/// What runs on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Version {
    /// The release, for example `v1.10.7`.
    pub tag: String,
    /// Its commit.
    pub sha: String,
    /// Operating system of the build.
    pub os: String,
    /// Architecture: `amd64`, `arm64`.
    pub arch: String,
    /// The platform: `nocloud`, `metal`.
    pub platform: String,
    /// Whether the roles of client certificates are enforced.
    pub has_rbac: bool,
}

/// Technology of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the words of the machine API")]
pub enum DiskKind {
    Unknown,
    Ssd,
    Hdd,
    Nvme,
    Sd,
    Cd,
}

/// A block device as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Disk {
    /// Its device file, for example `/dev/sda`.
    pub device: String,
    /// Size in bytes.
    pub size: u64,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Its world-wide id.
    pub wwid: String,
    /// Its technology.
    pub kind: DiskKind,
    /// Where it is attached.
    pub bus_path: String,
    /// Whether Talos is installed on it.
    pub is_system: bool,
    /// Whether it cannot be written.
    pub is_readonly: bool,
}

impl Disk {
    /// Whether Talos could be installed on it: writable, not empty, no CD drive.
    #[must_use]
    pub fn is_installable(&self) -> bool {
        self.kind != DiskKind::Cd && !self.is_readonly && self.size > 0
    }
}

/// The clock of the node, and that of a time server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimeComparison {
    /// The time server.
    pub server: String,
    /// The node's time when the server answered.
    pub local: Option<Timestamp>,
    /// The server's time.
    pub remote: Option<Timestamp>,
}

impl Machine {
    /// What runs on the machine. May be repeated; the usual proof that the API works.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] in maintenance mode before v1.13.
    pub async fn version(&self) -> Result<Version> {
        const OPERATION: &str = "read version";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                machine_service(service).version(()).await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        let version = message.version.unwrap_or_default();
        Ok(Version {
            tag: version.tag,
            sha: version.sha,
            os: version.os,
            arch: version.arch,
            platform: message.platform.unwrap_or_default().name,
            has_rbac: message.features.is_some_and(|features| features.rbac),
        })
    }

    /// The host name.
    ///
    /// # Errors
    /// As every read.
    pub async fn hostname(&self) -> Result<String> {
        const OPERATION: &str = "read host name";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                machine_service(service).hostname(()).await
            })
            .await?;
        Ok(only(&self.transport, OPERATION, reply)?.hostname)
    }

    /// Memory in KiB.
    ///
    /// # Errors
    /// As every read.
    pub async fn memory_kib(&self) -> Result<u64> {
        const OPERATION: &str = "read memory size";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                machine_service(service).memory(()).await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        Ok(message.meminfo.map_or(0, |memory| memory.memtotal))
    }

    /// When the kernel was started; it tells one boot from the next.
    ///
    /// # Errors
    /// As every read.
    pub async fn boot_time(&self) -> Result<Duration> {
        const OPERATION: &str = "read boot time";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                machine_service(service).system_stat(()).await
            })
            .await?;
        let message = only(&self.transport, OPERATION, reply)?;
        Ok(Duration::from_secs(message.boot_time))
    }

    /// The id of this boot, a UUID that the kernel makes; it tells one boot from the next. Needs `os:admin`. May be repeated.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] without the role: [`Machine::boot_time`] is for readers.
    pub async fn boot_id(&self) -> Result<String> {
        const OPERATION: &str = "read boot id";
        let text = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                let path = "/proc/sys/kernel/random/boot_id".to_owned();
                let request = pb::ReadRequest { path };
                let chunks = machine_service(service).read(request).await?.into_inner();
                let chunks: Vec<common::Data> = chunks.try_collect().await?;
                Ok(tonic::Response::new(chunks))
            })
            .await?;
        let mut id = Vec::new();
        for chunk in text {
            check(OPERATION, chunk.metadata.as_ref())?;
            id.extend_from_slice(&chunk.bytes);
        }
        let id = String::from_utf8_lossy(&id).trim().to_owned();
        if id.is_empty() {
            return Err(Error::new(ErrorKind::Decode, OPERATION)
                .with_target(self.target())
                .with_message("the file is empty"));
        }
        Ok(id)
    }

    /// All block devices, CD drives included; see [`Disk::is_installable`].
    ///
    /// # Errors
    /// As every read.
    pub async fn disks(&self) -> Result<Vec<Disk>> {
        disks(&self.transport).await
    }

    /// Compares the clock of the node with its time server. `talosctl time`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Server`] when the time server does not answer.
    pub async fn time(&self) -> Result<TimeComparison> {
        const OPERATION: &str = "compare time";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                time_service(service).time(()).await
            })
            .await?;
        Ok(time(only(&self.transport, OPERATION, reply)?))
    }

    /// Compares the clock of the node with a time server. `talosctl time --check`; needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// As [`Machine::time`].
    pub async fn compare_time(&self, server: &str) -> Result<TimeComparison> {
        const OPERATION: &str = "compare time";
        let reply = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                let request = pb_time::TimeRequest {
                    server: server.to_owned(),
                };
                time_service(service).time_check(request).await
            })
            .await?;
        Ok(time(only(&self.transport, OPERATION, reply)?))
    }
}

fn time_service(service: Service) -> TimeServiceClient<Service> {
    TimeServiceClient::new(service)
}

fn time(message: pb_time::Time) -> TimeComparison {
    TimeComparison {
        server: message.server,
        local: timestamp(message.localtime),
        remote: timestamp(message.remotetime),
    }
}

pub(crate) async fn disks(transport: &Transport) -> Result<Vec<Disk>> {
    const OPERATION: &str = "list disks";
    let reply = transport
        .call(Call::read(OPERATION), |service| async move {
            storage_service(service).disks(()).await
        })
        .await?;
    let message = only(transport, OPERATION, reply)?;
    Ok(message.disks.into_iter().map(disk).collect())
}

fn disk(disk: storage::Disk) -> Disk {
    use storage::disk::DiskType;
    let kind = match disk.r#type() {
        DiskType::Unknown => DiskKind::Unknown,
        DiskType::Ssd => DiskKind::Ssd,
        DiskType::Hdd => DiskKind::Hdd,
        DiskType::Nvme => DiskKind::Nvme,
        DiskType::Sd => DiskKind::Sd,
        DiskType::Cd => DiskKind::Cd,
    };
    Disk {
        device: disk.device_name,
        size: disk.size,
        model: disk.model,
        serial: disk.serial,
        wwid: disk.wwid,
        kind,
        bus_path: disk.bus_path,
        is_system: disk.system_disk,
        is_readonly: disk.readonly,
    }
}
