//! The machine API against the mock: reaction to a change, throughput and memory of streams, many nodes watched at once.
//!
//! Started without an argument it starts itself as the server, so that memory is that of the client alone. Nodes stream in pieces
//! of 1,024 bytes, and so does the mock. With an argument it measures only what that names.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures"
)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future};
use secrecy::ExposeSecret as _;
use talos_client::config::{GenerateInput, MachineType, TalosVersion, VersionContract};
use talos_client::cosi::{Change, MachineStatus};
use talos_client::machine::LogsRequest;
use talos_client::mock::{MockEvent, TalosMock};
use talos_client::secrets::{Role, SecretsBundle};
use talos_client::{
    ApplyOptions, Client, Credentials, DEFAULT_PORT, Endpoint, Machine, Poll, ResponseStream,
};

/// What the server has to send, in MiB.
const SIZE: u64 = 1024;
const NODES: usize = 500;
const ROUNDS: usize = 5;
const ADDRESS: [u8; 4] = [10, 0, 2, 10];
const DATA: &str = "/var/lib/data";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.as_slice() {
        ["serve", folder, count] => {
            runtime.block_on(serve(Path::new(folder), count.parse().unwrap()));
        }
        _ => {
            let only = arguments
                .iter()
                .find(|argument| !argument.starts_with("--"));
            runtime.block_on(measure(only.copied()));
        }
    }
}

async fn measure(only: Option<&str>) {
    let is_asked = |name: &str| only.is_none_or(|only| only == name);
    let folder = Folder::new();
    if is_asked("reaction") {
        reaction(&folder).await;
    }
    if is_asked("streams") {
        let server = Server::start(&folder, 1);
        let machine = server.client(0, &folder).machine();
        for _ in 0..3 {
            stream("logs", &machine, |machine| {
                machine.logs(LogsRequest::service("kubelet"))
            })
            .await;
            stream("archive", &machine, |machine| machine.archive(DATA)).await;
        }
        for _ in 0..3 {
            copy(&machine, &folder.0).await;
        }
    }
    if is_asked("snapshot") {
        let server = Server::start(&folder, 1);
        let machine = server.client(0, &folder).machine();
        snapshots(&machine, &folder.0).await;
    }
    if is_asked("nodes") {
        nodes(&folder).await;
    }
}

/// Nodes in this process, until nobody reads its output any more.
async fn serve(folder: &Path, count: usize) {
    let secrets = secrets(folder);
    let nodes = future::join_all((0..count).map(|_| node(&secrets))).await;
    for node in &nodes {
        println!("{}", node.address());
    }
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count())
        .await
        .unwrap();
}

fn secrets(folder: &Path) -> SecretsBundle {
    let text = std::fs::read_to_string(folder.join("secrets.yaml")).unwrap();
    SecretsBundle::parse(&text).unwrap()
}

/// A node that has a configuration.
async fn node(secrets: &SecretsBundle) -> TalosMock {
    let mock = TalosMock::builder()
        .address(ADDRESS.into())
        .log_mib("kubelet", SIZE)
        .file_mib(format!("{DATA}/file"), SIZE)
        .etcd_database_mib(SIZE)
        .not_ready_by_itself()
        .start()
        .await;
    mock.wait_for(|event| matches!(event, MockEvent::Maintenance { .. }))
        .await;
    let config = GenerateInput::new("bench", "https://10.0.2.10:6443", secrets)
        .unwrap()
        .talos_version(TalosVersion::parse("v1.10.7").unwrap());
    let config = config
        .generate(MachineType::ControlPlane)
        .unwrap()
        .to_yaml();
    mock.maintenance_client()
        .apply_configuration(&config, ApplyOptions::default())
        .await
        .unwrap();
    mock.wait_for(|event| matches!(event, MockEvent::Configured))
        .await;
    let machine = mock.client().machine();
    machine.bootstrap_and_wait(poll()).await.unwrap();
    mock
}

fn poll() -> Poll {
    Poll::every(Duration::from_millis(20)).deadline(Duration::from_secs(120))
}

/// From the change of a node to the event of a watch that is open.
async fn reaction(folder: &Folder) {
    let mock = node(&secrets(&folder.0)).await;
    mock.client()
        .machine()
        .wait_for_stage(talos_client::cosi::Stage::Running, poll())
        .await
        .unwrap();
    let mut changes = mock.client().resources().watch::<MachineStatus>("machine");
    let mut times = Vec::new();
    changes.next().await.unwrap().unwrap();
    for round in 0..1000 {
        let is_ready = round % 2 == 0;
        let started = Instant::now();
        if is_ready {
            mock.set_node_ready();
        } else {
            mock.set_node_not_ready();
        }
        loop {
            let change = changes.next().await.unwrap().unwrap();
            let status = change.resource().map(|resource| &resource.spec);
            if status.is_some_and(|status| status.is_ready == is_ready) {
                break;
            }
        }
        times.push(started.elapsed());
    }
    times.sort();
    println!(
        "reaction to a change: median {:?}, worst {:?}",
        times[500], times[999]
    );
}

/// Throughput and memory of a stream that nobody keeps.
async fn stream(name: &str, machine: &Machine, open: fn(&Machine) -> ResponseStream<Bytes>) {
    let memory = Memory::begin();
    let started = Instant::now();
    let mut pieces = open(machine);
    let (mut size, mut count) = (0_u64, 0_u64);
    while let Some(piece) = pieces.try_next().await.unwrap() {
        size += piece.len() as u64;
        count += 1;
    }
    report(name, size, started.elapsed(), memory);
    assert!(size >= SIZE << 20 && count >= SIZE << 10, "{size} {count}");
}

