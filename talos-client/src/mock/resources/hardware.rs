//! The resources about what the machine consists of, and its addresses.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{Resources, put};
use crate::api::cosi::{
    BlockDevice, HostnameStatus, NodeAddresses, SingletonSpec as _, SystemDisk, SystemInformation,
};
use crate::api::pb::common;
use crate::api::pb::definitions::{block, hardware, network};
use crate::mock::builder::{MockDisk, Setup};
use crate::mock::node::{self, State};

pub(super) fn hardware(setup: &Setup, state: &State, resources: &mut Resources) {
    put::<SystemInformation>(
        resources,
        SystemInformation::ID,
        &hardware::SystemInformationSpec {
            manufacturer: "QEMU".to_owned(),
            product_name: "Standard PC (Q35 + ICH9, 2009)".to_owned(),
            uuid: setup.uuid.clone(),
            ..Default::default()
        },
        format!(
            "manufacturer: QEMU\nproductName: Standard PC (Q35 + ICH9, 2009)\nuuid: {}\n",
            setup.uuid
        ),
    );
    for disk in &setup.disks {
        let id = disk.device.rsplit('/').next().unwrap_or(&disk.device);
        put::<BlockDevice>(resources, id, &block_device(disk), disk_yaml(disk));
    }
    if let Some(installed) = &state.installed {
        let id = installed.disk.rsplit('/').next().unwrap_or(&installed.disk);
        put::<SystemDisk>(
            resources,
            SystemDisk::ID,
            &block::SystemDiskSpec {
                disk_id: id.to_owned(),
                dev_path: installed.disk.clone(),
            },
            format!("diskID: {id}\ndevPath: {}\n", installed.disk),
        );
    }
}

fn block_device(disk: &MockDisk) -> block::DiskSpec {
    block::DiskSpec {
        size: disk.size,
        readonly: disk.is_cdrom,
        model: "QEMU HARDDISK".to_owned(),
        transport: "virtio".to_owned(),
        cdrom: disk.is_cdrom,
        dev_path: disk.device.clone(),
        ..Default::default()
    }
}

fn disk_yaml(disk: &MockDisk) -> String {
    format!(
        "dev_path: {}\nsize: {}\nreadonly: {2}\ncdrom: {2}\nmodel: QEMU HARDDISK\ntransport: virtio\nrotational: false\n",
        disk.device, disk.size, disk.is_cdrom
    )
}

pub(super) fn network(setup: &Setup, state: &State, resources: &mut Resources) {
    let hostname = node::hostname(setup, state);
    put::<HostnameStatus>(
        resources,
        HostnameStatus::ID,
        &network::HostnameStatusSpec {
            hostname: hostname.clone(),
            domainname: String::new(),
        },
        format!("hostname: {hostname}\ndomainname: \"\"\n"),
    );
    let mut yaml = "addresses:\n".to_owned();
    let mut addresses = Vec::new();
    for address in &setup.addresses {
        let (ip, length) = match address {
            IpAddr::V4(ip) => (ip.octets().to_vec(), 24),
            IpAddr::V6(ip) => (ip.octets().to_vec(), 64),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(yaml, "    - {address}/{length}");
        addresses.push(common::NetIpPrefix {
            ip,
            prefix_length: length,
        });
    }
    for id in ["current", "routed", "accumulative"] {
        put::<NodeAddresses>(
            resources,
            id,
            &network::NodeAddressSpec {
                addresses: addresses.clone(),
                sort_algorithm: 0,
            },
            yaml.clone(),
        );
    }
}
