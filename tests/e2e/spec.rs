//! A wrong specification is refused as a whole, before anything is touched.

use lungmen_bootstrap::{Error, ErrorKind, PatchSource, Spec};

use crate::support::{World, spec_file};

/// The owner's specification with some lines replaced.
pub(crate) fn edited(edits: &[(&str, &str)]) -> Result<Spec, Error> {
    let folder = spec_file().parent().unwrap().to_owned();
    let mut text = std::fs::read_to_string(spec_file()).unwrap();
    for (from, to) in edits {
        assert!(text.contains(from), "{from:?} is not in the specification");
        text = text.replacen(from, to, 1);
    }
    Spec::parse(&text, |name| std::fs::read_to_string(folder.join(name)))
}

/// The problems of the specification with some lines replaced, one line each.
fn problems(edits: &[(&str, &str)]) -> Vec<String> {
    let error = match edited(edits) {
        Ok(spec) => spec.bootstrap().outline().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    error
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Asserts that there is one problem, at this path.
#[track_caller]
fn assert_refused(edits: &[(&str, &str)], path: &str, allowed: &str) {
    let problems = problems(edits);
    // The words of the client are for its callers.
    assert!(
        !problems
            .iter()
            .any(|problem| problem.contains("invalid input")),
        "{problems:#?}"
    );
    assert!(
        problems
            .iter()
            .any(|problem| problem.starts_with(path) && problem.contains(allowed)),
        "{problems:#?}"
    );
}

#[test]
fn the_specification_of_the_example_is_sound() {
    edited(&[]).unwrap().bootstrap().outline().unwrap();
}

#[test]
fn wrong_fields_are_refused_with_path_value_and_what_is_allowed() {
    assert_refused(
        &[("vmId: 2411000", "vmId: 99")],
        "machines[0].vmId: \"99\"",
        "100",
    );
    assert_refused(
        &[("vmId: 2411000", "vmId: twelve")],
        "machines[0].vmId: \"twelve\"",
        "999999999",
    );
    assert_refused(
        &[("name: tal01.", "name: tal_01.")],
        "machines[0].name: \"tal_01",
        "DNS name",
    );
    assert_refused(
        &[("version: 1.10.7", "version: 1.10")],
        "talos.version: \"1.1\"",
        "1.10.7",
    );
    for unsupported in ["1.9.6", "1.15.0"] {
        let version = format!("version: {unsupported}");
        assert_refused(
            &[("version: 1.10.7", version.as_str())],
            "talos.version",
            "must be a release of Talos v1.10 to v1.14",
        );
    }
    assert_refused(
        &[("version: 1.10.7", "version: latest")],
        "talos.version: \"latest\"",
        "full Talos version",
    );
    assert_refused(
        &[("endpoint: https://", "endpoint: http://")],
        "cluster.endpoint: \"http://kubernetes",
        "https",
    );
    assert_refused(
        &[("clusterName: lungmen.akn", "clusterName: akn/lungmen")],
        "argocd.clusterName: \"akn/lungmen\"",
        "must not be empty or contain / or %",
    );
    assert_refused(&[("efi: 4m", "efi: 2m")], "machines[0].efi: \"2m\"", "4m");
    assert_refused(
        &[("role: controlplane", "role: worker")],
        "machines: \"0 control plane machines\"",
        "odd",
    );
    assert_refused(
        &[("cores: 4", "cores: 0")],
        "machines[0].cores: \"0\"",
        "core",
    );
    assert_refused(
        &[("bridge: vmbr1", "bridge: \"\"")],
        "machines[0].network.bridge",
        "",
    );
    assert_refused(&[("vlan: 2", "vlan: 5000")], "machines[0].network", "4094");
    assert_refused(
        &[("secureBoot:", "secureboot:")],
        "talos.secureboot: there is no such field",
        "fields here are",
    );
    assert_refused(
        &[("name: lungmen.akn", "name: Lungmen")],
        "cluster.name: \"Lungmen\"",
        "DNS name",
    );
}

#[test]
fn an_unknown_extension_is_refused_with_the_closest_name() {
    assert_refused(
        &[("- siderolabs/iscsi-tools", "- siderolabs/iscsi-tool")],
        "talos.extensions",
        "siderolabs/iscsi-tools",
    );
}

#[test]
fn a_pinned_schematic_that_differs_is_refused_with_both_ids() {
    let pinned = "36cd6536eaec8ba802be2d38974108359069cedba8857302f69792b26b87c010";
    let edit = format!("architecture: amd64\n  schematic: {pinned}");

    let problems = problems(&[("architecture: amd64", &edit)]);

    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains(pinned), "{problems:?}");
    assert!(
        problems[0].contains("88d1f7a5c4f1d3aba7df787c448c1d3d008ed29cfb34af53fa0df4336a56040b"),
        "{problems:?}"
    );
}

#[test]
fn two_control_planes_are_refused() {
    let second = "openbao:";
    let machine = "  - name: tal02.lungmen.akn.chezmoi.sh\n    vmId: 2411001\n    address: 10.0.2.11\n    \
                   network: {bridge: vmbr1}\n\nopenbao:";

    assert_refused(
        &[(second, machine)],
        "machines: \"2 control plane machines\"",
        "odd number",
    );
}

#[test]
fn a_patch_that_does_not_parse_is_refused_with_file_and_line() {
    let spec = edited(&[]).unwrap();
    let patch = PatchSource::new(
        "broken.yaml",
        "machine:\n  network:\n   hostname: a\n  - b\n",
    );

    let error = spec.bootstrap().config_patch(patch).outline().unwrap_err();

    let text = error.diagnostics()[0].to_string();
    assert!(
        text.contains("talos.configPatches[0]") && text.contains("broken.yaml"),
        "{text}"
    );
    assert!(text.contains("line 4") || text.contains(":4"), "{text}");
}

#[test]
fn a_patch_that_the_node_would_refuse_is_refused() {
    let spec = edited(&[]).unwrap();
    let patch = PatchSource::new("typo.yaml", "machine:\n  hostnme: a\n");

    let error = spec.bootstrap().config_patch(patch).outline().unwrap_err();

    let text = error.diagnostics()[0].to_string();
    assert!(
        text.contains("typo.yaml") && text.contains("hostnme"),
        "{text}"
    );
}

#[test]
fn tpm_encryption_needs_a_tpm() {
    let encryption = "machine:\n  systemDiskEncryption:\n    state:\n      provider: luks2\n      keys:\n        - slot: 0\n          \
                      tpm: {}\n";
    let with = |edits: &[(&str, &str)]| {
        edited(edits)
            .unwrap()
            .bootstrap()
            .config_patch(PatchSource::new("encryption.yaml", encryption))
            .outline()
    };

    let error = with(&[]).unwrap_err();
    assert!(
        error.diagnostics()[0].to_string().contains("TPM"),
        "{:?}",
        error.diagnostics()
    );

    with(&[("efi: 4m", "efi: 4m\n    tpm: true")]).unwrap();
}

#[test]
fn an_installer_of_another_platform_is_refused() {
    let spec = edited(&[]).unwrap();
    let patch = PatchSource::new(
        "installer.yaml",
        "machine:\n  install:\n    image: ghcr.io/siderolabs/installer:v1.10.4\n",
    );

    let error = spec.bootstrap().config_patch(patch).outline().unwrap_err();

    assert!(error.diagnostics().len() >= 2, "{:?}", error.diagnostics());
}

#[tokio::test]
async fn all_problems_come_at_once_and_nothing_is_called() {
    let world = World::new().await;
    let spec = edited(&[
        ("vmId: 2411000", "vmId: 1"),
        ("endpoint: https://", "endpoint: http://"),
        ("version: 1.10.7", "version: newest"),
    ])
    .unwrap();

    let error = world.builder_of(spec).build().unwrap_err();

    let paths: Vec<&str> = error
        .diagnostics()
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(paths, ["cluster.endpoint", "talos.version"]);
    assert!(world.lab.proxmox().calls().is_empty());
    assert!(world.lab.factory().calls().is_empty());
    assert!(!error.report().contains("caused by"));
}

#[test]
fn text_that_is_no_yaml_is_refused_with_line_and_column() {
    let error = Spec::parse("cluster: [\n", |_| Ok(String::new())).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    assert!(
        error.diagnostics()[0].path.contains("line"),
        "{:?}",
        error.diagnostics()
    );
}

#[test]
fn a_missing_patch_file_is_named() {
    let error = edited(&[("- lungmen-akn-01.volumes.yaml", "- nowhere.yaml")]).unwrap_err();

    let text = error.diagnostics()[0].to_string();
    assert!(
        text.contains("machines[0].configPatches[1]") && text.contains("nowhere.yaml"),
        "{text}"
    );
}

/// A file with every section of a specification.
const COMPLETE: &str = "
cluster: {name: a.b, endpoint: 'https://a.b:6443'}
talos: {version: 1.10.7}
proxmox: {node: n, storage: disks, isoStorage: isos}
machines:
  - name: tal01
    vmId: 100
    address: 10.0.0.1
    disks: [{sizeGiB: 32}]
    placement: {node: n}
    network: {bridge: vmbr0}
    additionalNetworks: [{bridge: vmbr1}]
    staticAddress: {prefixLength: 24}
openbao: {path: a/b}
argocd: {clusterName: a.b}
";

/// Every mapping of a document, by the path as findings spell it.
fn mappings(value: &serde_yaml::Value, path: &str) -> Vec<String> {
    use serde_yaml::Value;
    match value {
        Value::Mapping(fields) => {
            let nested = fields.iter().flat_map(|(key, value)| {
                let key = key.as_str().unwrap();
                let below = if path.is_empty() {
                    key.to_owned()
                } else {
                    format!("{path}.{key}")
                };
                mappings(value, &below)
            });
            std::iter::once(path.to_owned()).chain(nested).collect()
        }
        Value::Sequence(items) => {
            let items = items.iter().enumerate();
            let below = items.flat_map(|(index, item)| mappings(item, &format!("{path}[{index}]")));
            below.collect()
        }
        _ => Vec::new(),
    }
}

/// Adds an unknown key to every mapping below.
fn spoil(value: &mut serde_yaml::Value) {
    use serde_yaml::Value;
    match value {
        Value::Mapping(fields) => {
            fields.iter_mut().for_each(|(_, value)| spoil(value));
            fields.insert("secretKey".into(), "canary".into());
        }
        Value::Sequence(items) => items.iter_mut().for_each(spoil),
        _ => {}
    }
}

#[test]
fn unknown_keys_are_refused_at_every_level_without_their_values() {
    let mut document: serde_yaml::Value = serde_yaml::from_str(COMPLETE).unwrap();
    let paths = mappings(&document, "");
    assert_eq!(paths.len(), 12, "{paths:#?}");
    Spec::parse(COMPLETE, |_| Ok(String::new())).unwrap();
    spoil(&mut document);
    let text = serde_yaml::to_string(&document).unwrap();

    let error = Spec::parse(&text, |_| Ok(String::new())).unwrap_err();

    let mut expected: Vec<String> = paths
        .iter()
        .map(|path| {
            format!("{path}.secretKey")
                .trim_start_matches('.')
                .to_owned()
        })
        .collect();
    let mut found: Vec<String> = error
        .diagnostics()
        .iter()
        .map(|it| it.path.clone())
        .collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert!(!error.report().contains("canary"), "{}", error.report());
}

#[test]
fn everything_that_is_wrong_at_any_level_comes_at_once() {
    let folder = spec_file().parent().unwrap().to_owned();
    let text = std::fs::read_to_string(spec_file()).unwrap();
    let mut text = text.replace("name: lungmen.akn\n", "name: Lungmen\n");
    for (from, to) in [
        ("endpoint: https://", "endpoint: http://"),
        (
            "secureBoot: true",
            "secureBoot: true\n  configPatches: [typo.yaml]",
        ),
        ("vmId: 2411000", "vmId: 99"),
        ("cores: 4", "cores: four"),
        ("vlan: 2", "vlan: 5000"),
        ("openbao:", "openBao: {}\nopenbao:"),
        ("path: talos/lungmen.akn", "path: /talos/"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let files = |name: &str| match name {
        "typo.yaml" => Ok("machine:\n  hostnme: a\n".to_owned()),
        name => std::fs::read_to_string(folder.join(name)),
    };

    let error = Spec::parse(&text, files).unwrap_err();

    let found: Vec<&str> = error
        .diagnostics()
        .iter()
        .map(|it| it.path.as_str())
        .collect();
    for path in [
        "cluster.name",
        "cluster.endpoint",
        "talos.configPatches[0]",
        "machines[0].vmId",
        "machines[0].cores",
        "machines[0].network",
        "openBao",
        "openbao.path",
    ] {
        let is_it = |found: &&&str| found.starts_with(path);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{path}: {found:#?}");
    }
    assert_eq!(found.len(), 8, "{:#?}", error.diagnostics());
}

#[test]
fn a_problem_of_a_patch_for_all_machines_is_said_once_with_the_patch() {
    use crate::several::three_control_planes;
    let mut spec = three_control_planes();
    spec.patches = vec![
        PatchSource::new("fine.yaml", "machine: {sysctls: {a.b: \"1\"}}"),
        PatchSource::new("disk.yaml", "machine: {install: {disk: /dev/vdz}}"),
        PatchSource::new("typo.yaml", "machine: {hostnme: a}"),
    ];
    let lines = |spec: &Spec| -> Vec<String> {
        let error = spec.clone().bootstrap().outline().unwrap_err();
        error
            .diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect()
    };

    let typo = lines(&spec);
    spec.patches.pop();
    let disk = lines(&spec);
    spec.machines[1] = spec.machines[1].clone().config_patch(PatchSource::new(
        "own.yaml",
        "machine: {install: {disk: /dev/sda}}",
    ));
    let two = lines(&spec);

    assert_eq!(typo.len(), 1, "{typo:#?}");
    assert!(
        typo[0].starts_with("talos.configPatches[2]: typo.yaml: "),
        "{typo:#?}"
    );
    assert_eq!(disk.len(), 1, "{disk:#?}");
    assert!(
        disk[0].starts_with("talos.configPatches[1]: disk.yaml: "),
        "{disk:#?}"
    );
    assert!(!disk[0].contains("tal01"), "{disk:#?}");
    // On the second machine its own patch corrects it.
    assert_eq!(two.len(), 1, "{two:#?}");
    assert!(
        two[0].contains("(on tal01.lungmen.akn.chezmoi.sh, tal03.lungmen.akn.chezmoi.sh)"),
        "{two:#?}"
    );
}

#[test]
fn credentials_queries_and_fragments_in_any_address_are_refused_and_not_repeated() {
    let fields = [
        (
            "cluster.endpoint",
            "endpoint: 'https://a.b:6443'",
            "endpoint: 'ADDRESS'",
        ),
        (
            "talos.factory",
            "version: 1.10.7",
            "version: 1.10.7, factory: 'ADDRESS'",
        ),
        (
            "proxmox.endpoint",
            "isoStorage: isos",
            "isoStorage: isos, endpoint: 'ADDRESS'",
        ),
        (
            "openbao.address",
            "path: a/b",
            "path: a/b, address: 'ADDRESS'",
        ),
        (
            "argocd.server",
            "clusterName: a.b",
            "clusterName: a.b, server: 'ADDRESS'",
        ),
    ];
    for (path, from, to) in fields {
        for address in [
            "https://root:canary@host",
            "https://canary@host",
            "https://:canary@host",
            "https://host/#canary",
            "https://host/?canary",
        ] {
            let text = COMPLETE.replace(from, &to.replace("ADDRESS", address));
            let error = match Spec::parse(&text, |_| Ok(String::new())) {
                Ok(spec) => spec.bootstrap().outline().unwrap_err(),
                Err(error) => error,
            };
            let found: Vec<&str> = error
                .diagnostics()
                .iter()
                .map(|it| it.path.as_str())
                .collect();
            assert_eq!(found, [path], "{address}: {}", error.report());
            assert!(!error.report().contains("canary"), "{}", error.report());
        }
    }
}

/// What a person pastes at the wrong place is not printed back whole.
#[test]
fn whatever_is_written_a_finding_stays_short() {
    let long = "x".repeat(100_000);
    let mut values = Vec::new();
    collect_scalars(&serde_yaml::from_str(COMPLETE).unwrap(), &mut values);
    assert!(values.len() > 12, "{values:?}");
    for value in values {
        let text = COMPLETE.replacen(&value, &long, 1);
        let error = match Spec::parse(&text, |_| Ok(String::new())) {
            Ok(spec) => spec.bootstrap().outline().err(),
            Err(error) => Some(error),
        };
        let report = error.map(|error| error.report()).unwrap_or_default();
        assert!(
            report.len() < 20_000,
            "{value}: {} characters",
            report.len()
        );
    }
    // YAML allows a key of 1024 characters.
    let patch = format!(
        "machine: {{{}: 1, sysctls: {{a: [{long}]}}}}",
        &long[..1000]
    );
    let error = edited(&[])
        .unwrap()
        .bootstrap()
        .config_patch(PatchSource::new("long.yaml", patch))
        .outline()
        .unwrap_err();
    assert!(error.report().len() < 20_000, "{}", error.report().len());
}

fn collect_scalars(value: &serde_yaml::Value, found: &mut Vec<String>) {
    use serde_yaml::Value;
    match value {
        Value::Mapping(fields) => fields
            .iter()
            .for_each(|(_, value)| collect_scalars(value, found)),
        Value::Sequence(items) => items.iter().for_each(|item| collect_scalars(item, found)),
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        _ => {}
    }
}

#[test]
fn releases_outside_the_range_are_refused_as_such_in_every_spelling() {
    for version in [
        "1.9.6",
        "v1.9.0",
        "1.15.0",
        "v1.15.0-alpha.0",
        "0.14.0",
        "2.0.0",
    ] {
        let spelled = format!("version: {version}");
        assert_refused(
            &[("version: 1.10.7", spelled.as_str())],
            "talos.version",
            "must be a release of Talos v1.10 to v1.14; other releases are not supported",
        );
    }
}

/// A machine that cannot be read whole keeps its place in the list, and nothing follows from what is missing of it.
#[test]
fn a_field_that_cannot_be_read_is_one_finding_and_the_others_keep_their_places() {
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let text = std::fs::read_to_string(examples.join("ha.yaml")).unwrap();
    let cases = [
        (vec![("vmId: 2421001", "vmId: x")], vec!["machines[0].vmId"]),
        (
            vec![
                ("address: 10.0.2.41", "address: 10.0.2"),
                ("name: ha-cp-02", "nmae: ha-cp-02"),
            ],
            vec![
                "machines[0].address",
                "machines[1].name",
                "machines[1].nmae",
            ],
        ),
        (
            vec![("vmId: 2421001", "vmId: -1"), ("vmId: 2421002", "vmId: 5")],
            vec!["machines[0].vmId", "machines[1].vmId"],
        ),
    ];
    for (edits, wanted) in cases {
        let mut text = text.clone();
        for (from, to) in &edits {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }

        let error = Spec::parse(&text, |name| std::fs::read_to_string(examples.join(name)));

        let error = error.unwrap_err();
        let mut paths: Vec<&str> = error
            .diagnostics()
            .iter()
            .map(|it| it.path.as_str())
            .collect();
        paths.sort_unstable();
        assert_eq!(paths, wanted, "{error}");
    }
}

#[test]
fn an_address_that_no_machine_can_have_is_refused() {
    for address in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "\"::\"",
        "ff02::1",
    ] {
        let edit = format!("address: {address}");
        assert_refused(
            &[("address: 10.0.2.10", edit.as_str())],
            "machines[0].address",
            "address of one host",
        );
    }
}

/// What is wrong with a machine does not depend on where it is placed.
#[test]
fn a_wrong_placement_hides_no_other_finding() {
    let problems = problems(&[
        ("node: pve-01", "node: \"pve 01\""),
        ("vmId: 2411000", "vmId: 1"),
        ("vlan: 2", "vlan: 5000"),
    ]);

    for path in ["proxmox.node", "machines[0].vmId", "machines[0].network:"] {
        assert!(
            problems.iter().any(|it| it.starts_with(path)),
            "{path}: {problems:#?}"
        );
    }
}
