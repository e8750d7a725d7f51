//! Many clusters in one process, and one cluster of many machines: what they cost, and what they leave behind.
//!
//! Each measurement is a process of its own, because memory and descriptors are those of a process. An ordinary test run does
//! a few clusters; `lungmen-bootstrap/BENCHMARKS.md` has the command for many.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use lungmen_bootstrap::machine::{Network, Placement, Role};
use lungmen_bootstrap::mock::Lab;
use lungmen_bootstrap::{
    Cluster, ClusterBootstrap, Event, EventKind, Limits, MachineSpec, StepId, TalosRelease, Timing,
    openbao,
};
use proxmox_client::credentials::ApiToken;
use proxmox_client::id::VmId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use talos_client::Code;
use talos_client::mock::{Fault, Route, TalosMock};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::runtime::Handle;
use url::Url;

use crate::several::three_control_planes;
use crate::support::existing_secrets;

/// The file that tells the child which Labs there are.
const CLUSTERS: &str = "LUNGMEN_SOAK_CLUSTERS";
/// What the child says when all of its clusters wait.
const ALL_WAIT: &str = "all clusters wait";
/// The file in the folder of a cluster that tells where its Kubernetes API is.
const KUBERNETES: &str = "kubernetes";
/// How many machines the child is to plan.
const MACHINES: &str = "LUNGMEN_SOAK_MACHINES";
/// From how many clusters on the memory of one is judged.
const MANY: usize = 100;
/// What a cluster that waits may cost.
const MOST_PER_CLUSTER_KIB: u64 = 512;

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

/// A field of the status of this process, in KiB. Only Linux has it. `RssAnon` is the memory that the process has written,
/// without the pages of its program.
fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn descriptors() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[test]
fn thousands_of_machines_are_planned_in_time_and_space() {
    let machines = asked("LUNGMEN_SOAK_PLAN").unwrap_or(2_000);
    let output = child("soak::machines_of_the_child", MACHINES, machines);
    let figures = output.lines().find(|line| line.starts_with("plan: "));
    println!("{}", figures.unwrap());
}

/// One Lab for each cluster, in this process. The runs that are measured are in a process of their own.
struct Fleet {
    labs: Vec<Arc<Lab>>,
    folder: tempfile::TempDir,
}

/// What a run in another process needs to know of a Lab.
#[derive(Serialize, Deserialize)]
struct Servers {
    proxmox: Url,
    token: (String, String),
    factory: Url,
    openbao: (Url, String),
    argocd: (Url, String),
    nodes: BTreeMap<IpAddr, SocketAddr>,
    folder: PathBuf,
}

fn exposed(secret: &SecretString) -> String {
    secret.expose_secret().to_owned()
}

impl Fleet {
    /// Labs whose nodes are configured, and say nothing about etcd.
    async fn new(clusters: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = |_| async { Arc::new(Lab::start().await.unwrap()) };
        let labs = join_all((0..clusters).map(start)).await;
        let fleet = Self { labs, folder };
        let runs = fleet.labs.iter().enumerate().map(|(number, lab)| {
            let builder = lab.bootstrap(three_control_planes());
            let builder = builder.output(fleet.folder(number));
            let bootstrap = builder.import_secrets(existing_secrets()).build().unwrap();
            async move { bootstrap.run_until(StepId::Apply).await }
        });
        // A few at a time, because these runs are not what is measured, and their deadlines are short.
        let mut runs = futures_util::stream::iter(runs).buffer_unordered(8);
        while let Some(run) = runs.next().await {
            run.unwrap_or_else(|error| panic!("{}", error.report()));
        }
        drop(runs);
        for lab in &fleet.labs {
            for talos in nodes(lab) {
                let silence = Fault::status(Code::Unavailable, "connection refused");
                talos.fail_always(Route::ServiceList, silence);
            }
        }
        fleet
    }

