//! Many clusters in one process, and one cluster of many machines: what they cost, and what they leave behind.
//!
//! Each measurement is a process of its own, because memory and descriptors are those of a process. An ordinary test run does
//! a few clusters; `lungmen-bootstrap/BENCHMARKS.md` has the command for many.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lungmen_bootstrap::machine::{Network, Placement, Role};
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{
    ClusterBootstrap, Event, EventKind, Limits, MachineSpec, StepId, TalosRelease, Timing,
};
use proxmox_client::id::VmId;
use talos_client::Code;
use talos_client::mock::{Fault, Route};
use tokio::runtime::Handle;

use crate::several::three_control_planes;
use crate::support::existing_secrets;

/// How many clusters the child is to build.
const CLUSTERS: &str = "LUNGMEN_SOAK_CLUSTERS";
/// How many machines the child is to plan.
const MACHINES: &str = "LUNGMEN_SOAK_MACHINES";
/// From how many clusters on the memory of one is judged.
const MANY: usize = 100;
/// What a cluster that waits may cost, with what its Lab spends on the connections of the run. The aim for the run alone is 512.
const MOST_PER_CLUSTER_KIB: u64 = 1024;

fn asked(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs this test again in a process of its own, and gives its output.
fn child(test: &str, variable: &str, number: usize) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, number.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    text
}

/// A field of the status of this process, in KiB. Only Linux has it.
fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[test]
fn many_clusters_in_one_process_end_and_leave_nothing() {
    let clusters = asked("LUNGMEN_SOAK").unwrap_or(8);
    let output = child("soak::clusters_of_the_child", CLUSTERS, clusters);
    let figures = output.lines().find(|line| line.starts_with("soak: "));
    println!("{}", figures.unwrap());
}

#[test]
fn thousands_of_machines_are_planned_in_time_and_space() {
    let machines = asked("LUNGMEN_SOAK_PLAN").unwrap_or(2_000);
    let output = child("soak::machines_of_the_child", MACHINES, machines);
    let figures = output.lines().find(|line| line.starts_with("plan: "));
    println!("{}", figures.unwrap());
}

/// One Lab for each cluster; the Labs and their configured nodes are there before anything is measured.
struct Fleet {
    labs: Vec<Arc<Lab>>,
    bootstraps: Vec<ClusterBootstrap>,
    folder: tempfile::TempDir,
    /// How many clusters wait for etcd.
    waiting: Arc<AtomicUsize>,
}

impl Fleet {
    async fn new(clusters: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let waiting = Arc::new(AtomicUsize::new(0));
        let limits = Limits::new();
        let mut labs = Vec::new();
        let mut bootstraps = Vec::new();
        for number in 0..clusters {
            let lab = Arc::new(Lab::start().await.unwrap());
            let has_waited = AtomicUsize::new(0);
            let count = Arc::clone(&waiting);
            let timing = Timing::uniform(Duration::from_millis(500), Duration::from_secs(1800));
            let bootstrap = lab
                .bootstrap(three_control_planes())
                .output(folder.path().join(number.to_string()))
                .import_secrets(existing_secrets())
                .limits(limits.clone())
                .timing(timing)
                .observer(move |event: &Event| {
                    let waits = matches!(event.kind, EventKind::Waiting { .. });
                    if waits
                        && event.step == StepId::EtcdBootstrap
                        && has_waited.fetch_add(1, Ordering::SeqCst) == 0
                    {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                })
                .build()
                .unwrap();
            labs.push(lab);
            bootstraps.push(bootstrap);
        }
        Self {
            labs,
            bootstraps,
            folder,
            waiting,
        }
    }

    async fn configure(&self) {
        let runs = self.bootstraps.iter();
        let runs = runs.map(|bootstrap| bootstrap.run_until(StepId::Apply));
        for run in join_all(runs).await {
            run.unwrap_or_else(|error| panic!("{}", error.report()));
        }
    }

    /// While the nodes say nothing about etcd, every cluster waits.
    fn be_silent(&self, is_silent: bool) {
        for lab in &self.labs {
            for number in 1..=3 {
                let talos = lab.talos(VmId::new(2_411_000 + number).unwrap()).unwrap();
                match is_silent {
                    true => talos.fail_always(
                        Route::ServiceList,
                        Fault::status(Code::Unavailable, "connection refused"),
                    ),
                    false => talos.clear_faults(),
                }
            }
        }
    }
}

/// The child. It does nothing in an ordinary test run.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_the_child() {
    let Some(clusters) = asked(CLUSTERS) else {
        return;
    };
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (tasks_before, descriptors_before) = (tasks(), descriptors());
    let fleet = Fleet::new(clusters).await;
    fleet.configure().await;
    fleet.be_silent(true);
    let with_labs = status("VmRSS:");