async fn copy(machine: &Machine, folder: &Path) {
    let target = folder.join("copy");
    let memory = Memory::begin();
    let started = Instant::now();
    let copied = machine.copy_to(DATA, &target).await.unwrap();
    report("copy to files", copied.bytes, started.elapsed(), memory);
    std::fs::remove_dir_all(target).unwrap();
}

fn report(name: &str, size: u64, took: Duration, memory: Memory) {
    let megabytes = size as f64 / 1e6;
    println!(
        "{name}: {:.0} MB/s, {:.0} MB in a second of the client's processor time, {} KiB more memory",
        megabytes / took.as_secs_f64(),
        megabytes / memory.processor_time().as_secs_f64(),
        memory.growth_kib()
    );
}

/// Snapshots beside copies of the same file to the same disk, in turns.
async fn snapshots(machine: &Machine, folder: &Path) {
    let (source, target) = (folder.join("snapshot"), folder.join("copied"));
    machine.etcd_snapshot(&source).await.unwrap();
    let (mut taken, mut copied, mut growth) = (Vec::new(), Vec::new(), 0);
    let mut processor = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let status = Command::new("cp").args([&source, &target]).status();
        assert!(status.unwrap().success());
        std::fs::File::open(&target).unwrap().sync_all().unwrap();
        copied.push(started.elapsed());
        std::fs::remove_file(&target).unwrap();

        let memory = Memory::begin();
        let started = Instant::now();
        machine.etcd_snapshot(&target).await.unwrap();
        taken.push(started.elapsed());
        processor = processor.min(memory.processor_time());
        growth = growth.max(memory.growth_kib());
        std::fs::remove_file(&target).unwrap();
    }
    taken.sort();
    copied.sort();
    println!(
        "snapshot of {SIZE} MiB: median {:.2?}, best {:.2?}; cp with fsync: median {:.2?}, best {:.2?}; ratio of the best {:.2}; {processor:.2?} of the client's processor time; {growth} KiB more memory",
        taken[ROUNDS / 2],
        taken[0],
        copied[ROUNDS / 2],
        copied[0],
        copied[0].as_secs_f64() / taken[0].as_secs_f64()
    );
}

/// One watch for each of many nodes.
async fn nodes(folder: &Folder) {
    let server = Server::start(folder, NODES + 1);
    // What the first connection costs is shared by all.
    let _first = watched(&server, NODES, folder).await;
    let before = Memory::resident_kib();
    let started = Instant::now();
    let mut watches = Vec::new();
    for index in 0..NODES {
        watches.push(watched(&server, index, folder).await);
    }
    let growth = Memory::resident_kib() - before;
    println!(
        "{NODES} nodes watched: {:.1} KiB each, connected in {:.2?}",
        growth as f64 / NODES as f64,
        started.elapsed()
    );
}

/// A client and a watch that has begun.
async fn watched(
    server: &Server,
    index: usize,
    folder: &Folder,
) -> (Client, ResponseStream<Change<MachineStatus>>) {
    let client = server.client(index, folder);
    let mut watch = client.resources().watch::<MachineStatus>("machine");
    watch.next().await.unwrap().unwrap();
    (client, watch)
}

/// This program as the server.
struct Server {
    process: Child,
    addresses: Vec<SocketAddr>,
}

impl Server {
    fn start(folder: &Folder, count: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .arg(&folder.0)
            .arg(count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let addresses = lines
            .map(|line| line.unwrap())
            .take_while(|line| line != "ready")
            .map(|line| line.parse().unwrap())
            .collect();
        Self { process, addresses }
    }

    fn client(&self, index: usize, folder: &Folder) -> Client {
        let address = SocketAddr::from((ADDRESS, DEFAULT_PORT));
        let endpoint = Endpoint::from(address).dial(self.addresses[index]);
        Client::builder(endpoint, folder.1.clone()).build().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Resident memory of this process and its processor time, as Linux counts them.
#[derive(Clone, Copy)]
struct Memory(u64, Duration);

impl Memory {
    fn begin() -> Self {
        // The peak counts from now on.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self(Self::resident_kib(), Self::processor())
    }

    fn growth_kib(self) -> u64 {
        Self::status("VmHWM:").saturating_sub(self.0)
    }

    fn processor_time(self) -> Duration {
        Self::processor().saturating_sub(self.1)
    }

    /// Of all threads, in user and system mode.
    fn processor() -> Duration {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        Duration::from_millis(
            10 * ticks
                .map(|field| field.parse::<u64>().unwrap())
                .sum::<u64>(),
        )
    }

    fn resident_kib() -> u64 {
        Self::status("VmRSS:")
    }

    fn status(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.unwrap().parse().unwrap()
    }
}

/// A folder with the secrets of the cluster, and credentials from them.
struct Folder(PathBuf, Credentials);

impl Folder {
    fn new() -> Self {
        let name = format!("machine-api-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let bundle = SecretsBundle::generate_blocking(VersionContract::V1_10).unwrap();
        let text = bundle.to_yaml();
        std::fs::write(path.join("secrets.yaml"), text.expose_secret()).unwrap();
        let certificate = bundle.client_certificate(Role::Admin).issue().unwrap();
        Self(path, Credentials::from(&certificate))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
