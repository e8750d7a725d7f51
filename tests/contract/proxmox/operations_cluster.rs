//! Operations on the cluster, on pools, users, tokens and roles.

use proxmox_client::access::{AclUpdate, TokenRequest, UserRequest};
use proxmox_client::cluster::{
    HaAffinity, HaGroupRequest, HaGroupUpdate, HaResourceRequest, HaResourceUpdate, HaRuleRequest,
    HaRuleUpdate, ResourceKind, VnetRequest, ZoneRequest,
};
use serde_json::json;

use super::operation_table::{Operation, UPID, delete, get, operation, post, put};
use super::{node, storage, vm_id};

#[allow(
    clippy::too_many_lines,
    reason = "a table with one row for each operation"
)]
pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation!(
            "all resources",
            get("/cluster/resources"),
            json!([{ "type": "pool", "id": "/pool/talos", "pool": "talos" }]),
            "pool: Some(\"talos\")",
            |c| async { c.cluster().resources(None).await }
        ),
        operation!(
            "resources of a kind",
            get("/cluster/resources?type=storage"),
            json!([{ "id": "storage/pve-01/local", "type": "storage", "storage": "local", "node": "pve-01", "maxdisk": 9 }]),
            "disk_total: Some(9)",
            |c| async { c.cluster().resources(Some(ResourceKind::Storage)).await }
        ),
        operation!(
            "cluster status",
            get("/cluster/status"),
            json!([{ "nodes": 2, "id": "cluster", "version": 1, "name": "lab", "type": "cluster", "quorate": 1 }]),
            "quorate: Some(true)",
            |c| async { c.cluster().status().await }
        ),
        operation!(
            "cluster tasks",
            get("/cluster/tasks"),
            json!([{ "upid": UPID, "type": "qmcreate" }]),
            "qmcreate",
            |c| async { c.cluster().tasks().await }
        ),
        operation!(
            "cluster log",
            get("/cluster/log?max=5"),
            json!([{ "msg": "hello", "tag": "pvedaemon", "time": 5 }]),
            "hello",
            |c| async { c.cluster().log(5).await }
        ),
        operation!(
            "cluster options",
            get("/cluster/options"),
            json!({ "mac_prefix": "BC:24:11", "description": "", "allowed-tags": [] }),
            "BC:24:11",
            |c| async { c.cluster().options().await }
        ),
        operation!(
            "set cluster option",
            put("/cluster/options", "keyboard=de"),
            json!(null),
            "()",
            |c| async { c.cluster().set_option("keyboard", "de").await }
        ),
        operation!(
            "configured storages",
            get("/storage"),
            json!([{ "digest": "x", "type": "dir", "storage": "other-node", "path": "/var/lib/vz2", "content": "iso", "nodes": "pve-02" }]),
            "nodes: [\"pve-02\"]",
            |c| async { c.cluster().storages().await }
        ),
        operation!(
            "configured storage",
            get("/storage/local"),
            json!({ "storage": "local", "type": "dir", "content": "iso", "disable": 1 }),
            "disabled: true",
            |c| async { c.cluster().storage(&storage("local")).await }
        ),
        operation!(
            "backup jobs",
            get("/cluster/backup"),
            json!([{ "id": "backup-1", "schedule": "daily", "vmid": "104,105", "enabled": 1 }]),
            "vmids: [\"104\", \"105\"]",
            |c| async { c.cluster().backup_jobs().await }
        ),
        operation!(
            "replication jobs",
            get("/cluster/replication"),
            json!([{ "id": "104-0", "guest": 104, "target": "pve-02" }]),
            "guest: Some(VmId(104))",
            |c| async { c.cluster().replication_jobs().await }
        ),
        operation!(
            "PCI mappings",
            get("/cluster/mapping/pci"),
            json!([{ "id": "gpu", "map": ["node=pve-01,path=0000:01:00"] }]),
            "node=pve-01",
            |c| async { c.cluster().pci_mappings().await }
        ),
        operation!(
            "USB mappings",
            get("/cluster/mapping/usb"),
            json!([{ "id": "key", "map": [] }]),
            "key",
            |c| async { c.cluster().usb_mappings().await }
        ),
        operation!(
            "HA resources",
            get("/cluster/ha/resources"),
            json!([{ "sid": "vm:104", "state": "started" }]),
            "vm:104",
            |c| async { c.cluster().ha_resources().await }
        ),
        operation!(
            "add HA resource",
            post(
                "/cluster/ha/resources",
                "sid=vm%3A2411000&state=started&max_restart=2"
            ),
            json!(null),
            "()",
            |c| async {
                c.cluster()
                    .add_ha_resource(
                        vm_id(),
                        &HaResourceRequest::new().state("started").max_restart(2_u32),
                    )
                    .await
            }
        ),
        operation!(
            "change HA resource",
            put("/cluster/ha/resources/vm%3A2411000", "state=stopped"),
            json!(null),
            "()",
            |c| async {
                c.cluster()
                    .update_ha_resource(vm_id(), &HaResourceUpdate::new().state("stopped"))
                    .await
            }
        ),
        operation!(
            "remove HA resource",
            delete("/cluster/ha/resources/vm%3A2411000"),
            json!(null),
            "true",
            |c| async { c.cluster().remove_ha_resource(vm_id()).await }
        ),
        operation!(
            "HA resource",
            get("/cluster/ha/resources/vm%3A2411000"),
            json!({ "sid": "vm:2411000", "type": "vm", "state": "started", "digest": "ab" }),
            "digest: Some(\"ab\")",
            |c| async { c.cluster().ha_resource(vm_id()).await }
        ),
        operation!(
            "migrate HA resource",
            post("/cluster/ha/resources/vm%3A2411000/migrate", "node=pve-01"),
            json!({ "sid": "vm:2411000", "requested-node": "pve-01" }),
            "()",
            |c| async { c.cluster().migrate_ha_resource(vm_id(), &node()).await }
        ),
        operation!(
            "relocate HA resource",
            post("/cluster/ha/resources/vm%3A2411000/relocate", "node=pve-01"),
            json!(null),
            "()",
            |c| async { c.cluster().relocate_ha_resource(vm_id(), &node()).await }
        ),
        operation!(
            "HA group",
            get("/cluster/ha/groups/all"),
            json!({ "group": "all", "nodes": "pve-01:2", "nofailback": 1, "digest": "ab" }),
            "no_failback: true",
            |c| async { c.cluster().ha_group("all").await }
        ),
        operation!(
            "create HA group",
            post(
                "/cluster/ha/groups",
                "group=all&nodes=pve-01%3A2%2Cpve-02&restricted=1"
            ),
            json!(null),
            "()",
            |c| async {
                let group = HaGroupRequest::new("pve-01:2,pve-02").restricted();
                c.cluster().create_ha_group("all", &group).await
            }
        ),
        operation!(
            "change HA group",
            put(
                "/cluster/ha/groups/all",
                "nodes=pve-02&delete=comment&digest=ab"
            ),
            json!(null),
            "()",
            |c| async {
                let update = HaGroupUpdate::new()
                    .nodes("pve-02")
                    .unset("comment")
                    .digest("ab");
                c.cluster().update_ha_group("all", &update).await
            }
        ),
        operation!(
            "delete HA group",
            delete("/cluster/ha/groups/all"),
            json!(null),
            "()",
            |c| async { c.cluster().delete_ha_group("all").await }
        ),
        operation!(
            "HA rule",
            get("/cluster/ha/rules/apart"),
            json!({ "rule": "apart", "type": "resource-affinity", "resources": "vm:104", "digest": "ab" }),
            "digest: Some(\"ab\")",
            |c| async { c.cluster().ha_rule("apart").await }
        ),
        operation!(
            "create HA rule",
            post(
                "/cluster/ha/rules",
                "rule=apart&type=resource-affinity&resources=vm%3A2411000%2Cvm%3A104&affinity=negative"
            ),
            json!(null),
            "()",
            |c| async {
                let vms = [vm_id(), "104".parse().unwrap()];
                let rule = HaRuleRequest::resource_affinity(&vms, HaAffinity::Negative);
                c.cluster().create_ha_rule("apart", &rule).await
            }
        ),
        operation!(
            "change HA rule",
            put(
                "/cluster/ha/rules/apart",
                "type=node-affinity&nodes=pve-01%3A2&strict=1&digest=ab"
            ),
            json!(null),
            "()",
            |c| async {
                let update = HaRuleUpdate::new("node-affinity")
                    .nodes("pve-01:2")
                    .strict()
                    .digest("ab");
                c.cluster().update_ha_rule("apart", &update).await
            }
        ),
        operation!(
            "delete HA rule",
            delete("/cluster/ha/rules/apart"),
            json!(null),
            "()",
            |c| async { c.cluster().delete_ha_rule("apart").await }
        ),
        operation!(
            "HA groups",
            get("/cluster/ha/groups"),
            json!([{ "group": "all", "nodes": "pve-01:2,pve-02", "restricted": 1 }]),
            "restricted: true",
            |c| async { c.cluster().ha_groups().await }
        ),
        operation!(
            "HA rules",
            get("/cluster/ha/rules"),
            json!([{ "rule": "apart", "type": "resource-affinity", "resources": "vm:104,vm:105", "affinity": "negative" }]),
            "vm:105",
            |c| async { c.cluster().ha_rules().await }
        ),
        operation!(
            "HA status",
            get("/cluster/ha/status/current"),
            json!([{ "id": "quorum", "type": "quorum", "node": "pve-01", "status": "OK", "quorate": 1 }]),
            "OK",
            |c| async { c.cluster().ha_status().await }
        ),
        operation!(
            "zones",
            get("/cluster/sdn/zones"),
            json!([{ "zone": "lab", "type": "simple" }]),
            "lab",
            |c| async { c.cluster().zones().await }
        ),
        operation!(
            "create zone",
            post("/cluster/sdn/zones", "zone=lab&type=simple"),
            json!(null),
            "()",
            |c| async {
                c.cluster()
                    .create_zone(&ZoneRequest::new("lab", "simple"))
                    .await
            }
        ),
        operation!(
            "vnets",
            get("/cluster/sdn/vnets"),
            json!([{ "vnet": "talos", "zone": "lab", "tag": 5, "vlanaware": 1 }]),
            "vlan_aware: true",
            |c| async { c.cluster().vnets().await }
        ),
        operation!(
            "create vnet",
            post(
                "/cluster/sdn/vnets",
                "vnet=talos&zone=lab&tag=5&vlanaware=1"
            ),
            json!(null),
            "()",
            |c| async {
                c.cluster()
                    .create_vnet(&VnetRequest::new("talos", "lab").tag(5_u32).vlan_aware())
                    .await
            }
        ),
        operation!(
            "apply SDN",
            put("/cluster/sdn", ""),
            json!(UPID),
            "UPID",
            |c| async { c.cluster().apply_sdn().await }
        ),
        operation!(
            "pools",
            get("/pools"),
            json!([{ "poolid": "talos" }]),
            "talos",
            |c| async { c.pools().await }
        ),
        operation!(
            "pool",
            get("/pools/talos"),
            json!({ "members": [{ "id": "qemu/104", "type": "qemu", "vmid": 104 }], "poolid": "talos" }),
            "vmid: Some(VmId(104))",
            |c| async { c.pool("talos").details().await }
        ),
        operation!(
            "nested pool",
            get("/pools?poolid=talos%2Flab"),
            json!([{ "members": [], "poolid": "talos/lab" }]),
            "members: []",
            |c| async { c.pool("talos/lab").details().await }
        ),
        operation!(
            "create pool",
            post("/pools", "poolid=talos&comment=nodes"),
            json!(null),
            "()",
            |c| async { c.pool("talos").create(Some("nodes")).await }
        ),
        operation!(
            "add to pool",
            put("/pools", "poolid=talos&vms=2411000&storage=local"),
            json!(null),
            "()",
            |c| async { c.pool("talos").add(&[vm_id()], &[storage("local")]).await }
        ),
        operation!(
            "remove from pool",
            put("/pools", "poolid=talos&delete=1&vms=2411000"),
            json!(null),
            "()",
            |c| async { c.pool("talos").remove(&[vm_id()], &[]).await }
        ),
        operation!(
            "delete pool",
            delete("/pools?poolid=talos"),
            json!(null),
            "true",
            |c| async { c.pool("talos").delete().await }
        ),
        operation!(
            "realms",
            get("/access/domains"),
            json!([{ "realm": "pam", "comment": "y", "type": "pam" }]),
            "pam",
            |c| async { c.access().realms().await }
        ),
        operation!(
            "users",
            get("/access/users"),
            json!([{ "realm-type": "pve", "enable": 1, "expire": 0, "userid": "alice@pve" }]),
            "enabled: true",
            |c| async { c.access().users().await }
        ),
        operation!(
            "create user",
            post("/access/users", "userid=carol%40pve&comment=x&enable=0"),
            json!(null),
            "()",
            |c| async {
                c.access()
                    .create_user("carol@pve", &UserRequest::new().comment("x").disable())
                    .await
            }
        ),
        operation!(
            "change user",
            put("/access/users/carol%40pve", "enable=1"),
            json!(null),
            "()",
            |c| async {
                c.access()
                    .update_user("carol@pve", &UserRequest::new().enable())
                    .await
            }
        ),
        operation!(
            "delete user",
            delete("/access/users/carol%40pve"),
            json!(null),
            "true",
            |c| async { c.access().delete_user("carol@pve").await }
        ),
        operation!(
            "tokens",
            get("/access/users/carol%40pve/token"),
            json!([{ "tokenid": "boot", "privsep": 0, "expire": 0 }]),
            "separated: Some(false)",
            |c| async { c.access().tokens("carol@pve").await }
        ),
        operation!(
            "create token",
            post("/access/users/carol%40pve/token/boot", "privsep=0"),
            json!({ "full-tokenid": "carol@pve!boot", "info": { "privsep": "0" }, "value": "44444444-4444-4444-4444-444444444444" }),
            "carol@pve!boot",
            |c| async {
                c.access()
                    .create_token("carol@pve", "boot", &TokenRequest::new().unseparated())
                    .await
            }
        ),
        operation!(
            "change token",
            put("/access/users/carol%40pve/token/boot", "expire=5"),
            json!({ "expire": 5 }),
            "()",
            |c| async {
                c.access()
                    .update_token("carol@pve", "boot", &TokenRequest::new().expires_at(5_u64))
                    .await
            }
        ),
        operation!(
            "delete token",
            delete("/access/users/carol%40pve/token/boot"),
            json!(null),
            "true",
            |c| async { c.access().delete_token("carol@pve", "boot").await }
        ),
        operation!(
            "roles",
            get("/access/roles"),
            json!([{ "privs": "Sys.Audit,Sys.Console,Sys.Syslog", "special": 1, "roleid": "PVESysAdmin" }]),
            "built_in: true",
            |c| async { c.access().roles().await }
        ),
        operation!(
            "create role",
            post("/access/roles", "roleid=Boot&privs=VM.Audit%2CVM.Allocate"),
            json!(null),
            "()",
            |c| async {
                c.access()
                    .create_role("Boot", &["VM.Audit", "VM.Allocate"])
                    .await
            }
        ),
        operation!(
            "change role",
            put("/access/roles/Boot", "privs=VM.Audit"),
            json!(null),
            "()",
            |c| async { c.access().update_role("Boot", &["VM.Audit"]).await }
        ),
        operation!(
            "delete role",
            delete("/access/roles/Boot"),
            json!(null),
            "true",
            |c| async { c.access().delete_role("Boot").await }
        ),
        operation!(
            "ACL",
            get("/access/acl"),
            json!([{ "path": "/", "ugid": "root@pam", "type": "user", "roleid": "Administrator", "propagate": 1 }]),
            "propagate: true",
            |c| async { c.access().acl().await }
        ),
        operation!(
            "change ACL",
            put(
                "/access/acl",
                "path=%2Fvms&roles=PVEAuditor&users=carol%40pve"
            ),
            json!(null),
            "()",
            |c| async {
                c.access()
                    .update_acl(&AclUpdate::new("/vms", "PVEAuditor").users("carol@pve"))
                    .await
            }
        ),
    ]
}
