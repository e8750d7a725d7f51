//! A server that only judges what it is sent, by the description of the calls of both releases.

use std::sync::{Arc, Mutex};

use http::Method;
use proxmox_client::mock::Contract;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub(super) const RELEASES: [&str; 2] = ["8", "9"];

fn contract(release: &str) -> &'static Contract {
    match release {
        "8" => Contract::pve_8(),
        _ => Contract::pve_9(),
    }
}

/// A request as it arrived, decoded.
#[derive(Debug)]
pub(super) struct Sent {
    method: Method,
    path: String,
    params: Vec<(String, String)>,
}

impl Sent {
    /// What the parameter checks say.
    pub(super) fn problems(&self) -> Vec<String> {
        RELEASES
            .iter()
            .flat_map(|release| self.problems_of(release))
            .collect()
    }

    /// Method and template.
    pub(super) fn call(&self) -> Option<String> {
        let (template, _) = contract("9").find(&self.method, &self.path)?;
        Some(format!("{} {template}", self.method))
    }

    /// Whether there is anything in it but the handle that made it.
    pub(super) fn has_values(&self) -> bool {
        let in_path = contract("9").find(&self.method, &self.path);
        let in_path = in_path.map(|(_, values)| values).unwrap_or_default();
        let own = |(name, _): &(String, String)| {
            !matches!(name.as_str(), "node" | "vmid" | "storage" | "upid")
        };
        !self.params.is_empty() || in_path.iter().any(own)
    }

    fn problems_of(&self, release: &str) -> Vec<String> {
        let Some((template, in_path)) = contract(release).find(&self.method, &self.path) else {
            return vec![format!(
                "PVE {release} has no {} {}",
                self.method, self.path
            )];
        };
        let mut params = in_path;
        // An empty value arrives as null, which stands for a parameter that is not there.
        params.extend(
            self.params
                .iter()
                .filter(|(_, value)| !value.is_empty())
                .cloned(),
        );
        match contract(release).check(&self.method, template, &params) {
            Ok(()) => Vec::new(),
            Err(problems) => vec![format!("PVE {release}: {self:?}: {problems:?}")],
        }
    }
}

pub(super) struct Judge {
    pub(super) endpoint: String,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Judge {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = sent.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone()));
            }
        });
        Self { endpoint, sent }
    }

    /// What was sent since the last time; the question for the caller's own rights is left out.
    pub(super) fn take(&self) -> Vec<Sent> {
        let mut sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.retain(|sent| sent.path != "/access/permissions");
        sent
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Vec<Sent>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(sent) = read(&mut stream).await {
        let data = match sent.path.as_str() {
            "/access/permissions" => r#"{"/storage":{"Datastore.AllocateTemplate":1}}"#,
            _ => "null",
        };
        seen.lock().unwrap().push(sent);
        let body = format!(r#"{{"data":{data}}}"#);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Sent> {
    let mut line = String::new();
    stream
        .read_line(&mut line)
        .await
        .ok()
        .filter(|length| *length > 0)?;
    let mut words = line.split(' ');
    let method: Method = words.next()?.parse().ok()?;
    let target = words.next()?.strip_prefix("/api2/json")?.to_owned();
    let (mut length, mut content_type) = (0, String::new());
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "content-type" => value.trim().clone_into(&mut content_type),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()?
        .into_owned();
    let mut params = pairs(query.as_bytes());
    match content_type.split_once("boundary=") {
        Some((_, boundary)) => params.extend(parts(&body, boundary)),
        None => params.extend(pairs(&body)),
    }
    Some(Sent {
        method,
        path,
        params,
    })
}

fn pairs(form: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(form).into_owned().collect()
}

/// The fields of a multipart body; the file part gives its file name.
fn parts(body: &[u8], boundary: &str) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    let boundary = format!("--{boundary}");
    text.split(&boundary)
        .filter_map(|part| {
            let (head, value) = part.split_once("\r\n\r\n")?;
            let attribute = |name: &str| {
                let (_, rest) = head.split_once(&format!("; {name}=\""))?;
                rest.split('"').next().map(str::to_owned)
            };
            let value = value.trim_end_matches("\r\n").to_owned();
            Some((attribute("name")?, attribute("filename").unwrap_or(value)))
        })
        .collect()
}
