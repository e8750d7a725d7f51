//! What the machine is: version, name, memory, disks, images.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;

use super::reply::{check, only};
use super::{Machine, machine_service, storage_service};
use crate::Result;
use crate::api::channel::{Call, Transport};
use crate::api::pb::{common, machine as pb, storage};
use crate::api::wire::timestamp;

/// What runs on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// Whose container images are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageNamespace {
    /// Talos' own.
    System,
    /// Those of Kubernetes.
    Cri,
}

/// A container image on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Its reference.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Size in bytes.
    pub size: i64,
    /// When it was pulled.
    pub created: Option<Timestamp>,
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

    /// All block devices, CD drives included; see [`Disk::is_installable`].
    ///
    /// # Errors
    /// As every read.
    pub async fn disks(&self) -> Result<Vec<Disk>> {
        disks(&self.transport).await
    }

    /// The container images of a namespace.
    ///
    /// # Errors
    /// As every read.
    pub async fn images(&self, namespace: ImageNamespace) -> Result<Vec<Image>> {
        const OPERATION: &str = "list images";
        let namespace = match namespace {
            ImageNamespace::System => common::ContainerdNamespace::NsSystem,
            ImageNamespace::Cri => common::ContainerdNamespace::NsCri,
        };
        self.transport
            .stream(
                OPERATION,
                move |service| async move {
                    let request = pb::ImageListRequest {
                        namespace: namespace.into(),
                    };
                    machine_service(service).image_list(request).await
                },
                |image: pb::ImageListResponse| {
                    check(OPERATION, image.metadata.as_ref())?;
                    Ok(Some(Image {
                        name: image.name,
                        digest: image.digest,
                        size: image.size,
                        created: timestamp(image.created_at),
                    }))
                },
            )
            .try_collect()
            .await
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
