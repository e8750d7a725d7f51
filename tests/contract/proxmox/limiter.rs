//! The limits of nodes and storages, shared between clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures_util::future::join_all;
use proxmox_client::Limiter;
use proxmox_client::mock::{PveMock, Route};
use proxmox_client::storage::{Content, UploadRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::operation_table::UPID;
use super::{builder, node, poll, storage};

/// How many answers to waits still say that the task runs.
static RUNNING: AtomicI64 = AtomicI64::new(0);

/// A server that counts the requests it has not answered yet and the connections that it accepted, and gives every client
/// ample opportunity to send more.
struct Counting {
    endpoint: String,
    largest: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

impl Counting {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let largest = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (seen, connections) = (largest.clone(), accepted.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Self::answer(stream, open.clone(), seen.clone()));
            }
        });
        Self {
            endpoint,
            largest,
            accepted,
        }
    }

    async fn answer(mut stream: TcpStream, open: Arc<AtomicUsize>, largest: Arc<AtomicUsize>) {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            largest.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            open.fetch_sub(1, Ordering::SeqCst);
            // The first answers to waits say that the tasks run.
            let running = RUNNING.fetch_sub(1, Ordering::SeqCst) > 0;
            let status = if running { "running" } else { "stopped" };
            let body = match buffer.starts_with(b"GET /api2/json/nodes/pve-01/tasks/") {
                true => format!(r#"{{"data":{{"status":"{status}","exitstatus":"OK"}}}}"#),
                false => r#"{"data":[]}"#.to_owned(),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn clients_with_one_limiter_share_the_limit_of_a_node() {
    for (limiters, most) in [(1, 2), (2, 4)] {
        let server = Counting::start().await;
        let limiters: Vec<Limiter> = (0..limiters)
            .map(|_| Limiter::new().requests_per_node(2))
            .collect();
        let clients: Vec<_> = (0..2)
            .map(|index| {
                let limiter = limiters[index % limiters.len()].clone();
                builder(&server.endpoint).limiter(limiter).build().unwrap()
            })
            .collect();

        let calls = (0..40).map(|index| {
            let node = clients[index % 2].node(node());
            async move { node.storages().await.unwrap() }
        });
        join_all(calls).await;

        assert_eq!(server.largest.load(Ordering::SeqCst), most);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_waits_need_four_connections() {
    for _ in 0..5 {
        let server = Counting::start().await;
        let client = builder(&server.endpoint).build().unwrap();
        RUNNING.store(600, Ordering::SeqCst);
        let waits = (0..200).map(|_| {
            let task = client.task(UPID.parse().unwrap());
            async move { task.wait(poll()).await.unwrap() }
        });

        join_all(waits).await;

        assert!(RUNNING.load(Ordering::SeqCst) < 0);
        // A busy machine may be done before the last of them is needed.
        let (largest, accepted) = (
            server.largest.load(Ordering::SeqCst),
            server.accepted.load(Ordering::SeqCst),
        );
        assert!((1..=4).contains(&largest), "{largest} at a time");
        assert!((1..=4).contains(&accepted), "{accepted} in all");
    }
}

#[tokio::test]
async fn an_upload_waits_for_the_turn_of_its_storage() {
    let mock = PveMock::start().await;
    let limiter = Limiter::new();
    let client = mock
        .client_builder(mock.credentials())
        .limiter(limiter.clone())
        .build()
        .unwrap();
    let local = client.node(node()).storage(storage("local"));
    let turn = limiter.storage_turn(&node(), &storage("local")).await;
    let uploads = || {
        let calls = mock.calls();
        calls
            .iter()
            .filter(|call| call.route == Route::Upload)
            .count()
    };

    let request = UploadRequest::from_bytes(Content::Iso, "a.iso", vec![7_u8; 1000].into());
    let upload = local.upload(request);
    tokio::pin!(upload);
    tokio::select! {
        biased;
        _ = &mut upload => panic!("the upload did not wait"),
        version = client.version() => drop(version.unwrap()),
    }
    assert_eq!(uploads(), 0);

    drop(turn);
    upload.await.unwrap().wait(poll()).await.unwrap();
    assert_eq!(uploads(), 1);
}
