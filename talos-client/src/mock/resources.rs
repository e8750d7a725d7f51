//! The resources that follow from a mock node's state, in both encodings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use secrecy::ExposeSecret;

use super::builder::{MockDisk, Setup};
use super::document::NodeConfig;
use super::node::{self, Etcd, Mode, State};
use super::store::{Content, Key};

use crate::api::cosi::{
    BlockDevice, ExtensionStatus, HostnameStatus, LocalEtcdMember, MachineConfigStatus,
    MachineStatus, MachineType, NodeAddresses, NodeStatus, ResourceSpec, RunningService,
    SecurityState, SingletonSpec, Stage, StaticPodStatus, SystemDisk, SystemInformation,
    TimeStatus, VersionStatus,
};
use crate::api::pb::definitions::{
    block, etcd, extensions, hardware, k8s, network, runtime, time, v1alpha1,
};
use crate::api::pb::{common, resource};
use crate::config::TalosVersion;
use crate::yaml::{Node, Scalar, Style};

/// The control plane's static pods.
pub(super) const COMPONENTS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

type Resources = BTreeMap<Key, Content>;

/// Everything that exists in this state.
pub(super) fn derive(setup: &Setup, state: &State) -> Resources {
    let mut resources = Resources::new();
    if state.mode == Mode::Down && state.stage == Stage::Unknown {
        return resources;
    }
    machine(setup, state, &mut resources);
    hardware(setup, state, &mut resources);
    network(setup, state, &mut resources);
    if state.mode != Mode::Maintenance {
        services(setup, state, &mut resources);
        kubernetes(setup, state, &mut resources);
    }
    resources
}

/// What the machine is not ready without; judged only while booting and running.
pub(super) fn unmet_conditions(state: &State) -> Vec<(&'static str, String)> {
    if !matches!(state.stage, Stage::Booting | Stage::Running) {
        return Vec::new();
    }
    let mut unmet = Vec::new();
    if !state.is_time_synced {
        unmet.push(("time", "time is not synced".to_owned()));
    }
    let missing: Vec<String> = [
        (state.has_services, "cri not running"),
        (state.has_services, "kubelet not running"),
        (
            matches!(state.etcd, Etcd::Healthy | Etcd::Absent),
            "etcd not running",
        ),
    ]
    .into_iter()
    .filter(|(is_met, _)| !is_met)
    .map(|(_, reason)| reason.to_owned())
    .collect();
    if !missing.is_empty() {
        unmet.push(("services", missing.join(", ")));
    }
    if !state.has_static_pods && state.etcd != Etcd::Absent {
        unmet.push(("staticPods", "no static pods".to_owned()));
    }
    if !state.is_node_ready {
        unmet.push(("nodeReady", "node status is not available yet".to_owned()));
    }
    unmet
}

/// The number of a stage on the wire.
pub(super) fn stage_number(stage: Stage) -> i32 {
    (0..=8)
        .find(|number| Stage::from_wire(*number) == stage)
        .unwrap_or(0)
}

fn put<T: ResourceSpec>(
    resources: &mut Resources,
    id: impl Into<String>,
    message: &T::Message,
    yaml: impl Into<String>,
) {
    resources.insert(
        (T::TYPE, id.into()),
        Content {
            namespace: T::NAMESPACE,
            owner: owner(T::TYPE),
            annotation: None,
            proto: message.encode_to_vec(),
            yaml: yaml.into(),
        },
    );
}

/// The controllers of v1.12.11 that write the resources.
fn owner(kind: &str) -> &'static str {
    match kind.split('.').next().unwrap_or(kind) {
        "MachineStatuses" => "runtime.MachineStatusController",
        "Versions" => "runtime.VersionController",
        "SecurityStates" => "runtime.SecurityStateController",
        "TimeStatuses" => "time.SyncController",
        "SystemInformations" => "hardware.SystemInfoController",
        "Disks" => "block.DisksController",
        "SystemDisks" => "block.SystemDiskController",
        "HostnameStatuses" => "network.HostnameSpecController",
        "NodeAddresses" => "network.NodeAddressController",
        "Services" => "v1alpha1.ServiceController",
        "EtcdMembers" => "etcd.MemberController",
        "MachineTypes" => "config.MachineTypeController",
        "NodeStatuses" => "k8s.NodeStatusController",
        "StaticPodStatuses" => "k8s.KubeletStaticPodController",
        "Members" => "cluster.MemberController",
        // Extensions and the configuration are put there before controllers run.
        _ => "",
    }
}

