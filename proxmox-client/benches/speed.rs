//! How long the client takes for large installations: `cargo bench -p proxmox-client --bench speed` prints the median and the
//! fastest of the rounds. BENCHMARKS.md has the figures.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use proxmox_client::credentials::ApiToken;
use proxmox_client::property::PropertyString;
use proxmox_client::storage::{Content, UploadRequest};
use proxmox_client::vm::{Drive, NetworkDevice, VmInfo};
use proxmox_client::{Client, Fingerprint, Poll, TlsTrust};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 11;
const UPID: &str = "UPID:pve-01:0003A2F1:01C2D3E4:66A1B2C3:imgcopy::ci@pve!boot:";
const UPLOAD: usize = 8 << 20;

/// The times of the rounds. Printed as the median and the fastest: other work on the machine makes a round slower, never
/// faster.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut rounds: Vec<Duration>) -> Self {
        rounds.sort();
        Self(rounds)
    }

    fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?} (fastest {:.1?})", self.median(), self.0[0])
    }
}

fn timed<T>(mut work: impl FnMut() -> T) -> Times {
    let times = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        std::hint::black_box(work());
        started.elapsed()
    });
    Times::of(times.collect())
}

/// A server that reads every request to its end; counts how many connections there are at most.
struct Sink {
    endpoint: String,
    most: Arc<AtomicUsize>,
}

impl Sink {
    async fn start(answer: fn(&str, usize) -> Value) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (highest, served) = (most.clone(), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (open, served) = (open.clone(), served.clone());
                highest.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = serve(stream, answer, &served).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { endpoint, most }
    }

    fn client(&self) -> Client {
        let token = ApiToken::new("ci@pve!boot", "secret".into()).unwrap();
        Client::builder(self.endpoint.parse().unwrap(), token)
            .danger_allow_plain_http()
            .trust(TlsTrust::pinned(Fingerprint::from_bytes([0; 32])))
            .build()
            .unwrap()
    }
}

async fn serve(
    stream: TcpStream,
    answer: fn(&str, usize) -> Value,
    served: &AtomicUsize,
) -> std::io::Result<()> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (mut target, mut length) = (String::new(), 0);
        if stream.read_line(&mut target).await? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await?;
            let lower = header.to_ascii_lowercase();
            if lower.starts_with("expect:") {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if header == "\r\n" {
                break;
            }
        }
        while length > 0 {
            let most = buffer.len().min(length);
            length -= stream.read(&mut buffer[..most]).await?.max(1);
        }
        let number = served.fetch_add(1, Ordering::SeqCst);
        let body = json!({ "data": answer(&target, number) }).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
    }
}

fn of_upload(target: &str, _: usize) -> Value {
    match target.contains("/access/permissions") {
        true => json!({ "/storage": { "Datastore.AllocateTemplate": 1 } }),
        false => json!(UPID),
    }
}

async fn uploads() {
    let sink = Sink::start(of_upload).await;
    let file =
        std::env::temp_dir().join(format!("proxmox-client-speed-{}.iso", std::process::id()));
    std::fs::write(&file, vec![b'x'; UPLOAD]).unwrap();
    let storage = sink
        .client()
        .node("pve-01".parse().unwrap())
        .storage("local".parse().unwrap());
    let (mut ours, mut in_memory, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let request = UploadRequest::from_path(Content::Iso, &file).await.unwrap();
        let _ = storage.upload(request).await.unwrap();
        ours.push(started.elapsed());
        let body = Bytes::from(vec![b'x'; UPLOAD]);
        let started = Instant::now();
        let request = UploadRequest::from_bytes(Content::Iso, "x.iso", body);
        let _ = storage.upload(request).await.unwrap();
        in_memory.push(started.elapsed());
        let url = format!(
            "{}/api2/json/nodes/pve-01/storage/local/upload",
            sink.endpoint
        );
        theirs.extend(curl(&url, &file).await);
    }
    std::fs::remove_file(&file).unwrap();
    let (ours, in_memory) = (Times::of(ours), Times::of(in_memory));
    println!("upload of 8 MiB from a file: {ours}");
    println!("upload of 8 MiB from memory: {in_memory}");
    if theirs.is_empty() {
        return println!("there is no curl to compare with");
    }
    let theirs = Times::of(theirs);
    let ratio = theirs.median().as_secs_f64() / ours.median().as_secs_f64();
    println!("curl from the same file: {theirs}; ours is {ratio:.2} times as fast");
}