    fn folder(&self, number: usize) -> PathBuf {
        self.folder.path().join(number.to_string())
    }

    /// Writes down how the Labs are reached.
    fn describe(&self) -> PathBuf {
        let servers: Vec<Servers> = self
            .labs
            .iter()
            .enumerate()
            .map(|(number, lab)| {
                let addresses = three_control_planes()
                    .machines
                    .into_iter()
                    .map(|machine| machine.address());
                let (proxmox, argocd, openbao) = (lab.proxmox(), lab.argocd(), lab.openbao());
                Servers {
                    proxmox: proxmox.endpoint(),
                    token: (
                        proxmox.token_id().to_owned(),
                        exposed(proxmox.token_secret()),
                    ),
                    factory: lab.factory().endpoint(),
                    openbao: (openbao.endpoint(), exposed(&openbao.root_token())),
                    argocd: (argocd.endpoint(), exposed(&argocd.token())),
                    nodes: addresses
                        .zip(nodes(lab).map(|talos| talos.address()))
                        .collect(),
                    folder: self.folder(number),
                }
            })
            .collect();
        let file = self.folder.path().join("servers.json");
        std::fs::write(&file, serde_json::to_vec(&servers).unwrap()).unwrap();
        file
    }

    fn end_the_silence(&self) {
        self.labs
            .iter()
            .flat_map(|lab| nodes(lab))
            .for_each(|talos| talos.clear_faults());
    }

    /// Writes down where the Kubernetes API of each cluster is, as soon as it is there.
    async fn announce_kubernetes(&self) {
        let mut missing: Vec<usize> = (0..self.labs.len()).collect();
        while !missing.is_empty() {
            missing.retain(|number| {
                let Some(kubernetes) = self.labs[*number].kubernetes() else {
                    return true;
                };
                let address = kubernetes.address().to_string();
                std::fs::write(self.folder(*number).join(KUBERNETES), address).unwrap();
                false
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn nodes(lab: &Lab) -> impl Iterator<Item = TalosMock> {
    (1..=3).map(|number| lab.talos(VmId::new(2_411_000 + number).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clusters_in_one_process_end_and_leave_nothing() {
    let clusters = asked("LUNGMEN_SOAK").unwrap_or(8);
    let fleet = Fleet::new(clusters).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "soak::clusters_of_the_child", "--nocapture"])
        .env(CLUSTERS, fleet.describe())
        // Backtraces read the symbols of the whole program.
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut figures = None;
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == ALL_WAIT {
                fleet.end_the_silence();
            } else if line.starts_with("soak: ") {
                figures = Some(line);
            }
        }
        child.wait().await.unwrap()
    };
    let status = tokio::select! {
        status = read => status,
        () = async { fleet.announce_kubernetes().await; std::future::pending().await } => unreachable!(),
    };
    println!("{}", figures.unwrap_or_default());
    assert!(status.success(), "{status}");
}

impl Servers {
    /// A bootstrap of the cluster of this Lab. It counts itself as waiting when it first waits for etcd.
    fn bootstrap(self, limits: &Limits, waiting: &Arc<AtomicUsize>) -> ClusterBootstrap {
        let has_waited = AtomicUsize::new(0);
        let waiting = Arc::clone(waiting);
        let token = ApiToken::new(&self.token.0, self.token.1.into()).unwrap();
        let proxmox =
            proxmox_client::Client::builder(self.proxmox, token).danger_allow_plain_http();
        let argocd = argocd_client::Credentials::Token(self.argocd.1.into());
        let openbao = openbao::Credentials::token(self.openbao.1.into());
        let (nodes, kubernetes) = (self.nodes, self.folder.join(KUBERNETES));
        three_control_planes()
            .bootstrap()
            .proxmox(proxmox.build().unwrap())
            .factory(
                factory_client::Client::builder(self.factory)
                    .build()
                    .unwrap(),
            )
            .openbao_client(
                openbao::Client::builder(self.openbao.0, openbao)
                    .build()
                    .unwrap(),
            )
            .argocd_client(
                argocd_client::Client::builder(self.argocd.0, argocd)
                    .build()
                    .unwrap(),
            )
            .address_book(move |host: &str, port: u16| {
                let node = host
                    .parse()
                    .ok()
                    .and_then(|address: IpAddr| nodes.get(&address).copied());
                let api = || std::fs::read_to_string(&kubernetes).ok()?.parse().ok();
                let found = if port == talos_client::DEFAULT_PORT {
                    node
                } else {
                    api()
                };
                // Nothing listens on port 1 of the loopback interface.
                Some(found.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1))))
            })
            .output(self.folder)
            .limits(limits.clone())
            .timing(Timing::uniform(
                Duration::from_millis(500),
                Duration::from_secs(1800),
            ))
            .observer(move |event: &Event| {
                let waits = matches!(event.kind, EventKind::Waiting { .. });
                if waits
                    && event.step == StepId::EtcdBootstrap
                    && has_waited.fetch_add(1, Ordering::SeqCst) == 0
                {
                    waiting.fetch_add(1, Ordering::SeqCst);
                }
            })
            .build()
            .unwrap()
    }
}

/// The child. It does nothing in an ordinary test run.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_the_child() {
    let Some(file) = std::env::var_os(CLUSTERS) else {
        return;
    };
    let servers: Vec<Servers> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let clusters = servers.len();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (tasks_before, descriptors_before) = (tasks(), descriptors());
    let waiting = Arc::default();
    let limits = Limits::new();
    let run = |servers: Servers| {
        let bootstrap = servers.bootstrap(&limits, &waiting);
        tokio::spawn(async move { bootstrap.run().await })
    };

