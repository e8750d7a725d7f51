//! One TLS connection to a node.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Endpoint, Error, ErrorKind, Result, api::status};

const OPERATION: &str = "connect";

/// A connection whose first answer may already be buffered.
pub(crate) type Connection = BufReader<TlsStream<TcpStream>>;

/// No less than the first frame of a server, its settings.
const PREFACE: usize = 64;

/// How long a server may take to begin HTTP/2 before we do.
const GREETING: Duration = Duration::from_secs(2);

/// Opens TCP and TLS, within `timeout`.
pub(crate) async fn handshake(
    endpoint: &Endpoint,
    tls: Arc<ClientConfig>,
    timeout: Duration,
) -> Result<TlsStream<TcpStream>> {
    let limit = Instant::now() + timeout;
    let tcp = timeout_at(limit, tcp(endpoint))
        .await
        .map_err(|_| failed(endpoint, "the connection attempt timed out"))?
        .map_err(|source| failed(endpoint, source.to_string()).with_source(source))?;
    let name = endpoint.server_name()?;
    timeout_at(limit, TlsConnector::from(tls).connect(name, tcp))
        .await
        .map_err(|_| failed(endpoint, "the TLS handshake timed out"))?
        .map_err(|source| status::from_tls(OPERATION, &source).with_target(endpoint.to_string()))
}

/// Opens a connection that the node has accepted.
///
/// In TLS 1.3 the client's handshake ends before the node has looked at the client's certificate. Waiting for the
/// node's HTTP/2 preface, which it sends unasked, makes a refusal an error of the connection; otherwise it would
/// race with the first request, and look like a broken pipe.
pub(crate) async fn accepted(
    endpoint: &Endpoint,
    tls: Arc<ClientConfig>,
    timeout: Duration,
) -> Result<Connection> {
    // Whatever is read after the preface passes by a buffer of that size.
    let tls = handshake(endpoint, tls, timeout).await?;
    let mut connection = BufReader::with_capacity(PREFACE, tls);
    match tokio::time::timeout(GREETING.min(timeout), connection.fill_buf()).await {
        Ok(Ok([])) => Err(failed(endpoint, "the node closed the connection")),
        Ok(Err(source)) => {
            Err(status::from_tls(OPERATION, &source).with_target(endpoint.to_string()))
        }
        // A server that waits for the client to begin is allowed to.
        Ok(Ok(_)) | Err(_) => Ok(connection),
    }
}

async fn tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let stream = match endpoint.dialled() {
        Some(address) => TcpStream::connect(address).await?,
        None => TcpStream::connect((endpoint.host(), endpoint.port())).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn failed(endpoint: &Endpoint, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Connect, OPERATION)
        .with_target(endpoint.to_string())
        .with_message(message)
}
