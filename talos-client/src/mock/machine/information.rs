//! What the machine service says about the node and its kernel.

use std::time::UNIX_EPOCH;

use tonic::Status;

use super::{Stream, control_plane_only, data, once};
use crate::api::pb::common::Data;
use crate::api::pb::machine as pb;
use crate::mock::event::MockEvent;
use crate::mock::node::Node;
use crate::mock::{kubeconfig, statistics};

pub(super) fn version(node: &Node, _: &()) -> Result<pb::Version, Status> {
    let platform = &node.setup.platform;
    let mode = match platform.as_str() {
        "metal" => "metal",
        _ => "cloud",
    };
    Ok(pb::Version {
        metadata: None,
        version: Some(pb::VersionInfo {
            tag: node.state().image.version.clone(),
            sha: "0000000".to_owned(),
            os: "linux".to_owned(),
            arch: "amd64".to_owned(),
            ..Default::default()
        }),
        platform: Some(pb::PlatformInfo {
            name: platform.clone(),
            mode: mode.to_owned(),
        }),
        features: Some(pb::FeaturesInfo { rbac: true }),
    })
}

pub(super) fn hostname(node: &Node, _: &()) -> Result<pb::Hostname, Status> {
    Ok(pb::Hostname {
        metadata: None,
        hostname: node.hostname(),
    })
}

pub(super) fn kubeconfig(node: &Node, _: &()) -> Result<Stream<Data>, Status> {
    control_plane_only(node, "kubeconfig")?;
    let config = node.state().config.clone();
    let config = config.ok_or_else(|| Status::unknown("no configuration"))?;
    let archive = kubeconfig::archive(&config)?;
    node.events.push(MockEvent::KubeconfigIssued);
    Ok(once(data(archive)))
}

pub(super) fn memory(node: &Node, _: &()) -> Result<pb::Memory, Status> {
    Ok(pb::Memory {
        metadata: None,
        meminfo: Some(pb::MemInfo {
            memtotal: node.setup.memory_mib.saturating_mul(1024),
            ..Default::default()
        }),
    })
}

pub(super) fn system(node: &Node, _: &()) -> Result<pb::SystemStat, Status> {
    let booted = node.state().booted.duration_since(UNIX_EPOCH);
    Ok(pb::SystemStat {
        boot_time: booted.map_or(0, |age| age.as_secs()),
        ..Default::default()
    })
}

pub(super) fn processes(node: &Node, _: &()) -> Result<pb::Process, Status> {
    Ok(pb::Process {
        metadata: None,
        processes: statistics::processes(node),
    })
}

pub(super) fn mounts(node: &Node, _: &()) -> Result<pb::Mounts, Status> {
    Ok(pb::Mounts {
        metadata: None,
        stats: statistics::mounts(node),
    })
}

pub(super) fn load(_: &Node, _: &()) -> Result<pb::LoadAvg, Status> {
    Ok(pb::LoadAvg {
        metadata: None,
        load1: 0.5,
        load5: 0.25,
        load15: 0.125,
    })
}

pub(super) fn cpus(_: &Node, _: &()) -> Result<pb::CpUsInfo, Status> {
    Ok(pb::CpUsInfo {
        metadata: None,
        cpu_info: statistics::cpus(),
    })
}

/// The processors of a virtual machine have no driver that tells their clock: then machined gives an empty message for each.
pub(super) fn cpu_frequencies(_: &Node, _: &()) -> Result<pb::CpUsFreqStats, Status> {
    let unknown = statistics::cpus()
        .into_iter()
        .map(|_| pb::CpuFreqStats::default());
    Ok(pb::CpUsFreqStats {
        metadata: None,
        cpu_freq_stats: unknown.collect(),
    })
}

pub(super) fn disks(node: &Node, _: &()) -> Result<pb::DiskStats, Status> {
    Ok(pb::DiskStats {
        metadata: None,
        total: Some(pb::DiskStat::default()),
        devices: statistics::disks(node),
    })
}

pub(super) fn interfaces(_: &Node, _: &()) -> Result<pb::NetworkDeviceStats, Status> {
    Ok(pb::NetworkDeviceStats {
        metadata: None,
        total: Some(pb::NetDev::default()),
        devices: statistics::interfaces(),
    })
}

pub(super) fn sockets(_: &Node, asked: &pb::NetstatRequest) -> Result<pb::Netstat, Status> {
    Ok(pb::Netstat {
        metadata: None,
        connectrecord: statistics::sockets(asked),
    })
}
