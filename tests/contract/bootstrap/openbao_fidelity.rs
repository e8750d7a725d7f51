//! The fake answers what a real server answered: `requests.json` was sent to OpenBao 2.7.2, its answers are kept in
//! `answers.json` next to it, and the fake has to give the same ones. With `LUNGMEN_TEST_BAO` the recording itself is
//! checked too, and written anew with `LUNGMEN_RECORD=1`.

use std::path::PathBuf;

use lungmen_bootstrap::mock::openbao::OpenBaoMock;
use regex::Regex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::openbao_real::{ROOT, real_server};

fn data(name: &str) -> PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("data/openbao").join(name)
}

fn read(name: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(data(name)).unwrap()).unwrap()
}

/// Sends one request on a connection of its own, so that neither side can hide behind a client.
async fn exchange(address: &str, root: &str, request: &Value) -> Value {
    let text = |key: &str| request[key].as_str();
    let body = match (&request["body"], text("raw")) {
        (_, Some(raw)) => raw.to_owned(),
        (Value::Null, None) => String::new(),
        (body, None) => body.to_string(),
    };
    let mut head = format!(
        "{} /v1/{} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nx-vault-request: true\r\ncontent-length: {}\r\n\
         content-type: {}\r\n",
        text("method").unwrap(),
        text("path").unwrap(),
        body.len(),
        text("type").unwrap_or("application/json"),
    );
    match text("token").unwrap_or(root) {
        "" => {}
        token => head.push_str(&format!("x-vault-token: {token}\r\n")),
    }
    if let Some(namespace) = text("namespace") {
        head.push_str(&format!("x-vault-namespace: {namespace}\r\n"));
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    taken_apart(&String::from_utf8(answer).unwrap())
}

/// Status and body of an answer, without what differs from run to run.
fn taken_apart(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body: Value = match (body.find('{'), body.rfind('}')) {
        // Between the braces: a chunked body has lengths around them.
        (Some(start), Some(end)) => serde_json::from_str(&body[start..=end]).unwrap(),
        _ => body.trim().into(),
    };
    json!({"status": status, "body": masked("", body)})
}

fn masked(key: &str, value: Value) -> Value {
    const VOLATILE: [&str; 10] = [
        "request_id",
        "accessor",
        "id",
        "server_time_utc",
        "cluster_id",
        "cluster_name",
        "creation_time",
        "commit_date",
        "uuid",
        "storage_type",
    ];
    let time = Regex::new(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$").unwrap();
    match value {
        value if VOLATILE.contains(&key) && !value.is_null() && value != "" => "…".into(),
        Value::String(text) if time.is_match(&text) => "<time>".into(),
        Value::Array(items) => items.into_iter().map(|item| masked("", item)).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .into_iter()
                .map(|(key, value)| {
                    let value = masked(&key, value);
                    (key, value)
                })
                .collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(fields.into_iter().collect())
        }
        other => other,
    }
}

async fn compare(address: &str, root: &str) {
    let answers = read("answers.json");
    let requests = read("requests.json");
    assert_eq!(answers.len(), requests.len(), "record again");
    let mut differences = Vec::new();
    for (request, wanted) in requests.iter().zip(&answers) {
        let found = exchange(address, root, request).await;
        if found != *wanted {
            differences.push(format!(
                "{request}\n  recorded {wanted}\n  answered {found}"
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test]
async fn the_fake_answers_what_a_real_server_answered() {
    let mock = OpenBaoMock::start().await;
    let address = mock.endpoint().socket_addrs(|| None).unwrap()[0];

    compare(&address.to_string(), "root").await;
}

#[tokio::test]
async fn the_recording_is_what_a_real_server_answers() {
    let Some(server) = real_server().await else {
        return;
    };
    if std::env::var_os("LUNGMEN_RECORD").is_some() {
        let mut lines = Vec::new();
        for request in read("requests.json") {
            let answer = exchange(server.host(), ROOT, &request).await;
            lines.push(format!("  {answer}"));
        }
        std::fs::write(
            data("answers.json"),
            format!("[\n{}\n]\n", lines.join(",\n")),
        )
        .unwrap();
        return;
    }

    compare(server.host(), ROOT).await;
}
