//! Operations on guests: agent, consoles, firewall.

use proxmox_client::cluster::{FirewallOptionsUpdate, FirewallRuleRequest, FirewallRuleUpdate};
use proxmox_client::{Client, Vm};
use serde_json::json;

use super::operation_table::{Operation, delete, get, operation, post, put};
use super::{node, vm_id};

fn machine(client: &Client) -> Vm {
    client.node(node()).vm(vm_id())
}

#[allow(
    clippy::too_many_lines,
    reason = "a table with one row for each operation"
)]
pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation!(
            "agent ping",
            post("/nodes/pve-01/qemu/2411000/agent/ping", ""),
            json!({ "result": {} }),
            "()",
            |c| async { machine(&c).agent_ping().await }
        ),
        operation!(
            "agent info",
            get("/nodes/pve-01/qemu/2411000/agent/info"),
            json!({ "result": { "version": "9.0", "supported_commands": [{ "name": "guest-ping", "enabled": true }] } }),
            "guest-ping",
            |c| async { machine(&c).agent_info().await }
        ),
        operation!(
            "guest OS",
            get("/nodes/pve-01/qemu/2411000/agent/get-osinfo"),
            json!({ "result": { "id": "talos", "pretty-name": "Talos (v1.13.0)" } }),
            "Talos (v1.13.0)",
            |c| async { machine(&c).guest_os().await }
        ),
        operation!(
            "guest host name",
            get("/nodes/pve-01/qemu/2411000/agent/get-host-name"),
            json!({ "result": { "host-name": "tal01" } }),
            "tal01",
            |c| async { machine(&c).guest_host_name().await }
        ),
        operation!(
            "guest file systems",
            get("/nodes/pve-01/qemu/2411000/agent/get-fsinfo"),
            json!({ "result": [{ "mountpoint": "/var", "total-bytes": 9 }] }),
            "total: Some(9)",
            |c| async { machine(&c).guest_file_systems().await }
        ),
        operation!(
            "freeze",
            post("/nodes/pve-01/qemu/2411000/agent/fsfreeze-freeze", ""),
            json!({ "result": 2 }),
            "2",
            |c| async { machine(&c).freeze_file_systems().await }
        ),
        operation!(
            "thaw",
            post("/nodes/pve-01/qemu/2411000/agent/fsfreeze-thaw", ""),
            json!({ "result": 2 }),
            "2",
            |c| async { machine(&c).thaw_file_systems().await }
        ),
        operation!(
            "exec",
            post(
                "/nodes/pve-01/qemu/2411000/agent/exec",
                "command=ls&command=-l"
            ),
            json!({ "pid": 7 }),
            "pid: 7",
            |c| async { machine(&c).exec(&["ls", "-l"]).await }
        ),
        operation!(
            "exec status",
            get("/nodes/pve-01/qemu/2411000/agent/exec-status?pid=4711"),
            json!({ "exited": 1, "exitcode": 0, "out-data": "x" }),
            "exit_code: Some(0)",
            |c| async { machine(&c).exec_status(4711).await }
        ),
        operation!(
            "read file",
            get("/nodes/pve-01/qemu/2411000/agent/file-read?file=%2Fetc%2Fhostname"),
            json!({ "content": "tal01" }),
            "tal01",
            |c| async { machine(&c).read_guest_file("/etc/hostname").await }
        ),
        operation!(
            "write file",
            post(
                "/nodes/pve-01/qemu/2411000/agent/file-write",
                "file=%2Fetc%2Fmotd&content=a+b"
            ),
            json!(null),
            "()",
            |c| async { machine(&c).write_guest_file("/etc/motd", "a b").await }
        ),
        operation!(
            "serial console",
            post("/nodes/pve-01/qemu/2411000/termproxy", "serial=serial0"),
            json!({ "port": "5900", "user": "ci@pve", "ticket": "PVEVNC:x" }),
            "port: 5900",
            |c| async { machine(&c).serial_console(Some("serial0")).await }
        ),
        operation!(
            "VNC console",
            post("/nodes/pve-01/qemu/2411000/vncproxy", "websocket=1"),
            json!({ "port": 5901, "user": "ci@pve", "ticket": "PVEVNC:x" }),
            "port: 5901",
            |c| async { machine(&c).vnc_console().await }
        ),
        operation!(
            "send key",
            put("/nodes/pve-01/qemu/2411000/sendkey", "key=ctrl-alt-f1"),
            json!(null),
            "()",
            |c| async { machine(&c).send_key("ctrl-alt-f1").await }
        ),
        operation!(
            "monitor",
            post("/nodes/pve-01/qemu/2411000/monitor", "command=info+status"),
            json!("VM status: running"),
            "running",
            |c| async { machine(&c).monitor("info status").await }
        ),
        operation!(
            "firewall options",
            get("/nodes/pve-01/qemu/2411000/firewall/options"),
            json!({ "enable": 1, "policy_in": "DROP", "digest": "x" }),
            "enabled: true",
            |c| async { machine(&c).firewall_options().await }
        ),
        operation!(
            "change firewall options",
            put(
                "/nodes/pve-01/qemu/2411000/firewall/options",
                "policy_in=DROP&enable=1"
            ),
            json!(null),
            "()",
            |c| async {
                machine(&c)
                    .update_firewall_options(
                        &FirewallOptionsUpdate::new().policy_in("DROP").enable(),
                    )
                    .await
            }
        ),
        operation!(
            "firewall rules",
            get("/nodes/pve-01/qemu/2411000/firewall/rules"),
            json!([{ "pos": 0, "type": "in", "action": "ACCEPT", "enable": 1, "macro": "SSH" }]),
            "preset: Some(\"SSH\")",
            |c| async { machine(&c).firewall_rules().await }
        ),
        operation!(
            "add firewall rule",
            post(
                "/nodes/pve-01/qemu/2411000/firewall/rules",
                "type=in&action=ACCEPT&dport=50000&proto=tcp&enable=1"
            ),
            json!(null),
            "()",
            |c| async {
                machine(&c)
                    .add_firewall_rule(
                        &FirewallRuleRequest::new("in", "ACCEPT")
                            .destination_ports("50000")
                            .protocol("tcp")
                            .enable(),
                    )
                    .await
            }
        ),
        operation!(
            "change firewall rule",
            put(
                "/nodes/pve-01/qemu/2411000/firewall/rules/1",
                "action=DROP&delete=comment&digest=x&enable=0"
            ),
            json!(null),
            "()",
            |c| async {
                let update = FirewallRuleUpdate::new()
                    .action("DROP")
                    .unset("comment")
                    .digest("x")
                    .disable();
                machine(&c).update_firewall_rule(1, &update).await
            }
        ),
        operation!(
            "move firewall rule",
            put(
                "/nodes/pve-01/qemu/2411000/firewall/rules/1",
                "moveto=0&digest=x"
            ),
            json!(null),
            "()",
            |c| async { machine(&c).move_firewall_rule(1, 0, Some("x")).await }
        ),
        operation!(
            "delete firewall rule",
            delete("/nodes/pve-01/qemu/2411000/firewall/rules/0?digest=x"),
            json!(null),
            "()",
            |c| async { machine(&c).delete_firewall_rule(0, Some("x")).await }
        ),
        operation!(
            "IP sets",
            get("/nodes/pve-01/qemu/2411000/firewall/ipset"),
            json!([{ "name": "admins", "digest": "x" }]),
            "admins",
            |c| async { machine(&c).ip_sets().await }
        ),
        operation!(
            "create IP set",
            post("/nodes/pve-01/qemu/2411000/firewall/ipset", "name=admins"),
            json!(null),
            "()",
            |c| async { machine(&c).create_ip_set("admins").await }
        ),
        operation!(
            "rename IP set",
            post(
                "/nodes/pve-01/qemu/2411000/firewall/ipset",
                "rename=admins&name=people&digest=x"
            ),
            json!(null),
            "()",
            |c| async {
                machine(&c)
                    .rename_ip_set("admins", "people", Some("x"))
                    .await
            }
        ),
        operation!(
            "IP set",
            get("/nodes/pve-01/qemu/2411000/firewall/ipset/admins"),
            json!([{ "cidr": "10.0.0.0/24", "nomatch": 1 }]),
            "excluded: true",
            |c| async { machine(&c).ip_set("admins").await }
        ),
        operation!(
            "add to IP set",
            post(
                "/nodes/pve-01/qemu/2411000/firewall/ipset/admins",
                "cidr=10.0.0.0%2F24"
            ),
            json!(null),
            "()",
            |c| async { machine(&c).add_to_ip_set("admins", "10.0.0.0/24").await }
        ),
        operation!(
            "remove from IP set",
            delete("/nodes/pve-01/qemu/2411000/firewall/ipset/admins/10.0.0.0%2F24"),
            json!(null),
            "()",
            |c| async {
                machine(&c)
                    .remove_from_ip_set("admins", "10.0.0.0/24", None)
                    .await
            }
        ),
        operation!(
            "delete IP set",
            delete("/nodes/pve-01/qemu/2411000/firewall/ipset/admins"),
            json!(null),
            "()",
            |c| async { machine(&c).delete_ip_set("admins").await }
        ),
    ]
}
