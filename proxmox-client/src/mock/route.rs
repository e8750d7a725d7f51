//! The calls that the mock answers.

use http::Method;

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident = $method:ident $template:literal,)+) => {
        /// A call that the mock answers, for faults and assertions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Route {
            $($(#[$doc])* $name,)+
        }

        impl Route {
            /// All routes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The HTTP method.
            #[must_use]
            pub const fn method(self) -> Method {
                match self {
                    $(Self::$name => Method::$method,)+
                }
            }

            /// The path with placeholders.
            #[must_use]
            pub const fn template(self) -> &'static str {
                match self {
                    $(Self::$name => $template,)+
                }
            }
        }
    };
}

routes!(
    /// Reading the version.
    Version = GET "/version",
    /// Reading the caller's privileges.
    Permissions = GET "/access/permissions",
    /// Logging in.
    LogIn = POST "/access/ticket",
    /// Finding or checking a VM id.
    NextVmId = GET "/cluster/nextid",
    /// Listing VMs of the cluster.
    ClusterResources = GET "/cluster/resources",
    /// Listing nodes.
    Nodes = GET "/nodes",
    /// Reading a node's status.
    NodeStatus = GET "/nodes/{node}/status",
    /// Listing network interfaces.
    Networks = GET "/nodes/{node}/network",
    /// Listing storages.
    Storages = GET "/nodes/{node}/storage",
    /// Reading a storage's status.
    StorageStatus = GET "/nodes/{node}/storage/{storage}/status",
    /// Listing a storage's content.
    Content = GET "/nodes/{node}/storage/{storage}/content",
    /// Deleting a volume.
    DeleteVolume = DELETE "/nodes/{node}/storage/{storage}/content/{volume}",
    /// Having the node fetch a URL.
    DownloadUrl = POST "/nodes/{node}/storage/{storage}/download-url",
    /// Uploading a file.
    Upload = POST "/nodes/{node}/storage/{storage}/upload",
    /// Listing the VMs of a node.
    Vms = GET "/nodes/{node}/qemu",
    /// Creating a VM.
    CreateVm = POST "/nodes/{node}/qemu",
    /// Deleting a VM.
    DeleteVm = DELETE "/nodes/{node}/qemu/{vmid}",
    /// Reading a VM's configuration.
    VmConfig = GET "/nodes/{node}/qemu/{vmid}/config",
    /// Changing a VM's configuration.
    UpdateVm = POST "/nodes/{node}/qemu/{vmid}/config",
    /// Reading a VM's status.
    VmStatus = GET "/nodes/{node}/qemu/{vmid}/status/current",
    /// Starting a VM.
    StartVm = POST "/nodes/{node}/qemu/{vmid}/status/start",
    /// Stopping a VM.
    StopVm = POST "/nodes/{node}/qemu/{vmid}/status/stop",
    /// Shutting a VM down.
    ShutdownVm = POST "/nodes/{node}/qemu/{vmid}/status/shutdown",
    /// Resetting a VM.
    ResetVm = POST "/nodes/{node}/qemu/{vmid}/status/reset",
    /// Asking the guest agent for addresses.
    GuestInterfaces = GET "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
    /// Reading a task's status.
    TaskStatus = GET "/nodes/{node}/tasks/{upid}/status",
    /// Reading a task's log.
    TaskLog = GET "/nodes/{node}/tasks/{upid}/log",
    /// Stopping a task.
    StopTask = DELETE "/nodes/{node}/tasks/{upid}",
);

impl Route {
    pub(super) fn of(method: &Method, template: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|route| route.method() == *method && route.template() == template)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Contract;

    #[test]
    fn every_route_is_a_call_of_both_contracts() {
        for route in Route::ALL {
            for contract in [Contract::pve_9(), Contract::pve_8()] {
                let rule = contract.permissions(&route.method(), route.template());
                assert!(rule.is_some(), "{route:?}");
            }
        }
    }
}
