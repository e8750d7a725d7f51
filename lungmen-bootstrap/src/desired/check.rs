//! From what the user wants to a desired, or to everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use factory_client::{
    Arch, ImageRequest, OfflineFactory, Platform, Schematic, SchematicId,
    TalosVersion as ImageVersion,
};
use proxmox_client::id::{NodeName, StorageName, VolumeId};
use proxmox_client::storage::Content;
use talos_client::config::{TalosVersion, VersionContract};
use url::Url;

use super::vm::Shared;
use super::{Components, DesiredCluster, DesiredMachine, Place, config, vm};
use crate::desired::ownership::MachineUuid;
use crate::error::{Error, Result};
use crate::spec::cluster_name::ClusterName;
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{MachineSpec, Placement, Role};
use crate::spec::patch::PatchSource;
use crate::spec::release::TalosRelease;
use crate::spec::{ArgoCdTarget, OpenBaoTarget};

/// What the user wants, unchecked.
#[derive(Debug, Clone)]
pub(crate) struct RawSpec {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) release: Option<TalosRelease>,
    pub(crate) factory: Option<Url>,
    pub(crate) placement: Option<Placement>,
    pub(crate) machines: Vec<MachineSpec>,
    pub(crate) patches: Vec<PatchSource>,
    pub(crate) openbao: Option<OpenBaoTarget>,
    pub(crate) argocd: Option<ArgoCdTarget>,
}

impl DesiredCluster {
    /// Checks everything that needs no call and reports all diagnostics together.
    pub(crate) fn check(inputs: &RawSpec) -> Result<Self> {
        let mut diagnostics = Diagnostics::default();
        let desired = desired(inputs, &mut diagnostics);
        match desired {
            Some(desired) if diagnostics.is_empty() => Ok(desired),
            _ => Err(Error::invalid_spec(diagnostics)),
        }
    }
}

fn desired(inputs: &RawSpec, diagnostics: &mut Diagnostics) -> Option<DesiredCluster> {
    let cluster = diagnostics.check(
        "cluster.name",
        &inputs.name,
        inputs.name.parse::<ClusterName>(),
    );
    let endpoint = endpoint(&inputs.endpoint, diagnostics);
    let release = release(inputs, diagnostics);
    let placement = placement(inputs.placement.as_ref(), diagnostics);
    let patches = config::patches("talos.configPatches", &inputs.patches, diagnostics);
    check_machines(&inputs.machines, diagnostics);
    check_targets(inputs, diagnostics);

    // Without these there is nothing to compare the machines with.
    let (cluster, endpoint, release, placement) = (cluster?, endpoint?, release?, placement?);
    let iso_file = release.image.file_name();
    let machines = machines(inputs, &cluster, &release, placement, diagnostics);
    let mut desired = DesiredCluster {
        talos: release.version,
        kubernetes_version: release.kubernetes_version,
        schematic: release.schematic,
        schematic_id: release.schematic_id,
        image: release.image,
        installer: release.installer,
        warnings: release.warnings,
        cluster,
        endpoint,
        iso_file,
        machines,
        patches,
        components: Components::default(),
        openbao: inputs.openbao.clone(),
        argocd: inputs.argocd.clone(),
        patched_addresses: patched_addresses(inputs),
    };
    if diagnostics.is_empty() {
        config::try_out(&mut desired, diagnostics);
    }
    Some(desired)
}

/// Every address in the text of a patch, whatever it is there for.
fn patched_addresses(inputs: &RawSpec) -> BTreeSet<IpAddr> {
    let machines = inputs.machines.iter();
    let patches = machines.flat_map(|machine| &machine.patches);
    let is_part = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':');
    let words = patches
        .chain(&inputs.patches)
        .flat_map(|patch| patch.text().split(move |c| !is_part(c)));
    words.filter_map(|word| word.parse().ok()).collect()
}

fn endpoint(text: &str, diagnostics: &mut Diagnostics) -> Option<Url> {
    const ALLOWED: &str = "must be an https URL with a host and no path, for example https://kubernetes.example.org:6443";
    let url = Url::parse(text).ok().filter(|url| {
        url.scheme() == "https"
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.username().is_empty()
    });
    if url.is_none() {
        diagnostics.add(Diagnostic::new("cluster.endpoint", text, ALLOWED));
    }
    url
}

/// Everything that follows from the one Talos version.
struct Release {
    version: TalosVersion,
    kubernetes_version: String,
    schematic: Schematic,
    schematic_id: SchematicId,
    image: factory_client::Image,
    installer: String,
    secure_boot: bool,
    warnings: Vec<String>,
}

