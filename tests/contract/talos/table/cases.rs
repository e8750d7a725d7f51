//! Every call of the machine API.

use std::io::Write as _;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use talos_client::cosi::{BlockDevice, MachineStatus};
use talos_client::machine::{
    ApplyOptions, BpfInstruction, ContainerNamespace, DebugContainerRequest, DiskUsageRequest,
    EtcdMemberId, EventTail, FileType, HashCheck, HealthCheck, ImageNamespace, ListFiles,
    LogsRequest, PacketCaptureRequest, RebootMode, ResetRequest, ShutdownMode, SocketFilter,
    UpgradeRequest, WipeRequest,
};
use talos_client::secrets::Role;
use talos_client::{Client, ErrorKind, Machine, ResponseStream, Result};

use super::{Case, EXTENSION, HOSTNAME, Node, Running};
use crate::talos::support::control_plane;

const IMAGE: &str = "docker.io/library/alpine:3";
const INSTALLER: &str = "ghcr.io/siderolabs/installer:v1.14.0";

/// What a call does with a client.
macro_rules! run {
    (|$machine:ident| $call:expr) => {
        |client: Client| -> Running {
            Box::pin(async move {
                let $machine = client.machine();
                $call.await.map(drop)
            })
        }
    };
}

/// Waits for the first item of a stream that goes on.
async fn first<T>(mut stream: ResponseStream<T>) -> Result<()> {
    stream.next().await.transpose().map(drop)
}

/// Reads a stream to its end.
async fn all<T: Send + 'static>(stream: ResponseStream<T>) -> Result<Vec<T>> {
    stream.try_collect().await
}

/// A file with this content, as long as the value lives.
fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

/// A database that etcd could have written: pages, and their hash.
fn snapshot() -> Vec<u8> {
    let mut bytes = vec![7; 1024];
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    bytes
}

async fn upload(machine: Machine) -> Result<()> {
    let file = file(&snapshot());
    machine.etcd_recover(file.path()).await
}

/// An archive of `docker save` without layers.
fn archive() -> Vec<u8> {
    let manifest = format!("[{{\"RepoTags\":[\"{IMAGE}\"]}}]");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.len() as u64);
    builder
        .append_data(&mut header, "manifest.json", manifest.as_bytes())
        .unwrap();
    builder.into_inner().unwrap()
}

async fn import(machine: Machine) -> Result<String> {
    let file = file(&archive());
    machine
        .import_image(ImageNamespace::InMemory, file.path())
        .await
}

/// The id that the runtime gives the first container of the API server.
fn container_id() -> String {
    let pod = format!("kube-system/kube-apiserver-{HOSTNAME}");
    let digest: String = Sha256::digest(&pod)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{pod}:kube-apiserver:{}", &digest[..12])
}

async fn debug(machine: Machine) -> Result<()> {
    let request = DebugContainerRequest::of(IMAGE)
        .arguments(["/bin/sh"])
        .environment("TERM", "dumb")
        .terminal();
    let (input, output) = machine.run_debug_container(&request);
    input.resize(80, 24).await?;
    input.write("hello").await?;
    input.signal(15).await?;
    drop(input);
    all(output).await.map(drop)
}

/// A runtime and its namespace, as ImageService names them.
fn instance(driver: Option<&str>, namespace: &str) -> Value {
    match driver {
        Some(driver) => json!({"driver": driver, "namespace": namespace}),
        None => json!({ "namespace": namespace }),
    }
}

fn case(
    call: &'static str,
    path: &'static str,
    roles: &'static str,
    sends: Value,
    run: fn(Client) -> Running,
) -> Case {
    Case {
        call,
        path,
        roles,
        since: 10,
        sends: match sends {
            Value::Array(messages) => messages,
            message => vec![message],
        },
        run,
        node: Node::Shared,
        prepare: None,
        ends: None,
    }
}

/// All calls, in the order of the services.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = configuration();
    cases.extend(etcd());
    cases.extend(information());
    cases.extend(services());
    cases.extend(files());
    cases.extend(life());
    cases.extend(images());
    cases.extend(storage());
    cases.extend(resources());
    cases
}

