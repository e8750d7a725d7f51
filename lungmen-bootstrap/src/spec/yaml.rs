//! From YAML text to [`Spec`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use serde_yaml::Value;

use super::fields::Fields;
use super::{ArgoCdTarget, DEFAULT_MOUNT, OpenBaoTarget, Spec};
use crate::error::{Error, Result};
use crate::spec::diagnostic::{Diagnostic, Diagnostics};
use crate::spec::machine::{
    ConfigDelivery, Disk, Efi, MachinePlacement, MachineSpec, Network, Placement, Role,
    StaticAddress,
};
use crate::spec::patch::PatchSource;
use crate::spec::release::{MachineRelease, TalosRelease};

const VERSION: &str = "a full Talos version, for example 1.10.7";
const SCHEMATIC: &str = "a schematic ID: 64 hexadecimal digits";

const SNIPPET_STORAGE: &str = "the storage of user data (content type snippets)";

type PatchFiles<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

pub(super) fn spec(text: &str, files: PatchFiles<'_>) -> Result<Spec> {
    let value = serde_yaml::from_str(text).map_err(|error| not_yaml(&error))?;
    spec_from_value(value, files)
}

/// All findings of all levels together: where the file could be read, what it says is checked as well.
pub(super) fn spec_from_value(value: Value, files: PatchFiles<'_>) -> Result<Spec> {
    let diagnostics = Rc::new(RefCell::new(Diagnostics::default()));
    let spec = root(Fields::root(value, &diagnostics), files);
    let mut found = std::mem::take(&mut *diagnostics.borrow_mut());
    if found.is_empty() {
        return Ok(spec);
    }
    if let Err(error) = spec.bootstrap().outline() {
        let mut more = error.diagnostics().to_vec();
        if found.iter().any(|known| known.path.ends_with("].role")) {
            // How many control planes there are is not known.
            more.retain(|other| other.path != "machines");
        }
        found.append_new(&more);
    }
    Err(Error::invalid_spec(found))
}

fn not_yaml(error: &serde_yaml::Error) -> Error {
    let at = error.location().map_or_else(
        || "the document".to_owned(),
        |location| format!("line {} column {}", location.line(), location.column()),
    );
    let mut diagnostics = Diagnostics::default();
    diagnostics.add(Diagnostic::missing(at, format!("is not YAML: {error}")));
    Error::invalid_spec(diagnostics)
}

fn root(fields: Fields, files: PatchFiles<'_>) -> Spec {
    let cluster = fields.section("cluster");
    let proxmox = fields.section("proxmox");
    let talos = fields.section("talos");
    let name: String = cluster
        .required("name", "the name of the cluster, for example lungmen.akn")
        .unwrap_or_default();
    let spec = Spec {
        endpoint: cluster
            .required(
                "endpoint",
                "the https URL of the Kubernetes API, https://host:6443",
            )
            .unwrap_or_default(),
        release: release(&talos),
        factory: talos.url("factory", "the URL of an Image Factory"),
        patches: patches(&talos, files),
        proxmox_endpoint: proxmox.url("endpoint", "the URL of a Proxmox VE API"),
        placement: placement(&proxmox),
        machines: fields
            .sections("machines")
            .into_iter()
            .zip(0_u32..)
            .map(|(machine_fields, index)| machine(machine_fields, index, files))
            .collect(),
        openbao: fields.optional_section("openbao").map(openbao),
        argocd: fields
            .optional_section("argocd")
            .map(|section| argocd(section, &name)),
        name,
    };
    cluster.finish();
    talos.finish();
    proxmox.finish();
    fields.finish();
    spec
}

fn release(talos: &Fields) -> TalosRelease {
    let version = talos.required_version("version", VERSION);
    let mut release =
        TalosRelease::new(version.unwrap_or_default()).extensions(talos.texts("extensions"));
    release.secure_boot = flag(talos, "secureBoot").unwrap_or(false);
    if let Some(architecture) = talos.optional::<String>("architecture", "amd64 or arm64") {
        release.architecture = architecture;
    }
    if let Some(platform) =
        talos.optional::<String>("platform", "a Talos platform, nocloud for Proxmox VE")
    {
        release.platform = platform;
    }
    release.pinned_schematic = talos.optional("schematic", SCHEMATIC);
    release.kubernetes_version = talos.version(
        "kubernetesVersion",
        "a full Kubernetes version, for example 1.33.4",
    );
    release
}

fn placement(proxmox: &Fields) -> Placement {
    let required = |name, allowed| {
        proxmox
            .required::<String>(name, allowed)
            .unwrap_or_default()
    };
    let mut placement = Placement::new(
        required("node", "the name of the Proxmox node"),
        required("storage", "the storage of the disks (content type images)"),
        required("isoStorage", "the storage of the ISO (content type iso)"),
    );
    placement.snippet_storage = proxmox.optional("snippetStorage", SNIPPET_STORAGE);
    placement
}

