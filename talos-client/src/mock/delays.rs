//! How long a mock node takes for what takes minutes on hardware.

use std::time::Duration;

/// The time each part of a mock node's life takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Delays {
    pub(super) boot: Duration,
    pub(super) install: Duration,
    pub(super) reboot: Duration,
    pub(super) services: Duration,
    pub(super) time_sync: Duration,
    pub(super) etcd: Duration,
    pub(super) kubernetes: Duration,
    pub(super) node_ready: Duration,
}

impl Delays {
    /// Milliseconds, for tests.
    pub const fn fast() -> Self {
        Self::all(Duration::from_millis(5))
    }

    /// About five seconds in total, for people who watch.
    pub const fn visible() -> Self {
        Self {
            boot: Duration::from_millis(600),
            install: Duration::from_millis(1500),
            reboot: Duration::from_millis(500),
            services: Duration::from_millis(300),
            time_sync: Duration::from_millis(300),
            etcd: Duration::from_millis(700),
            kubernetes: Duration::from_millis(700),
            node_ready: Duration::from_millis(500),
        }
    }

    /// The same time for everything.
    pub const fn all(delay: Duration) -> Self {
        Self {
            boot: delay,
            install: delay,
            reboot: delay,
            services: delay,
            time_sync: delay,
            etcd: delay,
            kubernetes: delay,
            node_ready: delay,
        }
    }

    /// From the firmware to the machine API.
    pub const fn boot(mut self, delay: Duration) -> Self {
        self.boot = delay;
        self
    }

    /// Pulling the installer image and writing the disk.
    pub const fn install(mut self, delay: Duration) -> Self {
        self.install = delay;
        self
    }

    /// Going down.
    pub const fn reboot(mut self, delay: Duration) -> Self {
        self.reboot = delay;
        self
    }

    /// From the machine API to the container runtime; a bootstrap before is too early.
    pub const fn services(mut self, delay: Duration) -> Self {
        self.services = delay;
        self
    }

    /// From the container runtime to a synchronized clock; a bootstrap before is too early.
    pub const fn time_sync(mut self, delay: Duration) -> Self {
        self.time_sync = delay;
        self
    }

    /// From the bootstrap to a healthy etcd.
    pub const fn etcd(mut self, delay: Duration) -> Self {
        self.etcd = delay;
        self
    }

    /// From a healthy etcd to stage running.
    pub const fn kubernetes(mut self, delay: Duration) -> Self {
        self.kubernetes = delay;
        self
    }

    /// From stage running to a ready Kubernetes node.
    pub const fn node_ready(mut self, delay: Duration) -> Self {
        self.node_ready = delay;
        self
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self::fast()
    }
}