fn release(inputs: &RawSpec, diagnostics: &mut Diagnostics) -> Option<Release> {
    let Some(release) = &inputs.release else {
        diagnostics.add(Diagnostic::missing(
            "talos.version",
            "name the Talos version, for example 1.10.7",
        ));
        return None;
    };
    let version = version(&release.version, diagnostics);
    let platform = diagnostics.check(
        "talos.platform",
        &release.platform,
        release.platform.parse::<Platform>(),
    );
    let arch = diagnostics.check(
        "talos.architecture",
        &release.architecture,
        release.architecture.parse::<Arch>(),
    );
    let schematic = Schematic::builder()
        .extensions(release.extensions.iter().cloned())
        .build();
    let schematic = diagnostics.check(
        "talos.extensions",
        &release.extensions.join(", "),
        schematic,
    )?;
    let factory = factory(inputs, diagnostics)?;
    let id = factory.schematic_id(&schematic);
    let schematic_id = diagnostics.check("talos.extensions", &release.extensions.join(", "), id)?;
    check_pin(release, &schematic_id, diagnostics);
    let (version, image_version) = version?;
    let warnings = check_extensions(&factory, &schematic, &image_version, diagnostics);
    let mut request = ImageRequest::iso(platform?).arch(arch?);
    if release.secure_boot {
        request = request.secure_boot();
    }
    let image = request.of(schematic_id.clone(), image_version);
    Some(Release {
        kubernetes_version: kubernetes_version(release, &version, diagnostics)?,
        installer: factory.installer_reference(&image.installer()),
        secure_boot: release.secure_boot,
        version,
        schematic,
        schematic_id,
        image,
        warnings,
    })
}

fn version(text: &str, diagnostics: &mut Diagnostics) -> Option<(TalosVersion, ImageVersion)> {
    const ALLOWED: &str = "must be a full Talos version such as 1.10.7, for the ISO, the installer and the configuration alike";
    let versions = TalosVersion::parse(text)
        .ok()
        .zip(ImageVersion::parse(text).ok());
    let Some(versions) = versions else {
        diagnostics.add(Diagnostic::new("talos.version", text, ALLOWED));
        return None;
    };
    let supported = VersionContract::OLDEST..=VersionContract::NEWEST;
    if !supported.contains(&versions.0.contract()) {
        let (oldest, newest) = (supported.start(), supported.end());
        diagnostics.add(Diagnostic::new(
            "talos.version",
            text,
            format!(
                "must be a release of Talos {oldest} to {newest}; other releases are not supported"
            ),
        ));
        return None;
    }
    Some(versions)
}

fn factory(inputs: &RawSpec, diagnostics: &mut Diagnostics) -> Option<OfflineFactory> {
    match &inputs.factory {
        None => Some(OfflineFactory::community()),
        Some(url) => diagnostics.check("talos.factory", url, OfflineFactory::new(url.clone())),
    }
}

/// A pasted ID may belong to another list of extensions; then the guest agent is missing, and nobody notices.
fn check_pin(release: &TalosRelease, computed: &SchematicId, diagnostics: &mut Diagnostics) {
    if let Some(pinned) = &release.pinned_schematic
        && pinned != computed.as_str()
    {
        diagnostics.add(Diagnostic::new(
            "talos.schematic",
            pinned,
            format!("talos.extensions have the ID {computed}; correct one of the two, or leave the ID out"),
        ));
    }
}

fn check_extensions(
    factory: &OfflineFactory,
    schematic: &Schematic,
    version: &ImageVersion,
    diagnostics: &mut Diagnostics,
) -> Vec<String> {
    let found = factory.validate(schematic, version);
    for diagnostic in found.errors() {
        diagnostics.add(Diagnostic::new(
            "talos.extensions",
            &diagnostic.path,
            diagnostic.to_string(),
        ));
    }
    found.warnings().map(ToString::to_string).collect()
}

fn kubernetes_version(
    release: &TalosRelease,
    version: &TalosVersion,
    diagnostics: &mut Diagnostics,
) -> Option<String> {
    let Some(wanted) = &release.kubernetes_version else {
        return Some(version.default_components().kubernetes.to_owned());
    };
    let wanted = wanted.trim_start_matches('v');
    diagnostics.check(
        "talos.kubernetesVersion",
        &wanted,
        version.check_kubernetes(wanted),
    )?;
    Some(wanted.to_owned())
}

/// The placement of the cluster, with valid names.
fn placement<'a>(
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