fn machine(setup: &Setup, state: &State, resources: &mut Resources) {
    let unmet = unmet_conditions(state);
    let mut yaml = format!(
        "stage: {}\nstatus:\n    ready: {}\n    unmetConditions:",
        state.stage,
        unmet.is_empty()
    );
    yaml.push_str(if unmet.is_empty() { " []\n" } else { "\n" });
    for (name, reason) in &unmet {
        // Writing to a string cannot fail.
        let _ = write!(
            yaml,
            "        - name: {name}\n          reason: {reason:?}\n"
        );
    }
    put::<MachineStatus>(
        resources,
        MachineStatus::ID,
        &runtime::MachineStatusSpec {
            stage: stage_number(state.stage),
            status: Some(runtime::MachineStatusStatus {
                ready: unmet.is_empty(),
                unmet_conditions: unmet
                    .into_iter()
                    .map(|(name, reason)| runtime::UnmetCondition {
                        name: name.to_owned(),
                        reason,
                    })
                    .collect(),
            }),
        },
        yaml,
    );
    put::<VersionStatus>(
        resources,
        VersionStatus::ID,
        &runtime::VersionSpec {
            version: state.image.version.clone(),
            name: String::new(),
        },
        format!("version: {}\n", state.image.version),
    );
    put::<SecurityState>(
        resources,
        SecurityState::ID,
        &runtime::SecurityStateSpec {
            secure_boot: setup.is_secure_boot,
            booted_with_uki: setup.is_secure_boot,
            ..Default::default()
        },
        format!(
            "secureBoot: {0}\nukiSigningKeyFingerprint: \"\"\npcrSigningKeyFingerprint: \"\"\nselinuxState: permissive\nbootedWithUKI: {0}\n",
            setup.is_secure_boot
        ),
    );
    put::<TimeStatus>(
        resources,
        TimeStatus::ID,
        &time::StatusSpec {
            synced: state.is_time_synced,
            ..Default::default()
        },
        format!(
            "synced: {}\nepoch: 0\nsyncDisabled: false\n",
            state.is_time_synced
        ),
    );
    image(state, resources);
}

fn image(state: &State, resources: &mut Resources) {
    let schematic = state
        .image
        .schematic
        .iter()
        .map(|id| ("schematic", id.as_str()));
    let extensions = state
        .image
        .extensions
        .iter()
        .map(|name| (name.rsplit('/').next().unwrap_or(name), "v0"));
    for (index, (name, version)) in extensions.chain(schematic).enumerate() {
        let layer = format!("{index:03}.{name}");
        put::<ExtensionStatus>(
            resources,
            index.to_string(),
            &extensions::Layer {
                image: format!("{layer}.sqsh"),
                metadata: Some(extensions::Metadata {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    ..Default::default()
                }),
            },
            format!("image: {layer}.sqsh\nmetadata:\n    name: {name}\n    version: {version}\n"),
        );
    }
}

