//! Patches whose outcome surprises: what was observed at the reference and is easy to get wrong.

use secrecy::ExposeSecret as _;
use talos_client::config::{ConfigPatch, MachineConfig, TalosVersion};
use talos_client::yaml::{documents_equal, parse_documents};

const VOLUME: &str = "
apiVersion: v1alpha1
kind: VolumeConfig
name: EPHEMERAL
provisioning: {diskSelector: {match: system_disk}, grow: true, minSize: 1GiB, maxSize: 20GiB}
";

fn patched(base: &str, patches: &[&str], version: &str) -> Result<String, String> {
    let patches: Vec<ConfigPatch> = patches.iter().map(|text| ConfigPatch::new(*text)).collect();
    let version = TalosVersion::parse(version).unwrap();
    MachineConfig::parse(base)
        .and_then(|config| config.patched(&patches, &version))
        .map(|config| config.to_yaml().expose_secret().to_owned())
        .map_err(|error| error.message().to_owned())
}

#[track_caller]
fn assert_patched(base: &str, patches: &[&str], version: &str, expected: &str) {
    let ours = patched(base, patches, version).unwrap();
    let (ours_read, expected) = (
        parse_documents(&ours).unwrap(),
        parse_documents(expected).unwrap(),
    );
    assert!(documents_equal(&ours_read, &expected), "{version}:\n{ours}");
}

#[track_caller]
fn assert_refused(base: &str, patches: &[&str], version: &str, text: &str) {
    assert_eq!(
        patched(base, patches, version),
        Err(text.to_owned()),
        "{version}"
    );
}

#[test]
fn sizes_and_expressions_of_a_volume_are_wiped_by_their_absence() {
    let patch = "apiVersion: v1alpha1\nkind: VolumeConfig\nname: EPHEMERAL\nprovisioning: {maxSize: 30GiB}\n";
    let expected = "{apiVersion: v1alpha1, kind: VolumeConfig, name: EPHEMERAL, provisioning: {grow: true, maxSize: 30GiB}}";

    for version in ["v1.10.7", "v1.13.9"] {
        assert_patched(VOLUME, &[patch], version, expected);
    }
}

#[test]
fn a_selector_with_physical_matches_no_other() {
    let base =
        "machine: {network: {interfaces: [{deviceSelector: {driver: a, physical: true}, mtu: 1}]}}";
    let patch =
        "machine: {network: {interfaces: [{deviceSelector: {driver: a, physical: true}, mtu: 2}]}}";
    let expected = "
version: ''
machine:
  type: ''
  token: ''
  certSANs: []
  network:
    interfaces:
    - {deviceSelector: {driver: a, physical: true}, mtu: 1}
    - {deviceSelector: {driver: a, physical: true}, mtu: 2}
cluster: null
";

    assert_patched(base, &[patch], "v1.10.7", expected);
}

#[test]
fn arguments_are_replaced_key_by_key() {
    let base = "machine: {kubelet: {extraArgs: {a: '1', b: '2'}}}";
    let patch = "machine: {kubelet: {extraArgs: {b: 3, c: true}}}";
    let expected = "{version: '', machine: {type: '', token: '', certSANs: [], kubelet: {extraArgs: {a: '1', b: '3', c: 'true'}}}, cluster: null}";

    for version in ["v1.12.11", "v1.13.9"] {
        assert_patched(base, &[patch], version, expected);
    }
}

#[test]
fn image_rules_are_replaced_by_image() {
    let base = "{apiVersion: v1alpha1, kind: ImageVerificationConfig, rules: [{image: a, skip: true}, {image: b}]}";
    let patch = "{apiVersion: v1alpha1, kind: ImageVerificationConfig, rules: [{image: a, deny: true}, {image: c}]}";
    let expected = "{apiVersion: v1alpha1, kind: ImageVerificationConfig, rules: [{image: a, deny: true}, {image: b}, {image: c}]}";

    assert_patched(base, &[patch], "v1.13.9", expected);
}

#[test]
fn urls_are_merged_part_by_part() {
    let base = "cluster: {controlPlane: {endpoint: 'https://a:6443/p?x=1'}}";
    let patch = "cluster: {controlPlane: {endpoint: 'https://b'}}";

    let ours = patched(base, &[patch], "v1.11.6").unwrap();

    assert!(ours.contains("endpoint: https://b/p?x=1\n"), "{ours}");
}

