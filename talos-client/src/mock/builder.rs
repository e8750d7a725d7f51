//! Setting up a mock node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::TalosMock;
use super::content::Content;
use super::delays::Delays;
use super::network::Network;
use super::node::{Image, Installed, Node};
use super::port::Port;
use super::snapshot::Database;
use super::volumes::{MockVolumeGroup, Volumes};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// What the firmware tries first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BootOrder {
    /// The disk, then the ISO image: what a Talos machine needs.
    #[default]
    DiskFirst,
    /// The ISO image, even when Talos is installed. Such a node halts after its installation.
    IsoFirst,
    /// The disk; there is no ISO image (any more).
    DiskOnly,
}

/// A disk of a mock node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct MockDisk {
    pub(super) device: String,
    pub(super) size: u64,
    pub(super) is_cdrom: bool,
}

impl MockDisk {
    /// A writable disk of `size_gib` GiB at `device`, for example `/dev/sda`.
    pub fn new(device: impl Into<String>, size_gib: u64) -> Self {
        Self {
            device: device.into(),
            size: size_gib.saturating_mul(GIB),
            is_cdrom: false,
        }
    }

    /// A CD drive.
    pub fn cdrom(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            size: GIB / 2,
            is_cdrom: true,
        }
    }

    pub(super) fn is_installable(&self) -> bool {
        !self.is_cdrom && self.size > 0
    }
}

/// What a mock node is, apart from its state.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) hostname: String,
    pub(super) platform: String,
    pub(super) uuid: String,
    pub(super) disks: Vec<MockDisk>,
    pub(super) iso: Image,
    pub(super) is_secure_boot: bool,
    pub(super) boot_order: BootOrder,
    pub(super) installed: Option<Installed>,
    pub(super) install_failure: Option<String>,
    pub(super) clock_ahead: Duration,
    pub(super) becomes_ready: bool,
    pub(super) memory_mib: u64,
    pub(super) delays: Delays,
    pub(super) trustd: Option<Arc<Node>>,
    pub(super) network: Network,
    pub(super) keeps_requests: bool,
    pub(super) files: Vec<(String, Content)>,
    /// Sizes in bytes of the logs that have more than a line.
    pub(super) logs: BTreeMap<String, u64>,
    pub(super) database: Database,
    pub(super) volumes: Volumes,
    is_on: bool,
}

impl Setup {
    /// The image that an installer writes to the disk, by its reference.
    pub(super) fn installed_image(&self, reference: &str) -> Image {
        let (name, tag) = match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (reference, self.iso.version.as_str()),
        };
        let schematic = name
            .rsplit('/')
            .next()
            .filter(|part| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let is_same = schematic.is_some() && schematic == self.iso.schematic.as_deref();
        Image {
            version: tag.to_owned(),
            schematic: schematic.map(ToOwned::to_owned),
            // Another schematic has extensions of its own, and the plain installer has none.
            extensions: if is_same {
                self.iso.extensions.clone()
            } else {
                Vec::new()
            },
        }
    }
}

/// Builds a [`TalosMock`].
#[derive(Debug, Clone)]
#[must_use]
pub struct TalosMockBuilder {
    setup: Setup,
}

impl Default for TalosMockBuilder {
    fn default() -> Self {
        Self {
            setup: Setup {
                addresses: Vec::new(),
                hostname: "talos".to_owned(),
                platform: "nocloud".to_owned(),
                uuid: "6f2fd0b8-5f4c-4f0e-9d3a-0d6a3b1c2e4f".to_owned(),
                disks: vec![
                    MockDisk::new("/dev/sda", 32),
                    MockDisk::new("/dev/sdb", 64),
                    MockDisk::cdrom("/dev/sr0"),
                ],
                iso: Image {
                    version: "v1.10.7".to_owned(),
                    schematic: None,
                    extensions: Vec::new(),
                },
                is_secure_boot: false,
                boot_order: BootOrder::default(),
                installed: None,
                install_failure: None,
                clock_ahead: Duration::ZERO,
                becomes_ready: true,
                memory_mib: 8192,
                delays: Delays::default(),
                trustd: None,
                network: Network::default(),
                keeps_requests: false,
                files: Vec::new(),
                logs: BTreeMap::new(),
                database: Database::default(),
                volumes: Volumes::default(),
                is_on: true,
            },
        }
    }
}

