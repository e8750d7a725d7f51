//! The gRPC methods of a mock node: their paths, the roles that may call them, the releases that have them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Letters of the roles: administrator, operator, reader, etcd backup.
type Roles = &'static str;
/// The first minor release of Talos v1 with a method; 0 for all that this crate supports.
type Since = u64;

macro_rules! routes {
    ($($route:ident = $path:literal, $roles:literal, $since:literal;)+) => {
        /// A gRPC method that the mock serves. A name without a service is one of `machine.MachineService`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Route {
            $(#[doc = concat!("`", $path, "`")] $route,)+
        }

        impl Route {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$route,)+];

            const fn entry(self) -> (&'static str, Roles, Since) {
                match self {
                    $(Self::$route => ($path, $roles, $since),)+
                }
            }
        }
    };
}

// Paths, roles and releases: Talos v1.10.7 to v1.14.0-rc.1, rules of machined.
routes! {
    ApplyConfiguration = "/machine.MachineService/ApplyConfiguration", "A", 0;
    Bootstrap = "/machine.MachineService/Bootstrap", "A", 0;
    Containers = "/machine.MachineService/Containers", "AOR", 0;
    Copy = "/machine.MachineService/Copy", "A", 0;
    CpuFreqStats = "/machine.MachineService/CPUFreqStats", "AOR", 0;
    CpuInfo = "/machine.MachineService/CPUInfo", "AOR", 0;
    DiskStats = "/machine.MachineService/DiskStats", "AOR", 0;
    DiskUsage = "/machine.MachineService/DiskUsage", "AOR", 0;
    Dmesg = "/machine.MachineService/Dmesg", "AOR", 0;
    EtcdAlarmDisarm = "/machine.MachineService/EtcdAlarmDisarm", "AO", 0;
    EtcdAlarmList = "/machine.MachineService/EtcdAlarmList", "AORB", 0;
    EtcdDefragment = "/machine.MachineService/EtcdDefragment", "AO", 0;
    EtcdForfeitLeadership = "/machine.MachineService/EtcdForfeitLeadership", "A", 0;
    EtcdLeaveCluster = "/machine.MachineService/EtcdLeaveCluster", "A", 0;
    EtcdMemberList = "/machine.MachineService/EtcdMemberList", "AORB", 0;
    EtcdRecover = "/machine.MachineService/EtcdRecover", "A", 0;
    EtcdRemoveMemberById = "/machine.MachineService/EtcdRemoveMemberByID", "A", 0;
    EtcdSnapshot = "/machine.MachineService/EtcdSnapshot", "AOB", 0;
    EtcdStatus = "/machine.MachineService/EtcdStatus", "AORB", 0;
    Events = "/machine.MachineService/Events", "AOR", 0;
    GenerateClientConfiguration = "/machine.MachineService/GenerateClientConfiguration", "A", 0;
    Hostname = "/machine.MachineService/Hostname", "AOR", 0;
    ImageList = "/machine.MachineService/ImageList", "AOR", 0;
    ImagePull = "/machine.MachineService/ImagePull", "AO", 0;
    Kubeconfig = "/machine.MachineService/Kubeconfig", "A", 0;
    List = "/machine.MachineService/List", "AOR", 0;
    LoadAvg = "/machine.MachineService/LoadAvg", "AOR", 0;
    Logs = "/machine.MachineService/Logs", "AOR", 0;
    LogsContainers = "/machine.MachineService/LogsContainers", "AOR", 0;
    Memory = "/machine.MachineService/Memory", "AOR", 0;
    MetaDelete = "/machine.MachineService/MetaDelete", "A", 0;
    MetaWrite = "/machine.MachineService/MetaWrite", "A", 0;
    Mounts = "/machine.MachineService/Mounts", "AOR", 0;
    NetworkDeviceStats = "/machine.MachineService/NetworkDeviceStats", "AOR", 0;
    PacketCapture = "/machine.MachineService/PacketCapture", "AO", 0;
    Processes = "/machine.MachineService/Processes", "AOR", 0;
    Read = "/machine.MachineService/Read", "A", 0;
    Reboot = "/machine.MachineService/Reboot", "AO", 0;
    Reset = "/machine.MachineService/Reset", "A", 0;
    Restart = "/machine.MachineService/Restart", "AO", 0;
    Rollback = "/machine.MachineService/Rollback", "A", 0;
    ServiceList = "/machine.MachineService/ServiceList", "AOR", 0;
    ServiceRestart = "/machine.MachineService/ServiceRestart", "AO", 0;
    ServiceStart = "/machine.MachineService/ServiceStart", "AO", 0;
    ServiceStop = "/machine.MachineService/ServiceStop", "AO", 0;
    Shutdown = "/machine.MachineService/Shutdown", "AO", 0;
    Stats = "/machine.MachineService/Stats", "AOR", 0;
    SystemStat = "/machine.MachineService/SystemStat", "AOR", 0;
    Upgrade = "/machine.MachineService/Upgrade", "A", 0;
    Version = "/machine.MachineService/Version", "AOR", 0;
    Netstat = "/machine.MachineService/Netstat", "AOR", 0;
    EtcdDowngradeCancel = "/machine.MachineService/EtcdDowngradeCancel", "A", 11;
    EtcdDowngradeEnable = "/machine.MachineService/EtcdDowngradeEnable", "A", 11;
    EtcdDowngradeValidate = "/machine.MachineService/EtcdDowngradeValidate", "A", 11;
    Disks = "/storage.StorageService/Disks", "AOR", 0;
    BlockDeviceWipe = "/storage.StorageService/BlockDeviceWipe", "A", 0;
    DebugContainerRun = "/machine.DebugService/ContainerRun", "A", 13;
    ImageServiceImport = "/machine.ImageService/Import", "A", 13;
    ImageServiceList = "/machine.ImageService/List", "AOR", 13;
    ImageServicePull = "/machine.ImageService/Pull", "AO", 13;
    ImageServiceRemove = "/machine.ImageService/Remove", "A", 13;
    ImageServiceVerify = "/machine.ImageService/Verify", "AOR", 13;
    LifecycleInstall = "/machine.LifecycleService/Install", "A", 13;
    LifecycleUpgrade = "/machine.LifecycleService/Upgrade", "A", 13;
    LogicalVolumeRemove = "/machine.LVMService/LogicalVolumeRemove", "A", 14;
    VolumeGroupRemove = "/machine.LVMService/VolumeGroupRemove", "A", 14;
    PhysicalVolumeRemove = "/machine.LVMService/PhysicalVolumeRemove", "A", 14;
    RaidArrayDestroy = "/machine.MDService/Destroy", "A", 14;
    HealthCheck = "/cluster.ClusterService/HealthCheck", "AOR", 0;
    ControllerDependencies = "/inspect.InspectService/ControllerRuntimeDependencies", "AOR", 0;
    Time = "/time.TimeService/Time", "AOR", 0;
    TimeCheck = "/time.TimeService/TimeCheck", "AOR", 0;
    ResourceGet = "/cosi.resource.State/Get", "AOR", 0;
    ResourceList = "/cosi.resource.State/List", "AOR", 0;
    ResourceWatch = "/cosi.resource.State/Watch", "AOR", 0;
}

