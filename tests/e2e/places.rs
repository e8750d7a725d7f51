//! Storages, pools and nodes of Proxmox VE: what is stored where, and what is found where nobody expected it.

use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{ErrorKind, Outcome, Server, Spec, StepId};
use proxmox_client::id::{NodeName, StorageName, VmId, VolumeId};
use proxmox_client::mock::{Fault, MockStorage, PveMock, PveMockBuilder, Route};

use crate::support::{VM, World, outcome, spec, vm};

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn storage(name: &str) -> StorageName {
    StorageName::new(name).unwrap()
}

/// The specification of the highly available example, which has two nodes.
fn ha() -> Spec {
    Spec::load(crate::support::spec_file().with_file_name("ha.yaml")).unwrap()
}

/// Two nodes with everything that the example names, except the storage of the image.
fn two_nodes(images: MockStorage) -> PveMockBuilder {
    PveMock::builder()
        .node(node("pve-01"))
        .node(node("pve-02"))
        .storage(images)
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
        .storage(MockStorage::lvm_thin(storage("sata-lvm")))
        .bridge("vmbr1")
        .bridge("vmbr2")
}

fn images() -> MockStorage {
    MockStorage::directory(storage("local"), &["iso"])
}

async fn world(pve: PveMockBuilder) -> World {
    Box::pin(World::with(Lab::builder().proxmox(pve))).await
}

fn isos(world: &World) -> Vec<VolumeId> {
    let volumes = world.lab.proxmox().volumes().into_iter();
    volumes
        .filter(|volume| volume.content == "iso")
        .map(|volume| volume.id)
        .collect()
}

async fn run_until(world: &World, spec: Spec, last: StepId) -> lungmen_bootstrap::PartialRun {
    let bootstrap = world.builder_of(spec).build().unwrap();
    let run = bootstrap.run_until(last).await;
    run.unwrap_or_else(|error| panic!("{}", error.report()))
}