/// A machine at its place in the list. What cannot be read of it has a finding, and is replaced by something that has none.
fn machine(fields: Fields, index: u32, files: PatchFiles<'_>) -> MachineSpec {
    let name: Option<String> = fields.required("name", "a DNS name");
    let vm_id = fields.required("vmId", "a whole number from 100 to 999999999");
    let address = fields.required("address", "an IP address");
    let network = network(fields.section("network"));
    let details = Details::read(&fields, files);
    fields.finish();
    let is_placed = address.is_some();
    let mut machine = MachineSpec::new(
        name.unwrap_or_else(|| format!("unread-{index}.example")),
        vm_id.unwrap_or(999_999_999 - index),
        address.unwrap_or_else(|| IpAddr::V4(Ipv4Addr::from_bits(0xc633_6401 + index))),
        network.unwrap_or_else(|| Network::new("vmbr0")),
    );
    details.apply(&mut machine);
    if !is_placed {
        // Nothing is near an address that is made up.
        machine.static_address = None;
    }
    machine
}

/// The optional fields of a machine.
struct Details {
    role: Option<Role>,
    cores: Option<u32>,
    memory_mib: Option<u64>,
    cpu: Option<String>,
    disks: Vec<Disk>,
    efi: Option<Efi>,
    tpm: Option<bool>,
    guest_agent: Option<bool>,
    tags: Vec<String>,
    description: Option<String>,
    placement: MachinePlacement,
    release: MachineRelease,
    additional_networks: Vec<Network>,
    static_address: Option<StaticAddress>,
    config_delivery: Option<ConfigDelivery>,
    pool: Option<String>,
    start_on_boot: Option<bool>,
    options: BTreeMap<String, String>,
    patches: Vec<PatchSource>,
}

impl Details {
    fn read(fields: &Fields, files: PatchFiles<'_>) -> Self {
        Self {
            role: fields.optional("role", "controlplane or worker"),
            cores: fields.optional("cores", "a whole number of cores"),
            memory_mib: fields.optional("memoryMiB", "a whole number of MiB"),
            cpu: fields.optional("cpu", "a CPU model of Proxmox VE"),
            disks: fields
                .sections("disks")
                .into_iter()
                .filter_map(disk)
                .collect(),
            efi: fields.optional("efi", "4m or 2m"),
            tpm: flag(fields, "tpm"),
            guest_agent: flag(fields, "guestAgent"),
            tags: fields.texts("tags"),
            description: fields.optional("description", "a text"),
            placement: machine_placement(fields),
            release: machine_release(fields),
            additional_networks: fields
                .sections("additionalNetworks")
                .into_iter()
                .filter_map(network)
                .collect(),
            static_address: fields
                .optional_section("staticAddress")
                .and_then(static_address),
            config_delivery: fields.optional("configDelivery", "maintenance or userData"),
            pool: fields.optional("pool", "a pool of Proxmox VE"),
            start_on_boot: flag(fields, "startOnBoot"),
            options: fields.scalars("options"),
            patches: patches(fields, files),
        }
    }

    fn apply(self, machine: &mut MachineSpec) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut machine.role, self.role);
        set(&mut machine.cores, self.cores);
        set(&mut machine.memory_mib, self.memory_mib);
        set(&mut machine.cpu, self.cpu);
        set(&mut machine.efi, self.efi);
        set(&mut machine.config_delivery, self.config_delivery);
        set(&mut machine.tpm, self.tpm);
        set(&mut machine.guest_agent, self.guest_agent);
        set(&mut machine.description, self.description);
        set(
            &mut machine.disks,
            Some(self.disks).filter(|disks| !disks.is_empty()),
        );
        machine.tags = self.tags;
        machine.placement = self.placement;
        machine.release = self.release;
        machine.additional_networks = self.additional_networks;
        machine.static_address = self.static_address;
        machine.pool = self.pool;
        machine.start_on_boot = self.start_on_boot;
        machine.options = self.options;
        machine.patches = self.patches;
    }
}

fn disk(fields: Fields) -> Option<Disk> {
    let size = fields.required("sizeGiB", "a whole number of GiB");
    let mut disk = Disk::new(size.unwrap_or_default());
    disk.ssd = flag(&fields, "ssd").unwrap_or(disk.ssd);
    disk.io_thread = flag(&fields, "ioThread").unwrap_or(disk.io_thread);
    disk.discard = flag(&fields, "discard").unwrap_or(disk.discard);
    fields.finish();
    size.map(|_| disk)
}

