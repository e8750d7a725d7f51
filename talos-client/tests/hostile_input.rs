//! Hostile input: whatever is read, nothing panics, nothing grows without bounds, and what comes out can be read again.
//!
//! The number of cases is proptest's (`PROPTEST_CASES`); BENCHMARKS.md tells how many a full run has.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use proptest::sample::select;
use secrecy::ExposeSecret as _;
use talos_client::config::{ConfigPatch, MachineConfig, TalosVersion};
use talos_client::yaml::{Node, documents_equal, parse_documents};

const VERSIONS: [&str; 5] = ["v1.10.7", "v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0-rc.1"];

const BASE: &str = "version: v1alpha1
machine:
  type: controlplane
  token: abc
  ca: {crt: YQ==, key: Yg==}
  certSANs: [a, 10.0.0.1]
  kubelet:
    extraArgs: {a: b}
    extraConfig: {a: x, b: 5, c: true, d: {e: f}, l: [1, 2]}
  network:
    hostname: h
    interfaces:
    - {interface: eth0, addresses: [10.0.0.1/24], vlans: [{vlanId: 5}], routes: [{network: 0.0.0.0/0, gateway: 10.0.0.2}]}
    - deviceSelector: {driver: virtio_net}
  install: {disk: /dev/sda, wipe: false, diskSelector: {size: '>= 10GB'}}
  files: [{content: x, permissions: 0o644, path: /x, op: create}]
  sysctls: {a: '1'}
cluster:
  controlPlane: {endpoint: 'https://a:6443'}
  network: {podSubnets: [10.0.0.0/8], serviceSubnets: []}
  apiServer:
    admissionControl: [{name: PodSecurity, configuration: {a: b}}]
    auditPolicy: {kind: Policy}
  inlineManifests: [{name: a, contents: x}]
";

const VOLUME: &str = "---
apiVersion: v1alpha1
kind: VolumeConfig
name: EPHEMERAL
provisioning: {diskSelector: {match: system_disk}, minSize: 1GiB, maxSize: 20GiB}
";

/// Keys of the schema, of patches, and some that nothing knows.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec![
            "version", "machine", "cluster", "debug", "type", "token", "ca", "crt", "key", "certSANs", "kubelet", "extraArgs",
            "extraConfig", "network", "hostname", "interfaces", "interface", "deviceSelector", "driver", "physical", "addresses",
            "vlans", "vlanId", "mtu", "routes", "gateway", "install", "disk", "diskSelector", "size", "files", "content",
            "permissions", "path", "op", "sysctls", "controlPlane", "endpoint", "podSubnets", "apiServer", "admissionControl",
            "name", "configuration", "auditPolicy", "inlineManifests", "contents", "kind", "apiVersion", "provisioning", "match",
            "minSize", "maxSize", "grow", "encryption", "keys", "slot", "provider", "timeout", "url", "ingress", "ports", "a", "b",
            "c", "d", "e", "l",
        ]).prop_map(str::to_owned),
        1 => select(vec!["$patch", "<<", "from", "value", "test", "~", "", "1", "yes", "a b", "a: b", "- x", "é", "\"", "'", "&x", "*x"])
            .prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = Node> {
    prop_oneof![
        3 => select(vec![
            "delete", "eth0", "eth1", "PodSecurity", "v1alpha1", "VolumeConfig", "KmsgLogConfig", "NetworkRuleConfig", "EPHEMERAL",
            "RoutingRuleConfig", "BondConfig", "UserVolumeConfig", "true", "false", "null", "~", "", "0", "5", "-1", "0644", "0x10",
            "1_000", "1e3", "5.5", ".inf", "2020-01-01", "yes", "off", "1m30s", "10GiB", "50%", "-5GiB", "10.0.0.1/24", "fd00::1",
            "https://a:6443/p?x", "https://u:p@b", "YQ==", "!", ">= 5GB", "80-90", "accept", "luks2", "system_disk", "/machine/type",
            "/machine/certSANs/-", "/machine/certSANs/0", "/machine", "", "add", "remove", "replace", "move", "copy", "test",
        ]).prop_map(Node::plain),
        2 => select(vec!["x", "yes", "1.10", "a\nb", "\n\n y", "a: b", "# c", "\t", "\u{0}", "é漢\u{1f600}", "'\"\\", " lead", "trail "])
            .prop_map(Node::string),
        1 => any::<i64>().prop_map(Node::int),
        1 => ".*".prop_map(Node::string),
    ]
}

