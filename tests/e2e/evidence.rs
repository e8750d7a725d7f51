//! What a run proved once is proved again by every run.

use lungmen_bootstrap::{
    Cluster, ClusterBootstrapBuilder, Error, ErrorKind, Outcome, PatchSource, StepId,
};
use proxmox_client::id::{VmId, VolumeId};
use proxmox_client::mock::{Fault as PveFault, Route as PveRoute};

use crate::several::{machine, three_control_planes};
use crate::support::{VM, World, outcome, spec, vm};

async fn run(builder: ClusterBootstrapBuilder) -> Result<Cluster, Error> {
    builder.build().unwrap().run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_found_under_its_former_vm_id() {
    let world = World::new().await;
    world.run_until(StepId::Machine).await.unwrap();
    let text = std::fs::read_to_string(crate::support::spec_file()).unwrap();
    let folder = crate::support::spec_file().parent().unwrap().to_owned();
    let moved =
        lungmen_bootstrap::Spec::parse(&text.replace("vmId: 2411000", "vmId: 2411009"), |name| {
            std::fs::read_to_string(folder.join(name))
        })
        .unwrap();

    let error = run(world.builder_of(moved)).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Machine));
    assert!(error.hint().contains(&VM.to_string()), "{}", error.report());
    assert_eq!(world.lab.proxmox().vm_ids(), [vm()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanged_addresses_of_configured_nodes_are_refused() {
    let world = World::new().await;
    let spec = three_control_planes();
    run(world.builder_of(spec.clone())).await.unwrap();
    // The specification exchanges two addresses; the nodes stay where they are.
    let mut exchanged = spec;
    let (one, two) = (
        exchanged.machines[0].address(),
        exchanged.machines[1].address(),
    );
    exchanged.machines[0] = exchanged.machines[0].clone().with_address(two);
    exchanged.machines[1] = exchanged.machines[1].clone().with_address(one);
    let sockets: Vec<_> = (1..=3)
        .map(|number| {
            let vm = VmId::new(2_411_000 + number).unwrap();
            world.lab.talos(vm).unwrap().address()
        })
        .collect();
    let book = move |host: &str, port: u16| {
        let last: usize = host.rsplit('.').next()?.parse().ok()?;
        (port == 50_000).then(|| sockets[last - 21])
    };

    let error = run(world.builder_of(exchanged).address_book(book))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Apply));
    assert!(error.report().contains("exchanged"), "{}", error.report());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_reaches_the_node() {
    let world = World::new().await;
    world.run().await.unwrap();
    let mut changed = spec();
    changed.patches.push(PatchSource::new(
        "sysctl",
        "machine:\n  sysctls:\n    vm.dirty_ratio: \"15\"\n",
    ));

    let cluster = run(world.builder_of(changed.clone()))
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
    let again = run(world.builder_of(changed)).await.unwrap();

    assert_eq!(outcome(&cluster.steps, StepId::Apply), Outcome::Done);
    let config = world.lab.talos(vm()).unwrap().config().unwrap();
    assert!(secrecy::ExposeSecret::expose_secret(&config).contains("vm.dirty_ratio"));
    assert!(again.was_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_talos_version_is_refused_with_the_command_that_upgrades() {
    let world = World::new().await;
    world.run().await.unwrap();
    let text = std::fs::read_to_string(crate::support::spec_file()).unwrap();
    let folder = crate::support::spec_file().parent().unwrap().to_owned();
    let raised = lungmen_bootstrap::Spec::parse(
        &text.replace("version: 1.10.7", "version: 1.11.6"),
        |name| std::fs::read_to_string(folder.join(name)),
    )
    .unwrap();

    let error = run(world.builder_of(raised)).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Claim));
    assert!(
        error.hint().contains("talosctl upgrade"),
        "{}",
        error.report()
    );
}

fn iso(world: &World) -> VolumeId {
    let volumes = world.lab.proxmox().volumes();
    let iso = volumes
        .iter()
        .find(|volume| volume.id.as_str().ends_with(".iso"));
    iso.unwrap().id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_copy_of_the_iso_is_replaced_when_it_is_our_own() {
    let world = World::new().await;
    world.run_until(StepId::Image).await.unwrap();
    let iso = iso(&world);
    let whole = world.lab.proxmox().volume(&iso).unwrap().size;
    world.lab.proxmox().add_file(iso.clone(), vec![0_u8; 100]);

    let progress = world.run_until(StepId::Image).await.unwrap();

    assert_eq!(outcome(&progress.steps, StepId::Image), Outcome::Done);
    assert_eq!(world.lab.proxmox().volume(&iso).unwrap().size, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_somebody_else_under_the_name_of_the_iso_is_left_alone() {
    let world = World::new().await;
    world.run_until(StepId::Image).await.unwrap();
    let iso = iso(&world);
    world.lab.proxmox().add_file(iso.clone(), vec![0_u8; 100]);
    std::fs::remove_file(world.file("lungmen.journal")).unwrap();

    let error = world.run_until(StepId::Image).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert_eq!(world.lab.proxmox().volume(&iso).unwrap().size, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_whose_creation_lost_its_response_is_recognised() {
    let world = World::new().await;
    world
        .lab
        .proxmox()
        .fail_next(PveRoute::CreateVm, PveFault::DropResponse);

    world
        .run_until(StepId::Machine)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert_eq!(world.lab.proxmox().vm_ids(), [vm()]);
    world.lab.proxmox().assert_called(PveRoute::CreateVm, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_could_not_get_its_lock_is_repeated() {
    let world = World::new().await;
    world.run_until(StepId::Image).await.unwrap();
    world
        .lab
        .proxmox()
        .fail_next_task("can't lock file '/var/lock/qemu-server/lock-2411000.conf' - got timeout");

    world
        .run_until(StepId::Machine)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert!(world.lab.proxmox().vm(vm()).unwrap().running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_could_not_start_gets_the_corrected_options() {
    let world = World::new().await;
    world.run_until(StepId::Machine).await.unwrap();
    world.lab.proxmox().stop_vm(vm());
    let mut corrected = spec();
    corrected.machines[0] = corrected.machines[0].clone().cores(2);

    let cluster = world
        .builder_of(corrected)
        .build()
        .unwrap()
        .run_until(StepId::Machine)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert_eq!(outcome(&cluster.steps, StepId::Machine), Outcome::Done);
    assert_eq!(world.lab.proxmox().vm(vm()).unwrap().config.cores, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_keeps_its_reports_and_events_name_cluster_and_machine() {
    let world = World::new().await;
    world.run_until(StepId::Image).await.unwrap();
    let fault = PveFault::forbidden(&format!("/vms/{VM}"), "VM.Allocate");
    world.lab.proxmox().fail_next(PveRoute::CreateVm, fault);

    let error = world.run().await.unwrap_err();

    assert_eq!(outcome(error.steps(), StepId::Image), Outcome::AlreadyDone);
    assert_eq!(error.machine(), Some("tal01.lungmen.akn.chezmoi.sh"));
    assert!(error.server().is_some(), "{}", error.report());
    let events = world.events();
    assert!(events.iter().all(|event| event.cluster == "lungmen.akn"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talosconfig_with_foreign_endpoints_or_another_key_is_written_again() {
    let world = World::new().await;
    world.run_until(StepId::Configuration).await.unwrap();
    let good = world.read("talosconfig");
    let key_at = good.find("key: ").unwrap() + 5;
    let broken = [
        good.replace("10.0.2.10", "192.0.2.1"),
        format!("{}AAAA{}", &good[..key_at], &good[key_at + 4..]),
    ];
    for text in broken {
        assert_ne!(text, good);
        std::fs::write(world.file("talosconfig"), text).unwrap();

        let run = world.run_until(StepId::Configuration).await.unwrap();

        assert_eq!(outcome(&run.steps, StepId::Configuration), Outcome::Done);
        assert_eq!(world.read("talosconfig"), good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_under_former_names_are_removed_and_those_of_others_stay() {
    let world = World::new().await;
    world.run_until(StepId::Configuration).await.unwrap();
    let config = world.read("controlplane.yaml");
    std::fs::write(world.file("controlplane-old.yaml"), config).unwrap();
    std::fs::write(world.file("worker-mine.yaml"), "machine: {type: worker}\n").unwrap();

    world.run_until(StepId::Configuration).await.unwrap();

    assert!(!world.file("controlplane-old.yaml").exists());
    assert!(world.file("worker-mine.yaml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_until_the_preflight_asks_every_server() {
    let world = World::new().await;

    let run = world.run_until(StepId::Preflight).await.unwrap();

    let summary = &run.steps.last().unwrap().summary;
    for server in ["Proxmox VE", "OpenBao", "Argo CD"] {
        assert!(summary.contains(server), "{summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_left_the_specification_leaves_argo_cd() {
    let world = World::new().await;
    let with = |labels: &[(&str, &str)]| {
        let mut spec = spec();
        if let Some(target) = &mut spec.argocd {
            target.labels = labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
        }
        world.builder_of(spec)
    };
    run(with(&[("env", "prod"), ("tier", "gold")]))
        .await
        .unwrap();

    let cluster = run(with(&[("env", "prod")])).await.unwrap();

    assert_eq!(outcome(&cluster.steps, StepId::Register), Outcome::Done);
    let registered = world
        .lab
        .argocd()
        .cluster("https://kubernetes.lungmen.akn.chezmoi.sh:6443")
        .unwrap();
    assert!(registered.labels.contains_key("env"));
    assert!(!registered.labels.contains_key("tier"));
    assert!(run(with(&[("env", "prod")])).await.unwrap().was_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_cluster_name_is_found_before_anything_is_created() {
    let world = World::new().await;
    world.run().await.unwrap();
    let vms = world.lab.proxmox().vm_ids();
    // Another cluster of the same servers, with the name of the first one in Argo CD.
    let mut other = spec();
    other.name = "other.akn".into();
    other.endpoint = "https://other.example.org:6443".into();
    other.openbao.as_mut().unwrap().path = "talos/other.akn".into();
    other.machines = vec![machine(7, lungmen_bootstrap::machine::Role::ControlPlane)];
    let bootstrap = world.lab.bootstrap(other).without_output().build().unwrap();

    let error = bootstrap.run().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Preflight));
    assert_eq!(world.lab.proxmox().vm_ids(), vms);
}

#[test]
fn machines_with_the_same_file_name_are_refused_together_with_other_findings() {
    let mut spec = spec();
    let role = lungmen_bootstrap::machine::Role::ControlPlane;
    spec.machines = vec![machine(1, role), machine(2, role), machine(3, role)];
    let text = |name: &str, number: u8| {
        lungmen_bootstrap::MachineSpec::new(
            name,
            3_000 + u32::from(number),
            std::net::Ipv4Addr::new(10, 0, 3, number).into(),
            lungmen_bootstrap::machine::Network::new("vmbr1"),
        )
        .role(lungmen_bootstrap::machine::Role::Worker)
    };
    spec.machines.extend([text("w.a", 1), text("w.b", 2)]);

    let error = spec.bootstrap().outline().unwrap_err();

    let all: Vec<String> = error
        .diagnostics()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        all.iter().any(|text| text.contains("worker-w.yaml")),
        "{all:?}"
    );
}

#[test]
fn a_patch_that_changes_the_identity_of_the_cluster_is_refused() {
    for patch in [
        "cluster:\n  clusterName: other\n",
        "cluster:\n  controlPlane:\n    endpoint: https://192.0.2.1:6443\n",
        "machine:\n  token: abcdef.0123456789abcdef\n",
    ] {
        let mut spec = spec();
        spec.patches.push(PatchSource::new("identity", patch));

        let error = spec.bootstrap().outline().unwrap_err();

        assert_eq!(error.kind(), ErrorKind::InvalidSpec, "{patch}");
        let all: Vec<String> = error
            .diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(
            all.iter().any(|text| text.contains("must not change")),
            "{all:?}"
        );
    }
}
