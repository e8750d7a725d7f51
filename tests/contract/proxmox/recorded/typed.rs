//! Every recorded answer with every typed call that reads it.

use std::collections::BTreeSet;

use http::Method;
use percent_encoding::percent_decode_str;
use proxmox_client::cluster::ResourceKind;
use proxmox_client::mock::Contract;
use proxmox_client::task::TaskFilter;
use proxmox_client::{Client, ErrorKind, Result};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Exchange, RELEASES, changes, exchanges};
use crate::proxmox::client;
use crate::proxmox::operation_table::operations;
use crate::proxmox::socket::Socket;

/// Drops the value of a call.
macro_rules! read {
    ($call:expr) => {
        Some($call.await.map(|value| drop(format!("{value:?}"))))
    };
}

/// The result of the typed call that reads this path; `None` when the client has none.
async fn typed(client: &Client, exchange: &Exchange) -> Option<Result<()>> {
    let path = exchange.path.trim_start_matches("/api2/json/");
    let path = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let path = percent_decode_str(path).decode_utf8_lossy();
    let segments: Vec<&str> = path.split('/').collect();
    if exchange.method != "GET" {
        return changes::typed(client, exchange, &segments).await;
    }
    let cluster = client.cluster();
    match segments.as_slice() {
        ["version"] => read!(client.version()),
        ["access", "permissions"] => read!(client.permissions()),
        ["access", "domains"] => read!(client.access().realms()),
        ["access", "users"] => read!(client.access().users()),
        ["access", "users", user, "token"] => read!(client.access().tokens(user)),
        ["access", "roles"] => read!(client.access().roles()),
        ["access", "acl"] => read!(client.access().acl()),
        ["cluster", "status"] => read!(cluster.status()),
        ["cluster", "resources"] => {
            let all = read!(cluster.resources(Some(ResourceKind::Node)));
            match exchange.path.contains("type=vm") {
                true => read!(cluster.guests()),
                false => all,
            }
        }
        ["cluster", "options"] => read!(cluster.options()),
        ["cluster", "log"] => read!(cluster.log(1)),
        ["cluster", "tasks"] => read!(cluster.tasks()),
        ["cluster", "nextid"] => read!(cluster.next_vm_id()),
        ["pools"] if exchange.path.contains("poolid=") => None,
        ["pools"] => read!(client.pools()),
        ["pools", pool] => read!(client.pool(*pool).details()),
        ["storage"] => read!(cluster.storages()),
        ["storage", name] => read!(cluster.storage(&name.parse().ok()?)),
        ["nodes"] => read!(client.nodes()),
        ["nodes", node, rest @ ..] => node_call(client, node, rest).await,
        _ => None,
    }
}