fn tree() -> impl Strategy<Value = Node> {
    scalar().prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            3 => prop::collection::vec((key(), inner.clone()), 0..6).prop_map(Node::mapping),
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Node::sequence),
            // What is nested as the schema nests it gets further.
            2 => (select(vec![
                vec!["machine", "network", "interfaces"], vec!["machine", "kubelet", "extraConfig"], vec!["machine", "install"],
                vec!["cluster", "apiServer"], vec!["cluster", "network"], vec!["machine"], vec!["cluster"], vec!["provisioning"],
            ]), inner).prop_map(|(path, inner)| path.iter().rev().fold(inner, |node, key| Node::mapping([(*key, node)]))),
        ]
    })
}

fn document() -> impl Strategy<Value = Node> {
    let kinds = select(vec![
        "",
        "VolumeConfig",
        "UserVolumeConfig",
        "NetworkRuleConfig",
        "KmsgLogConfig",
        "BondConfig",
        "Foo",
    ]);
    (tree(), kinds).prop_map(|(mut node, kind)| {
        if !kind.is_empty() && node.as_mapping().is_some() {
            node.insert("apiVersion", Node::string("v1alpha1"));
            node.insert("kind", Node::string(kind));
            node.insert("name", Node::string("EPHEMERAL"));
        }
        node
    })
}

fn text(documents: &[Node]) -> String {
    documents
        .iter()
        .map(Node::to_yaml)
        .collect::<Vec<_>>()
        .join("---\n")
}

fn nodes(config: &MachineConfig) -> Vec<Node> {
    let documents = config.documents().iter();
    documents.map(|document| document.node().clone()).collect()
}

/// Applies a patch, and checks what comes out.
fn apply(base: &str, patch: &str, version: &str) {
    let version = TalosVersion::parse(version).unwrap();
    let Ok(config) = MachineConfig::parse(base) else {
        return;
    };
    let Ok(patched) = config.patched(&[ConfigPatch::new(patch)], &version) else {
        return;
    };
    // An operation may replace the whole document by a list, which nobody can load.
    if patched
        .documents()
        .iter()
        .any(|document| document.node().as_mapping().is_none())
    {
        return;
    }
    let printed = patched.to_yaml();
    let read = MachineConfig::parse(printed.expose_secret()).unwrap();
    // By content and place: a deletion of what is not there leaves an empty document behind, as in the reference up to v1.13.
    assert!(
        documents_equal(&nodes(&patched), &nodes(&read)),
        "{}",
        printed.expose_secret()
    );
    let again = read.patched(&[], &version).unwrap();
    assert_eq!(again.to_yaml().expose_secret(), printed.expose_secret());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_survives_printing_and_reading(documents in prop::collection::vec(tree(), 1..4)) {
        let printed = text(&documents);
        if let Ok(read) = parse_documents(&printed) {
            prop_assert!(documents_equal(&documents, &read), "{}", printed);
        } else {
            // Only repeated or merged keys can be wrong with what we print.
            prop_assert!(printed.contains("<<"), "{:?}\n{}", parse_documents(&printed).err(), printed);
        }
    }

    #[test]
    fn any_structured_patch_is_applied_or_refused(
        documents in prop::collection::vec(document(), 1..3), version in select(VERSIONS.to_vec()), volume in any::<bool>()
    ) {
        let base = if volume { format!("{BASE}{VOLUME}") } else { BASE.to_owned() };
        apply(&base, &text(&documents), version);
    }

    #[test]
    fn any_structured_configuration_is_loaded_or_refused(
        documents in prop::collection::vec(document(), 1..3), version in select(VERSIONS.to_vec())
    ) {
        apply(&text(&documents), "machine: {type: worker}", version);
        apply(&text(&documents), "[]", version);
    }

    #[test]
    fn any_list_of_operations_is_applied_or_refused(
        operations in prop::collection::vec(prop::collection::vec((key(), tree()), 0..3), 0..8),
        ops in prop::collection::vec(select(vec!["add", "remove", "replace", "move", "copy", "test"]), 8),
        paths in prop::collection::vec(select(vec!["", "/", "/machine", "/machine/certSANs/-1", "/machine/certSANs/0", "/machine/a~1b", "/cluster/network", "/x"]), 16),
        version in select(VERSIONS.to_vec())
    ) {
        let operations = operations.into_iter().zip(ops).zip(paths.chunks(2)).map(|((members, op), paths)| {
            let mut operation = Node::mapping(members);
            operation.insert("op", Node::string(op));
            operation.insert("path", Node::string(paths[0]));
            operation.insert("from", Node::string(paths[1]));
            operation
        });
        apply(BASE, &Node::sequence(operations).to_yaml(), version);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), version in select(VERSIONS.to_vec())) {
        let text = String::from_utf8_lossy(&bytes);
        apply(&text, BASE, version);
        apply(BASE, &text, version);
    }

    #[test]
    fn any_yaml_like_text_is_read_or_refused(text in "[-?:,\\[\\]{}#&*!|>'\"%@` \\n\\ta-c0-2~<=$/.]{0,120}", version in select(VERSIONS.to_vec())) {
        if let Ok(documents) = parse_documents(&text) {
            let printed = documents.iter().map(Node::to_yaml).collect::<Vec<_>>().join("---\n");
            let read = parse_documents(&printed);
            prop_assert!(read.is_ok_and(|read| documents_equal(&documents, &read)), "{:?}\n{}", text, printed);
        }
        apply(&text, BASE, version);
        apply(BASE, &text, version);
    }

    #[test]
    fn a_damaged_configuration_is_read_or_refused(
        at in 0..BASE.len(), length in 0..40_usize, insert in "[-?:,\\[\\]{}#&*!|>'\"% \\n\\ta-z0-9~<$]{0,12}", version in select(VERSIONS.to_vec())
    ) {
        let mut text = BASE.to_owned();
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &insert);
        apply(&text, "cluster: {clusterName: x}", version);
        apply(BASE, &text, version);
    }
}