/// Services that answer, with the first minor release that has them.
const SERVICES: [(&str, Since); 11] = [
    ("machine.MachineService", 0),
    ("storage.StorageService", 0),
    ("cluster.ClusterService", 0),
    ("time.TimeService", 0),
    ("inspect.InspectService", 0),
    ("cosi.resource.State", 0),
    ("machine.ImageService", 13),
    ("machine.LifecycleService", 13),
    ("machine.DebugService", 13),
    ("machine.LVMService", 14),
    ("machine.MDService", 14),
];

/// The method that real nodes had and the mock does not serve, because [`crate::config`] does its work without a node. Gone since
/// v1.13.
const GENERATE: (&str, Since) = ("/machine.MachineService/GenerateConfiguration", 13);

/// COSI methods that change something; nodes deny them whatever the role.
const WRITES: [&str; 5] = [
    "/cosi.resource.State/Create",
    "/cosi.resource.State/Update",
    "/cosi.resource.State/Destroy",
    "/cosi.resource.State/Teardown",
    "/cosi.resource.State/TeardownAndDestroy",
];

/// What a node of some release knows about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The mock serves it.
    Route(Route),
    /// It would change a resource.
    Write,
    /// A real node serves it, the mock does not.
    NotServed,
    /// The service exists, the method does not.
    NoMethod,
    /// There is no such service.
    NoService,
}