    let started = Instant::now();
    let runs: Vec<_> = fleet
        .bootstraps
        .iter()
        .map(|bootstrap| {
            let bootstrap = bootstrap.clone();
            tokio::spawn(async move { bootstrap.run().await })
        })
        .collect();
    while fleet.waiting.load(Ordering::SeqCst) < clusters {
        let failed = runs.iter().find(|run| run.is_finished());
        assert!(failed.is_none(), "a run ended before it waited");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let waiting = status("VmRSS:");
    let all_waited = started.elapsed();
    fleet.be_silent(false);
    for run in runs {
        let cluster = run.await.unwrap();
        let cluster = cluster.unwrap_or_else(|error| panic!("{}", error.report()));
        assert_eq!(cluster.machines.len(), 3);
    }
    let took = started.elapsed();
    drop(fleet.bootstraps);
    drop(fleet.labs);
    drop(fleet.folder);

    let has_ended = async {
        while tasks() > tasks_before || descriptors() > descriptors_before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), has_ended).await;
    assert!(
        ended.is_ok(),
        "left: {} tasks (before: {tasks_before}), {:?} descriptors (before: {descriptors_before:?})",
        tasks(),
        descriptors()
    );
    let each = waiting
        .zip(with_labs)
        .map(|(now, before)| now.saturating_sub(before) / u64::try_from(clusters).unwrap());
    println!(
        "soak: {clusters} clusters of 3 machines: all wait after {:.1} s, all done after {:.1} s; \
         {each:?} KiB for each waiting cluster; peak {:?} KiB with the Labs; no task and no descriptor left",
        all_waited.as_secs_f64(),
        took.as_secs_f64(),
        status("VmHWM:"),
    );
    // A few clusters bear what the process needs once.
    let is_enough = clusters < MANY || each.is_none_or(|each| each <= MOST_PER_CLUSTER_KIB);
    assert!(is_enough, "{each:?} KiB");
}

/// The child. It does nothing in an ordinary test run.
#[test]
fn machines_of_the_child() {
    let Some(machines) = asked(MACHINES) else {
        return;
    };
    let before = status("VmHWM:").unwrap_or_default();
    let started = Instant::now();
    let mut builder = ClusterBootstrap::builder("large", "https://10.0.0.1:6443")
        .release(TalosRelease::new("1.10.7"))
        .placement(Placement::new("pve-01", "nvme-lvm", "local"));
    for number in 0..u32::try_from(machines).unwrap() {
        let address = std::net::Ipv4Addr::from(0x0a01_0000 + number);
        let role = match number {
            0 => Role::ControlPlane,
            _ => Role::Worker,
        };
        let name = format!("tal{number:05}");
        let machine = MachineSpec::new(
            name,
            100_000 + number,
            address.into(),
            Network::new("vmbr1"),
        );
        builder = builder.machine(machine.role(role));
    }

    let outline = builder.outline();

    let outline = outline.unwrap_or_else(|error| panic!("{}", error.report()));
    let took = started.elapsed();
    let used = status("VmHWM:").map(|now| now.saturating_sub(before));
    assert!(outline.steps.len() > 10);
    println!(
        "plan: {machines} machines: {:.2} s, {used:?} KiB more at the peak",
        took.as_secs_f64()
    );
    assert!(took <= Duration::from_secs(5), "{took:?}");
    assert!(used.is_none_or(|used| used <= 500 << 10), "{used:?} KiB");
}