#[test]
fn json_patches_give_what_json_makes_of_a_document() {
    let base = "machine:\n    sysctls: {a: 1.10, b: yes, c: 0644, d: 0x10, e: 1_000, f: 2020-01-01, g: '1'}\n";
    let patch = "- {op: add, path: /machine/sysctls/h, value: 1.20}\n- {op: remove, path: /machine/sysctls/g}\n- {op: add, path: /machine/sysctls/i, value: 2020-01-01}\n";

    let ours = patched(base, &[patch], "v1.10.7").unwrap();

    let sysctls = [
        "a: 1.1",
        "b: true",
        "c: 420",
        "d: 16",
        "e: 1000",
        "f: \"2020-01-01\"",
        "h: 1.2",
        "i: \"2020-01-01T00:00:00Z\"",
    ];
    let expected: String = sysctls
        .iter()
        .map(|line| format!("        {line}\n"))
        .collect();
    assert_eq!(ours, format!("machine:\n    sysctls:\n{expected}"));
}

#[test]
fn what_says_nothing_is_an_empty_json_patch() {
    let single = "machine: {type: worker}";
    let multiple = format!("{single}\n---\n{VOLUME}");
    let refusal = "JSON6902 patches are not supported for multi-document machine configuration";

    for patch in ["", "# only a comment\n", "---\n", "[]"] {
        for version in ["v1.10.7", "v1.14.0-rc.1"] {
            assert_patched(single, &[patch], version, single);
            assert_refused(&multiple, &[patch], version, refusal);
        }
    }
    for patch in ["{}", "version: v1alpha1\n"] {
        assert_refused(single, &[patch], "v1.12.11", "config not found");
    }
}

#[test]
fn an_empty_first_document_hides_the_rest_up_to_v1_11() {
    let base = "machine: {type: worker}";
    let patch = "---\n---\nmachine: {type: controlplane}\n";

    assert_patched(base, &[patch], "v1.11.6", base);
    let ours = patched(base, &[patch], "v1.12.11").unwrap();
    assert!(ours.contains("type: controlplane"), "{ours}");
}

#[test]
fn no_patch_at_all_changes_nothing() {
    let base = "machine: {unknown: [1, 2]}\n---\nkind: Foo\n";

    assert_patched(base, &[], "v1.10.7", base);
}

#[test]
fn documents_are_deleted_by_kind_and_name() {
    let base = format!("machine: {{type: worker}}\n---\n{VOLUME}");
    let patch = "{apiVersion: v1alpha1, kind: VolumeConfig, name: EPHEMERAL, $patch: delete}";
    let other = "{apiVersion: v1alpha1, kind: VolumeConfig, name: STATE, $patch: delete}";
    let rest = "{version: '', machine: {type: worker, token: '', certSANs: []}, cluster: null}";

    assert_patched(&base, &[patch], "v1.10.7", rest);
    let ours = patched(&base, &[other], "v1.14.0-rc.1").unwrap();
    assert!(ours.contains("name: EPHEMERAL"), "{ours}");
    assert!(patched(&base, &[other], "v1.13.9").is_err());
}

#[test]
fn documents_that_exclude_each_other_are_refused() {
    let volume = |kind: &str| format!("apiVersion: v1alpha1\nkind: {kind}\nname: x\n");
    let text = "conflicting documents: UserVolumeConfig/x and ExistingVolumeConfig/x";

    assert_refused(
        &volume("UserVolumeConfig"),
        &[&volume("ExistingVolumeConfig")],
        "v1.11.6",
        text,
    );

    let text = "conflicting documents: LinkConfig/x and DummyLinkConfig/x";
    assert_refused(
        &volume("LinkConfig"),
        &[&volume("DummyLinkConfig")],
        "v1.12.11",
        text,
    );
}

#[test]
fn what_crashes_the_reference_is_refused() {
    let base = "machine: {kubelet: {extraConfig: {a: {b: 1}, d: 2020-01-01}}}";
    assert_refused(
        base,
        &["machine: {type: worker}"],
        "v1.10.7",
        "cannot deep copy time.Time",
    );

    let base = "machine: {kubelet: {extraConfig: {a: {b: 1}}}}";
    let text = "merge field machine.kubelet.extraConfig.a: merge type mismatch left map[string]interface {} right <nil>";
    assert_refused(
        base,
        &["machine: {kubelet: {extraConfig: {a: null}}}"],
        "v1.10.7",
        text,
    );
}

