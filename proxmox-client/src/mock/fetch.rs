//! What a node reads from other servers: downloads as its wget does, and headers as its Perl does.

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::json;
use url::Url;

use super::Shared;
use super::reply::{Refusal, Reply};
use crate::tls::find_tls_error;

impl Shared {
    /// Downloads a URL. The error is wget's exit code, or its last line where it has one.
    pub(super) async fn fetch(&self, url: &Url) -> Result<Bytes, String> {
        let exit_code = |code: u8| format!("exit code {code}");
        let client = self.client_for(url).ok_or_else(|| exit_code(5))?;
        let (host, port) = address(url);
        if tokio::net::lookup_host((host, port)).await.is_err() {
            return Err(format!("wget: unable to resolve host address '{host}'"));
        }
        let response = client.get(url.clone()).send().await;
        let response = response.map_err(|error| match find_tls_error(&error) {
            Some(_) => exit_code(5),
            None if error.is_connect() => {
                format!("Connecting to {host}:{port}... failed: Connection refused.")
            }
            None => exit_code(4),
        })?;
        if !response.status().is_success() {
            return Err(exit_code(8));
        }
        response.bytes().await.map_err(|_| exit_code(4))
    }

    /// Sends a HEAD request, and says what its response says (measured on 8.4.21).
    pub(super) async fn url_metadata(&self, url: &str) -> Reply {
        let invalid = |status: &str| Refusal::died(format!("invalid server response: '{status}'"));
        let url = Url::parse(url).map_err(|_| invalid("400 URL must be absolute"))?;
        let (host, port) = address(&url);
        let unreachable = || invalid(&format!("500 Can't connect to {host}:{port}"));
        let client = self.client_for(&url).ok_or_else(unreachable)?;
        let response = client.head(url.clone()).send().await;
        let response = response.map_err(|_| unreachable())?;
        if !response.status().is_success() {
            return Err(invalid(&response.status().to_string()));
        }
        let text = |name| header_text(response.headers(), name);
        let mut answer = json!({});
        if let Some(size) = text(header::CONTENT_LENGTH).and_then(|size| size.parse::<u64>().ok()) {
            answer["size"] = size.into();
        }
        if let Some(media) = text(header::CONTENT_TYPE) {
            let media = media.split(';').next().unwrap_or_default().trim();
            answer["mimetype"] = media.into();
        }
        let proposed = text(header::CONTENT_DISPOSITION).and_then(proposed_name);
        let last = response.url().path().rsplit('/').next();
        if let Some(name) = proposed.or(last).filter(|name| !name.is_empty()) {
            answer["filename"] = name.into();
        }
        Ok(answer)
    }

    fn client_for(&self, url: &Url) -> Option<reqwest::Client> {
        let tls = self.download_trust().client_config(url.scheme()).ok()?;
        let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
        builder.no_proxy().build().ok()
    }
}

fn address(url: &Url) -> (&str, u16) {
    let host = url.host_str().unwrap_or_default();
    (host, url.port_or_known_default().unwrap_or_default())
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The name in `attachment; filename="a.iso"`.
fn proposed_name(disposition: &str) -> Option<&str> {
    let (_, name) = disposition.split_once("filename=")?;
    Some(name.split(';').next()?.trim().trim_matches('"'))
}
