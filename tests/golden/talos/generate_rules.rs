//! Machine configuration: rules of the reference that the executed answers do not show.

use talos_client::ErrorKind;
use talos_client::config::{
    ConfigPatch, GenerateInput, MachineConfig, MachineType, TalosVersion, VersionContract,
};
use talos_client::yaml::Node;

use super::generate::{CLUSTER, ENDPOINT, bundle};

fn input(talos: &str) -> GenerateInput {
    let input = GenerateInput::new(CLUSTER, ENDPOINT, &bundle()).unwrap();
    input.talos_version(TalosVersion::parse(talos).unwrap())
}

fn control_plane(input: &GenerateInput) -> MachineConfig {
    input.generate(MachineType::ControlPlane).unwrap()
}

fn node<'a>(config: &'a MachineConfig, path: &str) -> Option<&'a Node> {
    let keys: Vec<&str> = path.split('/').collect();
    config.v1alpha1().unwrap().path(&keys)
}

fn text<'a>(config: &'a MachineConfig, path: &str) -> Option<&'a str> {
    node(config, path).and_then(Node::as_str)
}

fn has(config: &MachineConfig, path: &str) -> bool {
    node(config, path).is_some()
}

/// The oldest contract that has a field, and the first that has it no more.
const FIELDS: [(&str, u16, u16); 15] = [
    ("cluster/apiServer/admissionControl", 1, 14),
    ("machine/features/stableHostname", 2, 12),
    ("machine/kubelet/defaultRuntimeSeccompProfileEnabled", 2, 14),
    ("cluster/discovery/registries/kubernetes/disabled", 2, 14),
    ("machine/registries/mirrors/k8s.gcr.io", 2, 3),
    ("machine/features/apidCheckExtKeyUsage", 3, 12),
    ("cluster/apiServer/auditPolicy", 3, 14),
    ("machine/kubelet/disableManifestsDirectory", 3, 14),
    ("machine/features/diskQuotaSupport", 5, 99),
    ("machine/features/kubePrism", 6, 14),
    ("machine/features/hostDNS", 7, 14),
    ("machine/features/hostDNS/forwardKubeDNSToHost", 8, 14),
    ("machine/nodeLabels", 8, 14),
    ("machine/install/grubUseUKICmdline", 12, 14),
    ("machine/network", 0, 13),
];

#[test]
fn every_field_appears_and_disappears_with_its_contract() {
    for minor in 0..=14 {
        let config =
            control_plane(&input("v1.14.0-rc.1").version_contract(VersionContract::new(1, minor)));
        for (path, from, until) in FIELDS {
            assert_eq!(
                has(&config, path),
                (from..until).contains(&minor),
                "v1.{minor} {path}"
            );
        }
        assert_eq!(config.documents().len() > 1, minor >= 12, "v1.{minor}");
    }
}

#[test]
fn encryption_secrets_follow_the_contract_and_the_bundle() {
    let old = talos_client::secrets::SecretsBundle::generate_blocking(VersionContract::new(1, 2))
        .unwrap();
    let generate = |minor| {
        let input = GenerateInput::new(CLUSTER, ENDPOINT, &old).unwrap();
        control_plane(&input.version_contract(VersionContract::new(1, minor)))
    };

    assert!(has(&generate(2), "cluster/aescbcEncryptionSecret"));
    let newer = generate(3);
    assert!(
        !has(&newer, "cluster/aescbcEncryptionSecret")
            && !has(&newer, "cluster/secretboxEncryptionSecret")
    );
}

#[test]
fn a_contract_newer_than_the_release_has_no_effect() {
    let newer = control_plane(&input("v1.10.7").version_contract(VersionContract::CURRENT));

    assert_eq!(newer.documents().len(), 1);
    assert!(has(&newer, "machine/features/stableHostname"));
}

#[test]
fn an_old_contract_keeps_the_images_of_the_release() {
    let config = control_plane(&input("v1.13.9").version_contract(VersionContract::new(1, 5)));

    assert_eq!(
        text(&config, "machine/kubelet/image"),
        Some("ghcr.io/siderolabs/kubelet:v1.36.3")
    );
    assert_eq!(
        text(&config, "machine/install/image"),
        Some("ghcr.io/siderolabs/installer:v1.13.9")
    );
}

#[test]
fn workers_know_the_cluster_name_from_contract_v1_8() {
    let worker = |minor| {
        let input = input("v1.10.7").version_contract(VersionContract::new(1, minor));
        has(
            &input.generate(MachineType::Worker).unwrap(),
            "cluster/clusterName",
        )
    };

    assert!(!worker(7) && worker(8));
}

#[test]
fn without_a_kubernetes_version_there_are_no_images() {
    let config = control_plane(&input("v1.13.9").kubernetes_version(""));

    assert!(!has(&config, "machine/kubelet/image") && !has(&config, "cluster/apiServer/image"));
    for component in ["controllerManager", "proxy", "scheduler"] {
        let node = node(&config, &format!("cluster/{component}")).unwrap();
        assert!(node.as_mapping().unwrap().is_empty(), "{component}");
    }
    let refused = input("v1.14.0-rc.1")
        .kubernetes_version("")
        .generate(MachineType::Worker)
        .unwrap_err();
    assert_eq!(
        refused.message(),
        "failed to generate config bundle: kubernetes version must be specified"
    );
}

