//! One file per step, named after its id; `verbs/apply.rs` has their order.

pub(crate) mod applications;
pub(crate) mod apply;
pub(crate) mod claim;
pub(crate) mod configuration;
pub(crate) mod etcd_bootstrap;
pub(crate) mod first_boot;
pub(crate) mod image;
pub(crate) mod kubeconfig;
pub(crate) mod machine;
pub(crate) mod merge_talosconfig;
pub(crate) mod preflight;
pub(crate) mod register;
pub(crate) mod save_secrets;
pub(crate) mod schematic;
pub(crate) mod spec;
pub(crate) mod user_data;
pub(crate) mod verify;

use std::net::SocketAddr;

use crate::desired::DesiredMachine;
use crate::run::context::Context;

/// The port of the API server on a node; `cluster.controlPlane.localAPIServerPort` would change it.
const KUBERNETES_PORT: u16 = 6443;

fn kubernetes_socket(context: &Context, machine: &DesiredMachine) -> SocketAddr {
    let address = machine.spec.address;
    context
        .dial(&address.to_string(), KUBERNETES_PORT)
        .unwrap_or_else(|| SocketAddr::new(address, KUBERNETES_PORT))
}