fn machine_placement(machine: &Fields) -> MachinePlacement {
    let fields = machine.section("placement");
    let placement = MachinePlacement {
        node: fields.optional("node", "the name of a Proxmox node"),
        storage: fields.optional("storage", "the storage of the disks (content type images)"),
        iso_storage: fields.optional("isoStorage", "the storage of the ISO (content type iso)"),
        snippet_storage: fields.optional("snippetStorage", SNIPPET_STORAGE),
    };
    fields.finish();
    placement
}

fn machine_release(machine: &Fields) -> MachineRelease {
    let fields = machine.section("talos");
    let release = MachineRelease {
        version: fields.version("version", VERSION),
        extensions: fields.optional_texts("extensions"),
        secure_boot: flag(&fields, "secureBoot"),
        pinned_schematic: fields.optional("schematic", SCHEMATIC),
    };
    fields.finish();
    release
}

fn static_address(fields: Fields) -> Option<StaticAddress> {
    let prefix: Option<u8> = fields.required(
        "prefixLength",
        "the length of the network prefix, for example 24",
    );
    let gateway = fields.optional("gateway", "an IP address");
    let path = fields.path_of("nameServers");
    let name_servers = fields.texts("nameServers").into_iter().enumerate();
    let name_servers = name_servers.filter_map(|(index, text)| {
        let address = text.parse::<IpAddr>();
        if address.is_err() {
            fields.report(Diagnostic::new(
                format!("{path}[{index}]"),
                &text,
                "must be an IP address",
            ));
        }
        address.ok()
    });
    let name_servers = name_servers.collect();
    let search_domain = fields.optional("searchDomain", "a DNS domain");
    fields.finish();
    Some(StaticAddress {
        gateway,
        name_servers,
        search_domain,
        ..StaticAddress::new(prefix?)
    })
}

fn network(fields: Fields) -> Option<Network> {
    let bridge: Option<String> = fields.required("bridge", "a bridge of the Proxmox node");
    let vlan = fields.optional("vlan", "a VLAN tag from 1 to 4094");
    let firewall = flag(&fields, "firewall").unwrap_or(false);
    let mac = fields.optional("mac", "a MAC address, for example BC:24:11:00:00:01");
    let mtu = fields.optional(
        "mtu",
        "an MTU in bytes, 576 to 65520, or 1 for that of the bridge",
    );
    let queues = fields.optional("queues", "a number of queues from 1 to 64");
    fields.finish();
    let mut network = Network::new(bridge?);
    network.vlan = vlan;
    network.firewall = firewall;
    network.mac = mac;
    network.mtu = mtu;
    network.queues = queues;
    Some(network)
}

fn patches(fields: &Fields, files: PatchFiles<'_>) -> Vec<PatchSource> {
    let path = fields.path_of("configPatches");
    fields
        .texts("configPatches")
        .into_iter()
        .enumerate()
        .filter_map(|(index, name)| match files(&name) {
            Ok(text) => Some(PatchSource::new(name, text)),
            Err(error) => {
                fields.report(Diagnostic::new(
                    format!("{path}[{index}]"),
                    name,
                    format!("must be a readable patch file: {error}"),
                ));
                None
            }
        })
        .collect()
}

fn openbao(fields: Fields) -> OpenBaoTarget {
    let address = fields.url("address", "the URL of an OpenBao server");
    let mount = fields.optional::<String>("mount", "the mount of a KV version 2 engine");
    let path = fields.required::<String>("path", "the path of the secret below the mount");
    fields.finish();
    OpenBaoTarget {
        address,
        ..OpenBaoTarget::new(
            mount.unwrap_or_else(|| DEFAULT_MOUNT.into()),
            path.unwrap_or_default(),
        )
    }
}

fn argocd(fields: Fields, cluster: &str) -> ArgoCdTarget {
    let server = fields.optional("server", "the host or URL of an Argo CD server");
    let name = fields.optional::<String>("clusterName", "the name of the cluster in Argo CD");
    let labels = fields
        .texts("labels")
        .into_iter()
        .filter_map(|label| match label.split_once('=') {
            Some((key, value)) => Some((key.to_owned(), value.to_owned())),
            None => {
                fields.report(Diagnostic::new(
                    fields.path_of("labels"),
                    label,
                    "must be key=value",
                ));
                None
            }
        })
        .collect();
    fields.finish();
    ArgoCdTarget {
        server,
        labels,
        ..ArgoCdTarget::new(name.unwrap_or_else(|| cluster.to_owned()))
    }
}

fn flag(fields: &Fields, name: &'static str) -> Option<bool> {
    fields.optional(name, "true or false")
}
