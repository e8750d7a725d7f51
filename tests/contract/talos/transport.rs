//! Ports that are not what they should be.

use std::time::{Duration, Instant};

use talos_client::{Endpoint, ErrorKind, Probe, probe};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// A port that does one thing with every connection.
async fn port<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Endpoint
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Endpoint::from(address)
}

async fn closed(endpoint: &Endpoint, timeout: Duration) -> talos_client::Error {
    match probe(endpoint, None, timeout).await.unwrap() {
        Probe::Closed(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_port_without_tls_is_named_as_such() {
    let endpoint = port(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;

    let error = closed(&endpoint, Duration::from_secs(5)).await;

    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.message().contains("not a TLS server"), "{error}");
}

#[tokio::test]
async fn a_port_that_hangs_up_is_a_failure_to_connect() {
    let endpoint = port(async |stream: TcpStream| drop(stream)).await;

    let error = closed(&endpoint, Duration::from_secs(5)).await;

    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_port_that_says_nothing_costs_no_more_than_the_timeout() {
    let endpoint = port(async |stream: TcpStream| {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let started = Instant::now();

    let error = closed(&endpoint, Duration::from_millis(200)).await;

    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.message(), "the TLS handshake timed out");
    assert!(started.elapsed() < Duration::from_secs(5));
}
