//! The HTTP side: limits, authentication, parameters, faults, responses.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::auth::{Acl, Caller, has_token};
use super::body::{self, Body, HangUp};
use super::call::Call;
use super::check::Release;
use super::fault::Fault;
use super::handler::{Context, handle};
use super::multipart::{self, Stall, Upload};
use super::reply::{Refusal, Reply, into_extjs, into_response, response};
use super::route::Route;
use super::{Shared, json, redirect, state::State};

/// Answers connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        // As PVE::Daemon does for pveproxy.
        let _ = stream.set_nodelay(true);
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(stream, shared).await,
                Some(_) if redirect::speaks_plain_http(&stream).await => {
                    redirect::redirect(stream).await;
                }
                Some(acceptor) => {
                    // TLS handshake failures are ignored; the client reports them.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Shared) {
    let service = service_fn(move |request| answer(request, shared.clone()));
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A broken connection is reported by the client.
    drop(served);
}

async fn answer(request: Request<Incoming>, shared: Shared) -> Result<Response<Body>, HangUp> {
    let (head, body) = match head(request) {
        Ok(head) => head,
        Err(refusal) => return Ok(respond(&shared, Err(refusal))),
    };
    let extjs = head.path.starts_with("/api2/extjs/");
    let respond = |shared: &Shared, reply: Reply| match extjs {
        true => into_extjs(reply),
        false => respond(shared, reply),
    };
    let route = match head.route(&shared) {
        Ok(route) => route,
        Err(refusal) => return Ok(respond(&shared, Err(refusal))),
    };
    if let Err(refusal) = check_upload_right(&shared, &route) {
        // The body is not read: the response to a large upload is lost with the connection.
        return match head.length > UNREAD_BODY {
            true => Err(HangUp),
            false => Ok(respond(&shared, Err(refusal))),
        };
    }
    let Ok(body) = body.collect().await else {
        return Err(HangUp);
    };
    let incoming = Received {
        head,
        body: body.to_bytes(),
    };
    let release = shared.state().contract.release();
    let parsed = match incoming.parse(release, &route)? {
        Ok(parsed) => parsed,
        Err(refusal) => return Ok(respond(&shared, Err(refusal))),
    };
    shared.record(Call::new(
        route.route,
        &incoming.head.method,
        &incoming.head.path,
        &parsed.params,
    ));
    let fault = shared.take_fault(route.route);
    if let Some(fault) = &fault
        && let Some(response) = without_effect(&shared, fault).await
    {
        return response;
    }
    let reply = match (route.route, run(&shared, &route, &parsed)) {
        (Route::UrlMetadata, Ok(url)) => {
            let url = url.as_str().unwrap_or_default().to_owned();
            shared.url_metadata(&url).await
        }
        (_, reply) => reply,
    };
    let response = respond(&shared, reply);
    match fault {
        Some(fault) => with_effect(fault, response).await,
        None => Ok(response),
    }
}

/// The size above which a client is still sending when the server closes the connection.
const UNREAD_BODY: u64 = 512 * 1024;

/// The right to upload is checked before the body is read; the rejection has no body.
fn check_upload_right(shared: &Shared, found: &Found) -> Result<(), Refusal> {
    if found.route != Route::Upload {
        return Ok(());
    }
    check_rule(&shared.state(), found, &found.path_params).map_err(Refusal::without_body)
}

/// What happens instead of the request; `None` for a fault of the response.
async fn without_effect(shared: &Shared, fault: &Fault) -> Option<Result<Response<Body>, HangUp>> {
    match fault {
        Fault::Status(status, text) => Some(Ok(respond(shared, Err(Refusal::new(*status, text))))),
        Fault::RetryAfter(delay) => {
            let mut response = respond(shared, Err(Refusal::new(503, "Service Unavailable")));
            let seconds = delay.as_secs().into();
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            Some(Ok(response))
        }
        Fault::Garbage => Some(Ok(response(200, "<html>not what you expect".to_owned()))),
        Fault::Disconnect => Some(Err(HangUp)),
        Fault::Stall => std::future::pending().await,
        _ => None,
    }
}

/// What happens to the response after the request had its effect.
async fn with_effect(fault: Fault, response: Response<Body>) -> Result<Response<Body>, HangUp> {
    match fault {
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            Ok(response)
        }
        Fault::DropResponse => Err(HangUp),
        fault => Ok(body::spoil(&fault, response).await),
    }
}

fn respond(shared: &Shared, reply: Reply) -> Response<Body> {
    let in_body = shared.state().texts_in_body();
    into_response(reply, in_body)
}

fn run(shared: &Shared, found: &Found, parsed: &Parsed) -> Reply {
    let mut state = shared.state();
    check(&state, found, parsed)?;
    let context = Context {
        shared,
        caller: &found.caller,
        params: &parsed.params,
    };
    handle(&context, &mut state, found.route, parsed.upload.as_ref())
}

/// Privileges first, the way to the node second, parameters third, as on the server.
fn check(state: &State, found: &Found, parsed: &Parsed) -> Result<(), Refusal> {
    let (method, template) = (found.route.method(), found.route.template());
    check_rule(state, found, &parsed.params)?;
    check_node(state, found)?;
    if let Some(name) = parsed.conflicting_parameter(found) {
        return Err(Refusal::parameter(
            &name,
            "duplicate parameter (already defined in URI) with conflicting values!",
        ));
    }
    state
        .contract
        .check(&method, template, &parsed.params)
        .map_err(Refusal::parameters)
}

fn check_rule(state: &State, found: &Found, params: &[(String, String)]) -> Result<(), Refusal> {
    let (method, template) = (found.route.method(), found.route.template());
    // The rule of these calls reads the name of the user before the parameters are checked.
    let user = params.iter().find(|(name, _)| name == "userid");
    if let Some((_, user)) =
        user.filter(|(_, user)| !user.contains('@') && template.starts_with("/access/users"))
    {
        return Err(Refusal::died(format!(
            "value '{user}' does not look like a valid user name"
        )));
    }
    let rule = state.contract.permissions(&method, template);
    match rule.and_then(|rule| rule.get("check")) {
        Some(rule) => found.caller.check_rule(rule, params),
        None => Ok(()),
    }
}

/// The contacted node looks up the address of the node in the path, and forwards the request.
fn check_node(state: &State, found: &Found) -> Result<(), Refusal> {
    let node = found.path_params.iter().find(|(name, _)| name == "node");
    let Some((_, node)) = node else {
        return Ok(());
    };
    // Uploads are not forwarded.
    if found.route == Route::Upload {
        return Ok(());
    }
    if state.is_offline(node) {
        return Err(Refusal::node_unreachable());
    }
    state.node(node).map(|_| ())
}

/// Everything before the body.
struct Head {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    length: u64,
}

struct Received {
    head: Head,
    body: Bytes,
}

/// Reads the head of a request within the limits that are fixed in the server.
fn head(request: Request<Incoming>) -> Result<(Head, Incoming), Refusal> {
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
struct Found {
    route: Route,
    caller: Caller,
    path_params: Vec<(String, String)>,
}

struct Parsed {
    params: Vec<(String, String)>,
    upload: Option<Upload>,
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

    fn route(&self, shared: &Shared) -> Result<Found, Refusal> {
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
    fn parse(&self, release: Release, found: &Found) -> Result<Result<Parsed, Refusal>, HangUp> {
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
    fn conflicting_parameter(&self, found: &Found) -> Option<String> {
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
