//! One file a step; `bootstrap.rs` has their order.

pub(crate) mod applications;
pub(crate) mod apply;
pub(crate) mod configuration;
pub(crate) mod etcd_bootstrap;
pub(crate) mod first_boot;
pub(crate) mod image;
pub(crate) mod kubeconfig;
pub(crate) mod machine;
pub(crate) mod preflight;
pub(crate) mod register;
pub(crate) mod save_secrets;
pub(crate) mod schematic;
pub(crate) mod verify;

use std::net::SocketAddr;

use crate::desired::Machine;
use crate::run::context::World;

/// The port of the API server on a node; `cluster.controlPlane.localAPIServerPort` would change it.
const KUBERNETES_PORT: u16 = 6443;

fn kubernetes_socket(world: &World, machine: &Machine) -> SocketAddr {
    let address = machine.spec.address;
    world
        .dial(&address.to_string(), KUBERNETES_PORT)
        .unwrap_or_else(|| SocketAddr::new(address, KUBERNETES_PORT))
}