/// The names of a placement, or diagnostics about the fields below `path`.
fn place(path: &str, placement: &Placement, diagnostics: &mut Diagnostics) -> Option<Place> {
    let node = diagnostics.check(
        &format!("{path}.node"),
        &placement.node,
        NodeName::new(placement.node.as_str()),
    );
    let storage = diagnostics.check(
        &format!("{path}.storage"),
        &placement.storage,
        StorageName::new(placement.storage.as_str()),
    );
    let iso_storage = diagnostics.check(
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

/// What is wrong with the machines as a group.
fn check_machines(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    let control_planes = machines
        .iter()
        .filter(|machine| machine.role == Role::ControlPlane)
        .count();
    if control_planes % 2 == 0 {
        diagnostics.add(Diagnostic::new(
            "machines",
            format!("{control_planes} control plane machines"),
            "must be an odd number of control plane machines: etcd needs a majority",
        ));
    }
    check_unique(
        machines,
        "vmId",
        |machine| machine.vm_id.to_string(),
        diagnostics,
    );
    check_unique(
        machines,
        "name",
        |machine| machine.name.clone(),
        diagnostics,
    );
    check_unique(
        machines,
        "address",
        |machine| machine.address.to_string(),
        diagnostics,
    );
    check_file_names(machines, diagnostics);
    check_mac_addresses(machines, diagnostics);
    for (index, machine) in machines.iter().enumerate() {
        if machine.disks.is_empty() {
            diagnostics.add(Diagnostic::missing(
                format!("machines[{index}].disks"),
                "name at least the system disk",
            ));
        }
    }
}

/// Machine configurations are named after the host, `tal01` of `tal01.a.b`: two of a role must differ there.
fn check_file_names(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    let mut seen = BTreeMap::new();
    for (index, machine) in machines.iter().enumerate() {
        let host = machine.name.split('.').next().unwrap_or_default();
        let key = (machine.role, host.to_ascii_lowercase());
        if let Some(first) = seen.insert(key, index)
            && machines[first].name != machine.name
        {
            diagnostics.add(Diagnostic::new(
                format!("machines[{index}].name"),
                &machine.name,
                format!(
                    "the part before the first dot must differ from that of machines[{first}], because the machine \
                     configuration file is named {}-{host}.yaml",
                    machine.role
                ),
            ));
        }
    }
}

/// Two network devices with one MAC address disturb each other, in the same VM or in two.
fn check_mac_addresses(machines: &[MachineSpec], diagnostics: &mut Diagnostics) {
    let mut seen = BTreeMap::new();
    for (index, machine) in machines.iter().enumerate() {
        for (device, network) in machine.networks().enumerate() {
            let Some(mac) = &network.mac else { continue };
            let path = vm::network_path(&format!("machines[{index}]"), device);
            let first = seen.entry(mac.to_ascii_uppercase());
            match first {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(path);
                }
                std::collections::btree_map::Entry::Occupied(entry) => {
                    diagnostics.add(Diagnostic::new(
                        format!("{path}.mac"),
                        mac,
                        format!("must be another one than that of {}", entry.get()),
                    ));
                }
            }
        }
    }
}

fn check_unique(
    machines: &[MachineSpec],
    field: &str,
    value: impl Fn(&MachineSpec) -> String,
    diagnostics: &mut Diagnostics,
) {
    let mut seen = BTreeMap::new();
    for (index, machine) in machines.iter().enumerate() {
        if let Some(first) = seen.insert(value(machine), index) {
            diagnostics.add(Diagnostic::new(
                format!("machines[{index}].{field}"),
                value(machine),
                format!("must be another one than that of machines[{first}]"),
            ));
        }
    }
}

fn check_targets(inputs: &RawSpec, diagnostics: &mut Diagnostics) {
    let mut filled = |path: &str, text: &str, allowed: &dyn fmt::Display| {
        let slashed = text.starts_with('/') || text.ends_with('/') || text.contains("//");
        if text.trim().is_empty() || slashed {
            diagnostics.add(Diagnostic::new(path, text, allowed.to_string()));
        }
    };
    if let Some(target) = &inputs.openbao {
        filled(
            "openbao.mount",
            &target.mount,
            &"must be a mount without slashes at its ends, for example secret",
        );
        filled(
            "openbao.path",
            &target.path,
            &"must be a path without slashes at its ends, for example talos/a.b",
        );
    }
    if let Some(target) = &inputs.argocd {
        filled(
            "argocd.clusterName",
            &target.cluster_name,
            &"must be a name",
        );
    }
}

fn machines(
    inputs: &RawSpec,
    cluster: &ClusterName,
    release: &Release,
    placement: &Placement,
    diagnostics: &mut Diagnostics,
) -> Vec<DesiredMachine> {
    let machines = inputs.machines.iter().enumerate();
    machines
        .filter_map(|(index, spec)| {
            let path = format!("machines[{index}]");
            machine(&path, spec, cluster, release, placement, diagnostics)
        })
        .collect()
}

fn machine(
    path: &str,
    spec: &MachineSpec,
    cluster: &ClusterName,
    release: &Release,
    placement: &Placement,
    diagnostics: &mut Diagnostics,
) -> Option<DesiredMachine> {
    // Replaced by the one of the cluster record; this one only makes the VM specification complete.
    let uuid = MachineUuid::derive(cluster.as_str(), &spec.name);
    let patches = config::patches(&format!("{path}.configPatches"), &spec.patches, diagnostics);
    let placement_path = format!("{path}.placement");
    let place = place(
        &placement_path,
        &spec.placement.within(placement),
        diagnostics,
    )?;
    let iso_file = release.image.file_name();
    let iso = VolumeId::of_file(&place.iso_storage, Content::Iso.as_str(), &iso_file);
    let iso = diagnostics.check(&format!("{placement_path}.isoStorage"), &iso_file, iso)?;
    let shared = Shared {
        storage: &place.storage,
        iso: &iso,
        secure_boot: release.secure_boot,
    };
    let vm = vm::vm(path, spec, uuid, &shared, diagnostics)?;
    Some(DesiredMachine {
        spec: spec.clone(),
        place,
        uuid,
        vm,
        patches,
    })
}
