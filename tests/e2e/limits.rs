//! Several bootstraps of one process at the same servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factory_client::mock::FactoryMock;
use http::Method;
use lungmen_bootstrap::machine::{Placement, Role};
use lungmen_bootstrap::{Event, EventKind, Limits, Spec, StepId, TalosRelease, Timing};
use proxmox_client::id::{NodeName, StorageName};
use proxmox_client::mock::{MockStorage, PveMock};

use crate::several::machine;
use crate::support::existing_secrets;

/// Long enough that clusters meet, and to be seen by somebody who looks every few milliseconds.
const TASK: Duration = Duration::from_millis(300);
/// Two machines and an image of its own in each cluster.
const CLUSTERS: u8 = 4;

async fn proxmox() -> PveMock {
    let storage = |name| StorageName::new(name).unwrap();
    PveMock::builder()
        .node(NodeName::new("pve-01").unwrap())
        .storage(MockStorage::directory(storage("first"), &["iso"]))
        .storage(MockStorage::directory(storage("second"), &["iso"]))
        .storage(MockStorage::lvm_thin(storage("nvme-lvm")))
        .bridge("vmbr1")
        .task_delay(TASK)
        .start()
        .await
}

/// The clusters have their ISOs on two storages in turn, and different images.
fn spec(number: u8) -> Spec {
    const EXTENSIONS: [&str; CLUSTERS as usize] = [
        "siderolabs/iscsi-tools",
        "siderolabs/util-linux-tools",
        "siderolabs/qemu-guest-agent",
        "siderolabs/intel-ucode",
    ];
    let mut spec = crate::support::spec();
    spec.name = format!("cluster-{number}");
    spec.openbao = None;
    spec.argocd = None;
    spec.release = TalosRelease::new("1.10.7").extensions([EXTENSIONS[usize::from(number)]]);
    let storage = ["first", "second"][usize::from(number % 2)];
    spec.placement = Placement::new("pve-01", "nvme-lvm", storage);
    let number = 2 * number;
    spec.machines = vec![
        machine(number + 1, Role::ControlPlane),
        machine(number + 2, Role::Worker),
    ];
    spec
}

/// The most tasks of each kind that ran at the same time, and what was waited for.
#[derive(Debug)]
struct Peaks {
    vms: usize,
    downloads: usize,
    waited_for: Vec<String>,
}

async fn peaks(limits: impl Fn() -> Limits) -> Peaks {
    let (proxmox, factory) = (proxmox().await, FactoryMock::start().await);
    let folder = tempfile::tempdir().unwrap();
    let waits: Arc<Mutex<Vec<String>>> = Arc::default();
    let runs = (0..CLUSTERS).map(|number| {
        let waits = Arc::clone(&waits);
        let bootstrap = spec(number)
            .bootstrap()
            .proxmox(proxmox.client())
            .factory(factory.client())
            .output(folder.path().join(number.to_string()))
            .import_secrets(existing_secrets())
            .timing(Timing::uniform(
                Duration::from_millis(5),
                Duration::from_secs(20),
            ))
            .limits(limits())
            .observer(move |event: &Event| {
                if let EventKind::Waiting { waiting_for, .. } = &event.kind {
                    waits.lock().unwrap().push(waiting_for.clone());
                }
            })
            .build()
            .unwrap();
        async move { bootstrap.run_until(StepId::Machine).await }
    });
    let mut peak: BTreeMap<&str, usize> = BTreeMap::new();
    let ended = tokio::select! {
        ended = futures_util::future::join_all(runs) => ended,
        () = watch(&proxmox, &mut peak) => unreachable!("it watches until the end"),
    };
    for run in ended {
        run.unwrap_or_else(|error| panic!("{}", error.report()));
    }
    Peaks {
        vms: peak["vms"],
        downloads: peak["downloads"],
        waited_for: std::mem::take(&mut waits.lock().unwrap()),
    }
}

/// Looks at the running tasks again and again.
async fn watch(proxmox: &PveMock, peak: &mut BTreeMap<&str, usize>) {
    let client = proxmox.client();
    loop {
        let active = client
            .raw(Method::GET, "/nodes/pve-01/tasks", &[("source", "active")])
            .await
            .unwrap();
        let tasks = active.data.as_array().cloned().unwrap_or_default();
        let count = |kinds: &[&str]| {
            let kind = tasks.iter().filter_map(|task| task["type"].as_str());
            kind.filter(|kind| kinds.contains(kind)).count()
        };
        for (name, kinds) in [
            ("vms", &["qmcreate", "qmstart"][..]),
            ("downloads", &["download"]),
        ] {
            let most = peak.entry(name).or_default();
            *most = (*most).max(count(kinds));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bootstraps_with_one_value_share_its_limits() {
    let shared = Limits::new()
        .tasks_per_node(2)
        .transfers_per_storage(1)
        .downloads_per_factory(CLUSTERS.into());
    let narrow = Limits::new()
        .tasks_per_node(3)
        .transfers_per_storage(CLUSTERS.into())
        .downloads_per_factory(1);

    let (alone, shared, narrow) = tokio::join!(
        peaks(|| Limits::new().transfers_per_storage(2)),
        peaks(|| shared.clone()),
        peaks(|| narrow.clone()),
    );

    // Each one with limits of its own: nothing holds them back together.
    let is_turn = |text: &&String| text.starts_with("a turn at");
    assert_eq!(alone.waited_for.iter().find(is_turn), None, "{alone:?}");
    // The peaks are what was seen by looking, so a busy machine may see less. That somebody waited is in the texts below.
    assert!(shared.vms <= 2 && shared.downloads <= 2, "{shared:?}");
    assert!(narrow.vms <= 3 && narrow.downloads <= 1, "{narrow:?}");
    for (waited_for, place) in [
        (&shared.waited_for, "a turn at node pve-01"),
        (&shared.waited_for, "a turn at storage first of node pve-01"),
        (&narrow.waited_for, "a turn at Image Factory http"),
    ] {
        let said = waited_for.iter().any(|text| text.starts_with(place));
        assert!(said, "{place}: {waited_for:?}");
    }
}

/// Four clusters of the same image: the first one stores it, and the others find it complete at their turn.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_several_bootstraps_want_is_stored_once() {
    let (proxmox, factory) = (proxmox().await, FactoryMock::start().await);
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits::new();
    let runs = (0..CLUSTERS).map(|number| {
        let mut spec = spec(number);
        spec.release = crate::support::spec().release;
        spec.placement.iso_storage = "first".to_owned();
        let bootstrap = spec
            .bootstrap()
            .proxmox(proxmox.client())
            .factory(factory.client())
            .output(folder.path().join(number.to_string()))
            .import_secrets(existing_secrets())
            .timing(Timing::uniform(
                Duration::from_millis(5),
                Duration::from_secs(20),
            ))
            .limits(limits.clone())
            .build()
            .unwrap();
        async move { bootstrap.run_until(StepId::Image).await }
    });

    for run in futures_util::future::join_all(runs).await {
        run.unwrap_or_else(|error| panic!("{}", error.report()));
    }

    proxmox.assert_called(proxmox_client::mock::Route::DownloadUrl, 1);
}
