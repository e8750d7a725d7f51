//! The resources about the services of a node, etcd and Kubernetes.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::{COMPONENTS, Resources, configuration, put};
use crate::api::cosi::{
    LocalEtcdMember, MachineConfigStatus, MachineType, NodeStatus, RunningService,
    SingletonSpec as _, StaticPodStatus,
};
use crate::api::pb::definitions::{etcd, k8s, v1alpha1};
use crate::api::pb::resource;
use crate::mock::builder::Setup;
use crate::mock::node::{self, Etcd, Mode, State};

pub(super) fn services(state: &State, resources: &mut Resources) {
    let running = [
        ("apid", state.mode == Mode::Configured, true),
        ("cri", state.has_services, true),
        ("kubelet", state.has_services, state.has_static_pods),
        (
            "etcd",
            matches!(state.etcd, Etcd::Starting | Etcd::Healthy | Etcd::Unhealthy),
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
        let id = format!("{:016x}", state.etcd_member);
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

pub(super) fn kubernetes(setup: &Setup, state: &State, resources: &mut Resources) {
    let Some(config) = &state.config else {
        return;
    };
    let minor = configuration::minor_of(state);
    configuration::machine_config(MachineConfigStatus::ACTIVE, config, minor, resources);
    if let Some(persistent) = &state.persistent {
        configuration::machine_config(
            MachineConfigStatus::PERSISTENT,
            persistent,
            minor,
            resources,
        );
    }
    configuration::authority(config, resources);
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
