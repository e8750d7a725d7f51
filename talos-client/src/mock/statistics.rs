//! Numbers of a mock node: plausible, and the same every time.

use sha2::{Digest, Sha256};

use super::node::{Mode, Node};
use super::services;
use crate::api::pb::machine as pb;

const MIB: u64 = 1024 * 1024;

/// A SHA-256 in hexadecimal digits.
pub(super) fn hex_digest(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(super) fn processes(node: &Node) -> Vec<pb::ProcessInfo> {
    let init = process(1, 0, "init", "/sbin/init");
    let services = services::list(node)
        .into_iter()
        .filter(|service| service.state == "Running");
    let services = services
        .zip(100..)
        .map(|(service, pid)| process(pid, 1, &service.id, &format!("/{}", service.id)));
    std::iter::once(init).chain(services).collect()
}

fn process(pid: i32, ppid: i32, command: &str, executable: &str) -> pb::ProcessInfo {
    pb::ProcessInfo {
        pid,
        ppid,
        state: "S".to_owned(),
        threads: 8,
        cpu_time: 1.5,
        virtual_memory: 1024 * MIB,
        resident_memory: 64 * MIB,
        command: command.to_owned(),
        executable: executable.to_owned(),
        args: executable.to_owned(),
        label: String::new(),
    }
}

pub(super) fn mounts(node: &Node) -> Vec<pb::MountStat> {
    let mount = |filesystem: &str, size: u64, mounted_on: &str| pb::MountStat {
        filesystem: filesystem.to_owned(),
        size,
        available: size / 2,
        mounted_on: mounted_on.to_owned(),
    };
    let mut mounts = vec![mount("proc", 0, "/proc"), mount("tmpfs", 64 * MIB, "/run")];
    let installed = node.state().installed.clone();
    if let Some(installed) = installed.filter(|_| node.mode() == Mode::Configured) {
        let disk = node
            .setup
            .disks
            .iter()
            .find(|disk| disk.device == installed.disk);
        let size = disk.map_or(0, |disk| disk.size);
        mounts.push(mount(
            &format!("{}6", installed.disk),
            size.saturating_sub(1400 * MIB),
            "/var",
        ));
    }
    mounts
}

/// The machine API that listens, and one client of it.
pub(super) fn sockets(request: &pb::NetstatRequest) -> Vec<pb::ConnectRecord> {
    use pb::connect_record::{Process, State};
    use pb::netstat_request::Filter;
    let process = Process {
        pid: 1200,
        name: "apid".to_owned(),
    };
    let has_process = request.feature.is_some_and(|feature| feature.pid);
    let socket = |state: State, remote: &str, port: u32| pb::ConnectRecord {
        l4proto: "tcp".to_owned(),
        localip: "127.0.0.1".to_owned(),
        localport: 50_000,
        remoteip: remote.to_owned(),
        remoteport: port,
        state: state.into(),
        process: has_process.then(|| process.clone()),
        ..Default::default()
    };
    let listening = socket(State::Listen, "0.0.0.0", 0);
    let connected = socket(State::Established, "127.0.0.1", 40_000);
    match request.filter() {
        Filter::All => vec![listening, connected],
        Filter::Connected => vec![connected],
        Filter::Listening => vec![listening],
    }
}

pub(super) fn cpus() -> Vec<pb::CpuInfo> {
    let cpu = |processor| pb::CpuInfo {
        processor,
        vendor_id: "GenuineIntel".to_owned(),
        model_name: "QEMU Virtual CPU version 2.5+".to_owned(),
        cpu_mhz: 2400.0,
        cpu_cores: 2,
        flags: vec!["fpu".to_owned(), "vmx".to_owned()],
        ..Default::default()
    };
    vec![cpu(0), cpu(1)]
}

pub(super) fn disks(node: &Node) -> Vec<pb::DiskStat> {
    let names = node
        .setup
        .disks
        .iter()
        .map(|disk| disk.device.rsplit('/').next().unwrap_or_default());
    names
        .map(|name| pb::DiskStat {
            name: name.to_owned(),
            read_completed: 1_000,
            read_sectors: 8_000,
            write_completed: 500,
            write_sectors: 4_000,
            ..Default::default()
        })
        .collect()
}

pub(super) fn interfaces() -> Vec<pb::NetDev> {
    let interface = |name: &str| pb::NetDev {
        name: name.to_owned(),
        rx_bytes: 10_000,
        rx_packets: 100,
        tx_bytes: 20_000,
        tx_packets: 200,
        ..Default::default()
    };
    vec![interface("lo"), interface("eth0")]
}