fn configuration() -> Vec<Case> {
    vec![
        case(
            "apply_configuration",
            "/machine.MachineService/ApplyConfiguration",
            "A",
            json!({"data": "*", "mode": "AUTO", "dry_run": true, "try_mode_timeout": {"seconds": 60}}),
            run!(|machine| async {
                let config = control_plane("v1.10.7");
                let options = ApplyOptions::default().dry_run();
                machine.apply_configuration(&config, options).await
            }),
        ),
        case(
            "client_configuration",
            "/machine.MachineService/GenerateClientConfiguration",
            "A",
            json!({"roles": ["os:reader"], "crt_ttl": {"seconds": 3600}}),
            run!(|machine| async {
                let lifetime = Duration::from_secs(3600);
                machine.client_configuration([Role::Reader], lifetime).await
            }),
        ),
        case(
            "kubeconfig",
            "/machine.MachineService/Kubeconfig",
            "A",
            json!({}),
            run!(|machine| machine.kubeconfig()),
        ),
        case(
            "write_meta",
            "/machine.MachineService/MetaWrite",
            "A",
            json!({"key": 12, "value": "text"}),
            run!(|machine| machine.write_meta(12, b"text")),
        ),
        case(
            "delete_meta",
            "/machine.MachineService/MetaDelete",
            "A",
            json!({"key": 12}),
            run!(|machine| machine.delete_meta(12)),
        ),
    ]
}

fn etcd() -> Vec<Case> {
    vec![
        case(
            "bootstrap",
            "/machine.MachineService/Bootstrap",
            "A",
            json!({}),
            run!(|machine| machine.bootstrap()),
        )
        .on(Node::Waiting),
        case(
            "bootstrap_from_snapshot",
            "/machine.MachineService/Bootstrap",
            "A",
            json!({"recover_etcd": true, "recover_skip_hash_check": true}),
            run!(|machine| machine.bootstrap_from_snapshot(HashCheck::Skip)),
        )
        .on(Node::Waiting)
        .prepared(run!(|machine| upload(machine))),
        case(
            "etcd_recover",
            "/machine.MachineService/EtcdRecover",
            "A",
            json!([{"bytes": "*"}]),
            run!(|machine| upload(machine)),
        )
        .on(Node::Waiting),
        case(
            "etcd_members",
            "/machine.MachineService/EtcdMemberList",
            "RB",
            json!({}),
            run!(|machine| machine.etcd_members()),
        ),
        case(
            "local_etcd_members",
            "/machine.MachineService/EtcdMemberList",
            "RB",
            json!({"query_local": true}),
            run!(|machine| machine.local_etcd_members()),
        ),
        case(
            "etcd_status",
            "/machine.MachineService/EtcdStatus",
            "RB",
            json!({}),
            run!(|machine| machine.etcd_status()),
        ),
        case(
            "etcd_alarms",
            "/machine.MachineService/EtcdAlarmList",
            "RB",
            json!({}),
            run!(|machine| machine.etcd_alarms()),
        ),
        case(
            "etcd_disarm_alarms",
            "/machine.MachineService/EtcdAlarmDisarm",
            "O",
            json!({}),
            run!(|machine| machine.etcd_disarm_alarms()),
        ),
        case(
            "etcd_defragment",
            "/machine.MachineService/EtcdDefragment",
            "O",
            json!({}),
            run!(|machine| machine.etcd_defragment()),
        ),
        case(
            "etcd_snapshot",
            "/machine.MachineService/EtcdSnapshot",
            "OB",
            json!({}),
            run!(|machine| async {
                let directory = tempfile::tempdir().unwrap();
                machine.etcd_snapshot(directory.path().join("db")).await
            }),
        ),
        case(
            "etcd_forfeit_leadership",
            "/machine.MachineService/EtcdForfeitLeadership",
            "A",
            json!({}),
            run!(|machine| machine.etcd_forfeit_leadership()),
        )
        .on(Node::Partnered),
        case(
            "etcd_remove_member",
            "/machine.MachineService/EtcdRemoveMemberByID",
            "A",
            json!({"member_id": 1}),
            // A member that is not there is no failure, but an answer.
            run!(|machine| machine.etcd_remove_member(EtcdMemberId(1))),
        ),
        case(
            "etcd_leave",
            "/machine.MachineService/EtcdLeaveCluster",
            "A",
            json!({}),
            run!(|machine| machine.etcd_leave()),
        )
        .on(Node::Partnered),
        case(
            "etcd_validate_downgrade",
            "/machine.MachineService/EtcdDowngradeValidate",
            "A",
            json!({"version": "3.5"}),
            run!(|machine| machine.etcd_validate_downgrade("3.5")),
        )
        .since(11),
        case(
            "etcd_enable_downgrade",
            "/machine.MachineService/EtcdDowngradeEnable",
            "A",
            json!({"version": "3.5"}),
            run!(|machine| machine.etcd_enable_downgrade("3.5")),
        )
        .since(11),
        case(
            "etcd_cancel_downgrade",
            "/machine.MachineService/EtcdDowngradeCancel",
            "A",
            json!({}),
            run!(|machine| machine.etcd_cancel_downgrade()),
        )
        .since(11),
    ]
}

