//! How long the client takes for large installations. Prints medians; `cargo bench -p argocd-client`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::pin::pin;
use std::time::{Duration, Instant};

use argocd_client::application::{
    Application, ApplicationFilter, Target, TargetWait, WatchRequest,
};
use argocd_client::cluster::{ClusterSpec, ServerUrl};
use argocd_client::mock::{ApplicationSeed, ArgoCdMock};
use argocd_client::{Client, Credentials, Poll};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CA: &str = include_str!("../testdata/ca.pem");
const ROUNDS: usize = 11;

/// An application of about 10 kB: 60 resources with their health.
fn application(index: usize) -> Value {
    let resources: Vec<Value> = (0..60)
        .map(|number| {
            json!({
                "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "default",
                "name": format!("deployment-{number}"), "status": "Synced",
                "health": {"status": "Healthy", "message": "available"},
            })
        })
        .collect();
    json!({
        "metadata": {"name": format!("app-{index}"), "namespace": "argocd", "labels": {"a": "b"}},
        "spec": {
            "project": "default", "destination": {"name": "lungmen", "namespace": "default"},
            "source": {"repoURL": "https://git.example.test/apps.git", "path": "ok", "targetRevision": "main"},
        },
        "status": {
            "resources": resources, "sync": {"status": "Synced"}, "health": {"status": "Healthy"},
            "reconciledAt": "2026-01-01T00:00:00Z",
        },
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A server that answers every request with the same bytes.
async fn serving(head: &'static str, body: Vec<u8>) -> Client {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = body.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                if stream.read(&mut request).await.is_ok() {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: {}\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(&body).await;
                }
            });
        }
    });
    Client::builder(endpoint.parse().unwrap(), Credentials::anonymous())
        .build()
        .unwrap()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

/// User and system time of this process.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}

async fn lists() {
    let applications: Vec<Value> = (0..1000).map(application).collect();
    let body = json!({"metadata": {"resourceVersion": "1"}, "items": applications}).to_string();
    let size = body.len();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let list: Value = serde_json::from_str(&body).unwrap();
        times.push(started.elapsed());
        assert_eq!(list["items"].as_array().unwrap().len(), 1000);
    }
    println!("{size} bytes as untyped JSON: {:?}", median(times));
    let items = json!(applications).to_string();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let decoded: Vec<Application> = serde_json::from_str(&items).unwrap();
        times.push(started.elapsed());
        assert_eq!(decoded.len(), 1000);
    }
    println!("1000 applications decoded: {:?}", median(times));
    let client = serving(
        "Content-Type: application/json\r\nConnection: close",
        body.into_bytes(),
    )
    .await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let listed = client
            .applications()
            .list(&ApplicationFilter::all())
            .await
            .unwrap();
        times.push(started.elapsed());
        assert_eq!(listed.len(), 1000);
    }
    println!("1000 applications listed over HTTP: {:?}", median(times));
}

async fn watch() {
    const EVENTS: usize = 20_000;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                if !String::from_utf8_lossy(&request[..length]).contains("/stream/") {
                    let list = r#"{"metadata":{"resourceVersion":"1"},"items":null}"#;
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{list}",
                        list.len()
                    );
                    stream.write_all(head.as_bytes()).await.unwrap();
                    return;
                }
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                for index in 0..EVENTS {
                    let event = json!({"result": {"type": "MODIFIED", "application": application(index % 1000)}});
                    if stream
                        .write_all(format!("data: {event}\n\n").as_bytes())
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
    let client = Client::builder(endpoint.parse().unwrap(), Credentials::anonymous())
        .build()
        .unwrap();
    let mut events = pin!(
        client
            .applications()
            .watch(WatchRequest::new().relist_every(Duration::from_secs(600)))
    );
    events.next().await.unwrap().unwrap();
    for _ in 0..1000 {
        events.next().await.unwrap().unwrap();
    }
    let (before, started) = (resident_kib(), Instant::now());
    for _ in 1000..EVENTS {
        events.next().await.unwrap().unwrap();
    }
    let rate = f64::from(u32::try_from(EVENTS - 1000).unwrap()) / started.elapsed().as_secs_f64();
    println!(
        "watch: {rate:.0} events of 10 kB a second, sender included; memory {before} KiB after 1000 events, {} KiB after {EVENTS}",
        resident_kib()
    );
}

async fn registrations() {
    let argocd = ArgoCdMock::start().await;
    let clusters = argocd.client().clusters();
    let (started, before) = (Instant::now(), processor_time());
    for index in 0..200 {
        let server = ServerUrl::parse(&format!("https://10.1.0.{index}:6443")).unwrap();
        let spec = ClusterSpec::new(format!("cluster-{index}"), server, "token".into(), CA)
            .remember_credentials();
        clusters.register(&spec).await.unwrap();
    }
    println!(
        "200 clusters registered: {:?} of processor time, mock included; {:?} in all",
        processor_time() - before,
        started.elapsed()
    );
}

/// Waits for 500 applications of 10 kB that become healthy one by one, and counts the requests.
async fn waiting() {
    let argocd = ArgoCdMock::start().await;
    for index in 0..500 {
        let delay = Duration::from_millis(1000 + 2 * index);
        let seed = ApplicationSeed::new(format!("app-{index}")).on_cluster("lungmen");
        argocd.add_application(seed.delays(delay, Duration::from_millis(10)));
    }
    let server = ServerUrl::parse("https://kubernetes.example.test:6443").unwrap();
    let target = Target::new(server, "lungmen");
    let wait = TargetWait::new(Poll::default()).at_least(500);
    let applications = argocd.client().applications();
    let (started, before) = (Instant::now(), processor_time());
    let report = applications.wait_for_target(&target, &wait).await.unwrap();
    assert!(report.is_ready(), "{}", report.summary());
    let asked = |path: &str| {
        argocd
            .calls()
            .iter()
            .filter(|call| call.path == path)
            .count()
    };
    println!(
        "500 applications waited for: {} streams, {} lists; {:?} of processor time, mock included; {:?} in all",
        asked("/api/v1/stream/applications"),
        asked("/api/v1/applications"),
        processor_time() - before,
        started.elapsed()
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        lists().await;
        watch().await;
        registrations().await;
        waiting().await;
    });
}