#[test]
fn a_deletion_of_what_is_not_there_leaves_an_empty_document_up_to_v1_13() {
    let patch = "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n";
    for (version, documents) in [("v1.12.11", 2), ("v1.13.9", 2), ("v1.14.0-rc.1", 1)] {
        let release = TalosVersion::parse(version).unwrap();
        let config = MachineConfig::parse(BASE).unwrap();
        let patched = config
            .patched(&[ConfigPatch::new(patch)], &release)
            .unwrap();

        assert_eq!(patched.documents().len(), documents, "{version}");
        apply(BASE, patch, version);
    }
}

/// Found by the fuzz target `loader`.
#[test]
fn a_tag_that_is_written_in_full_is_printed_in_full() {
    for tag in ["tag:yaml.ore,2002:str", "taf:x", "a"] {
        for text in [format!("a: !<{tag}> b\n"), format!("!<{tag}> c: d\n")] {
            let documents = parse_documents(&text).unwrap();
            let printed = documents[0].to_yaml();
            let read = parse_documents(&printed).unwrap();

            assert!(documents_equal(&documents, &read), "{text}{printed}");
            apply(&text, BASE, "v1.11.6");
        }
    }
}

#[test]
fn growth_is_bounded() {
    let scalar = "x".repeat(1 << 20);
    let aliases = format!("a: &a {scalar}\nb: [{}]\n", vec!["*a"; 1000].join(", "));
    assert!(parse_documents(&aliases).is_err());

    let copies: Vec<String> = (0..64)
        .map(|index| format!(r#"{{"op":"copy","from":"/machine","path":"/machine/x{index}"}}"#))
        .collect();
    let copies = copies.join(",");
    let config = MachineConfig::parse(BASE).unwrap();
    let version = TalosVersion::parse("v1.10.7").unwrap();
    assert!(
        config
            .patched(&[ConfigPatch::new(format!("[{copies}]"))], &version)
            .is_err()
    );

    let deep = vec![r#"{"op":"copy","from":"/machine","path":"/machine/x"},{"op":"move","from":"/machine/x/x","path":"/y"}"#; 64].join(",");
    let _ = config.patched(&[ConfigPatch::new(format!("[{deep}]"))], &version);

    let documents = "kind: a\n---\n".repeat(100_000);
    assert!(parse_documents(&documents).is_err());
}

#[test]
fn large_lists_are_merged_in_reasonable_time() {
    let list = |from: usize| {
        let items: Vec<String> = (from..from + 8_000)
            .map(|index| format!("{{interface: eth{index}, mtu: 1}}"))
            .collect();
        format!(
            "machine: {{network: {{interfaces: [{}]}}}}",
            items.join(", ")
        )
    };
    let version = TalosVersion::parse("v1.13.9").unwrap();
    let config = MachineConfig::parse(&list(0)).unwrap();
    let patched = config
        .patched(&[ConfigPatch::new(list(4_000))], &version)
        .unwrap();

    let interfaces = patched
        .v1alpha1()
        .unwrap()
        .path(&["machine", "network", "interfaces"])
        .unwrap();
    assert_eq!(interfaces.as_sequence().unwrap().len(), 12_000);
}