fn information() -> Vec<Case> {
    let read = |call, path, run| case(call, path, "R", json!({}), run);
    vec![
        read(
            "version",
            "/machine.MachineService/Version",
            run!(|machine| machine.version()),
        ),
        read(
            "hostname",
            "/machine.MachineService/Hostname",
            run!(|machine| machine.hostname()),
        ),
        read(
            "memory",
            "/machine.MachineService/Memory",
            run!(|machine| machine.memory()),
        ),
        read(
            "system_statistics",
            "/machine.MachineService/SystemStat",
            run!(|machine| machine.system_statistics()),
        ),
        read(
            "processes",
            "/machine.MachineService/Processes",
            run!(|machine| machine.processes()),
        ),
        read(
            "mounts",
            "/machine.MachineService/Mounts",
            run!(|machine| machine.mounts()),
        ),
        read(
            "load_average",
            "/machine.MachineService/LoadAvg",
            run!(|machine| machine.load_average()),
        ),
        read(
            "cpus",
            "/machine.MachineService/CPUInfo",
            run!(|machine| machine.cpus()),
        ),
        read(
            "cpu_frequencies",
            "/machine.MachineService/CPUFreqStats",
            run!(|machine| machine.cpu_frequencies()),
        ),
        read(
            "disk_statistics",
            "/machine.MachineService/DiskStats",
            run!(|machine| machine.disk_statistics()),
        ),
        read(
            "network_statistics",
            "/machine.MachineService/NetworkDeviceStats",
            run!(|machine| machine.network_statistics()),
        ),
        read(
            "controller_dependencies",
            "/inspect.InspectService/ControllerRuntimeDependencies",
            run!(|machine| machine.controller_dependencies()),
        ),
        read(
            "time",
            "/time.TimeService/Time",
            run!(|machine| machine.time()),
        ),
        case(
            "compare_time",
            "/time.TimeService/TimeCheck",
            "R",
            json!({"server": "10.0.2.1"}),
            run!(|machine| machine.compare_time("10.0.2.1")),
        ),
        case(
            "sockets",
            "/machine.MachineService/Netstat",
            "R",
            json!({
                "filter": "LISTENING",
                "feature": {"pid": true},
                "l4proto": {"tcp": true, "tcp6": true, "udp": true, "udp6": true},
                "netns": {"hostnetwork": true}
            }),
            run!(|machine| machine.sockets(SocketFilter::Listening)),
        ),
        case(
            "capture_packets",
            "/machine.MachineService/PacketCapture",
            "O",
            json!({
                "interface": "eth0",
                "promiscuous": true,
                "snap_len": 96,
                "bpf_filter": [{"op": 40, "jt": 1, "jf": 2, "k": 12}, {"op": 6}]
            }),
            run!(|machine| async {
                let filter = [
                    BpfInstruction::new(40, 1, 2, 12),
                    BpfInstruction::new(6, 0, 0, 0),
                ];
                let request = PacketCaptureRequest::on("eth0").promiscuous();
                first(machine.capture_packets(request.snap_length(96).filter(filter))).await
            }),
        ),
    ]
}