async fn node_call(client: &Client, node: &str, rest: &[&str]) -> Option<Result<()>> {
    let node = client.node(node.parse().ok()?);
    match rest {
        ["status"] => read!(node.status()),
        ["version"] => read!(node.version()),
        ["dns"] => read!(node.dns()),
        ["time"] => read!(node.time()),
        ["query-url-metadata"] => {
            let url = "https://images.example.test/x.iso".parse().ok()?;
            read!(node.url_metadata(&url))
        }
        ["services"] => read!(node.services()),
        ["certificates", "info"] => read!(node.certificates()),
        ["capabilities", "qemu", "cpu"] => read!(node.cpu_models()),
        ["capabilities", "qemu", "machines"] => read!(node.machine_versions()),
        ["network"] => read!(node.networks()),
        ["network", iface] => read!(node.network(iface)),
        ["storage"] => read!(node.storages()),
        ["storage", name, "status"] => read!(node.storage(name.parse().ok()?).status()),
        ["storage", name, "content"] => read!(node.storage(name.parse().ok()?).content(None)),
        ["storage", name, "content", ..] => {
            let volume = format!("{name}:x/y.raw").parse().ok()?;
            read!(node.storage(name.parse().ok()?).volume(&volume))
        }
        ["tasks"] => read!(node.tasks(&TaskFilter::new())),
        ["tasks", upid, "status"] => read!(client.task(upid.parse().ok()?).status()),
        ["tasks", upid, "log"] => read!(client.task(upid.parse().ok()?).log(0, 0)),
        ["qemu"] => read!(node.vms()),
        ["qemu", id, rest @ ..] => {
            let vm = node.vm(id.parse().ok()?);
            match rest {
                ["config"] => read!(vm.config()),
                ["pending"] => read!(vm.pending()),
                ["status", "current"] => read!(vm.status()),
                ["cloudinit"] => read!(vm.cloud_init()),
                ["snapshot"] => read!(vm.snapshots()),
                ["feature"] => read!(vm.feature(proxmox_client::vm::Feature::Snapshot)),
                ["agent", "network-get-interfaces"] => read!(vm.guest_interfaces()),
                ["agent", "get-osinfo"] => read!(vm.guest_os()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Recorded calls that the client has no typed call for, as template or path.
const UNTYPED: &[&str] = &[
    "GET ",
    "GET /access/roles/{roleid}",
    "GET /cluster/config/nodes",
    "GET /nodes/{node}/capabilities/qemu/cpu-flags",
    "GET /nodes/{node}/capabilities/qemu/migration",
    "GET /nodes/{node}/qemu/{vmid}/agent",
    "GET /nodes/{node}/qemu/{vmid}/status",
    "GET /nodes/{node}/tasks/{upid}",
    // Made on its own by credentials with a password; `credentials.rs` has its answers.
    "POST /access/ticket",
    "POST /nodes/{node}/qemu/{vmid}/agent",
];

/// The call that an exchange made, as template.
fn template(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/api2/json");
    let path = path.split('?').next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8_lossy();
    let path = path.trim_end_matches('/');
    let found = Contract::pve_9().find(&method.parse::<Method>().unwrap(), path);
    let path = found.map_or(path, |(template, _)| template);
    format!("{method} {path}")
}

fn is_rejection(exchange: &Exchange) -> bool {
    exchange
        .response_body
        .pointer("/data/result/error")
        .is_some()
}

/// Exchanges with an answer for a typed call.
fn answered(data: &str) -> impl Iterator<Item = Exchange> {
    exchanges(data).into_iter().filter(|exchange| {
        // The download of a log is the text itself.
        exchange.status == Some(200)
            && exchange.path.starts_with("/api2/json")
            && !exchange.path.contains("download=1")
    })
}

#[tokio::test]
async fn every_recorded_answer_is_read_by_its_typed_call() {
    let (mut read, mut untyped) = (0, BTreeSet::new());
    for (release, data) in RELEASES {
        for exchange in answered(data) {
            let server = MockServer::start().await;
            let answer = ResponseTemplate::new(200).set_body_json(&exchange.response_body);
            Mock::given(any()).respond_with(answer).mount(&server).await;

            match typed(&client(&server.uri()), &exchange).await {
                Some(Ok(())) => read += 1,
                // A rejection of the guest agent comes with status 200.
                Some(Err(error)) if is_rejection(&exchange) => {
                    assert_eq!(error.kind(), ErrorKind::Rejected, "{}", exchange.label());
                    read += 1;
                }
                Some(Err(error)) => panic!("{release}, {}: {error}", exchange.label()),
                None => {
                    untyped.insert(template(&exchange.method, &exchange.path));
                }
            }
        }
    }
    println!("{read} recorded answers were read by a typed call");
    assert!(read > 400, "{read}");
    let untyped: Vec<&str> = untyped.iter().map(String::as_str).collect();
    assert_eq!(untyped, UNTYPED);
}

/// Typed calls whose answers rest on the description of the API alone: the recorded servers had no high availability, SDN,
/// replication, firewall, backups or mappings, stubs for services and machine versions, and a QEMU that was played.
const WITHOUT_RECORDING: &[&str] = &[
    "DELETE /cluster/ha/groups/{group}",
    "DELETE /cluster/ha/resources/{sid}",
    "DELETE /cluster/ha/rules/{rule}",
    "DELETE /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    "DELETE /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}",
    "DELETE /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
    "DELETE /nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
    "DELETE /nodes/{node}/storage/{storage}/prunebackups",
    "GET /cluster/backup",
    "GET /cluster/ha/groups",
    "GET /cluster/ha/groups/{group}",
    "GET /cluster/ha/resources",
    "GET /cluster/ha/resources/{sid}",
    "GET /cluster/ha/rules",
    "GET /cluster/ha/rules/{rule}",
    "GET /cluster/ha/status/current",
    "GET /cluster/mapping/pci",
    "GET /cluster/mapping/usb",
    "GET /cluster/replication",
    "GET /cluster/sdn/vnets",
    "GET /cluster/sdn/zones",
    "GET /nodes/{node}/capabilities/qemu/machines",
    "GET /nodes/{node}/certificates/info",
    "GET /nodes/{node}/qemu/{vmid}/agent/exec-status",
    "GET /nodes/{node}/qemu/{vmid}/agent/file-read",
    "GET /nodes/{node}/qemu/{vmid}/agent/get-fsinfo",
    "GET /nodes/{node}/qemu/{vmid}/agent/get-host-name",
    "GET /nodes/{node}/qemu/{vmid}/agent/info",
    "GET /nodes/{node}/qemu/{vmid}/cloudinit/dump",
    "GET /nodes/{node}/qemu/{vmid}/firewall/ipset",
    "GET /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    "GET /nodes/{node}/qemu/{vmid}/firewall/options",
    "GET /nodes/{node}/qemu/{vmid}/firewall/rules",
    "GET /nodes/{node}/qemu/{vmid}/migrate",
    "GET /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
    "GET /nodes/{node}/services",
    "GET /nodes/{node}/storage/{storage}/prunebackups",
    "GET /nodes/{node}/time",
    "POST /cluster/ha/groups",
    "POST /cluster/ha/resources",
    "POST /cluster/ha/resources/{sid}/migrate",
    "POST /cluster/ha/resources/{sid}/relocate",
    "POST /cluster/ha/rules",
    "POST /cluster/sdn/vnets",
    "POST /cluster/sdn/zones",
    "POST /nodes/{node}/qemu/{vmid}/agent/exec",
    "POST /nodes/{node}/qemu/{vmid}/agent/file-write",
    "POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze",
    "POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-thaw",
    "POST /nodes/{node}/qemu/{vmid}/clone",
    "POST /nodes/{node}/qemu/{vmid}/firewall/ipset",
    "POST /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}",
    "POST /nodes/{node}/qemu/{vmid}/firewall/rules",
    "POST /nodes/{node}/qemu/{vmid}/migrate",
    "POST /nodes/{node}/qemu/{vmid}/monitor",
    "POST /nodes/{node}/qemu/{vmid}/move_disk",
    "POST /nodes/{node}/qemu/{vmid}/snapshot",
    "POST /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
    "POST /nodes/{node}/qemu/{vmid}/status/reboot",
    "POST /nodes/{node}/qemu/{vmid}/template",
    "POST /nodes/{node}/qemu/{vmid}/termproxy",
    "POST /nodes/{node}/qemu/{vmid}/vncproxy",
    "POST /nodes/{node}/storage/{storage}/content/{volume}",
    "POST /nodes/{node}/vzdump",
    "PUT /access/roles/{roleid}",
    "PUT /access/users/{userid}",
    "PUT /access/users/{userid}/token/{tokenid}",
    "PUT /cluster/ha/groups/{group}",
    "PUT /cluster/ha/resources/{sid}",
    "PUT /cluster/ha/rules/{rule}",
    "PUT /cluster/options",
    "PUT /cluster/sdn",
    "PUT /nodes/{node}/qemu/{vmid}/cloudinit",
    "PUT /nodes/{node}/qemu/{vmid}/firewall/options",
    "PUT /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
    "PUT /nodes/{node}/qemu/{vmid}/sendkey",
    "PUT /nodes/{node}/storage/{storage}/content/{volume}",
];

#[test]
fn the_typed_calls_without_a_recorded_answer_are_known() {
    let recorded: BTreeSet<String> = RELEASES
        .iter()
        .flat_map(|(_, data)| answered(data))
        .map(|exchange| template(&exchange.method, &exchange.path))
        .collect();
    let called: BTreeSet<String> = operations()
        .iter()
        .map(|operation| template(operation.request.0, &operation.request.1))
        .collect();

    let without: Vec<&String> = called.difference(&recorded).collect();
    assert_eq!(without, WITHOUT_RECORDING);
}

/// Texts with status 500 whose meaning depends on nothing but the text, and that the client does not tell apart.
const WITHOUT_MEANING: &[&str] = &[
    "wrong field name",
    "upload failed",
    "expected, at character offset",
    "Not a HASH reference",
    "no such file",
    "invalid server response",
];

#[tokio::test]
async fn every_recorded_rejection_has_a_kind_and_keeps_its_text() {
    let mut seen = 0;
    let mut unknown = Vec::new();
    for (release, data) in RELEASES {
        for exchange in exchanges(data) {
            let Some(status) = exchange.status.filter(|status| *status >= 400) else {
                continue;
            };
            let body = match &exchange.response_body {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                body => body.to_string(),
            };
            let answer = format!(
                "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                exchange.outcome(),
                body.len()
            );
            let socket = Socket::start(&[&answer]).await;

            let error = client(&socket.endpoint).version().await.unwrap_err();

            let label = format!("{release}, {}", exchange.label());
            assert_eq!(
                error.status().map(|status| status.as_u16()),
                Some(status),
                "{label}"
            );
            let phrase = exchange.outcome().split_once(' ').unwrap().1;
            assert!(error.message().contains(phrase), "{label}: {error}");
            assert_ne!(error.kind(), ErrorKind::Decode, "{label}");
            let meaningless = WITHOUT_MEANING.iter().any(|text| phrase.contains(text));
            if error.kind() == ErrorKind::Server && !meaningless {
                unknown.push(format!("{label}: {error}"));
            }
            seen += 1;
        }
    }
    println!("{seen} recorded rejections have a kind");
    assert!(seen > 150, "{seen}");
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}
