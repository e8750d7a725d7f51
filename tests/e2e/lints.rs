//! Configurations that a node accepts and that cost a day: each is planted once, and found before a machine exists.

use lungmen_bootstrap::machine::{Disk, Role};
use lungmen_bootstrap::{Check, MachineSpec, PatchSource, Severity, Spec, StepId};

use crate::several::machine;
use crate::spec::edited;
use crate::support::{World, spec};

/// The file that a planted patch is said to come from.
const FILE: &str = "site.yaml";

/// What refuses the specification, one line each.
fn errors(spec: Spec) -> Vec<String> {
    match spec.bootstrap().outline() {
        Ok(_) => Vec::new(),
        Err(error) => error
            .diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// What the specification is warned about, one line each.
#[track_caller]
fn warnings(spec: Spec) -> Vec<String> {
    let outline = spec
        .bootstrap()
        .outline()
        .unwrap_or_else(|error| panic!("{}", error.report()));
    let step = &outline.steps[0];
    assert_eq!(step.step, StepId::Spec);
    let lines = step.details.iter();
    lines
        .filter_map(|line| line.strip_prefix("warning: ").map(str::to_owned))
        .collect()
}

fn patched(patch: &str) -> Spec {
    spec().config_patch(PatchSource::new(FILE, patch))
}

/// One finding, about the patch and the field, with what to do.
#[track_caller]
fn assert_one(found: &[String], field: &str, fix: &str) {
    assert_eq!(found.len(), 1, "{found:#?}");
    let start = format!("talos.configPatches[0]: {FILE}: {field}");
    assert!(found[0].starts_with(&start), "{found:#?}");
    assert!(found[0].contains(fix), "{found:#?}");
}

#[test]
fn an_installer_that_cannot_be_right_is_refused() {
    let schematic = "88d1f7a5c4f1d3aba7df787c448c1d3d008ed29cfb34af53fa0df4336a56040b";
    let factory = "factory.talos.dev/nocloud-installer-secureboot";
    for (image, fix) in [
        (
            "https://factory.talos.dev/installer".to_owned(),
            "HOST/NAME:TAG",
        ),
        ("Not An Image".to_owned(), "HOST/NAME:TAG"),
        (format!("{factory}:v1.10.7"), "put the schematic ID behind"),
        (
            "factory.talos.dev/installer/:v1.10.7".to_owned(),
            "HOST/NAME:TAG",
        ),
        (format!("{factory}/{schematic}"), ":v1.10.7"),
        (format!("{factory}/{schematic}:1.10.7"), ":v1.10.7"),
    ] {
        let found = errors(patched(&format!(
            "machine: {{install: {{image: '{image}'}}}}"
        )));

        assert_one(&found, "machine.install.image: ", fix);
    }
    let right = format!("machine: {{install: {{image: '{factory}/{schematic}:v1.10.7'}}}}");
    assert_eq!(errors(patched(&right)), [""; 0]);
}

#[test]
fn files_without_an_operation_and_disks_without_a_device_are_refused() {
    let found = errors(patched(
        "machine: {files: [{path: /var/a, content: b, permissions: 0o600}]}",
    ));
    assert_one(&found, "machine.files[0].op: ", "create");

    let found = errors(patched(
        "machine: {disks: [{partitions: [{mountpoint: /var/a}]}]}",
    ));
    assert_one(&found, "machine.disks[0].device: ", "set device");
}

/// The documents of v1.14 have the identity that was in `v1alpha1` before.
#[test]
fn a_patch_that_changes_the_identity_of_the_cluster_is_refused_in_every_form() {
    let old = [
        ("machine.token", "machine: {token: abcdef.0123456789abcdef}"),
        ("cluster.id", "cluster: {id: other}"),
        ("cluster.clusterName", "cluster: {clusterName: other}"),
        (
            "cluster.controlPlane.endpoint",
            "cluster: {controlPlane: {endpoint: 'https://other.example.org:6443'}}",
        ),
        ("cluster.token", "cluster: {token: abcdef.0123456789abcdef}"),
    ];
    for (field, patch) in old {
        let found = errors(patched(patch));
        let about = found
            .iter()
            .filter(|line| line.contains(&format!("{FILE}: {field}: ")));
        assert_eq!(about.count(), 1, "{field}: {found:#?}");
    }
    let new = [
        (
            "KubeClusterConfig",
            "endpoint",
            "endpoint: https://other.example.org:6443",
        ),
        ("KubeClusterConfig", "clusterName", "clusterName: other"),
        ("DiscoveryIdentityConfig", "clusterID", "clusterID: other"),
        (
            "DiscoveryIdentityConfig",
            "clusterSecret",
            "clusterSecret: other",
        ),
    ];
    for (kind, field, setting) in new {
        let mut spec = newest();
        let patch = format!("apiVersion: v1alpha1\nkind: {kind}\n{setting}\n");
        spec.patches.push(PatchSource::new(FILE, patch));
        let found = errors(spec);
        let start = format!("talos.configPatches[0]: {FILE}: {kind}: {field}: ");
        let about = found.iter().filter(|line| line.starts_with(&start));
        assert_eq!(about.count(), 1, "{kind} {field}: {found:#?}");
        assert!(!found.join("\n").contains("other"), "{found:#?}");
    }
}

/// The example on the newest release, with no patch.
fn newest() -> Spec {
    let mut spec = edited(&[("version: 1.10.7", "version: 1.14.0-rc.1")]).unwrap();
    let document = "apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: tal01\nauto: \"off\"\n";
    let plain = MachineSpec::new(
        "tal01.lungmen.akn.chezmoi.sh",
        2_411_001,
        spec.machines[0].address(),
        lungmen_bootstrap::machine::Network::new("vmbr1"),
    );
    spec.machines[0] = plain.config_patch(PatchSource::new("hostname.yaml", document));
    spec
}

#[test]
fn a_patch_in_the_form_of_an_older_release_is_one_finding_that_names_the_documents() {
    assert_eq!(errors(newest()), [""; 0]);
    let old = edited(&[("version: 1.10.7", "version: 1.14.0-rc.1")]).unwrap();

    let found = errors(old);

    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("machines[0].configPatches[0]: lungmen-akn-01.patch-config.yaml: "),
        "{found:#?}"
    );
    for document in [
        "machine.network.hostname (now HostnameConfig)",
        "machine.kubelet (now KubeletConfig)",
        "cluster.network (now KubeNetworkConfig",
        "cluster.apiServer (now KubeAPIServerConfig)",
        "delete the fields",
    ] {
        assert!(found[0].contains(document), "{document}: {found:#?}");
    }
}

#[test]
fn memory_and_disks_below_the_least_of_talos_are_warned_about() {
    let mut spec = spec();
    spec.machines[0] = spec.machines[0]
        .clone()
        .memory_mib(1024)
        .disks([Disk::new(6), Disk::new(64)]);

    let found = warnings(spec);

    for (path, fix) in [
        ("machines[0].memoryMiB: 1024 MiB", "2048 MiB"),
        ("machines[0].disks[0].sizeGiB: 6 GiB", "at least 8 GiB"),
    ] {
        let is_it = |line: &&String| line.starts_with(path) && line.contains(fix);
        assert_eq!(found.iter().filter(is_it).count(), 1, "{path}: {found:#?}");
    }
}

#[test]
fn a_hostname_that_is_not_the_name_of_the_machine_is_warned_about() {
    let with = |hostname: &str| {
        let patch = format!("machine: {{network: {{hostname: {hostname}}}}}");
        let mut spec = spec();
        spec.machines[0] = spec.machines[0]
            .clone()
            .config_patch(PatchSource::new("host.yaml", patch));
        warnings(spec)
    };

    let found = with("tal10");

    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("machines[0].configPatches[2]: host.yaml: hostname: "),
        "{found:#?}"
    );
    assert!(
        found[0].contains("\"tal10\"") && found[0].contains("\"tal01\""),
        "{found:#?}"
    );
    for fine in ["tal01", "TAL01", "tal01.lungmen.akn.chezmoi.sh"] {
        assert_eq!(with(fine), [""; 0], "{fine}");
    }
}