impl TalosMockBuilder {
    /// The Talos release of the ISO image; v1.10.7 by default. Behaviour follows it.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.setup.iso.version = version.into();
        self
    }

    /// An address of the node, for its certificates and its resources. The mock itself always listens on the loopback
    /// interface; without any address that is the node's address too.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.setup.addresses.push(address);
        self
    }

    /// The host name it has before its configuration gives it one.
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.setup.hostname = hostname.into();
        self
    }

    /// The UUID in SMBIOS.
    pub fn uuid(mut self, uuid: impl Into<String>) -> Self {
        self.setup.uuid = uuid.into();
        self
    }

    /// The disks; by default 32 GiB at `/dev/sda`, 64 GiB at `/dev/sdb` and a CD drive.
    pub fn disks(mut self, disks: impl IntoIterator<Item = MockDisk>) -> Self {
        self.setup.disks = disks.into_iter().collect();
        self
    }

    /// The schematic of the ISO image and its system extensions.
    pub fn schematic<S: Into<String>>(
        mut self,
        id: impl Into<String>,
        extensions: impl IntoIterator<Item = S>,
    ) -> Self {
        self.setup.iso.schematic = Some(id.into());
        self.setup.iso.extensions = extensions.into_iter().map(Into::into).collect();
        self
    }

    /// Enforces Secure Boot: the disk boots only what a secure boot installer has written.
    pub fn secure_boot(mut self) -> Self {
        self.setup.is_secure_boot = true;
        self
    }

    /// What the firmware tries first.
    pub fn boot_order(mut self, order: BootOrder) -> Self {
        self.setup.boot_order = order;
        self
    }

    /// Talos is on this disk already, without a configuration.
    pub fn installed(mut self, disk: impl Into<String>) -> Self {
        self.setup.installed = Some(Installed {
            disk: disk.into(),
            image: self.setup.iso.clone(),
            is_signed: true,
        });
        self
    }

    /// Makes the first installation fail.
    pub fn fail_installation(mut self, reason: impl Into<String>) -> Self {
        self.setup.install_failure = Some(reason.into());
        self
    }

    /// Lets the node's clock run ahead: its configured certificate is not valid before this time has passed.
    pub fn clock_ahead(mut self, ahead: Duration) -> Self {
        self.setup.clock_ahead = ahead;
        self
    }

    /// Leaves it to [`TalosMock::set_node_ready`] when Kubernetes regards the node as ready.
    pub fn not_ready_by_itself(mut self) -> Self {
        self.setup.becomes_ready = false;
        self
    }

    /// Memory in MiB; 8192 by default.
    pub fn memory_mib(mut self, memory_mib: u64) -> Self {
        self.setup.memory_mib = memory_mib;
        self
    }

    /// How long everything takes; milliseconds by default.
    pub fn delays(mut self, delays: Delays) -> Self {
        self.setup.delays = delays;
        self
    }

    /// The control plane node that signs this worker's certificate.
    pub fn trustd(mut self, control_plane: &TalosMock) -> Self {
        self.setup.trustd = Some(control_plane.node());
        self
    }

    /// The platform that the image was built for; `nocloud` by default. On `metal` an install disk is required.
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.setup.platform = platform.into();
        self
    }

    /// Puts the node into a network with others.
    pub fn network(mut self, network: &Network) -> Self {
        self.setup.network = network.clone();
        self
    }

    /// Keeps the messages of all calls for [`TalosMock::requests`]. They may hold secrets, and stay in memory as long as the mock.
    pub fn record_requests(mut self) -> Self {
        self.setup.keeps_requests = true;
        self
    }

    /// Adds a file of so many MiB, with its directories. Its content is made while it is read, and repeats itself.
    pub fn file_mib(mut self, path: impl Into<String>, mib: u64) -> Self {
        let content =
            Content::repeated(b"content of a file of the mock\n", mib.saturating_mul(MIB));
        self.setup.files.push((path.into(), content));
        self
    }

    /// Gives the log of a service so many MiB of lines instead of one line. They are made while they are read.
    pub fn log_mib(mut self, service: impl Into<String>, mib: u64) -> Self {
        self.setup
            .logs
            .insert(service.into(), mib.saturating_mul(MIB));
        self
    }

    /// The size of etcd's database in a snapshot; 16 KiB by default. It is made while it is read.
    pub fn etcd_database_mib(mut self, mib: u64) -> Self {
        self.setup.database = Database::of_size(mib.saturating_mul(MIB));
        self
    }

    /// Adds a volume group of LVM, which its disks keep.
    pub fn volume_group(mut self, group: MockVolumeGroup) -> Self {
        self.setup.volumes.add(group);
        self
    }

    /// Adds an array of software RAID by its path, for example `/dev/md/data`, which its disks keep.
    pub fn raid_array(mut self, device: impl Into<String>) -> Self {
        self.setup.volumes.add_array(device.into());
        self
    }

    /// Begins switched off.
    pub fn powered_off(mut self) -> Self {
        self.setup.is_on = false;
        self
    }

    /// Starts the mock, switched on by default. Its port is closed until it has booted.
    ///
    /// # Panics
    /// When no port of the loopback interface can be bound, or outside a tokio runtime: a test cannot go on then.
    #[allow(
        clippy::panic,
        clippy::unused_async,
        reason = "the same verb in all mocks"
    )]
    pub async fn start(mut self) -> TalosMock {
        let port =
            Port::reserve().unwrap_or_else(|error| panic!("port of the Talos mock: {error}"));
        if self.setup.addresses.is_empty() {
            self.setup.addresses.push(Ipv4Addr::LOCALHOST.into());
        }
        let is_on = self.setup.is_on;
        let mock = TalosMock::new(Node::new(self.setup, port));
        if is_on {
            mock.power_on();
        }
        mock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installer_decides_what_is_on_the_disk() {
        let id = "a".repeat(64);
        let setup = TalosMockBuilder::default()
            .schematic(&id, ["siderolabs/iscsi-tools"])
            .setup;

        let same =
            setup.installed_image(&format!("factory.talos.dev/nocloud-installer/{id}:v1.10.7"));
        let plain = setup.installed_image("ghcr.io/siderolabs/installer:v1.11.6");

        assert_eq!(same, setup.iso);
        assert_eq!(plain.version, "v1.11.6");
        assert_eq!(plain.schematic, None);
        assert!(plain.extensions.is_empty());
    }
}
