//! The resources that follow from a mock node's state, in both encodings.

mod cluster;
mod configuration;
mod hardware;
mod machine;

use std::collections::BTreeMap;

use prost::Message;

use super::builder::Setup;
use super::node::{Etcd, Mode, State};
use super::store::{Content, Key};
use crate::api::cosi::{ResourceSpec, Stage};

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
    machine::machine(setup, state, &mut resources);
    hardware::hardware(setup, state, &mut resources);
    hardware::network(setup, state, &mut resources);
    if state.mode != Mode::Maintenance {
        cluster::services(state, &mut resources);
        cluster::kubernetes(setup, state, &mut resources);
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
            match state.etcd {
                Etcd::Unhealthy => "etcd not healthy",
                _ => "etcd not running",
            },
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
