//! The reader knows the fields of the form, and a specification that was written is read back.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::spec::machine::StaticAddress;
use crate::spec::{ArgoCdTarget, OpenBaoTarget, Spec};

/// An unknown field at every level of a specification.
const UNKNOWN_EVERYWHERE: &str = "
nothing: 1
cluster: {nothing: 1}
talos: {nothing: 1}
proxmox: {nothing: 1}
machines: [{nothing: 1, disks: [{nothing: 1}], network: {nothing: 1}, additionalNetworks: [{nothing: 1}],
        placement: {nothing: 1}, talos: {nothing: 1}, staticAddress: {nothing: 1}}]
openbao: {nothing: 1}
argocd: {nothing: 1}
";

fn no_files(_: &str) -> std::io::Result<String> {
    Err(std::io::ErrorKind::NotFound.into())
}

/// The fields of each level that the reader knows, by its path.
fn fields_of_the_reader() -> BTreeMap<String, Vec<String>> {
    let error = Spec::parse(UNKNOWN_EVERYWHERE, no_files).unwrap_err();
    error
        .diagnostics()
        .iter()
        .filter_map(|found| {
            let path = found.path.strip_suffix("nothing")?;
            let (_, fields) = found.help.as_deref()?.split_once("fields here are ")?;
            let fields = fields.split(", ").map(str::to_owned).collect();
            Some((path.trim_end_matches('.').replace("[0]", ""), fields))
        })
        .collect()
}

/// The fields of each level that the schema has, by its path.
fn fields_of_the_schema() -> BTreeMap<String, Vec<String>> {
    fn collect(
        schema: &Value,
        object: &Value,
        path: &str,
        found: &mut BTreeMap<String, Vec<String>>,
    ) {
        let Some(properties) = object["properties"].as_object() else {
            return;
        };
        let mut names: Vec<String> = properties.keys().cloned().collect();
        names.sort();
        found.insert(path.to_owned(), names);
        assert_eq!(object["additionalProperties"], false, "{path}");
        for (name, field) in properties {
            let text = field.to_string();
            let Some((_, target)) = text.split_once("#/$defs/") else {
                continue;
            };
            let target: String = target.chars().take_while(|c| *c != '"').collect();
            let path = format!("{path}.{name}");
            collect(
                schema,
                &schema["$defs"][&target],
                path.trim_matches('.'),
                found,
            );
        }
    }
    let schema = Spec::json_schema();
    let mut found = BTreeMap::new();
    collect(&schema, &schema, "", &mut found);
    found
}

#[test]
fn the_reader_and_the_schema_know_the_same_fields_at_every_level() {
    let reader = fields_of_the_reader();

    assert_eq!(reader.len(), 13);
    assert_eq!(reader, fields_of_the_schema());
}

#[test]
fn a_specification_made_in_code_is_read_back_as_it_was() {
    let network = Network::new("vmbr0").vlan(2).firewall();
    let machine = MachineSpec::new("tal01.a.b", 101, IpAddr::from([10, 0, 0, 1]), network)
        .disks([Disk::new(32).ssd(), Disk::new(64).without_io_thread()])
        .efi(Efi::TwoMib)
        .role(Role::Worker)
        .tpm()
        .without_guest_agent()
        .tags(["a"])
        .description("one")
        .on_node("pve-02")
        .iso_storage("images")
        .talos_version("1.10.9")
        .extensions(Vec::<String>::new())
        .without_secure_boot()
        .additional_network(
            Network::new("vmbr1")
                .mac("BC:24:11:00:00:01")
                .mtu(9000)
                .queues(4),
        )
        .static_address(
            StaticAddress::new(24)
                .gateway(IpAddr::from([10, 0, 0, 254]))
                .name_server(IpAddr::from([10, 0, 0, 253]))
                .search_domain("a.b"),
        )
        .pool("talos")
        .start_on_boot()
        .option("hostpci0", "mapping=gpu");
    let release = TalosRelease::new("1.10.7")
        .secure_boot()
        .kubernetes_version("1.33.4");
    let placement = crate::machine::Placement::new("pve-01", "local-lvm", "local");
    let spec = Spec::new("a.b", "https://a.b:6443", release, placement)
        .machine(machine)
        .openbao(OpenBaoTarget::new("secret", "talos/a.b"))
        .argocd(ArgoCdTarget::new("a.b").label("environment", "production"));

    let yaml = serde_yaml::to_string(&spec).unwrap();

    assert_eq!(Spec::parse(&yaml, no_files).unwrap(), spec, "{yaml}");
    assert_eq!(serde_yaml::from_str::<Spec>(&yaml).unwrap(), spec);
}

#[test]
fn findings_of_the_reader_and_of_the_checks_come_together() {
    let yaml = "
openBao: {path: a}
cluster: {name: UPPER, endpoint: 'http://a'}
talos: {version: 1.10}
proxmox: {node: pve-01, storage: s, isoStorage: s}
machines: []
";

    let error = Spec::parse(yaml, no_files).unwrap_err();

    let paths: Vec<&str> = error
        .diagnostics()
        .iter()
        .map(|found| found.path.as_str())
        .collect();
    for path in [
        "openBao",
        "cluster.name",
        "cluster.endpoint",
        "talos.version",
        "machines",
    ] {
        assert_eq!(
            paths.iter().filter(|p| **p == path).count(),
            1,
            "{path} in {paths:?}"
        );
    }
}