async fn failure(world: &World, spec: Spec, last: StepId) -> lungmen_bootstrap::Error {
    let bootstrap = world.builder_of(spec).build().unwrap();
    bootstrap.run_until(last).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_storage_holds_the_image_once() {
    let world = world(two_nodes(images().shared())).await;

    run_until(&world, ha(), StepId::Image).await;
    let again = run_until(&world, ha(), StepId::Image).await;

    world.lab.proxmox().assert_called(Route::DownloadUrl, 1);
    assert_eq!(isos(&world).len(), 1);
    assert_eq!(outcome(&again.steps, StepId::Image), Outcome::AlreadyDone);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_copy_on_the_second_node_is_replaced_and_the_whole_one_on_the_first_stays() {
    let world = world(two_nodes(images())).await;
    run_until(&world, ha(), StepId::Image).await;
    let pve = world.lab.proxmox();
    let iso = isos(&world).remove(0);
    let whole = pve.volume_on(&node("pve-01"), &iso).unwrap().size;
    pve.add_file_on(&node("pve-02"), iso.clone(), vec![0_u8; 100]);

    let run = run_until(&world, ha(), StepId::Image).await;

    assert_eq!(outcome(&run.steps, StepId::Image), Outcome::Done);
    for name in ["pve-01", "pve-02"] {
        let copy = pve.volume_on(&node(name), &iso).unwrap();
        assert_eq!(copy.size, whole, "{name}");
    }
    pve.assert_called(Route::DownloadUrl, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_fails_cuts_short_no_other() {
    let world = world(two_nodes(images())).await;
    let pve = world.lab.proxmox();
    let fault = Fault::Status(500, "unable to open the storage".to_owned());
    pve.fail_next(Route::DownloadUrl, fault);

    let error = failure(&world, ha(), StepId::Image).await;

    assert_eq!(error.step(), Some(StepId::Image), "{}", error.report());
    assert_eq!(isos(&world).len(), 1, "{}", error.report());
    run_until(&world, ha(), StepId::Image).await;
    assert_eq!(isos(&world).len(), 2);
}

/// The proof that remains is the end of the task that stored the file.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_unknown_size_is_proved_by_the_end_of_its_task_and_by_nothing_else() {
    let pve = PveMock::builder()
        .storage(images().without_sizes())
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")));
    let world = world(pve).await;

    let first = run_until(&world, spec(), StepId::Image).await;
    let again = run_until(&world, spec(), StepId::Image).await;
    std::fs::remove_file(world.file("lungmen.journal")).unwrap();
    let error = failure(&world, spec(), StepId::Image).await;

    assert_eq!(outcome(&first.steps, StepId::Image), Outcome::Done);
    assert_eq!(outcome(&again.steps, StepId::Image), Outcome::AlreadyDone);
    assert_eq!(error.kind(), ErrorKind::NotReady, "{}", error.report());
    assert_eq!(error.step(), Some(StepId::Image));
    assert!(
        error.hint().contains("Remove the file"),
        "{}",
        error.report()
    );
    assert_eq!(isos(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preflight_asks_for_the_storages_of_every_node() {
    let world = world(two_nodes(images().only_on(node("pve-01")))).await;

    let error = failure(&world, ha(), StepId::Machine).await;

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Preflight), "{report}");
    for part in ["pve-02", "local", "ha-cp-02.akn.chezmoi.sh"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(isos(&world).is_empty());
    assert!(world.lab.proxmox().vm_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_preflight_finds_at_all_servers_is_one_error() {
    let world = world(two_nodes(images().only_on(node("pve-01")))).await;
    let mut wanted = ha();
    wanted.machines[0] = wanted.machines[0].clone().pool("talos");
    world.lab.argocd().revoke_all_tokens();

    let error = failure(&world, wanted, StepId::Applications).await;

    let report = error.report();
    let all: Vec<_> = std::iter::once(&error).chain(error.others()).collect();
    let found: Vec<_> = all
        .iter()
        .map(|error| (error.kind(), error.origin()))
        .collect();
    for expected in [
        (ErrorKind::NotFound, Some(Server::ProxmoxVe)),
        (ErrorKind::Unauthenticated, Some(Server::ArgoCd)),
    ] {
        assert!(found.contains(&expected), "{expected:?}: {report}");
    }
    assert!(all.iter().all(|error| error.server().is_some()), "{report}");
    for part in ["local on node pve-02", "pool talos", "Argo CD token"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(world.lab.proxmox().vm_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_does_not_exist_is_found_before_anything_is_created() {
    let mut pooled = spec();
    pooled.machines[0] = pooled.machines[0].clone().pool("talos");
    let without = World::new().await;
    let with = World::with(Lab::builder().spec(&pooled)).await;

    let error = failure(&without, pooled.clone(), StepId::Machine).await;
    run_until(&with, pooled, StepId::Machine).await;

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Preflight), "{report}");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{report}");
    for part in [
        "pool talos",
        "tal01.lungmen.akn.chezmoi.sh",
        "machines[].pool",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(isos(&without).is_empty());
    assert_eq!(with.lab.proxmox().vm_ids(), [vm()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_was_migrated_is_found_on_its_new_node() {
    let world = world(two_nodes(images())).await;
    let mut here = spec();
    here.placement.node = "pve-01".to_owned();
    run_until(&world, here.clone(), StepId::Machine).await;
    let pve = world.lab.proxmox();
    let config = pve.vm(vm()).unwrap().config;
    let (name, smbios) = (config.name.unwrap(), config.smbios.unwrap().to_string());
    pve.stop_vm(vm());
    let old = pve.client().node(node("pve-01")).vm(vm());
    let deletion = old.delete().await.unwrap();
    if let Some(task) = deletion {
        task.wait(proxmox_client::Poll::default()).await.unwrap();
    }
    pve.add_vm_on(
        &node("pve-02"),
        vm(),
        &[("name", &name), ("smbios1", &smbios)],
    );

    let error = failure(&world, here, StepId::Machine).await;

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    let expected = format!("VM {VM} is on node pve-02, the specification places it on node pve-01");
    assert!(report.contains(&expected), "{report}");
    assert!(error.hint().contains("pve-02"), "{report}");
    pve.assert_called(Route::CreateVm, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_drive_with_the_static_address_is_reported_and_added_to_a_stopped_vm() {
    const DRIVE: &str = "ide0";
    let world = world(two_nodes(images())).await;
    let mut one = ha();
    one.machines.truncate(1);
    run_until(&world, one.clone(), StepId::Machine).await;
    let id = VmId::new(2_421_001).unwrap();
    let pve = world.lab.proxmox();
    pve.set_vm_option(id, DRIVE, None);

    let running = run_until(&world, one.clone(), StepId::Machine).await;
    let untouched = pve.vm(id).unwrap().config.drives.len();
    pve.stop_vm(id);
    let stopped = run_until(&world, one, StepId::Machine).await;

    let warned = running.warnings.iter().any(|text| text.contains(DRIVE));
    assert!(warned, "{:?}", running.warnings);
    assert_eq!(
        outcome(&running.steps, StepId::Machine),
        Outcome::AlreadyDone
    );
    assert_eq!(outcome(&stopped.steps, StepId::Machine), Outcome::Done);
    let config = pve.vm(id).unwrap().config;
    assert_eq!(config.drives.len(), untouched + 1);
    let slot = proxmox_client::vm::Slot::Ide(0);
    let drive = config.drives.get(&slot).unwrap().to_string();
    assert!(drive.contains("cloudinit"), "{drive}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_tells_which_way_the_address_of_a_node_was_found() {
    let summary = |run: &lungmen_bootstrap::PartialRun| {
        let last = run.steps.last().unwrap();
        assert_eq!(last.step, StepId::FirstBoot);
        last.summary.clone()
    };
    let dhcp = World::new().await;
    let given = world(two_nodes(images())).await;
    let mut one = ha();
    one.machines.truncate(1);

    let leased = summary(&run_until(&dhcp, spec(), StepId::FirstBoot).await);
    dhcp.run_until(StepId::Apply).await.unwrap();
    let declared = summary(&run_until(&dhcp, spec(), StepId::FirstBoot).await);
    let fixed = summary(&run_until(&given, one, StepId::FirstBoot).await);

    assert!(
        leased.contains("(address from the guest agent)"),
        "{leased}"
    );
    assert!(
        declared.contains("configured (declared address)"),
        "{declared}"
    );
    assert!(fixed.contains("(static address)"), "{fixed}");
}