fn services() -> Vec<Case> {
    vec![
        case(
            "services",
            "/machine.MachineService/ServiceList",
            "R",
            json!({}),
            run!(|machine| machine.services()),
        ),
        case(
            "start_service",
            "/machine.MachineService/ServiceStart",
            "O",
            json!({"id": EXTENSION}),
            run!(|machine| machine.start_service(EXTENSION)),
        ),
        case(
            "stop_service",
            "/machine.MachineService/ServiceStop",
            "O",
            json!({"id": EXTENSION}),
            run!(|machine| machine.stop_service(EXTENSION)),
        ),
        case(
            "restart_service",
            "/machine.MachineService/ServiceRestart",
            "O",
            json!({"id": "kubelet"}),
            run!(|machine| machine.restart_service("kubelet")),
        ),
        case(
            "containers",
            "/machine.MachineService/Containers",
            "R",
            json!({"namespace": "k8s.io", "driver": "CRI"}),
            run!(|machine| machine.containers(ContainerNamespace::Kubernetes)),
        ),
        case(
            "container_statistics",
            "/machine.MachineService/Stats",
            "R",
            json!({"namespace": "system"}),
            run!(|machine| machine.container_statistics(ContainerNamespace::System)),
        ),
        case(
            "restart_container",
            "/machine.MachineService/Restart",
            "O",
            json!({"namespace": "k8s.io", "id": container_id(), "driver": "CRI"}),
            run!(|machine| async {
                let id = container_id();
                machine
                    .restart_container(ContainerNamespace::Kubernetes, &id)
                    .await
            }),
        ),
        case(
            "logs",
            "/machine.MachineService/Logs",
            "R",
            json!({"namespace": "system", "id": "etcd", "follow": true, "tail_lines": 5}),
            run!(|machine| async {
                let request = LogsRequest::service("etcd").follow().tail_lines(5);
                first(machine.logs(request)).await
            }),
        ),
        case(
            "log_ids",
            "/machine.MachineService/LogsContainers",
            "R",
            json!({}),
            run!(|machine| machine.log_ids()),
        ),
        case(
            "follow_dmesg",
            "/machine.MachineService/Dmesg",
            "R",
            json!({"follow": true}),
            run!(|machine| first(machine.follow_dmesg())),
        ),
        case(
            "events",
            "/machine.MachineService/Events",
            "R",
            json!({"tail_events": -1}),
            run!(|machine| first(machine.events(EventTail::All))),
        ),
        case(
            "health_check",
            "/cluster.ClusterService/HealthCheck",
            "R",
            json!({
                "wait_timeout": {"seconds": 30},
                "cluster_info": {"control_plane_nodes": ["10.0.2.10"]}
            }),
            run!(|machine| async {
                let check = HealthCheck::new(Duration::from_secs(30));
                first(machine.health_check(check.control_plane_nodes(["10.0.2.10".to_owned()])))
                    .await
            }),
        ),
    ]
}

fn files() -> Vec<Case> {
    vec![
        case(
            "files",
            "/machine.MachineService/List",
            "R",
            json!({"root": "/etc", "recurse": true, "recursion_depth": 2, "types": ["REGULAR", "DIRECTORY"]}),
            run!(|machine| async {
                let request = ListFiles::in_directory("/etc").depth(2);
                let request = request.only(FileType::Regular).only(FileType::Directory);
                all(machine.files(request)).await
            }),
        ),
        case(
            "disk_usage",
            "/machine.MachineService/DiskUsage",
            "R",
            json!({"recursion_depth": 1, "all": true, "threshold": -9, "paths": ["/etc"]}),
            run!(|machine| async {
                let request = DiskUsageRequest::of(["/etc"]).depth(1).files().at_most(9);
                all(machine.disk_usage(request)).await
            }),
        ),
        case(
            "read_file",
            "/machine.MachineService/Read",
            "A",
            json!({"path": "/etc/os-release"}),
            run!(|machine| machine.read_file("/etc/os-release")),
        ),
        case(
            "archive",
            "/machine.MachineService/Copy",
            "A",
            json!({"root_path": "/etc"}),
            run!(|machine| all(machine.archive("/etc"))),
        ),
    ]
}

