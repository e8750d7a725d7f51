//! A server that answers with exactly the given bytes, one connection after the other.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Socket {
    pub(super) endpoint: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Socket {
    /// Answers connection number n with `answers[n]`, and the last answer from then on. An empty
    /// answer closes the connection after the request was read.
    pub(super) async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let log = received.clone();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                log.lock().unwrap().push(request);
                let answer = answers.get(number).or(answers.last()).unwrap();
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                number += 1;
            }
        });
        Self { endpoint, received }
    }

    pub(super) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

/// Head and body, by the announced length.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .map(str::to_owned)
                })
                .and_then(|length| length.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Sends a request as it is and returns status line (without the protocol) and body.
pub(super) async fn exchange(endpoint: &url::Url, request: &str) -> (String, String) {
    let address = endpoint.socket_addrs(|| None).unwrap()[0];
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status_line = head.lines().next().unwrap().trim_start_matches("HTTP/1.1 ");
    (status_line.to_owned(), body.to_owned())
}