impl Route {
    /// The path of the HTTP/2 request.
    #[must_use]
    pub const fn path(self) -> &'static str {
        self.entry().0
    }

    /// The route of an HTTP/2 path; `None` for one that the mock does not serve.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|route| route.path() == path)
    }

    /// Whether maintenance mode from v1.13 on admits everybody, because nothing of a cluster is on the machine yet.
    pub(super) fn is_open_in_maintenance(self) -> bool {
        matches!(
            self,
            Self::ApplyConfiguration
                | Self::BlockDeviceWipe
                | Self::LogicalVolumeRemove
                | Self::VolumeGroupRemove
                | Self::PhysicalVolumeRemove
                | Self::RaidArrayDestroy
        )
    }

    /// Whether a role such as `os:reader` may call it.
    pub(super) fn admits(self, role: &str) -> bool {
        let letter = match role {
            "os:admin" => 'A',
            "os:operator" => 'O',
            "os:reader" => 'R',
            "os:etcd:backup" => 'B',
            _ => return false,
        };
        self.entry().1.contains(letter)
    }
}

/// What a node of Talos v1.`minor` knows about `path`.
pub(super) fn known(path: &str, minor: u64) -> Known {
    let has = |since: Since| minor >= since;
    if let Some(route) = Route::from_path(path)
        && has(route.entry().2)
    {
        return Known::Route(route);
    }
    if WRITES.contains(&path) {
        return Known::Write;
    }
    if path == GENERATE.0 && !has(GENERATE.1) {
        return Known::NotServed;
    }
    let (service, _) = split(path);
    let exists = SERVICES
        .iter()
        .any(|(name, since)| *name == service && has(*since));
    if exists {
        Known::NoMethod
    } else {
        Known::NoService
    }
}

/// Service and method of a path.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.trim_start_matches('/')
        .split_once('/')
        .unwrap_or_default()
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_leads_back_to_its_route() {
        for route in Route::ALL {
            assert_eq!(Route::from_path(route.path()), Some(*route));
        }
    }

    #[test]
    fn a_release_knows_the_methods_and_services_it_has() {
        let downgrade = Route::EtcdDowngradeEnable;

        assert_eq!(known(downgrade.path(), 10), Known::NoMethod);
        assert_eq!(known(downgrade.path(), 11), Known::Route(downgrade));
        assert_eq!(known("/machine.ImageService/List", 12), Known::NoService);
        let list = Route::ImageServiceList;
        assert_eq!(known(list.path(), 13), Known::Route(list));
        assert_eq!(
            known("/machine.LVMService/VolumeGroupRemove", 13),
            Known::NoService
        );
        let generate = "/machine.MachineService/GenerateConfiguration";
        assert_eq!(known(generate, 12), Known::NotServed);
        assert_eq!(known(generate, 13), Known::NoMethod);
        assert_eq!(known("/machine.MachineService/Dream", 14), Known::NoMethod);
        assert_eq!(known("/cosi.resource.State/Create", 10), Known::Write);
    }

    #[test]
    fn roles_are_those_of_the_rules_of_machined() {
        assert!(Route::Version.admits("os:reader"));
        assert!(!Route::Version.admits("os:etcd:backup"));
        assert!(Route::EtcdSnapshot.admits("os:etcd:backup"));
        assert!(!Route::EtcdSnapshot.admits("os:reader"));
        assert!(!Route::Kubeconfig.admits("os:operator"));
        assert!(!Route::Version.admits("os:impersonator"));
    }
}