#[test]
fn a_kubernetes_version_that_does_not_fit_is_generated_and_noticed() {
    let talos = TalosVersion::parse("v1.10.7").unwrap();

    let config = input("v1.10.7")
        .kubernetes_version("v1.34.0")
        .generate(MachineType::Worker)
        .unwrap();

    let kubelet = node(&config, "machine/kubelet/image").unwrap();
    assert_eq!(kubelet.as_str(), Some("ghcr.io/siderolabs/kubelet:v1.34.0"));
    assert_eq!(
        talos.check_kubernetes("v1.34.0").unwrap_err().message(),
        "version of Kubernetes 1.34.0 is too new to be used with Talos 1.10.7"
    );
}

#[test]
fn commented_output_has_three_empty_containers() {
    let shown = |talos: &str, kind| {
        let config = input(talos).with_docs().generate(kind).unwrap();
        [
            "machine/registries",
            "cluster/extraManifests",
            "cluster/inlineManifests",
        ]
        .map(|path| has(&config, path))
    };

    for talos in ["v1.10.7", "v1.11.6"] {
        assert_eq!(
            shown(talos, MachineType::ControlPlane),
            [true, true, true],
            "{talos}"
        );
        assert_eq!(
            shown(talos, MachineType::Worker),
            [true, false, false],
            "{talos}"
        );
    }
    for talos in ["v1.12.11", "v1.13.9"] {
        assert_eq!(
            shown(talos, MachineType::ControlPlane),
            [false, true, true],
            "{talos}"
        );
        assert_eq!(
            shown(talos, MachineType::Worker),
            [true, false, false],
            "{talos}"
        );
    }
    assert_eq!(
        shown("v1.14.0-rc.1", MachineType::ControlPlane),
        [false, false, false]
    );
    assert_eq!(
        shown("v1.14.0-rc.1", MachineType::Worker),
        [true, false, false]
    );
}

#[test]
fn empty_containers_survive_a_merge_and_not_a_json_patch() {
    let shown = |patch: &str| {
        let input = input("v1.10.7")
            .with_examples()
            .config_patch(ConfigPatch::new(patch));
        let config = control_plane(&input);
        [
            "machine/registries",
            "cluster/extraManifests",
            "cluster/inlineManifests",
        ]
        .map(|path| has(&config, path))
    };

    assert_eq!(
        shown("machine: {network: {hostname: a}}"),
        [true, true, true]
    );
    assert_eq!(
        shown(r#"[{"op": "add", "path": "/machine/sysctls", "value": {"a": "1"}}]"#),
        [false, false, false]
    );
}

#[test]
fn registry_mirrors_are_documents_from_v1_12() {
    let mirrored = |talos: &str| {
        let input = input(talos)
            .registry_mirror_spec("docker.io=https://mirror.example")
            .unwrap();
        control_plane(&input.registry_mirror("a.io", "https://a.example"))
    };

    let old = mirrored("v1.11.6");
    assert!(has(&old, "machine/registries/mirrors/docker.io/endpoints"));
    let new = mirrored("v1.12.11");
    let kinds: Vec<(&str, &str)> = new
        .documents()
        .iter()
        .skip(1)
        .map(|d| (d.kind(), d.name()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("RegistryMirrorConfig", "a.io"),
            ("RegistryMirrorConfig", "docker.io"),
            ("HostnameConfig", "")
        ]
    );
}

#[test]
fn kubespan_is_a_document_from_v1_13() {
    let enabled = |talos: &str| control_plane(&input(talos).kubespan());

    assert!(has(
        &enabled("v1.12.11"),
        "machine/network/kubespan/enabled"
    ));
    let new = enabled("v1.13.9");
    assert!(!has(&new, "machine/network"));
    assert_eq!(new.documents().last().unwrap().kind(), "KubeSpanConfig");
}

#[test]
fn persist_is_an_option_up_to_v1_12() {
    let persist = |talos: &str| {
        let config = control_plane(&input(talos).without_persistence());
        node(&config, "persist").and_then(Node::as_bool)
    };

    assert_eq!(persist("v1.12.11"), Some(false));
    assert_eq!(persist("v1.13.9"), Some(true));
}

#[test]
fn an_empty_disk_leaves_field_or_document_out() {
    assert!(!has(
        &control_plane(&input("v1.10.7").install_disk("")),
        "machine/install/disk"
    ));
    let new = control_plane(&input("v1.14.0-rc.1").install_disk(""));
    assert!(new.document("UnattendedInstallConfig", "").is_none());
}

#[test]
fn a_patch_that_fails_on_the_worker_fails_all_outputs() {
    let input = input("v1.10.7").config_patch_worker(ConfigPatch::new(
        r#"[{"op": "remove", "path": "/cluster/etcd"}]"#,
    ));

    assert!(input.generate(MachineType::ControlPlane).is_ok());
    let error = input.generate_all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidDocument);
    assert!(
        error
            .message()
            .starts_with("failed to generate config bundle: error patching worker config: "),
        "{error}"
    );
}

#[test]
fn patches_for_one_type_leave_the_other_alone() {
    let input = input("v1.10.7")
        .config_patch_control_plane(ConfigPatch::new("machine: {sysctls: {a: '1'}}"))
        .config_patch_worker(ConfigPatch::new("machine: {sysctls: {b: '2'}}"));

    let all = input.generate_all().unwrap();

    assert!(has(&all.init, "machine/sysctls/a") && has(&all.controlplane, "machine/sysctls/a"));
    assert!(has(&all.worker, "machine/sysctls/b") && !has(&all.worker, "machine/sysctls/a"));
}
