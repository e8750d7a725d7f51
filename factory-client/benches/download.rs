//! Throughput and memory of a download, next to curl on the same loopback. The mock runs in a process of its own, so
//! that its memory does not count.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program that prints its measurements"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use factory_client::mock::FactoryMock;
use factory_client::{Client, ImageRequest, Platform, Schematic, TalosVersion};

const SIZE: u64 = 1 << 28;
const MIB: f64 = (1 << 20) as f64;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    if std::env::args().any(|argument| argument == "serve") {
        return runtime.block_on(serve());
    }
    // `cargo test --all-targets` also runs this file; it has nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    runtime.block_on(measure());
}

async fn serve() {
    let mock = FactoryMock::builder().image_size(SIZE).start().await;
    println!("{}", mock.endpoint());
    std::io::stdout().flush().unwrap();
    // Until the parent goes away.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

async fn measure() {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut endpoint = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut endpoint)
        .unwrap();
    let client = Client::builder(endpoint.trim().parse().unwrap())
        .build()
        .unwrap();
    let created = client
        .create_schematic(&Schematic::default())
        .await
        .unwrap();
    let image = ImageRequest::iso(Platform::Nocloud).of(created.id, TalosVersion::new(1, 10, 7));
    let folder = tempfile::tempdir().unwrap();
    let url = client.image_url(&image).to_string();
    let before = peak_kib();

    for round in 1..=3 {
        let to_file = folder.path().join("curl.iso");
        let curl = timed(async {
            let status = Command::new("curl")
                .args(["-s", "-o"])
                .arg(&to_file)
                .arg(&url)
                .status();
            assert!(status.unwrap().success());
        })
        .await;
        let file = timed(async {
            let path = folder.path().join("client.iso");
            client.download_to_file(&image, path).await.unwrap();
        })
        .await;
        let sink = timed(async {
            client
                .download_to_writer(&image, tokio::io::sink())
                .await
                .unwrap();
        })
        .await;
        let grown = f64::from(peak_kib() - before) / 1024.0;
        println!(
            "round {round}: curl to file {}, to_file with SHA-256 {}, to_writer with SHA-256 {}, peak memory grown by {grown:.1} MiB",
            rate(curl),
            rate(file),
            rate(sink)
        );
    }
    drop(server.stdin.take());
    server.wait().unwrap();
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    work.await;
    started.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a printed figure")]
fn rate(time: Duration) -> String {
    format!("{:.0} MiB/s", SIZE as f64 / MIB / time.as_secs_f64())
}

/// Highest resident memory of this process so far.
fn peak_kib() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}
