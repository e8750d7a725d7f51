//! `scale`: machines that left the specification are removed in order, and the cluster lives on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lungmen_bootstrap::machine::{Network, Role};
use lungmen_bootstrap::mock::{Fault as ServiceFault, kubernetes};
use lungmen_bootstrap::{
    ClusterBootstrap, ClusterBootstrapBuilder, DestroyOptions, Destroyed, Error, ErrorKind, Event,
    EventKind, MachineSpec, PatchSource, ScaleOptions, Server, Timing, Verdict,
};
use proxmox_client::id::VmId;
use serde_json::{Value, json};
use talos_client::Code;
use talos_client::mock::{Fault, Route, TalosMock};
use tokio::sync::Notify;

use crate::destroy::short_lease;
use crate::several::machine;
use crate::support::World;

const CLUSTER: &str = "lungmen.akn";

impl World {
    fn builder_for(&self, machines: Vec<MachineSpec>) -> ClusterBootstrapBuilder {
        let mut spec = crate::support::spec();
        spec.machines = machines;
        self.builder_of(spec)
    }

    fn of(&self, machines: Vec<MachineSpec>) -> ClusterBootstrap {
        self.builder_for(machines).build().unwrap()
    }

    async fn build(&self, machines: Vec<MachineSpec>) {
        let run = Box::pin(async move { self.of(machines).run().await }).await;
        run.unwrap_or_else(|error| panic!("{}", error.report()));
    }

    async fn scale(&self, machines: Vec<MachineSpec>) -> Result<Destroyed, Error> {
        let options = ScaleOptions::confirmed(CLUSTER);
        self.of(machines).scale(&options).await
    }

    fn node(&self, number: u32) -> TalosMock {
        self.lab.talos(id(number)).unwrap()
    }

    fn resets(&self, number: u32) -> usize {
        let calls = self.node(number).calls().into_iter();
        calls
            .filter(|call| call.route == Some(Route::Reset))
            .count()
    }
}

fn id(number: u32) -> VmId {
    VmId::new(2_411_000 + number).unwrap()
}

fn control_planes(count: u8) -> Vec<MachineSpec> {
    (1..=count)
        .map(|number| machine(number, Role::ControlPlane))
        .collect()
}

fn with_worker(mut machines: Vec<MachineSpec>) -> Vec<MachineSpec> {
    machines.push(machine(9, Role::Worker));
    machines
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_to_three_and_back_with_a_worker_that_leaves() {
    let world = World::new().await;
    world.build(control_planes(1)).await;
    world.build(with_worker(control_planes(3))).await;
    assert_eq!(world.lab.proxmox().vm_ids().len(), 4);
    let kubernetes = world.lab.kubernetes().unwrap();
    let labels = json!({"app": "web"});
    let web = |kind: &str, version: &str, name: &str, spec: Value| {
        json!({"apiVersion": version, "kind": kind, "spec": spec,
            "metadata": {"name": name, "namespace": "default", "labels": labels}})
    };
    let spec = json!({"nodeName": "tal09", "containers": [{"name": "web", "image": "web"}]});
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let spec_of_all =
        json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    for object in [
        web("Deployment", "apps/v1", "web", spec_of_all),
        web("Pod", "v1", "web-1", spec),
    ] {
        kubernetes.put(&object).unwrap();
    }
    // A run leaves removed machines alone.
    let plan = world.of(control_planes(1)).plan().await;
    assert_eq!(plan.removed.len(), 3, "{plan}");

    let scaled = world
        .scale(control_planes(1))
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    let removed: Vec<&str> = scaled
        .removed
        .iter()
        .map(|removal| removal.what.as_str())
        .collect();
    // The worker first; of each control plane the member, the node, and the VM last.
    let expected = [
        "the Kubernetes node tal09",
        "VM 2411009 (",
        "the etcd member tal02 ",
        "the Kubernetes node tal02",
        "VM 2411002 (",
        "the etcd member tal03 ",
        "the Kubernetes node tal03",
        "VM 2411003 (",
    ];
    assert_eq!(removed.len(), expected.len(), "{removed:#?}");
    for (removed, expected) in removed.iter().zip(expected) {
        assert!(removed.starts_with(expected), "{removed}: {expected}");
    }
    // An event before each: the nodes that are reset as well. Members leave with the reset of their node.
    let deletions = world.deletions();
    for what in removed.iter().filter(|what| !what.contains("member")) {
        assert!(
            deletions.iter().any(|announced| announced == what),
            "{what}: {deletions:#?}"
        );
    }
    let resets = deletions
        .iter()
        .filter(|what| what.starts_with("the node tal"));
    assert_eq!(resets.count(), 3, "{deletions:#?}");
    assert_eq!(world.lab.proxmox().vm_ids().len(), 1);
    // Its node was drained first: the pod that ran there has a successor that is not there.
    let pods = kubernetes.names("pods", "default");
    assert_eq!(pods.len(), 1, "{pods:?}");
    let pod = kubernetes.object("pods", "default", &pods[0]).unwrap();
    assert_ne!(pod["spec"]["nodeName"], "tal09", "{pod}");
    let cluster = world
        .of(control_planes(1))
        .run()
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(cluster.machines.len(), 1);
    // The endpoints follow.
    let talosconfig = world.read("talosconfig");
    assert!(!talosconfig.contains("10.0.2.22"), "{talosconfig}");
    let plan = world.of(control_planes(1)).plan().await;
    assert_eq!(
        (plan.verdict(), plan.removed.len()),
        (Verdict::Nothing, 0),
        "{plan}"
    );
    let again = world.scale(control_planes(1)).await.unwrap();
    assert_eq!(again.removed, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_control_plane_needs_a_permission() {
    let world = World::new().await;
    world.build(control_planes(3)).await;
    world.node(3).power_off();

    let error = world.scale(control_planes(1)).await.unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::PermissionRequired, "{report}");
    assert!(report.contains("--including-lost"), "{report}");
    assert_eq!(world.resets(2), 0);
    assert_eq!(world.deletions(), [""; 0]);

    let options = ScaleOptions::confirmed(CLUSTER).including_lost();
    let scaled = world
        .of(control_planes(1))
        .scale(&options)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));
    // The lost one first: it counts for the quorum until it is removed, with an event of its own.
    assert!(scaled.removed[0].what.starts_with("the etcd member tal03 "));
    assert!(world.deletions().contains(&scaled.removed[0].what));
    assert_eq!(world.lab.proxmox().vm_ids(), [id(1)]);
    let members = world.node(1).client().machine().etcd_members().await;
    assert_eq!(members.unwrap().len(), 1);
}

