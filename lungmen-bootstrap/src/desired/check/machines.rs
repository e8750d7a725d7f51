//! From each machine of the specification to the VM it becomes.

use std::sync::Arc;

use proxmox_client::id::{NodeName, StorageName, VolumeId};
use proxmox_client::storage::Content;

use super::RawSpec;
use crate::desired::ownership::MachineUuid;
use crate::desired::release::Release;
use crate::desired::user_data::Delivery;
use crate::desired::vm::{self, Shared};
use crate::desired::{DesiredMachine, Place, config};
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{ConfigDelivery, MachineSpec, Placement};

/// The placement of the cluster, with valid names.
pub(super) fn placement<'a>(
    placement: Option<&'a Placement>,
    diagnostics: &mut Diagnostics,
) -> Option<&'a Placement> {
    let Some(placement) = placement else {
        diagnostics.add(Diagnostic::missing(
            "proxmox.node",
            "name the node and the two storages",
        ));
        return None;
    };
    place("proxmox", placement, diagnostics)?;
    Some(placement)
}

/// Stands for a placement that has a finding of its own.
pub(super) fn anywhere() -> Placement {
    Placement::new("node", "storage", "storage")
}

/// The names of a placement, or diagnostics about the fields below `path`.
fn place(path: &str, placement: &Placement, diagnostics: &mut Diagnostics) -> Option<Place> {
    let node = diagnostics.identifier(
        &format!("{path}.node"),
        &placement.node,
        NodeName::new(placement.node.as_str()),
    );
    let storage = diagnostics.identifier(
        &format!("{path}.storage"),
        &placement.storage,
        StorageName::new(placement.storage.as_str()),
    );
    let iso_storage = diagnostics.identifier(
        &format!("{path}.isoStorage"),
        &placement.iso_storage,
        StorageName::new(placement.iso_storage.as_str()),
    );
    Some(Place {
        node: node?,
        storage: storage?,
        iso_storage: iso_storage?,
    })
}

/// The machines with their releases, which are in the same order.
pub(super) fn machines(
    inputs: &RawSpec,
    cluster: &str,
    releases: &[Arc<Release>],
    placement: &Placement,
    diagnostics: &mut Diagnostics,
) -> Vec<DesiredMachine> {
    let machines = inputs.machines.iter().zip(releases).enumerate();
    machines
        .filter_map(|(index, (spec, release))| {
            let path = format!("machines[{index}]");
            machine(&path, spec, cluster, release, placement, diagnostics)
        })
        .collect()
}

fn machine(
    path: &str,
    spec: &MachineSpec,
    cluster: &str,
    release: &Arc<Release>,
    placement: &Placement,
    diagnostics: &mut Diagnostics,
) -> Option<DesiredMachine> {
    // Replaced by the one of the cluster record; this one only makes the VM specification complete.
    let uuid = MachineUuid::derive(cluster, &spec.name);
    let placement_path = format!("{path}.placement");
    let own = place(
        &placement_path,
        &spec.placement.within(placement),
        diagnostics,
    );
    let is_placed = own.is_some();
    let place = match own {
        Some(place) => place,
        None => place(&placement_path, &anywhere(), &mut Diagnostics::default())?,
    };
    let iso_file = &release.iso_file;
    let iso = VolumeId::of_file(&place.iso_storage, Content::Iso.as_str(), iso_file);
    let iso = diagnostics.identifier(&format!("{placement_path}.isoStorage"), iso_file, iso)?;
    let shared = Shared {
        storage: &place.storage,
        iso: &iso,
        secure_boot: release.is_secure_boot(),
    };
    let vm = vm::vm(path, spec, uuid, &shared, diagnostics);
    let delivery = delivery(path, spec, placement, diagnostics);
    let (vm, delivery) = (vm?, delivery?);
    is_placed.then(|| DesiredMachine {
        spec: spec.clone(),
        place,
        uuid,
        vm,
        release: Arc::clone(release),
        delivery,
        installer: release.installer.clone(),
        patches: config::patches(&spec.patches),
    })
}

/// How the machine gets its configuration; user data need a storage.
fn delivery(
    path: &str,
    spec: &MachineSpec,
    cluster: &Placement,
    diagnostics: &mut Diagnostics,
) -> Option<Delivery> {
    if spec.config_delivery != ConfigDelivery::UserData {
        return Some(Delivery::Maintenance);
    }
    let Some(storage) = spec.placement.within(cluster).snippet_storage else {
        diagnostics.add(Diagnostic::new(
            format!("{path}.configDelivery"),
            spec.config_delivery,
            "needs a storage for snippets: set proxmox.snippetStorage, or snippetStorage in the placement of the machine",
        ));
        return None;
    };
    let field = match &spec.placement.snippet_storage {
        Some(_) => format!("{path}.placement.snippetStorage"),
        None => "proxmox.snippetStorage".to_owned(),
    };
    let name = StorageName::new(storage.as_str());
    Some(Delivery::UserData(
        diagnostics.identifier(&field, &storage, name)?,
    ))
}
