//! `destroy`: a cluster taken down, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use lungmen_bootstrap::lease::LeaseOptions;
use lungmen_bootstrap::mock::kubernetes;
use lungmen_bootstrap::{
    ClusterBootstrap, DestroyOptions, Destroyed, Error, ErrorKind, Event, EventKind, PatchSource,
    Spec, StepId, Verdict,
};
use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::storage::Content;
use tokio::sync::Notify;

use crate::support::{World, spec, vm};
use crate::writes::Writes;

const CLUSTER: &str = "lungmen.akn";

fn everything() -> DestroyOptions {
    DestroyOptions::confirmed(CLUSTER).despite_applications()
}

impl World {
    async fn destroy(&self, options: &DestroyOptions) -> Result<Destroyed, Error> {
        self.bootstrap().destroy(options).await
    }

    async fn isos(&self) -> usize {
        let node = self
            .lab
            .proxmox()
            .client()
            .node(NodeName::new("pve-01").unwrap());
        let storage = node.storage(StorageName::new("local").unwrap());
        storage.content(Some(Content::Iso)).await.unwrap().len()
    }

    /// No VM, no ISO, no registration.
    async fn assert_empty(&self) {
        assert!(self.lab.proxmox().vm_ids().is_empty());
        assert_eq!(self.isos().await, 0);
        assert!(!self.is_registered().await);
    }

    async fn is_registered(&self) -> bool {
        let clusters = self.lab.argocd().client().clusters().list().await.unwrap();
        clusters.iter().any(|cluster| cluster.name == CLUSTER)
    }

    pub(crate) fn deletions(&self) -> Vec<String> {
        let events = self.events().into_iter();
        events
            .filter_map(|event| match event.kind {
                EventKind::Deleting { what } => Some(what),
                _ => None,
            })
            .collect()
    }
}

/// Another setting and another label, which need no permission.
pub(crate) fn changed(mut spec: Spec) -> Spec {
    spec.patches.push(PatchSource::new(
        "sysctls",
        "machine:\n  sysctls:\n    net.ipv4.ip_local_reserved_ports: \"30000\"\n",
    ));
    let argocd = spec.argocd.as_mut().unwrap();
    argocd.labels.push(("stage".into(), "test".into()));
    spec
}

