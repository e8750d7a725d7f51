//! Hostile documents: validation and lints judge them, whatever they hold, and never panic.

use proptest::prelude::*;
use proptest::sample::select;
use talos_client::config::{
    LintContext, LintDisk, MachineConfig, Mode, TalosVersion, ValidationOptions,
};
use talos_client::yaml::Node;

const BASE: &str = include_str!("../../data/talos/validate/controlplane.yaml");
const VERSIONS: [&str; 5] = ["v1.10.7", "v1.11.6", "v1.12.11", "v1.13.9", "v1.14.0"];

/// Judges a configuration by every release, loaded or not.
fn judge(config: &MachineConfig) {
    for version in VERSIONS {
        let version = TalosVersion::parse(version).unwrap();
        let validation = config.validate(&ValidationOptions::new(Mode::Metal, &version).strict());
        assert_eq!(validation.is_valid(), validation.errors().next().is_none());
        let context = LintContext::new(&version)
            .platform("nocloud")
            .without_secure_boot()
            .without_tpm()
            .disks([LintDisk::new("/dev/sda", 32 << 30).transport("virtio")]);
        for finding in config.lint(&context) {
            assert!(finding.help.is_some_and(|help| !help.is_empty()));
        }
    }
}

/// Expressions made of the words of the language, right and wrong.
fn expression() -> impl Strategy<Value = String> {
    let word = select(vec![
        "disk.size",
        "disk.transport",
        "system_disk",
        "disk",
        "volume.name",
        "link",
        "10u",
        "10",
        "1.5",
        "0x",
        "GiB",
        "'a'",
        "\"b\"",
        "r'\\'",
        "'''",
        "b'x'",
        "`",
        "true",
        "null",
        "in",
        "&&",
        "||",
        "!",
        "-",
        "==",
        "<",
        "=",
        "+",
        "*",
        "/",
        "%",
        "0u",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ":",
        "?",
        "has(",
        "glob(",
        ".exists(",
        "x",
        "é",
        "\n",
        "// c",
        " ",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

fn value() -> impl Strategy<Value = Node> {
    let scalar = prop_oneof![
        select(vec![
            "",
            "null",
            "true",
            "0",
            "-1",
            "99999999999999999999",
            "a b",
            "%",
            "10.0.0.1/33",
            "fd00::%",
            "[::1",
            "https://",
            "://",
            "foo:bar:baz",
            ">= 5XB",
            "!",
            "!!",
            "/",
            "a/b/c",
            "tcp://:",
            "NoSchedule",
            "é",
        ])
        .prop_map(Node::string),
        any::<i64>().prop_map(Node::int),
        ".{0,40}".prop_map(Node::string),
        Just(Node::null()),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        let key = select(vec![
            "name", "type", "ca", "key", "crt", "url", "urls", "enabled", "ip", "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Node::sequence),
            prop::collection::vec((key, inner), 0..4).prop_map(Node::mapping),
        ]
    })
}

/// Every path of the base configuration.
fn paths(node: &Node, above: &[String], found: &mut Vec<Vec<String>>) {
    for (key, value) in node
        .as_mapping()
        .into_iter()
        .flat_map(|mapping| mapping.iter())
    {
        let path = [above, &[key.to_owned()]].concat();
        paths(value, &path, found);
        found.push(path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expressions_never_make_the_checker_panic(expression in expression()) {
        let mut config = MachineConfig::parse(
            "apiVersion: v1alpha1\nkind: UserVolumeConfig\nname: data\nprovisioning: {diskSelector: {match: x}, minSize: 1GiB}\n",
        ).unwrap();
        let document = config.documents_mut()[0].node_mut();
        document.insert_path(&["provisioning", "diskSelector", "match"], Node::string(expression));
        judge(&config);
    }

    #[test]
    fn values_of_any_kind_are_judged(place in any::<prop::sample::Index>(), value in value()) {
        let mut config = MachineConfig::parse(BASE).unwrap();
        let mut all = Vec::new();
        paths(config.documents()[0].node(), &[], &mut all);
        let path: Vec<&str> = place.get(&all).iter().map(String::as_str).collect();
        config.documents_mut()[0].node_mut().insert_path(&path, value);
        judge(&config);
    }
}
