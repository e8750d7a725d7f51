//! A request as it was sent to the real server, on a plain socket.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Exchange;
use super::replay::Replay;
use super::server::IMAGE;

pub(super) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(super) fn of(replay: &Replay, exchange: &Exchange) -> Self {
        let mut headers: Vec<(String, String)> = exchange
            .request_headers
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    replay.sent(value.as_str().unwrap_or_default()),
                )
            })
            .collect();
        headers.extend(authentication(replay, &exchange.auth));
        let body = body(replay, exchange);
        if exchange.request_form.is_some() {
            headers.push((
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ));
        }
        let chunked = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        if !chunked && (!body.is_empty() || exchange.method != "GET") {
            headers.push(("Content-Length".to_owned(), body.len().to_string()));
        }
        Self {
            method: exchange.method.clone(),
            path: replay.sent(&exchange.path),
            headers,
            body,
        }
    }

    pub(super) async fn send(&self, endpoint: &url::Url) -> Option<(String, Option<Value>)> {
        let address = endpoint.socket_addrs(|| None).unwrap()[0];
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(&self.body).await;
        let mut answer = Vec::new();
        let limit = std::time::Duration::from_secs(5);
        let _ = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let line = head.lines().next()?.trim_start_matches("HTTP/1.1 ");
        let text = || Some(Value::from(body)).filter(|_| !body.is_empty());
        Some((
            line.to_owned(),
            serde_json::from_str(body).ok().or_else(text),
        ))
    }
}

pub(super) fn authentication(replay: &Replay, kind: &str) -> Vec<(String, String)> {
    let token = |text: &str| vec![("Authorization".to_owned(), format!("PVEAPIToken={text}"))];
    match kind {
        "ok" => token("ci@pve!boot=ok"),
        "low" => token("low@pve!xx=low"),
        "root-token" => token("root@pam!full=root"),
        "sep" => token("ci@pve!sep=sep"),
        "bad" => token("ci@pve!boot=wrong"),
        "unknown" => token("nobody@pve!boot=x"),
        "ticket" | "ticket+csrf" => {
            let (ticket, csrf) = replay.ticket.clone().unwrap_or_default();
            let ticket =
                percent_encoding::utf8_percent_encode(&ticket, percent_encoding::NON_ALPHANUMERIC);
            let mut headers = vec![("Cookie".to_owned(), format!("PVEAuthCookie={ticket}"))];
            if kind == "ticket+csrf" {
                headers.push(("CSRFPreventionToken".to_owned(), csrf));
            }
            headers
        }
        _ => Vec::new(),
    }
}

fn body(replay: &Replay, exchange: &Exchange) -> Vec<u8> {
    if let Some(form) = &exchange.request_form {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in form {
            text.append_pair(name, &replay.sent(value));
        }
        return text.finish().into_bytes();
    }
    match &exchange.request_body {
        Value::Null => Vec::new(),
        Value::String(text) if text.contains("600000 times x") => {
            format!("description={}", "x".repeat(600_000)).into_bytes()
        }
        Value::String(text) => replay.sent(text).into_bytes(),
        value if value.get("multipart").is_some() => multipart(replay, value),
        value => value.to_string().into_bytes(),
    }
}

fn multipart(replay: &Replay, value: &Value) -> Vec<u8> {
    let boundary = value["boundary"].as_str().unwrap();
    let mut body = Vec::new();
    for part in value["multipart"].as_array().unwrap() {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        for header in part["headers"].as_array().unwrap() {
            let line = format!(
                "{}: {}\r\n",
                header[0].as_str().unwrap(),
                header[1].as_str().unwrap()
            );
            body.extend_from_slice(line.as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        match part["data"].as_str().unwrap() {
            text if text.ends_with(" bytes") => body.extend_from_slice(&vec![7_u8; IMAGE]),
            text => body.extend_from_slice(replay.sent(text).as_bytes()),
        }
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}