    let started = Instant::now();
    let mut servers = servers.into_iter();
    // The first one bears what the process needs once.
    let mut runs: Vec<_> = servers.by_ref().take(1).map(run).collect();
    all_wait(&mut runs, &waiting).await;
    let with_one = status("RssAnon:");
    runs.extend(servers.map(run));
    all_wait(&mut runs, &waiting).await;
    let with_runs = status("RssAnon:");
    let all_waited = started.elapsed();
    println!("\n{ALL_WAIT}");
    for run in runs {
        let cluster = run.await.unwrap();
        let cluster = cluster.unwrap_or_else(|error| panic!("{}", error.report()));
        assert_eq!(cluster.machines.len(), 3);
    }
    let took = started.elapsed();
    nothing_is_left(tasks_before, descriptors_before).await;
    let each = with_runs
        .zip(with_one)
        .map(|(all, one)| all.saturating_sub(one) / u64::try_from(clusters - 1).unwrap());
    println!(
        "soak: {clusters} clusters of 3 machines: all wait after {:.1} s, all done after {:.1} s; \
         {each:?} KiB for each waiting cluster; peak {:?} KiB; no task and no descriptor left",
        all_waited.as_secs_f64(),
        took.as_secs_f64(),
        status("VmHWM:"),
    );
    // A few clusters bear what the process needs once.
    let is_enough = clusters < MANY || each.is_none_or(|each| each <= MOST_PER_CLUSTER_KIB);
    assert!(is_enough, "{each:?} KiB");
}

type Running = tokio::task::JoinHandle<lungmen_bootstrap::Result<Cluster>>;

/// Returns when every run waits for etcd.
async fn all_wait(runs: &mut [Running], waiting: &AtomicUsize) {
    while waiting.load(Ordering::SeqCst) < runs.len() {
        if let Some(run) = runs.iter_mut().find(|run| run.is_finished()) {
            panic!("a run ended before it waited: {:?}", run.await);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until no more tasks and descriptors are there than before.
async fn nothing_is_left(tasks_before: usize, descriptors_before: Option<usize>) {
    let tasks = || Handle::current().metrics().num_alive_tasks();
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