/// The whole life of a cluster.
async fn live_and_die(spec: Spec) {
    let world = World::new().await;
    let of = |spec: &Spec| -> ClusterBootstrap { world.builder_of(spec.clone()).build().unwrap() };
    let changed = changed(spec.clone());
    of(&spec)
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
    let plan = of(&spec).plan().await;
    assert_eq!(plan.verdict(), Verdict::Nothing, "{plan}");

    let plan = of(&changed).plan().await;
    assert_eq!(plan.verdict(), Verdict::Changes, "{plan}");
    of(&changed).run().await.unwrap();
    let plan = of(&changed).plan().await;
    assert_eq!(plan.verdict(), Verdict::Nothing, "{plan}");

    let destroyed = of(&changed).destroy(&everything()).await.unwrap();
    world.assert_empty().await;
    // The registration, the service account, the VMs, the ISO and the kubeconfig; an event before each but the file.
    assert_eq!(
        destroyed.removed.len(),
        spec.machines.len() + 4,
        "{destroyed:#?}"
    );
    assert_eq!(world.deletions().len(), spec.machines.len() + 3);
    assert!(
        destroyed
            .kept
            .iter()
            .any(|kept| kept.what.contains("OpenBao")),
        "{destroyed:#?}"
    );
    assert!(world.file("secrets.yaml").exists());

    let again = of(&changed).destroy(&everything()).await.unwrap();
    assert_eq!(again.removed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_machine_lives_changes_and_dies() {
    Box::pin(live_and_die(spec())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_control_planes_and_two_workers_live_change_and_die() {
    use lungmen_bootstrap::machine::Role;
    let mut spec = spec();
    let machine = crate::several::machine;
    let control_planes = (1..=3).map(|number| machine(number, Role::ControlPlane));
    let workers = (4..=5).map(|number| machine(number, Role::Worker));
    spec.machines = control_planes.chain(workers).collect();

    Box::pin(live_and_die(spec)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroyed_cluster_can_be_built_again() {
    let world = World::new().await;
    world.run().await.unwrap();
    world.destroy(&everything()).await.unwrap();

    let cluster = world
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert!(!cluster.was_complete());
    assert_eq!(world.lab.proxmox().vm_ids(), [vm()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_that_target_the_cluster_refuse_the_destruction() {
    let world = World::new().await;
    world.run().await.unwrap();

    let error = world
        .destroy(&DestroyOptions::confirmed(CLUSTER))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotReady, "{}", error.report());
    assert!(error.report().contains("--despite-applications"));
    assert_eq!(world.lab.proxmox().vm_ids(), [vm()]);
    assert!(world.is_registered().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_and_a_cluster_without_a_record_are_refused() {
    let world = World::new().await;
    let error = world.destroy(&everything()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    world.run_until(StepId::Machine).await.unwrap();
    let before = Writes::of(&world.lab);

    let error = world
        .destroy(&DestroyOptions::confirmed("lungmen"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(Writes::of(&world.lab), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_of_somebody_else_under_a_declared_id_stays() {
    let world = World::new().await;
    world.run_until(StepId::Claim).await.unwrap();
    world.lab.proxmox().add_vm(vm(), &[("name", "other")]);

    let destroyed = world.destroy(&everything()).await.unwrap();

    assert_eq!(world.lab.proxmox().vm_ids(), [vm()]);
    assert!(destroyed.removed.is_empty(), "{destroyed:#?}");
    let kept = destroyed
        .kept
        .iter()
        .find(|kept| kept.what.contains("other"));
    assert!(kept.unwrap().why.contains("did not create"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iso_in_the_drive_of_another_vm_stays() {
    let world = World::new().await;
    world.run_until(StepId::Machine).await.unwrap();
    let iso = "local:iso/talos-v1.10.7-nocloud-amd64-secureboot-88d1f7a5c4f1.iso,media=cdrom";
    let other = proxmox_client::id::VmId::new(500).unwrap();
    world
        .lab
        .proxmox()
        .add_vm(other, &[("name", "other"), ("ide2", iso)]);

    let destroyed = world.destroy(&everything()).await.unwrap();

    assert_eq!(world.isos().await, 1);
    assert!(
        destroyed
            .kept
            .iter()
            .any(|kept| kept.why.contains("VM 500")),
        "{destroyed:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_nodes_and_a_dead_kubernetes_do_not_matter() {
    let world = World::new().await;
    world.run().await.unwrap();
    world.lab.talos(vm()).unwrap().power_off();
    let api = world.lab.kubernetes().unwrap();
    for route in [
        kubernetes::Route::Version,
        kubernetes::Route::ServiceAccounts,
    ] {
        api.fail_always(route, lungmen_bootstrap::mock::Fault::DropResponse);
    }

    world.destroy(&everything()).await.unwrap();

    world.assert_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_deletion_it_goes_on_with_what_is_left() {
    for count in 1..=4 {
        let world = World::new().await;
        world.run().await.unwrap();
        assert!(
            kill_at(&world, count).await,
            "deletion {count} did not come"
        );

        // The lease of a killed process expires.
        let bootstrap = world.builder().lease(short_lease()).build().unwrap();
        bootstrap.destroy(&everything()).await.unwrap();

        world.assert_empty().await;
    }
}

pub(crate) fn short_lease() -> LeaseOptions {
    let options = LeaseOptions::default().duration(Duration::from_secs(1));
    options.wait(Duration::from_secs(10))
}

/// Drops a teardown at its `count`th deletion. Returns whether it came that far.
async fn kill_at(world: &World, count: usize) -> bool {
    let (reached, seen) = (Arc::new(Notify::new()), std::sync::Mutex::new(0));
    let signal = Arc::clone(&reached);
    let bootstrap = world
        .builder()
        .lease(short_lease())
        .observer(move |event: &Event| {
            if matches!(event.kind, EventKind::Deleting { .. }) {
                let mut seen = seen.lock().unwrap();
                *seen += 1;
                if *seen == count {
                    signal.notify_one();
                }
            }
        })
        .build()
        .unwrap();
    let everything = everything();
    tokio::select! {
        biased;
        () = reached.notified() => true,
        _ = bootstrap.destroy(&everything) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_destroyed_alone_and_a_control_plane_is_not() {
    use lungmen_bootstrap::machine::Role;
    let world = World::new().await;
    let mut spec = spec();
    spec.machines = vec![
        crate::several::machine(1, Role::ControlPlane),
        crate::several::machine(2, Role::Worker),
    ];
    let bootstrap = || world.builder_of(spec.clone()).build().unwrap();
    bootstrap().run().await.unwrap();
    let only = |name: &str| DestroyOptions::confirmed(CLUSTER).only_machine(name);

    let error = bootstrap()
        .destroy(&only("tal01.lungmen.akn.chezmoi.sh"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionRequired);
    let error = bootstrap().destroy(&only("tal09")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let destroyed = bootstrap()
        .destroy(&only("tal02.lungmen.akn.chezmoi.sh"))
        .await
        .unwrap();

    assert_eq!(destroyed.removed.len(), 1, "{destroyed:#?}");
    assert_eq!(world.lab.proxmox().vm_ids().len(), 1);
    assert!(world.is_registered().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_context_of_the_cluster_leaves_a_merged_talosconfig() {
    use talos_client::talosconfig::{Context, Talosconfig};
    let world = World::new().await;
    let path = world.file("merged");
    let mut theirs = Talosconfig::new();
    theirs.add("other", Context::new());
    theirs.use_context("other").unwrap();
    let text = theirs.to_yaml();
    std::fs::write(&path, secrecy::ExposeSecret::expose_secret(&text)).unwrap();
    let bootstrap = || world.builder().merge_talosconfig(&path).build().unwrap();
    bootstrap()
        .run_until(StepId::MergeTalosconfig)
        .await
        .unwrap();
    let names = || -> Vec<String> {
        let merged = Talosconfig::parse(&world.read("merged")).unwrap();
        merged.contexts().map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(names().len(), 2);

    bootstrap().destroy(&everything()).await.unwrap();

    assert_eq!(names(), ["other"]);
    let merged = Talosconfig::parse(&world.read("merged")).unwrap();
    assert_eq!(merged.current(), "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iso_that_the_token_may_not_delete_is_reported() {
    use proxmox_client::mock::{Fault, Route};
    let world = World::new().await;
    world.run_until(StepId::Machine).await.unwrap();
    let fault = Fault::forbidden("/storage/local", "Datastore.Allocate");
    world.lab.proxmox().fail_always(Route::DeleteVolume, fault);

    let destroyed = world.destroy(&everything()).await.unwrap();

    assert!(world.lab.proxmox().vm_ids().is_empty());
    let kept = destroyed
        .kept
        .iter()
        .find(|kept| kept.what.contains(".iso"));
    assert!(
        kept.unwrap().why.contains("Datastore.Allocate"),
        "{destroyed:#?}"
    );
}
