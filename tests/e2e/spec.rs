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
        "talos.secureboot: \"true\"",
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