fn hardware(setup: &Setup, state: &State, resources: &mut Resources) {
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

fn network(setup: &Setup, state: &State, resources: &mut Resources) {
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

fn services(setup: &Setup, state: &State, resources: &mut Resources) {
    let running = [
        ("apid", state.mode == Mode::Configured, true),
        ("cri", state.has_services, true),
        ("kubelet", state.has_services, state.has_static_pods),
        (
            "etcd",
            matches!(state.etcd, Etcd::Starting | Etcd::Healthy),
            state.etcd == Etcd::Healthy,
        ),
    ];
    for (id, _, healthy) in running.into_iter().filter(|(_, is_running, _)| *is_running) {
        put::<RunningService>(
            resources,
            id,
            &v1alpha1::ServiceSpec {
                running: true,
                healthy,
                unknown: false,
            },
            format!("running: true\nhealthy: {healthy}\nunknown: false\n"),
        );
    }
    if state.etcd == Etcd::Healthy {
        let id = format!("{:016x}", super::etcd::id_of(setup));
        put::<LocalEtcdMember>(
            resources,
            LocalEtcdMember::ID,
            &etcd::MemberSpec {
                member_id: id.clone(),
            },
            format!("memberID: {id}\n"),
        );
    }
}

fn kubernetes(setup: &Setup, state: &State, resources: &mut Resources) {
    let Some(config) = &state.config else {
        return;
    };
    let minor = minor_of(state);
    machine_config(MachineConfigStatus::ACTIVE, config, minor, resources);
    if let Some(persistent) = &state.persistent {
        machine_config(
            MachineConfigStatus::PERSISTENT,
            persistent,
            minor,
            resources,
        );
    }
    authority(config, resources);
    let (number, word) = if config.is_control_plane {
        (2, "controlplane")
    } else {
        (3, "worker")
    };
    put::<MachineType>(
        resources,
        MachineType::ID,
        &resource::config::MachineTypeSpec {
            machine_type: number,
        },
        format!("{word}\n"),
    );
    if !state.has_static_pods {
        return;
    }
    let hostname = node::hostname(setup, state);
    put::<NodeStatus>(
        resources,
        hostname.clone(),
        &k8s::NodeStatusSpec {
            nodename: hostname.clone(),
            node_ready: state.is_node_ready,
            ..Default::default()
        },
        format!(
            "nodename: {hostname}\nnodeReady: {}\nunschedulable: false\n",
            state.is_node_ready
        ),
    );
    for component in COMPONENTS.into_iter().filter(|_| config.is_control_plane) {
        put::<StaticPodStatus>(
            resources,
            format!("kube-system/{component}-{hostname}"),
            &k8s::StaticPodStatusSpec {
                pod_status: Some(ready_pod()),
            },
            "phase: Running\nconditions:\n    - type: Ready\n      status: \"True\"\n",
        );
    }
}

fn minor_of(state: &State) -> u64 {
    TalosVersion::parse(&state.image.version)
        .unwrap_or_else(|_| TalosVersion::latest())
        .release()
        .minor
}

/// A configuration, which only administrators may read. The specification is the document itself (facts of Talos v1.10, resource
/// MachineConfigs).
fn machine_config(id: &str, config: &NodeConfig, minor: u64, resources: &mut Resources) {
    let text = config.text.expose_secret();
    let proto = resource::config::MachineConfigSpec {
        yaml_marshalled: text.as_bytes().to_vec(),
    };
    // Since v1.12 the specification is one text that holds the documents.
    let is_text = minor >= 12;
    let yaml = if is_text {
        Node::from(Scalar::new(text, Style::Literal)).to_yaml()
    } else {
        text.to_owned()
    };
    put::<MachineConfigStatus>(resources, id, &proto, yaml);
    let key = (MachineConfigStatus::TYPE, id.to_owned());
    if let Some(content) = resources.get_mut(&key) {
        content.annotation = is_text.then_some(("talos.dev/yaml-spec", "1"));
    }
}

/// The authority of the machine API, which only administrators may read.
fn authority(config: &NodeConfig, resources: &mut Resources) {
    let key = config.talos_ca.key.as_ref();
    let key = key.map(|key| STANDARD.encode(key.expose_secret()));
    resources.insert(
        ("OSRootSecrets.secrets.talos.dev", "os".to_owned()),
        Content {
            namespace: "secrets",
            owner: "secrets.RootOSController",
            annotation: None,
            proto: Vec::new(),
            yaml: format!(
                "issuingCA:\n    crt: {}\n    key: {}\n",
                STANDARD.encode(&config.talos_ca.certificate),
                key.unwrap_or_default()
            ),
        },
    );
}

fn ready_pod() -> Struct {
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    };
    let record = |fields: Vec<(&str, Value)>| Struct {
        fields: fields
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    };
    let condition = record(vec![("type", text("Ready")), ("status", text("True"))]);
    let conditions = ListValue {
        values: vec![Value {
            kind: Some(Kind::StructValue(condition)),
        }],
    };
    record(vec![
        ("phase", text("Running")),
        (
            "conditions",
            Value {
                kind: Some(Kind::ListValue(conditions)),
            },
        ),
    ])
}