#[test]
fn an_endpoint_that_is_one_of_several_machines_is_warned_about() {
    let with = |endpoint: &str, control_planes: u8| {
        let mut spec = spec();
        spec.endpoint = format!("https://{endpoint}:6443");
        let machines = (1..=control_planes).map(|number| machine(number, Role::ControlPlane));
        spec.machines = machines.chain([machine(9, Role::Worker)]).collect();
        warnings(spec)
    };

    for (endpoint, words) in [
        ("10.0.2.21", "machines[0] alone"),
        ("tal02.lungmen.akn.chezmoi.sh", "machines[1] alone"),
        ("10.0.2.29", "a worker"),
    ] {
        let found = with(endpoint, 3);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with("cluster.endpoint: ") && found[0].contains(words),
            "{found:#?}"
        );
        assert!(found[0].contains("use a virtual address"), "{found:#?}");
    }
    assert_eq!(with("10.0.2.21", 1), [""; 0]);
    assert_eq!(with("10.0.2.99", 3), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_findings_of_the_doctor_and_lines_of_the_plan() {
    let world = World::new().await;
    let mut spec = spec();
    spec.machines[0] = spec.machines[0].clone().memory_mib(1024);
    let bootstrap = world.builder_of(spec).build().unwrap();

    let diagnosis = bootstrap.doctor().await;
    let plan = bootstrap.plan().await;

    assert_eq!(diagnosis.severity(), Some(Severity::Warning), "{diagnosis}");
    let found: Vec<_> = diagnosis.of(Check::Specification).collect();
    assert_eq!(found.len(), 1, "{diagnosis}");
    assert!(found[0].found.starts_with("machines[0].memoryMiB: "));
    assert!(found[0].fix.contains("2048 MiB"), "{diagnosis}");
    assert_eq!(plan.warnings.len(), 1, "{plan}");
    assert!(plan.warnings[0].contains("machines[0].memoryMiB"));
}
