//! Hostile input: whatever a server or a file says, nothing panics, and printing is stable.
//!
//! Inputs are valid texts with a few of their bytes changed. Each kind gets eight times as many as proptest has cases
//! (`PROPTEST_CASES`), for example `PROPTEST_CASES=160000 cargo test -p proxmox-client --lib hostile`. The parser of uploads
//! is tried in `mock/multipart.rs`.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::access::Permissions;
use crate::cluster::{ClusterMember, FirewallRule, GuestInfo, HaRule, ResourceInfo};
use crate::envelope::{ServerResponse, decode};
use crate::id::{MacAddress, NodeName, StorageName, VmId, VolumeId};
use crate::node::{CertificateInfo, NetworkInfo, NodeInfo, NodeStatus};
use crate::property::PropertyString;
use crate::request::Request;
use crate::storage::{StorageInfo, VolumeInfo};
use crate::task::{TaskInfo, TaskProgress};
use crate::upid::TaskId;
use crate::vm::{
    Agent, BootOrder, Cdrom, Disk, Drive, EfiDisk, Machine, NetworkDevice, PendingOption, Size,
    Slot, Smbios, Tags, TpmState, VmConfig, VmInfo, VmStatus,
};

fn inputs() -> u64 {
    u64::from(proptest::test_runner::Config::default().cases) * 8
}

/// Changes texts; the same number gives the same changes.
struct Mutator(u64);

/// What the parsers look for.
const PIECES: &[&[u8]] = &[
    b",",
    b"=",
    b":",
    b";",
    b"/",
    b"@",
    b"!",
    b" ",
    b"\n",
    b"\r\n",
    b"--",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"0",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"0x",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3",
    "ä".as_bytes(),
    b"\0",
    b"size=",
    b"file=",
    b"media=cdrom",
    b"true",
    b"%",
    b"9.9",
    b"none",
];

impl Mutator {
    /// The generator is splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    fn mutated(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + self.below(8)).min(bytes.len());
            match self.below(6) {
                0 => drop(bytes.drain(at..end)),
                1 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                2 => bytes.truncate(at),
                3 if !bytes.is_empty() => bytes[at] = self.next().to_le_bytes()[0],
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        bytes
    }
}

/// Gives mutations of the seeds to the check.
pub(crate) fn attack(seeds: &[&str], check: impl Fn(&[u8])) {
    let mut mutator = Mutator(1);
    for number in 0..inputs() {
        let seed = seeds[usize::try_from(number).unwrap_or_default() % seeds.len()];
        check(&mutator.mutated(seed.as_bytes()));
    }
}

/// A printed text that can be read is printed the same again. A size is read and not printed.
fn survives<T: FromStr + Display>(text: &str) {
    let Ok(read) = text.parse::<T>() else {
        return;
    };
    let printed = read.to_string();
    if let Ok(again) = printed.parse::<T>() {
        assert_eq!(again.to_string(), printed, "from `{text}`");
    }
}

/// Whatever is read is printed as a text that is read again, and printed the same.
fn reads_back<T: FromStr + Display>(text: &str) {
    let Ok(read) = text.parse::<T>() else {
        return;
    };
    let printed = read.to_string();
    let again = printed.parse::<T>().map(|again| again.to_string()).ok();
    assert_eq!(again.as_deref(), Some(&*printed), "from `{text}`");
}

#[test]
fn task_ids_and_names_survive() {
    let seeds = [
        "UPID:pve-01:0003A2F1:01C2D3E4:66A1B2C3:qmcreate:104:ci@pve!boot:",
        "UPID:pve-01:0003A2F1:101C2D3E4:66A1B2C3:imgcopy::root@pam:",
        "local:iso/talos.iso",
        "BC:24:11:AA:BB:CC",
        "2411000",
        "10.5G",
        "scsi30",
        "a;b, v1.10",
    ];
    attack(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        survives::<TaskId>(&text);
        survives::<NodeName>(&text);
        survives::<StorageName>(&text);
        survives::<VolumeId>(&text);
        survives::<MacAddress>(&text);
        survives::<VmId>(&text);
        survives::<Size>(&text);
        survives::<Slot>(&text);
        survives::<Tags>(&text);
        let _ = TaskProgress::of(&text);
        if let Ok(id) = text.parse::<TaskId>() {
            let _ = (
                id.node(),
                id.worker(),
                id.subject(),
                id.user(),
                id.started_at(),
            );
        }
    });
}

