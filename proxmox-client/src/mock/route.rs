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
    /// The index of the API.
    Index = GET "",
    /// The version.
    Version = GET "/version",
    /// The caller's privileges.
    Permissions = GET "/access/permissions",
    /// Logging in.
    LogIn = POST "/access/ticket",
    /// Changing a password.
    ChangePassword = PUT "/access/password",
    /// The realms.
    Realms = GET "/access/domains",
    /// The users.
    Users = GET "/access/users",
    /// Creating a user.
    CreateUser = POST "/access/users",
    /// Changing a user.
    UpdateUser = PUT "/access/users/{userid}",
    /// Deleting a user.
    DeleteUser = DELETE "/access/users/{userid}",
    /// The tokens of a user.
    Tokens = GET "/access/users/{userid}/token",
    /// Creating a token.
    CreateToken = POST "/access/users/{userid}/token/{tokenid}",
    /// Changing a token.
    UpdateToken = PUT "/access/users/{userid}/token/{tokenid}",
    /// Deleting a token.
    DeleteToken = DELETE "/access/users/{userid}/token/{tokenid}",
    /// The roles.
    Roles = GET "/access/roles",
    /// One role.
    Role = GET "/access/roles/{roleid}",
    /// Creating a role.
    CreateRole = POST "/access/roles",
    /// Changing a role.
    UpdateRole = PUT "/access/roles/{roleid}",
    /// Deleting a role.
    DeleteRole = DELETE "/access/roles/{roleid}",
    /// The access control entries.
    Acl = GET "/access/acl",
    /// Changing access control entries.
    UpdateAcl = PUT "/access/acl",
    /// Finding or checking a VM ID.
    NextVmId = GET "/cluster/nextid",
    /// The cluster and its nodes.
    ClusterStatus = GET "/cluster/status",
    /// The resources of the cluster.
    ClusterResources = GET "/cluster/resources",
    /// The recent tasks of all nodes.
    ClusterTasks = GET "/cluster/tasks",
    /// The cluster log.
    ClusterLog = GET "/cluster/log",
    /// The options of the datacenter.
    ClusterOptions = GET "/cluster/options",
    /// Changing options of the datacenter.
    UpdateClusterOptions = PUT "/cluster/options",
    /// The nodes in the configuration of the cluster.
    ClusterNodes = GET "/cluster/config/nodes",
    /// The scheduled backups.
    BackupJobs = GET "/cluster/backup",
    /// The scheduled replications.
    ReplicationJobs = GET "/cluster/replication",
    /// The mappings of PCI devices.
    PciMappings = GET "/cluster/mapping/pci",
    /// The mappings of USB devices.
    UsbMappings = GET "/cluster/mapping/usb",
    /// The guests under high availability.
    HaResources = GET "/cluster/ha/resources",
    /// One guest under high availability.
    HaResource = GET "/cluster/ha/resources/{sid}",
    /// Putting a guest under high availability.
    CreateHaResource = POST "/cluster/ha/resources",
    /// Changing a guest under high availability.
    UpdateHaResource = PUT "/cluster/ha/resources/{sid}",
    /// Taking a guest out of high availability.
    DeleteHaResource = DELETE "/cluster/ha/resources/{sid}",
    /// Asking for a guest to be moved to another node.
    MigrateHaResource = POST "/cluster/ha/resources/{sid}/migrate",
    /// Asking for a guest to be started on another node.
    RelocateHaResource = POST "/cluster/ha/resources/{sid}/relocate",
    /// The groups of high availability.
    HaGroups = GET "/cluster/ha/groups",
    /// One group of high availability.
    HaGroup = GET "/cluster/ha/groups/{group}",
    /// Creating a group of high availability.
    CreateHaGroup = POST "/cluster/ha/groups",
    /// Changing a group of high availability.
    UpdateHaGroup = PUT "/cluster/ha/groups/{group}",
    /// Deleting a group of high availability.
    DeleteHaGroup = DELETE "/cluster/ha/groups/{group}",
    /// The rules of high availability.
    HaRules = GET "/cluster/ha/rules",
    /// One rule of high availability.
    HaRule = GET "/cluster/ha/rules/{rule}",
    /// Creating a rule of high availability.
    CreateHaRule = POST "/cluster/ha/rules",
    /// Changing a rule of high availability.
    UpdateHaRule = PUT "/cluster/ha/rules/{rule}",
    /// Deleting a rule of high availability.
    DeleteHaRule = DELETE "/cluster/ha/rules/{rule}",
    /// The state of high availability.
    HaStatus = GET "/cluster/ha/status/current",
    /// The SDN zones.
    Zones = GET "/cluster/sdn/zones",
    /// Creating an SDN zone.
    CreateZone = POST "/cluster/sdn/zones",
    /// The SDN vnets.
    Vnets = GET "/cluster/sdn/vnets",
    /// Creating an SDN vnet.
    CreateVnet = POST "/cluster/sdn/vnets",
    /// Applying changes of the SDN.
    ApplySdn = PUT "/cluster/sdn",
    /// The pools.
    Pools = GET "/pools",
    /// Creating a pool.
    CreatePool = POST "/pools",
    /// Changing the members of a pool.
    UpdatePool = PUT "/pools",
    /// Deleting a pool.
    DeletePool = DELETE "/pools",
    /// One pool.
    Pool = GET "/pools/{poolid}",
    /// The configured storages.
    StorageConfigs = GET "/storage",
    /// One configured storage.
    StorageConfig = GET "/storage/{storage}",
    /// The nodes.
    Nodes = GET "/nodes",
    /// The state of a node.
    NodeStatus = GET "/nodes/{node}/status",
    /// Rebooting or shutting down a node.
    NodeCommand = POST "/nodes/{node}/status",
    /// The version of a node.
    NodeVersion = GET "/nodes/{node}/version",
    /// The resolvers of a node.
    Dns = GET "/nodes/{node}/dns",
    /// The clock of a node.
    Time = GET "/nodes/{node}/time",
    /// The services of a node.
    Services = GET "/nodes/{node}/services",
    /// The certificates of a node.
    Certificates = GET "/nodes/{node}/certificates/info",
    /// The CPU models of a node.
    CpuModels = GET "/nodes/{node}/capabilities/qemu/cpu",
    /// The CPU flags of a node.
    CpuFlags = GET "/nodes/{node}/capabilities/qemu/cpu-flags",
    /// The machine versions of a node.
    Machines = GET "/nodes/{node}/capabilities/qemu/machines",
    /// What a node can do during migrations.
    MigrationCapabilities = GET "/nodes/{node}/capabilities/qemu/migration",
    /// The network interfaces of a node.
    Networks = GET "/nodes/{node}/network",
    /// One network interface of a node.
    Network = GET "/nodes/{node}/network/{iface}",
    /// Having the node ask about a URL.
    UrlMetadata = GET "/nodes/{node}/query-url-metadata",
    /// Starting a backup.
    BackUp = POST "/nodes/{node}/vzdump",
    /// The tasks of a node.
    Tasks = GET "/nodes/{node}/tasks",
    /// The index of a task.
    TaskIndex = GET "/nodes/{node}/tasks/{upid}",
    /// The state of a task.
    TaskStatus = GET "/nodes/{node}/tasks/{upid}/status",
    /// The log of a task.
    TaskLog = GET "/nodes/{node}/tasks/{upid}/log",
    /// Stopping a task.
    StopTask = DELETE "/nodes/{node}/tasks/{upid}",
    /// The storages of a node.
    Storages = GET "/nodes/{node}/storage",
    /// The state of a storage.
    StorageStatus = GET "/nodes/{node}/storage/{storage}/status",
    /// The content of a storage.
    Content = GET "/nodes/{node}/storage/{storage}/content",
    /// Allocating a disk.
    AllocateVolume = POST "/nodes/{node}/storage/{storage}/content",
    /// One volume.
    Volume = GET "/nodes/{node}/storage/{storage}/content/{volume}",
    /// Changing a volume.
    UpdateVolume = PUT "/nodes/{node}/storage/{storage}/content/{volume}",
    /// Copying a volume.
    CopyVolume = POST "/nodes/{node}/storage/{storage}/content/{volume}",
    /// Deleting a volume.
    DeleteVolume = DELETE "/nodes/{node}/storage/{storage}/content/{volume}",
    /// The backups that pruning would remove.
    PrunableBackups = GET "/nodes/{node}/storage/{storage}/prunebackups",
    /// Removing old backups.
    PruneBackups = DELETE "/nodes/{node}/storage/{storage}/prunebackups",
    /// Having the node download a URL.
    DownloadUrl = POST "/nodes/{node}/storage/{storage}/download-url",
    /// Uploading a file.
    Upload = POST "/nodes/{node}/storage/{storage}/upload",
    /// The VMs of a node.
    Vms = GET "/nodes/{node}/qemu",
    /// Creating a VM.
    CreateVm = POST "/nodes/{node}/qemu",
    /// Deleting a VM.
    DeleteVm = DELETE "/nodes/{node}/qemu/{vmid}",
    /// The configuration of a VM.
    VmConfig = GET "/nodes/{node}/qemu/{vmid}/config",
    /// Changing a VM by a task.
    UpdateVm = POST "/nodes/{node}/qemu/{vmid}/config",
    /// Changing a VM at once.
    SetVm = PUT "/nodes/{node}/qemu/{vmid}/config",
    /// The pending options of a VM.
    Pending = GET "/nodes/{node}/qemu/{vmid}/pending",
    /// The cloud-init options of a VM.
    CloudInit = GET "/nodes/{node}/qemu/{vmid}/cloudinit",
    /// Writing the cloud-init drive of a VM.
    RegenerateCloudInit = PUT "/nodes/{node}/qemu/{vmid}/cloudinit",
    /// The generated cloud-init files of a VM.
    CloudInitDump = GET "/nodes/{node}/qemu/{vmid}/cloudinit/dump",
    /// Whether a VM supports a feature.
    Feature = GET "/nodes/{node}/qemu/{vmid}/feature",
    /// Resizing a disk.
    Resize = PUT "/nodes/{node}/qemu/{vmid}/resize",
    /// Moving a disk.
    MoveDisk = POST "/nodes/{node}/qemu/{vmid}/move_disk",
    /// Detaching disks.
    Unlink = PUT "/nodes/{node}/qemu/{vmid}/unlink",
    /// Copying a VM.
    Clone = POST "/nodes/{node}/qemu/{vmid}/clone",
    /// Turning a VM into a template.
    Template = POST "/nodes/{node}/qemu/{vmid}/template",
    /// What stands in the way of a migration.
    MigrationCheck = GET "/nodes/{node}/qemu/{vmid}/migrate",
    /// Moving a VM to another node.
    Migrate = POST "/nodes/{node}/qemu/{vmid}/migrate",
    /// The snapshots of a VM.
    Snapshots = GET "/nodes/{node}/qemu/{vmid}/snapshot",
    /// Making a snapshot.
    CreateSnapshot = POST "/nodes/{node}/qemu/{vmid}/snapshot",
    /// The configuration of a snapshot.
    SnapshotConfig = GET "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
    /// Deleting a snapshot.
    DeleteSnapshot = DELETE "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
    /// Restoring a snapshot.
    RollBack = POST "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
    /// The index of the power calls.
    StatusIndex = GET "/nodes/{node}/qemu/{vmid}/status",
    /// The state of a VM.
    VmStatus = GET "/nodes/{node}/qemu/{vmid}/status/current",
    /// Starting a VM.
    StartVm = POST "/nodes/{node}/qemu/{vmid}/status/start",
    /// Stopping a VM.
    StopVm = POST "/nodes/{node}/qemu/{vmid}/status/stop",
    /// Shutting a VM down.
    ShutdownVm = POST "/nodes/{node}/qemu/{vmid}/status/shutdown",
    /// Rebooting a VM.
    RebootVm = POST "/nodes/{node}/qemu/{vmid}/status/reboot",
    /// Resetting a VM.
    ResetVm = POST "/nodes/{node}/qemu/{vmid}/status/reset",
    /// Suspending a VM.
    SuspendVm = POST "/nodes/{node}/qemu/{vmid}/status/suspend",
    /// Resuming a VM.
    ResumeVm = POST "/nodes/{node}/qemu/{vmid}/status/resume",
    /// The index of the commands of the guest agent.
    AgentIndex = GET "/nodes/{node}/qemu/{vmid}/agent",
    /// Any command of the guest agent.
    AgentCommand = POST "/nodes/{node}/qemu/{vmid}/agent",
    /// Asking whether the guest agent responds.
    AgentPing = POST "/nodes/{node}/qemu/{vmid}/agent/ping",
    /// The commands of the guest agent.
    AgentInfo = GET "/nodes/{node}/qemu/{vmid}/agent/info",
    /// The operating system of the guest.
    GuestOs = GET "/nodes/{node}/qemu/{vmid}/agent/get-osinfo",
    /// The host name of the guest.
    GuestHostName = GET "/nodes/{node}/qemu/{vmid}/agent/get-host-name",
    /// The file systems of the guest.
    GuestFileSystems = GET "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo",
    /// The network interfaces of the guest.
    GuestInterfaces = GET "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
    /// Freezing the file systems of the guest.
    FreezeFileSystems = POST "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze",
    /// Thawing the file systems of the guest.
    ThawFileSystems = POST "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-thaw",
    /// Running a command in the guest.
    Exec = POST "/nodes/{node}/qemu/{vmid}/agent/exec",
    /// The state of a command in the guest.
    ExecStatus = GET "/nodes/{node}/qemu/{vmid}/agent/exec-status",
    /// Reading a file of the guest.
    ReadGuestFile = GET "/nodes/{node}/qemu/{vmid}/agent/file-read",
    /// Writing a file of the guest.
    WriteGuestFile = POST "/nodes/{node}/qemu/{vmid}/agent/file-write",
    /// Opening a serial console.
    SerialConsole = POST "/nodes/{node}/qemu/{vmid}/termproxy",
    /// Opening a graphical console.
    VncConsole = POST "/nodes/{node}/qemu/{vmid}/vncproxy",
    /// Pressing a key.
    SendKey = PUT "/nodes/{node}/qemu/{vmid}/sendkey",
    /// A command to the monitor of QEMU.
    Monitor = POST "/nodes/{node}/qemu/{vmid}/monitor",
    /// The options of a VM's firewall.
    FirewallOptions = GET "/nodes/{node}/qemu/{vmid}/firewall/options",
    /// Changing the options of a VM's firewall.
    UpdateFirewallOptions = PUT "/nodes/{node}/qemu/{vmid}/firewall/options",
    /// The rules of a VM's firewall.
    FirewallRules = GET "/nodes/{node}/qemu/{vmid}/firewall/rules",
    /// Adding a rule to a VM's firewall.
    CreateFirewallRule = POST "/nodes/{node}/qemu/{vmid}/firewall/rules",
    /// Changing a rule of a VM's firewall, or moving it.
    UpdateFirewallRule = PUT "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
    /// Deleting a rule of a VM's firewall.
    DeleteFirewallRule = DELETE "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
    /// The sets of addresses of a VM's firewall.
    IpSets = GET "/nodes/{node}/qemu/{vmid}/firewall/ipset",
    /// Creating a set of addresses.
    CreateIpSet = POST "/nodes/{node}/qemu/{vmid}/firewall/ipset",
    /// One set of addresses.
    IpSet = GET "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    /// Adding to a set of addresses.
    AddToIpSet = POST "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    /// Deleting a set of addresses.
    DeleteIpSet = DELETE "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    /// Removing from a set of addresses.
    RemoveFromIpSet = DELETE "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
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
    fn every_route_is_a_call_of_both_contracts_but_for_what_is_new() {
        for route in Route::ALL {
            let known = |contract: &Contract| contract.has(&route.method(), route.template());

            assert!(known(Contract::pve_9()), "{route:?}");
            let new = matches!(
                route,
                Route::HaRules
                    | Route::HaRule
                    | Route::CreateHaRule
                    | Route::UpdateHaRule
                    | Route::DeleteHaRule
                    | Route::CpuFlags
                    | Route::MigrationCapabilities
            );
            assert_eq!(known(Contract::pve_8()), !new, "{route:?}");
        }
    }
}