fn life() -> Vec<Case> {
    vec![
        case(
            "reboot",
            "/machine.MachineService/Reboot",
            "O",
            json!({"mode": "POWERCYCLE"}),
            run!(|machine| machine.reboot(RebootMode::PowerCycle)),
        )
        .on(Node::Own),
        case(
            "shutdown",
            "/machine.MachineService/Shutdown",
            "O",
            json!({"force": true}),
            run!(|machine| machine.shutdown(ShutdownMode::Force)),
        )
        .on(Node::Own),
        case(
            "reset",
            "/machine.MachineService/Reset",
            "A",
            json!({
                "reboot": true,
                "system_partitions_to_wipe": [{"label": "STATE", "wipe": true}, {"label": "EPHEMERAL", "wipe": true}],
                "mode": "SYSTEM_DISK"
            }),
            run!(|machine| async {
                let request = ResetRequest::to_maintenance().ungraceful();
                machine.reset(&request).await
            }),
        )
        .on(Node::Own),
        case(
            "upgrade",
            "/machine.MachineService/Upgrade",
            "A",
            json!({"image": INSTALLER, "stage": true, "force": true, "reboot_mode": "POWERCYCLE"}),
            run!(|machine| async {
                let request = UpgradeRequest::to(INSTALLER).staged().force();
                machine.upgrade(&request.power_cycle()).await
            }),
        )
        .on(Node::Own),
        case(
            "rollback",
            "/machine.MachineService/Rollback",
            "A",
            json!({}),
            run!(|machine| machine.rollback()),
        )
        .ends(ErrorKind::Server, "previous boot entry not found"),
        case(
            "install",
            "/machine.LifecycleService/Install",
            "A",
            json!({
                "containerd": instance(None, "NS_SYSTEM"),
                "source": {"image_name": INSTALLER},
                "destination": {"disk": "/dev/sdb"}
            }),
            run!(|machine| all(machine.install(INSTALLER, "/dev/sdb"))),
        )
        .since(13)
        .ends(ErrorKind::AlreadyExists, "machine is already installed"),
        case(
            "write_upgrade",
            "/machine.LifecycleService/Upgrade",
            "A",
            json!({
                "containerd": instance(Some("CRI"), "NS_SYSTEM"),
                "source": {"image_name": INSTALLER}
            }),
            run!(|machine| all(machine.write_upgrade(INSTALLER))),
        )
        .since(13)
        .prepared(run!(
            |machine| machine.pull_image(ImageNamespace::System, INSTALLER)
        )),
        case(
            "run_debug_container",
            "/machine.DebugService/ContainerRun",
            "A",
            json!([
                {"spec": {
                    "containerd": instance(None, "NS_SYSTEM"),
                    "image_name": IMAGE,
                    "args": ["/bin/sh"],
                    "env": [{"key": "TERM", "value": "dumb"}],
                    "profile": "PROFILE_PRIVILEGED",
                    "tty": true
                }},
                {"term_resize": {"width": 80, "height": 24}},
                {"stdin_data": "hello"},
                {"signal": 15}
            ]),
            run!(|machine| debug(machine)),
        )
        .since(13)
        .prepared(run!(|machine| import(machine))),
    ]
}

