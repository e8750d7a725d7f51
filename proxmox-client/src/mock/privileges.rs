//! The privileges of both releases, and the built-in roles.

use super::check::Release;

/// All privileges of both releases.
pub(super) const PRIVILEGES: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Migrate",
    "VM.Monitor",
    "VM.PowerMgmt",
    "VM.Replicate",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// Whether this release has the privilege: the agent's and replication came with PVE 9, the monitor's went.
pub(super) fn is_privilege(release: Release, name: &str) -> bool {
    let new = name.starts_with("VM.GuestAgent.") || name == "VM.Replicate";
    PRIVILEGES.contains(&name)
        && match release {
            Release::Nine => name != "VM.Monitor",
            Release::Eight => !new,
        }
}

/// A built-in role and its privileges.
pub(super) fn built_in_roles(release: Release) -> Vec<(&'static str, Vec<&'static str>)> {
    let those = |wanted: &dyn Fn(&str) -> bool| -> Vec<&'static str> {
        let all = PRIVILEGES.iter().copied();
        all.filter(|name| is_privilege(release, name) && wanted(name))
            .collect()
    };
    let admin_only = [
        "Mapping.Modify",
        "Permissions.Modify",
        "Realm.Allocate",
        "Sys.AccessNetwork",
        "Sys.Incoming",
        "Sys.Modify",
        "Sys.PowerMgmt",
    ];
    let vm_user = [
        "VM.Audit",
        "VM.Backup",
        "VM.Config.CDROM",
        "VM.Config.Cloudinit",
        "VM.Console",
        "VM.PowerMgmt",
    ];
    vec![
        ("Administrator", those(&|_| true)),
        ("NoAccess", Vec::new()),
        ("PVEAdmin", those(&|name| !admin_only.contains(&name))),
        ("PVEAuditor", those(&|name| name.ends_with(".Audit"))),
        (
            "PVEDatastoreAdmin",
            those(&|name| name.starts_with("Datastore.")),
        ),
        (
            "PVEDatastoreUser",
            those(&|name| matches!(name, "Datastore.Audit" | "Datastore.AllocateSpace")),
        ),
        (
            "PVEMappingAdmin",
            those(&|name| name.starts_with("Mapping.")),
        ),
        ("PVEMappingUser", those(&|name| name == "Mapping.Use")),
        ("PVEPoolAdmin", those(&|name| name.starts_with("Pool."))),
        ("PVEPoolUser", those(&|name| name == "Pool.Audit")),
        ("PVESDNAdmin", those(&|name| name.starts_with("SDN."))),
        (
            "PVESDNUser",
            those(&|name| matches!(name, "SDN.Audit" | "SDN.Use")),
        ),
        (
            "PVESysAdmin",
            those(&|name| matches!(name, "Sys.Audit" | "Sys.Console" | "Sys.Syslog")),
        ),
        (
            "PVETemplateUser",
            those(&|name| matches!(name, "VM.Audit" | "VM.Clone")),
        ),
        (
            "PVEUserAdmin",
            those(&|name| {
                matches!(
                    name,
                    "Group.Allocate" | "Realm.AllocateUser" | "User.Modify"
                )
            }),
        ),
        ("PVEVMAdmin", those(&|name| name.starts_with("VM."))),
        ("PVEVMUser", those(&|name| vm_user.contains(&name))),
    ]
}
