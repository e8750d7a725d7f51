//! The callers of the recording, by their credentials, and how they send.

use std::collections::BTreeMap;
use std::time::Duration;

use argocd_client::mock::ArgoCdMock;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Exchange;

/// The tokens of the accounts, as the recording names them.
pub(super) struct Callers {
    pub(super) address: String,
    pub(super) tokens: BTreeMap<&'static str, String>,
}

impl Callers {
    pub(super) fn of(argocd: &ArgoCdMock) -> Self {
        let token = |account: &str| argocd.token_of(account).expose_secret().to_owned();
        Self {
            address: argocd.endpoint().authority().to_owned(),
            tokens: BTreeMap::from([
                ("ok", argocd.token().expose_secret().to_owned()),
                ("limited", token("limited")),
                ("norights", token("none")),
                ("admin", token("admin")),
            ]),
        }
    }

    /// The header that identifies a caller.
    pub(super) fn header(&self, auth: &str) -> String {
        match auth {
            "none" => String::new(),
            "bad" => "Authorization: Bearer nonsense\r\n".to_owned(),
            "cookie" => format!("Cookie: argocd.token={}\r\n", self.tokens["ok"]),
            account => format!("Authorization: Bearer {}\r\n", self.tokens[account]),
        }
    }

    pub(super) async fn send(&self, exchange: &Exchange) -> Option<Response> {
        let mut headers = self.header(&exchange.auth);
        for (name, value) in &exchange.request_headers {
            headers.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = exchange
            .request_body
            .as_ref()
            .map(Value::to_string)
            .unwrap_or_default();
        let stream = is_stream(exchange);
        self.request(&exchange.method, &exchange.path, &headers, &body, stream)
            .await
    }

    /// Sends a request over a connection of its own, so that nothing touches headers or bodies.
    pub(super) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
        stream: bool,
    ) -> Option<Response> {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            self.address
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let patience = Duration::from_millis(if stream { 250 } else { 10_000 });
        // A stream does not end; what came until then is compared.
        let _ = timeout(patience, connection.read_to_end(&mut bytes)).await;
        Response::parse(&bytes, stream)
    }
}

pub(super) fn is_stream(exchange: &Exchange) -> bool {
    exchange.path.contains("/stream/") || exchange.path.contains("/logs")
}

pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, Value>,
    pub(super) body: Value,
}

impl Response {
    /// None when nothing came: a stream sends its headers with its first event.
    pub(super) fn parse(bytes: &[u8], stream: bool) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name = name.to_ascii_lowercase();
            let value = if name == "set-cookie" {
                json!([value.split('=').next()])
            } else {
                json!(value)
            };
            headers.insert(name, value);
        }
        let body = if headers.get("transfer-encoding") == Some(&json!("chunked")) {
            dechunked(body)
        } else {
            body.to_owned()
        };
        let body = if stream {
            let events = body.lines().filter_map(|line| {
                serde_json::from_str(line.strip_prefix("data:").unwrap_or(line)).ok()
            });
            Value::Array(events.collect())
        } else {
            serde_json::from_str(&body).unwrap_or(Value::String(body))
        };
        Some(Self {
            status,
            headers,
            body,
        })
    }
}

/// The data of a chunked body, as far as it came.
pub(super) fn dechunked(body: &str) -> String {
    let mut data = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else {
            break;
        };
        data.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    data
}