/// Uploads the file with curl; how long its transfer took, without the start of the process.
async fn curl(url: &str, file: &Path) -> Option<Duration> {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{time_total}"])
        .args(["-F", "content=iso", "-F"])
        .arg(format!("filename=@{}", file.display()))
        .arg(url);
    let output = tokio::task::spawn_blocking(move || curl.output())
        .await
        .unwrap()
        .ok()?;
    let seconds = String::from_utf8_lossy(&output.stdout).parse().ok()?;
    output
        .status
        .success()
        .then(|| Duration::from_secs_f64(seconds))
}

fn lists() {
    let vms: Vec<Value> = (0..10_000)
        .map(|index| {
            json!({
                "vmid": 100 + index, "name": format!("vm-{index}"), "status": "running", "cpu": 0.017, "cpus": 4,
                "mem": 2_147_483_648_u64, "maxmem": 8_589_934_592_u64, "maxdisk": 34_359_738_368_u64, "disk": 0,
                "netin": 123_456, "netout": 654_321, "diskread": 1, "diskwrite": 2, "uptime": 86_400, "pid": 4711,
                "tags": "amd64;talos-linux",
            })
        })
        .collect();
    let text = Value::from(vms).to_string();
    let took = timed(|| serde_json::from_str::<Vec<VmInfo>>(&text).unwrap());
    println!("10000 VMs ({} bytes) decoded: {took}", text.len());
    let took = timed(|| serde_json::from_str::<Value>(&text).unwrap());
    println!("the same bytes as untyped JSON: {took}");
}

fn options() {
    let texts: Vec<(String, String)> = (0..5_000)
        .map(|index| {
            let disk = format!(
                "nvme-lvm:vm-{index}-disk-1,aio=native,discard=on,iothread=1,size=32G,ssd=1"
            );
            let card = format!(
                "virtio=BC:24:11:AA:{:02X}:CC,bridge=vmbr1,firewall=1,tag=2",
                index % 256
            );
            (disk, card)
        })
        .collect();
    let typed = timed(|| {
        for (disk, card) in &texts {
            std::hint::black_box(disk.parse::<Drive>().unwrap());
            std::hint::black_box(card.parse::<NetworkDevice>().unwrap());
        }
    });
    let plain = timed(|| {
        for (disk, card) in &texts {
            std::hint::black_box(PropertyString::parse(disk).unwrap());
            std::hint::black_box(PropertyString::parse(card).unwrap());
        }
    });
    println!("10000 option strings: {typed} as drives and network cards, {plain} untyped");
}

/// Every task is seen running a few times before it ends.
fn of_task(_: &str, number: usize) -> Value {
    match number < 1_000 {
        true => json!({ "status": "running" }),
        false => json!({ "status": "stopped", "exitstatus": "OK" }),
    }
}

async fn waits() {
    let sink = Sink::start(of_task).await;
    let client = sink.client();
    let poll = Poll::every(Duration::from_millis(50)).deadline(Duration::from_secs(60));
    let started = Instant::now();
    let tasks = (0..200).map(|_| {
        let task = client.task(UPID.parse().unwrap());
        async move { task.wait(poll).await.unwrap() }
    });
    join_all(tasks).await;
    println!(
        "200 waits at a time ended after {:?}, on at most {} connections",
        started.elapsed(),
        sink.most.load(Ordering::SeqCst)
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    lists();
    options();
    runtime.block_on(async {
        waits().await;
        uploads().await;
    });
}