/// The address of a worker is known from its Kubernetes node alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_nodes_that_cannot_be_read_is_not_an_empty_one() {
    let world = World::new().await;
    world.build(with_worker(control_planes(1))).await;
    let fault = ServiceFault::Status(503, "the server is currently unable".into());
    let api = world.lab.kubernetes().unwrap();
    api.fail_always(kubernetes::Route::Nodes, fault);

    let error = world.scale(control_planes(1)).await.unwrap_err();

    let report = error.report();
    assert!(report.contains("list nodes"), "{report}");
    assert_eq!(error.origin(), Some(Server::Kubernetes), "{report}");
    assert_eq!(world.resets(9), 0);
    assert_eq!(world.lab.proxmox().vm_ids().len(), 2);
}

/// Two members would be left, one of them without health: etcd would not work on.
#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_stays_while_the_others_have_no_quorum() {
    let world = World::new().await;
    world.build(control_planes(3)).await;
    let silent = Fault::status(Code::Unavailable, "connection refused");
    world.node(1).fail_always(Route::EtcdStatus, silent);
    let mut timing = Timing::default();
    timing.request = Duration::from_secs(1);
    let bootstrap = world.builder_for(control_planes(1)).timing(timing);

    let error = bootstrap
        .build()
        .unwrap()
        .scale(&ScaleOptions::confirmed(CLUSTER))
        .await
        .unwrap_err();

    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::NotReady, "{report}");
    assert!(report.contains("1 of the 2 members"), "{report}");
    assert_eq!(world.resets(2) + world.resets(3), 0);
    assert_eq!(world.deletions(), [""; 0]);
    assert_eq!(world.lab.proxmox().vm_ids().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_deletion_it_goes_on_with_what_is_left() {
    // The node, its Kubernetes node and its VM; then the node of the other machine.
    for count in 1..=4 {
        let world = World::new().await;
        world.build(control_planes(3)).await;
        assert!(
            kill_at(&world, count).await,
            "deletion {count} did not come"
        );

        // The lease of a killed process expires.
        let bootstrap = world.builder_for(control_planes(1)).lease(short_lease());
        bootstrap
            .build()
            .unwrap()
            .scale(&ScaleOptions::confirmed(CLUSTER))
            .await
            .unwrap_or_else(|error| panic!("{count}: {}", error.report()));

        assert_eq!(world.lab.proxmox().vm_ids(), [id(1)], "{count}");
        let members = world.node(1).client().machine().etcd_members().await;
        assert_eq!(members.unwrap().len(), 1, "{count}");
        let api = world.lab.kubernetes().unwrap();
        for host in ["tal02", "tal03"] {
            assert!(
                !api.names("nodes", "").contains(&host.to_owned()),
                "{count}: {host}"
            );
        }
    }
}

/// Drops a removal at its `count`th deletion. Returns whether it came that far.
async fn kill_at(world: &World, count: usize) -> bool {
    let (reached, seen) = (Arc::new(Notify::new()), AtomicUsize::new(0));
    let signal = Arc::clone(&reached);
    let bootstrap = world
        .builder_for(control_planes(1))
        .lease(short_lease())
        .observer(move |event: &Event| {
            let is_deletion = matches!(event.kind, EventKind::Deleting { .. });
            if is_deletion && seen.fetch_add(1, Ordering::Relaxed) + 1 == count {
                signal.notify_one();
            }
        })
        .build()
        .unwrap();
    let options = ScaleOptions::confirmed(CLUSTER);
    tokio::select! {
        biased;
        () = reached.notified() => true,
        _ = bootstrap.scale(&options) => false,
    }
}

/// Its node is found by the UUID; by the name it would be the control plane that stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_with_the_host_name_of_one_that_stays_is_not_taken_for_it() {
    let world = World::new().await;
    let hostname = "machine:\n  network:\n    hostname: tal08\n";
    let namesake = MachineSpec::new(
        "tal01.other.example",
        2_411_008,
        std::net::Ipv4Addr::new(10, 0, 2, 28).into(),
        Network::new("vmbr1"),
    )
    .role(Role::Worker)
    .config_patch(PatchSource::new("hostname", hostname));
    let mut machines = control_planes(1);
    machines.push(namesake);
    world.build(machines).await;

    let scaled = world
        .scale(control_planes(1))
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    assert_eq!(scaled.removed.len(), 2, "{scaled:#?}");
    assert_eq!(scaled.removed[0].what, "the Kubernetes node tal08");
    assert_eq!(world.lab.proxmox().vm_ids(), [id(1)]);
    assert_eq!(world.resets(1), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_refused() {
    let world = World::new().await;

    let error = world
        .of(control_planes(1))
        .scale(&ScaleOptions::confirmed("other"))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// `destroy --machine` of a control plane that left the specification: etcd must not be left with a dead member.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_control_plane_that_left_the_specification_leaves_etcd_before_it_is_destroyed() {
    let world = World::new().await;
    world.build(control_planes(3)).await;
    let only = DestroyOptions::confirmed(CLUSTER).only_machine(machine(3, Role::Worker).name());

    let destroyed = world
        .of(control_planes(1))
        .destroy(&only)
        .await
        .unwrap_or_else(|error| panic!("{}", error.report()));

    let removed: Vec<&str> = destroyed
        .removed
        .iter()
        .map(|removal| removal.what.as_str())
        .collect();
    assert!(
        removed[0].starts_with("the etcd member tal03 ") && removed[1].starts_with("VM 2411003 "),
        "{removed:#?}"
    );
    // An event before each of them.
    assert_eq!(world.deletions(), removed);
    let members = world.node(1).client().machine().etcd_members().await;
    assert_eq!(members.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_machine_stays_while_nobody_says_whether_it_is_a_member_of_etcd() {
    let world = World::new().await;
    world.build(with_worker(control_planes(1))).await;
    let silent = Fault::status(Code::Unavailable, "connection refused");
    world.node(1).fail_always(Route::EtcdMemberList, silent);
    let only = || DestroyOptions::confirmed(CLUSTER).only_machine(machine(9, Role::Worker).name());

    let error = world
        .of(control_planes(1))
        .destroy(&only())
        .await
        .unwrap_err();

    assert!(error.is_retryable(), "{}", error.report());
    assert_eq!(world.deletions(), [""; 0]);
    assert_eq!(world.lab.proxmox().vm_ids().len(), 2);

    world.node(1).clear_faults();
    let destroyed = world.of(control_planes(1)).destroy(&only()).await.unwrap();
    assert_eq!(destroyed.removed.len(), 1, "{destroyed:#?}");
    assert_eq!(world.lab.proxmox().vm_ids(), [id(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_control_plane_stays_while_the_others_have_no_quorum() {
    let world = World::new().await;
    world.build(control_planes(3)).await;
    let silent = Fault::status(Code::Unavailable, "connection refused");
    world.node(1).fail_always(Route::EtcdStatus, silent);
    let mut timing = Timing::default();
    timing.request = Duration::from_secs(1);
    let only = DestroyOptions::confirmed(CLUSTER).only_machine(machine(3, Role::Worker).name());

    let bootstrap = world.builder_for(control_planes(1)).timing(timing);
    let error = bootstrap.build().unwrap().destroy(&only).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NotReady, "{}", error.report());
    assert_eq!(world.deletions(), [""; 0]);
    assert_eq!(world.lab.proxmox().vm_ids().len(), 3);
}