#[test]
fn encrypted_files_are_refused_until_they_are_decrypted() {
    let patch = "apiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: tailscale\nenvironment: [a]\nsops:\n  mac: x\n";
    let text = "unknown keys found during decoding:\nsops:\n    mac: x";

    assert_refused("machine: {type: worker}", &[patch], "v1.10.7", text);
}

#[test]
fn several_mistakes_are_told_together() {
    let patch = "machine:\n  type: [a]\n  network:\n    interfaces: [{mtu: x}]\n";
    let problems = [
        "line 2: cannot unmarshal !!seq into string",
        "line 4: cannot unmarshal !!str `x` into int",
    ];

    let text = format!(
        "error decoding  to *v1alpha1.Config: yaml: unmarshal errors:\n  {}",
        problems.join("\n  ")
    );
    assert_refused("machine: {}", &[patch], "v1.11.6", &text);

    let problems = problems.join("; ").replace("unmarshal", "construct");
    let text = format!(
        "error decoding document /v1alpha1/ (line 1): error decoding  to *v1alpha1.Config: yaml: construct errors: {problems}"
    );
    assert_refused("machine: {}", &[patch], "v1.14.0-rc.1", &text);
}

#[test]
fn patches_name_their_file_in_errors() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("patch.yaml");
    std::fs::write(&path, "machine: {bogus: 1}\n").unwrap();
    let patch = ConfigPatch::from_argument(&format!("@{}", path.display())).unwrap();

    let error = MachineConfig::parse("machine: {}")
        .unwrap()
        .patched(&[patch], &TalosVersion::default())
        .unwrap_err();
    assert_eq!(error.target(), path.display().to_string());

    let missing = directory.path().join("missing.yaml");
    let error = ConfigPatch::from_argument(&format!("@{}", missing.display())).unwrap_err();
    assert_eq!(
        error.message(),
        format!("open {}: no such file or directory", missing.display())
    );
}

/// What deletes nothing is an empty document up to v1.13, at its place: before the documents that the patches add after it.
#[test]
fn a_deletion_without_a_document_keeps_its_place() {
    let base = "version: v1alpha1\nmachine: {type: worker}\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
    let patches = [
        "apiVersion: v1alpha1\nkind: KmsgLogConfig\n$patch: delete\n",
        VOLUME,
        "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n",
    ];
    let kinds = |text: &str| {
        let documents = text.split("---\n");
        let kind = |document: &str| {
            let line = document.lines().find(|line| line.starts_with("kind: "));
            line.unwrap_or(document.lines().next().unwrap_or_default())
                .to_owned()
        };
        documents.map(kind).collect::<Vec<_>>()
    };

    let two = patched(base, &patches[..2], "v1.13.9").unwrap();
    let all = patched(base, &patches, "v1.13.9").unwrap();
    let newer = patched(base, &patches[..2], "v1.14.0-rc.1").unwrap();

    // As v1.13.9 and v1.14.0-rc.1 have it.
    let machine = "version: v1alpha1";
    let (host, volume) = ("kind: HostnameConfig", "kind: VolumeConfig");
    assert_eq!(kinds(&two), [machine, host, "{}", volume]);
    assert_eq!(kinds(&all), [machine, "{}", volume]);
    assert_eq!(kinds(&newer), [machine, host, volume]);
}

/// As the releases v1.10.7 to v1.14.0-rc.1 have it.
#[test]
fn a_deletion_without_a_name_selects_no_document_of_a_kind_with_names() {
    for (kind, body) in [
        ("UserVolumeConfig", "filesystem:\n  type: xfs\n"),
        ("ExtensionServiceConfig", "environment:\n  - A=B\n"),
    ] {
        let base = format!(
            "version: v1alpha1\nmachine: {{type: worker}}\n---\napiVersion: v1alpha1\nkind: {kind}\n{body}"
        );
        let patch = format!("apiVersion: v1alpha1\nkind: {kind}\n$patch: delete\n");

        for version in ["v1.10.7", "v1.13.9", "v1.14.0-rc.1"] {
            let ours = patched(&base, &[patch.as_str()], version).unwrap();

            assert!(ours.contains(kind), "{kind} {version}: {ours}");
            let empty = ours.ends_with("---\n{}\n");
            assert_eq!(empty, version != "v1.14.0-rc.1", "{kind} {version}: {ours}");
        }
    }
}
