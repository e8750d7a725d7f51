//! A request on a connection of its own, so that nothing between the recording and the server touches headers or bodies.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use url::Url;

use super::Request;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long a stream is read, and how long anything else when nothing is set.
const STREAM: Duration = Duration::from_millis(1500);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the requests go.
pub(crate) struct Server {
    endpoint: Url,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

/// What a server answered.
pub(crate) struct Answer {
    /// The first line, with the reason phrase.
    pub(crate) line: String,
    pub(crate) status: u16,
    /// With names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// A server with HTTPS needs the certificate of its authority, as PEM.
    pub(crate) fn new(endpoint: Url, authority: Option<&str>) -> Result<Self> {
        let tls = match (endpoint.scheme(), authority) {
            ("https", Some(authority)) => Some(Arc::new(trusting(authority)?)),
            ("https", None) => return Err("a server with https needs --ca".into()),
            _ => None,
        };
        Ok(Self {
            endpoint,
            tls,
            timeout: TIMEOUT,
        })
    }

    /// Sets how long an answer may be silent, 30 seconds by default.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// `None` when the server closed the connection without an answer, or sent nothing in time.
    pub(crate) fn send(&self, request: &Request) -> Result<Option<Answer>> {
        let address = self.endpoint.socket_addrs(|| None)?;
        let connection = TcpStream::connect(address.as_slice())?;
        let limit = if request.is_stream {
            STREAM
        } else {
            self.timeout
        };
        connection.set_read_timeout(Some(limit))?;
        let host = self.endpoint.authority();
        let answer = match &self.tls {
            Some(tls) => {
                let name =
                    ServerName::try_from(self.endpoint.host_str().unwrap_or_default().to_owned())?;
                let session = ClientConnection::new(tls.clone(), name)?;
                exchange(StreamOwned::new(session, connection), host, request)?
            }
            None => exchange(connection, host, request)?,
        };
        Ok(Answer::parse(&answer))
    }
}

fn trusting(authority: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn exchange(mut connection: impl Read + Write, host: &str, request: &Request) -> Result<Vec<u8>> {
    let mut head = format!(
        "{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n",
        request.method, request.path
    );
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    connection.write_all(head.as_bytes())?;
    // The server may close before it has read everything; its answer counts all the same.
    let _ = connection
        .write_all(&request.body)
        .and_then(|()| connection.flush());
    let mut answer = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        match connection.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Ok(answer)
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let line = lines.next()?.to_owned();
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<(String, String)> = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let is_chunked = headers
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = &bytes[end + 4..];
        let body = if is_chunked {
            dechunked(body)
        } else {
            body.to_vec()
        };
        Some(Self {
            line,
            status,
            headers,
            body,
        })
    }

    /// The body as JSON, or as text. The events of a stream are a list.
    pub(crate) fn value(&self, is_stream: bool) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        match serde_json::from_str(&text) {
            Ok(value) if !is_stream => return value,
            Ok(Value::Array(items)) => return Value::Array(items),
            _ if !is_stream => return Value::String(text.into_owned()),
            _ => {}
        }
        let event =
            |line: &str| serde_json::from_str(line.strip_prefix("data:").unwrap_or(line)).ok();
        Value::Array(text.lines().filter_map(event).collect())
    }
}

/// The data of a chunked body, as far as it came.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some(end) = rest.windows(2).position(|part| part == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let Some(chunk) = size
            .filter(|size| *size > 0)
            .and_then(|size| rest.get(end + 2..end + 2 + size))
        else {
            break;
        };
        data.extend_from_slice(chunk);
        rest = rest.get(end + 4 + chunk.len()..).unwrap_or_default();
    }
    data
}
