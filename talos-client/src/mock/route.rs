//! The gRPC methods of a mock node.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! routes {
    ($($(#[$doc:meta])* $route:ident = $path:literal),+ $(,)?) => {
        /// A gRPC method that the mock serves. A name without a service is one of `machine.MachineService`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Route {
            $(#[doc = concat!("`", $path, "`")] $(#[$doc])* $route,)+
        }

        impl Route {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$route,)+];

            /// The path of the HTTP/2 request.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self {
                    $(Self::$route => $path,)+
                }
            }
        }
    };
}

routes! {
    ApplyConfiguration = "/machine.MachineService/ApplyConfiguration",
    Bootstrap = "/machine.MachineService/Bootstrap",
    Dmesg = "/machine.MachineService/Dmesg",
    EtcdMemberList = "/machine.MachineService/EtcdMemberList",
    EtcdStatus = "/machine.MachineService/EtcdStatus",
    Events = "/machine.MachineService/Events",
    Hostname = "/machine.MachineService/Hostname",
    ImageList = "/machine.MachineService/ImageList",
    Kubeconfig = "/machine.MachineService/Kubeconfig",
    Logs = "/machine.MachineService/Logs",
    Memory = "/machine.MachineService/Memory",
    Read = "/machine.MachineService/Read",
    Reboot = "/machine.MachineService/Reboot",
    Reset = "/machine.MachineService/Reset",
    ServiceList = "/machine.MachineService/ServiceList",
    Shutdown = "/machine.MachineService/Shutdown",
    SystemStat = "/machine.MachineService/SystemStat",
    Version = "/machine.MachineService/Version",
    Disks = "/storage.StorageService/Disks",
    HealthCheck = "/cluster.ClusterService/HealthCheck",
    Time = "/time.TimeService/Time",
    ResourceGet = "/cosi.resource.State/Get",
    ResourceList = "/cosi.resource.State/List",
    ResourceWatch = "/cosi.resource.State/Watch",
}

impl Route {
    /// The route of an HTTP/2 path; `None` for one that the mock does not serve.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|route| route.path() == path)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}