fn images() -> Vec<Case> {
    vec![
        case(
            "images",
            "/machine.MachineService/ImageList",
            "R",
            json!({"namespace": "NS_CRI"}),
            run!(|machine| machine.images(ImageNamespace::Cri)),
        ),
        case(
            "pull_image",
            "/machine.MachineService/ImagePull",
            "O",
            json!({"namespace": "NS_SYSTEM", "reference": IMAGE}),
            run!(|machine| machine.pull_image(ImageNamespace::System, IMAGE)),
        ),
        case(
            "runtime_images",
            "/machine.ImageService/List",
            "R",
            json!({"containerd": instance(None, "NS_SYSTEM")}),
            run!(|machine| machine.runtime_images(ImageNamespace::InMemory)),
        )
        .since(13),
        case(
            "pull_image_observed",
            "/machine.ImageService/Pull",
            "O",
            json!({"containerd": instance(Some("CRI"), "NS_CRI"), "image_ref": IMAGE}),
            run!(|machine| all(machine.pull_image_observed(ImageNamespace::Cri, IMAGE))),
        )
        .since(13),
        case(
            "import_image",
            "/machine.ImageService/Import",
            "A",
            json!([{"containerd": instance(None, "NS_SYSTEM")}, {"image_chunk": {"bytes": "*"}}]),
            run!(|machine| import(machine)),
        )
        .since(13),
        case(
            "remove_image",
            "/machine.ImageService/Remove",
            "A",
            json!({"containerd": instance(Some("CRI"), "NS_SYSTEM"), "image_ref": IMAGE}),
            run!(|machine| machine.remove_image(ImageNamespace::System, IMAGE)),
        )
        .since(13)
        .prepared(run!(
            |machine| machine.pull_image(ImageNamespace::System, IMAGE)
        )),
        case(
            "verify_image",
            "/machine.ImageService/Verify",
            "R",
            json!({"image_ref": IMAGE}),
            run!(|machine| machine.verify_image(IMAGE)),
        )
        .since(13),
    ]
}

fn storage() -> Vec<Case> {
    let none = "lvm: resource not found";
    vec![
        case(
            "disks",
            "/storage.StorageService/Disks",
            "R",
            json!({}),
            run!(|machine| machine.disks()),
        ),
        case(
            "wipe_devices",
            "/storage.StorageService/BlockDeviceWipe",
            "A",
            json!({"devices": [{
                "device": "sdb",
                "method": "ZEROES",
                "skip_volume_check": true,
                "drop_partition": true,
                "skip_secondary_check": true
            }]}),
            run!(|machine| async {
                let request = WipeRequest::of(["sdb"]).zeroes().drop_partitions();
                let request = request.skip_volume_check().skip_secondary_check();
                machine.wipe_devices(&request).await
            }),
        ),
        case(
            "remove_logical_volume",
            "/machine.LVMService/LogicalVolumeRemove",
            "A",
            json!({"volume_group": "vg0", "logical_volume": "data"}),
            run!(|machine| machine.remove_logical_volume("vg0", "data")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, none),
        case(
            "remove_volume_group",
            "/machine.LVMService/VolumeGroupRemove",
            "A",
            json!({"volume_group": "vg0"}),
            run!(|machine| machine.remove_volume_group("vg0")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, none),
        case(
            "remove_physical_volume",
            "/machine.LVMService/PhysicalVolumeRemove",
            "A",
            json!({"device": "/dev/sdb1"}),
            run!(|machine| machine.remove_physical_volume("/dev/sdb1")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, none),
        case(
            "destroy_raid_array",
            "/machine.MDService/Destroy",
            "A",
            json!({"device": "/dev/md/data"}),
            run!(|machine| machine.destroy_raid_array("/dev/md/data")),
        )
        .since(14)
        .ends(ErrorKind::NotFound, "md: array not found"),
    ]
}

fn resources() -> Vec<Case> {
    let status = json!({
        "namespace": "runtime",
        "type": "MachineStatuses.runtime.talos.dev",
        "id": "machine",
        "options": {}
    });
    let mut watched = status.clone();
    watched["api_version"] = json!(1);
    vec![
        case(
            "singleton",
            "/cosi.resource.State/Get",
            "R",
            status,
            |client| {
                Box::pin(async move {
                    let found = client.resources().singleton::<MachineStatus>().await;
                    found.map(drop)
                })
            },
        ),
        case(
            "list",
            "/cosi.resource.State/List",
            "R",
            json!({"namespace": "runtime", "type": "Disks.block.talos.dev", "options": {}}),
            |client| {
                Box::pin(async move {
                    let found = client.resources().list::<BlockDevice>().await;
                    found.map(drop)
                })
            },
        ),
        case(
            "watch",
            "/cosi.resource.State/Watch",
            "R",
            watched,
            |client| {
                Box::pin(async move {
                    first(client.resources().watch::<MachineStatus>("machine")).await
                })
            },
        ),
    ]
}
