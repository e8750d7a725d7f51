//! Machines go their own ways: one that is late holds up only what depends on it.

use std::sync::Arc;

use lungmen_bootstrap::machine::Role;
use lungmen_bootstrap::{Event, EventKind, Spec, StepId};
use proxmox_client::Poll;
use proxmox_client::id::VmId;
use proxmox_client::mock::{Fault, Route};

use crate::several::{machine, three_control_planes};
use crate::support::{World, outcome};

/// Three control planes and a worker, which is machine 4.
fn with_a_worker() -> Spec {
    let mut spec = three_control_planes();
    spec.machines.push(machine(4, Role::Worker));
    spec
}

fn is_finished(event: &Event, step: StepId) -> bool {
    event.step == step && matches!(event.kind, EventKind::StepFinished { .. })
}

fn is_of(event: &Event, number: u8) -> bool {
    let name = event.machine.as_deref().unwrap_or_default();
    name.starts_with(&format!("tal{number:02}."))
}

/// All VMs run but that of one machine, which Proxmox VE does not start until the faults are cleared.
async fn with_one_that_is_late(spec: &Spec, number: u8) -> World {
    let world = World::new().await;
    let bootstrap = world.builder_of(spec.clone()).build().unwrap();
    bootstrap.run_until(StepId::Machine).await.unwrap();
    let proxmox = world.lab.proxmox();
    let id = VmId::new(2_411_000 + u32::from(number)).unwrap();
    let vm = proxmox.client().node("pve-01".parse().unwrap()).vm(id);
    vm.stop()
        .await
        .unwrap()
        .wait(Poll::default())
        .await
        .unwrap();
    proxmox.fail_always(Route::StartVm, Fault::locked(id.get()));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_does_not_wait_for_a_late_worker() {
    let spec = with_a_worker();
    let world = with_one_that_is_late(&spec, 4).await;
    let lab = Arc::clone(&world.lab);
    let before = world.events().len();
    let builder = world.builder_of(spec).observer(move |event: &Event| {
        if is_finished(event, StepId::EtcdBootstrap) {
            lab.proxmox().clear_faults();
        }
    });

    let cluster = builder.build().unwrap().run().await;

    let cluster = cluster.unwrap_or_else(|error| panic!("{}", error.report()));
    assert!(cluster.steps.is_sorted_by_key(|report| report.step));
    let events = &world.events()[before..];
    let at = |what: &dyn Fn(&Event) -> bool| events.iter().position(what).unwrap();
    let etcd = at(&|event| is_finished(event, StepId::EtcdBootstrap));
    for step in [StepId::Machine, StepId::FirstBoot, StepId::Apply] {
        assert!(etcd < at(&|event| is_finished(event, step)), "{step}");
    }
    let kubeconfig = at(&|event| event.step == StepId::Kubeconfig);
    assert!(at(&|event| is_finished(event, StepId::Apply)) < kubeconfig);
}

/// etcd waits for the late one, because a member that nobody can ask may have data. The others need not.
#[tokio::test(flavor = "multi_thread")]
async fn control_planes_are_configured_while_another_one_is_late() {
    let world = with_one_that_is_late(&three_control_planes(), 2).await;
    let lab = Arc::clone(&world.lab);
    let configured = std::sync::Mutex::new(Vec::new());
    let already = world.events().len();
    let builder = world.builder_of(three_control_planes());
    let builder = builder.observer(move |event: &Event| {
        let is_configured = event.step == StepId::Apply
            && matches!(&event.kind, EventKind::Note { text } if text.contains("Talos v"));
        if !is_configured {
            return;
        }
        let mut configured = configured.lock().unwrap();
        configured.extend(event.machine.clone());
        if configured.len() == 2 {
            lab.proxmox().clear_faults();
        }
    });

    let cluster = builder.build().unwrap().run().await;

    cluster.unwrap_or_else(|error| panic!("{}", error.report()));
    let events = &world.events()[already..];
    let started = events.iter().position(|event| {
        is_of(event, 2)
            && matches!(&event.kind, EventKind::Note { text } if text.contains("is started"))
    });
    let before = &events[..started.unwrap()];
    assert!(
        before
            .iter()
            .any(|event| is_of(event, 1) && event.step == StepId::Apply)
    );
    assert!(
        before
            .iter()
            .all(|event| event.step != StepId::EtcdBootstrap)
    );
}

/// The failure of a worker is reported at once and at the end; the control planes become a cluster meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_cuts_short_nothing_else_and_the_next_run_finishes() {
    let spec = with_a_worker();
    let world = with_one_that_is_late(&spec, 4).await;
    let proxmox = world.lab.proxmox();
    proxmox.clear_faults();
    proxmox.fail_next(
        Route::StartVm,
        Fault::forbidden("/vms/2411004", "VM.PowerMgmt"),
    );
    let bootstrap = world.builder_of(spec).build().unwrap();

    let error = bootstrap.run().await.unwrap_err();

    let report = error.report();
    assert_eq!(error.step(), Some(StepId::Machine), "{report}");
    assert!(error.machine().unwrap().starts_with("tal04."), "{report}");
    assert!(error.others().is_empty(), "{report}");
    let etcd = outcome(error.steps(), StepId::EtcdBootstrap);
    assert_eq!(etcd, lungmen_bootstrap::Outcome::Done, "{report}");
    let failed = world
        .events()
        .into_iter()
        .filter(|event| matches!(event.kind, EventKind::StepFailed { .. }));
    let failed: Vec<Event> = failed.collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(is_of(&failed[0], 4), "{failed:?}");

    let cluster = bootstrap.run().await;
    let cluster = cluster.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(cluster.machines.len(), 4);
}

/// Many workers need a control plane before they can run: that they come first in the specification holds nothing up.
#[tokio::test(flavor = "multi_thread")]
async fn workers_before_the_control_plane_in_the_specification_do_not_stand_in_its_way() {
    let mut spec = crate::support::spec();
    let workers = (2..=20).map(|number| machine(number, Role::Worker));
    spec.machines = workers.collect();
    spec.machines.push(machine(1, Role::ControlPlane));
    let world = World::new().await;

    let cluster = world.builder_of(spec).build().unwrap().run().await;

    let cluster = cluster.unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(cluster.machines.len(), 20);
}
