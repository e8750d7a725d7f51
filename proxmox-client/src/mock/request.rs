//! What arrives: the head of a request within the limits of the server, then its parameters.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::auth::{Acl, Caller, has_token};
use super::body::HangUp;
use super::check::Release;
use super::json;
use super::multipart::{self, Stall, Upload};
use super::reply::Refusal;
use super::route::Route;
use super::shared::Shared;
use super::state::State;

/// Everything before the body.
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) length: u64,
}

pub(super) struct Received {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

/// Reads the head of a request within the limits that are fixed in the server.
pub(super) fn head(request: Request<Incoming>) -> Result<(Head, Incoming), Refusal> {
    let (parts, body) = request.into_parts();
    let method = parts.method;
    if ![Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(&method) {
        let text = format!("method '{method}' not available");
        return Err(match method {
            // A response to HEAD has no body.
            Method::HEAD => Refusal::bodiless(501, text),
            _ => Refusal::plain(501, text),
        });
    }
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::plain(
            501,
            "chunked transfer encoding not supported",
        ));
    }
    let length = header_text(&parts.headers, header::CONTENT_LENGTH);
    let length: u64 = length.parse().unwrap_or(0);
    if length > 0 && (method == Method::GET || method == Method::DELETE) {
        return Err(Refusal::plain(
            501,
            format!("Unexpected content for method '{method}'"),
        ));
    }
    let content_type = header_text(&parts.headers, header::CONTENT_TYPE);
    let multipart = content_type.starts_with("multipart/form-data");
    if !multipart && length > 512 * 1024 {
        return Err(Refusal::plain(501, "for data too large"));
    }
    let upload_path = parts.uri.path().ends_with("/upload");
    let known = ["", "application/x-www-form-urlencoded", "application/json"]
        .contains(&content_type.split(';').next().unwrap_or_default().trim());
    if length > 0 && !known && !(multipart && upload_path) {
        let text = format!("upload 'Content-Type '{content_type}' not implemented");
        return Err(Refusal::plain(506, text));
    }
    let path = percent_decode_str(parts.uri.path())
        .decode_utf8_lossy()
        .into_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let head = Head {
        method,
        path,
        query,
        headers: parts.headers,
        length,
    };
    Ok((head, body))
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// What a request is about, and who makes it.
pub(super) struct Found {
    pub(super) route: Route,
    pub(super) caller: Caller,
    pub(super) path_params: Vec<(String, String)>,
}

pub(super) struct Parsed {
    pub(super) params: Vec<(String, String)>,
    pub(super) upload: Option<Upload>,
}

impl Head {
    /// The path behind the format.
    fn api_path(&self) -> Result<&str, Refusal> {
        let Some(rest) = self.path.strip_prefix("/api2/") else {
            let text = format!("no such file '{}'", self.path);
            return Err(Refusal::plain(500, text));
        };
        let (format, _) = rest.split_once('/').unwrap_or((rest, ""));
        let path = &rest[format.len()..];
        match format {
            "json" | "extjs" => Ok(path),
            other => Err(Refusal::plain(
                501,
                format!("no formatter for uri {path}, {other}"),
            )),
        }
    }

    pub(super) fn route(&self, shared: &Shared) -> Result<Found, Refusal> {
        let path = self.api_path()?;
        let state = shared.state();
        let caller = self.caller(&state, path)?;
        let unknown = || {
            Refusal::new(
                501,
                format!("Method '{} {path}' not implemented", self.method),
            )
        };
        let (template, path_params) = state
            .contract
            .find(&self.method, path)
            .ok_or_else(unknown)?;
        let route = Route::of(&self.method, template).ok_or_else(unknown)?;
        if caller.id.contains('!') && !state.contract.allows_tokens(&self.method, template) {
            let text = format!(
                "Permission check failed (URI '{path}' not available with API token, need proper ticket.\n)"
            );
            return Err(Refusal::new(403, text));
        }
        Ok(Found {
            route,
            caller,
            path_params,
        })
    }

    fn caller(&self, state: &State, path: &str) -> Result<Caller, Refusal> {
        let open = matches!(
            (&self.method, path),
            (&Method::GET | &Method::POST, "/access/ticket") | (&Method::GET, "/access/domains")
        );
        if open && !has_token(&self.headers) {
            return Ok(Caller {
                id: String::new(),
                acl: Acl::none(),
            });
        }
        state.accounts.authenticate(
            &state.directory,
            &self.method,
            &self.headers,
            path.ends_with("/upload"),
        )
    }
}

impl Received {
    /// All parameters: path, body, query. The upload parser closes the connection where it stalls.
    pub(super) fn parse(
        &self,
        release: Release,
        found: &Found,
    ) -> Result<Result<Parsed, Refusal>, HangUp> {
        let mut params = found.path_params.clone();
        let mut upload = None;
        let content_type = header_text(&self.head.headers, header::CONTENT_TYPE);
        if found.route == Route::Upload {
            let query = form(self.head.query.as_bytes());
            if query.iter().any(|(name, _)| name == "tmpfilename") {
                return Err(HangUp);
            }
            let parsed = match multipart::read(&self.body, content_type) {
                Ok(parsed) => parsed,
                Err(Stall::HangUp) => return Err(HangUp),
                Err(Stall::Rejected(refusal)) => return Ok(Err(refusal)),
            };
            params.extend(parsed.fields.iter().cloned());
            params.push(("filename".to_owned(), parsed.file_name.clone()));
            upload = Some(parsed);
        } else if content_type.starts_with("application/json") {
            match json::params(release, &self.body) {
                Ok(members) => params.extend(members),
                Err(refusal) => return Ok(Err(refusal)),
            }
        } else {
            params.extend(form(&self.body));
        }
        params.extend(form(self.head.query.as_bytes()));
        // The server ignores this one everywhere.
        params.retain(|(name, _)| name != "_dc");
        // The same value as in the path is no second value.
        let mut seen = std::collections::HashSet::new();
        params.retain(|(name, value)| {
            let in_path = found.path_params.iter().any(|(known, _)| known == name);
            !in_path || seen.insert((name.clone(), value.clone()))
        });
        Ok(Ok(Parsed { params, upload }))
    }
}

impl Parsed {
    pub(super) fn conflicting_parameter(&self, found: &Found) -> Option<String> {
        let conflict = found.path_params.iter().find(|(name, value)| {
            self.params
                .iter()
                .any(|(given, other)| given == name && other != value)
        });
        conflict.map(|(name, _)| name.clone())
    }
}

/// Pairs are split at `&` and at `;`; an empty value is no value.
fn form(text: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(text);
    let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.split('=').next().unwrap_or_default();
            (!value.is_empty()).then(|| (decode(name), decode(value)))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_split_as_by_the_server() {
        assert_eq!(
            form(b"boot=order%3Dscsi0%3Bide2&name=a+b;empty=&x=1=2"),
            [
                ("boot".to_owned(), "order=scsi0;ide2".to_owned()),
                ("name".to_owned(), "a b".to_owned()),
                ("x".to_owned(), "1".to_owned()),
            ]
        );
    }
}