#[test]
fn property_strings_survive() {
    let seeds = [
        "nvme-lvm:vm-104-disk-1,aio=native,discard=on,iothread=1,size=32G,ssd=1",
        "nvme-lvm:0,import-from=local:import/talos.raw,backup=0",
        "file=local:iso/a=b.iso,media=cdrom,size=4K",
        "none,media=cdrom",
        "virtio=BC:24:11:AA:BB:CC,bridge=vmbr1,firewall=1,tag=2,mtu=1500,queues=4",
        "model=virtio,macaddr=BC:24:11:AA:BB:CC,link_down=1",
        "nvme-lvm:1,efitype=4m,pre-enrolled-keys=0,size=4M",
        "nvme-lvm:vm-104-disk-3,size=4M,version=v2.0",
        "order=scsi0;ide2;net0;hostpci1",
        "enabled=1,fstrim_cloned_disks=1",
        "uuid=2b1f0d4e-0001-4a6b-9c1d-aabbccddeeff,base64=1,serial=YWJj",
        "pc-q35-9.2+pve1,viommu=intel",
        "type=q35,viommu=virtio",
    ];
    attack(&seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        reads_back::<Disk>(&text);
        reads_back::<Drive>(&text);
        reads_back::<Cdrom>(&text);
        reads_back::<NetworkDevice>(&text);
        reads_back::<EfiDisk>(&text);
        reads_back::<TpmState>(&text);
        reads_back::<BootOrder>(&text);
        reads_back::<Agent>(&text);
        reads_back::<Smbios>(&text);
        reads_back::<Machine>(&text);
        if let Ok(parsed) = PropertyString::parse(&text) {
            assert_eq!(
                PropertyString::parse(&parsed.to_string()).ok(),
                Some(parsed)
            );
        }
    });
}

fn answered(status: u16, phrase: &str, body: &[u8]) -> ServerResponse {
    ServerResponse {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        phrase: Some(phrase.to_owned()),
        content_type: "application/json".to_owned(),
        retry_after: None,
        keeps_connection: true,
        body: Bytes::copy_from_slice(body),
    }
}

/// Reads one answer as a type; an error does not quote the answer.
fn reads<T: serde::de::DeserializeOwned>(request: &Request, data: &Value) {
    if let Err(error) = decode::<T>(request, data.clone()) {
        assert_eq!(error.kind(), crate::ErrorKind::Decode);
    }
}

const ANSWERS: &[&str] = &[
    r#"{"data":[{"vmid":"104","name":"a","status":"running","maxmem":"1024","cpu":0.5,"tags":"a;b"}]}"#,
    r#"{"data":{"memory":"8192","cores":4,"scsi0":"nvme-lvm:vm-104-disk-1,size=32G","net0":"virtio=BC:24:11:AA:BB:CC,bridge=vmbr1","digest":"ab","boot":"order=scsi0","tags":"x","agent":"1","smbios1":"uuid=2b1f0d4e-0001-4a6b-9c1d-aabbccddeeff"}}"#,
    r#"{"data":{"/vms":{"VM.Audit":1,"VM.Allocate":"0"}}}"#,
    r#"{"data":[{"volid":"local:iso/x.iso","format":"iso","size":5,"ctime":"1"}],"total":2}"#,
    r#"{"data":[{"upid":"UPID:pve-01:0003A2F1:01C2D3E4:66A1B2C3:qmcreate:104:ci@pve!boot:","type":"qmcreate","status":"OK","starttime":1}]}"#,
    r#"{"data":{"uptime":5,"loadavg":["0.1"],"rootfs":{"total":9,"free":5,"avail":4},"cpuinfo":{"cpus":4}}}"#,
    r#"{"data":null,"errors":{"vmid":"VM 104 already exists"},"message":"Parameter verification failed.\n"}"#,
    r#"{"data":[{"iface":"vmbr1","type":"bridge","active":1,"bridge_vlan_aware":"1"},{"node":"pve-01","status":"online"}]}"#,
];

#[test]
fn envelopes_and_answers_are_read_or_refused() {
    let request = Request::get("test", "/cluster/nextid", &[]);
    attack(ANSWERS, |bytes| {
        let phrase = String::from_utf8_lossy(bytes);
        for status in [400, 403, 500, 595] {
            assert!(
                answered(status, &phrase, bytes)
                    .into_success(&request)
                    .is_err()
            );
        }
        let Ok(envelope) = answered(200, "OK", bytes).into_envelope(&request) else {
            return;
        };
        let data = envelope.data;
        let at_once = answered(200, "OK", bytes).into_data::<Vec<VmInfo>>(&request);
        let by_value = decode::<Vec<VmInfo>>(&request, data.clone());
        assert_eq!(at_once.ok(), by_value.ok());
        reads::<Vec<VmInfo>>(&request, &data);
        reads::<VmConfig>(&request, &data);
        reads::<VmStatus>(&request, &data);
        reads::<Vec<PendingOption>>(&request, &data);
        reads::<Permissions>(&request, &data);
        reads::<Vec<VolumeInfo>>(&request, &data);
        reads::<Vec<StorageInfo>>(&request, &data);
        reads::<Vec<TaskInfo>>(&request, &data);
        reads::<NodeStatus>(&request, &data);
        reads::<Vec<NodeInfo>>(&request, &data);
        reads::<Vec<NetworkInfo>>(&request, &data);
        reads::<Vec<CertificateInfo>>(&request, &data);
        reads::<Vec<GuestInfo>>(&request, &data);
        reads::<Vec<ResourceInfo>>(&request, &data);
        reads::<Vec<ClusterMember>>(&request, &data);
        reads::<Vec<FirewallRule>>(&request, &data);
        reads::<Vec<HaRule>>(&request, &data);
        reads::<TaskId>(&request, &data);
    });
}
