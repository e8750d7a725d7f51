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

use super::auth::{Acl, Caller};
use super::body::{self, Body, HangUp};
use super::call::Call;
use super::fault::Fault;
use super::handler::{Context, handle};
use super::multipart::{self, Upload};
use super::reply::{Refusal, Reply, into_response, response};
use super::route::Route;
use super::{Shared, state::State};

/// Answers connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(stream, shared).await,
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
    let incoming = match read(request).await {
        Ok(incoming) => incoming,
        Err(refusal) => return Ok(respond(&shared, Err(refusal))),
    };
    let route = match incoming.route(&shared) {
        Ok(route) => route,
        Err(refusal) => return Ok(respond(&shared, Err(refusal))),
    };
    let parsed = incoming.parse(&route)?;
    shared.record(Call::new(
        route.route,
        &incoming.method,
        &incoming.path,
        &parsed.params,
    ));
    let fault = shared.take_fault(route.route);
    if let Some(fault) = &fault
        && let Some(response) = without_effect(&shared, fault).await
    {
        return response;
    }
    let response = respond(&shared, run(&shared, &route, &parsed));
    match fault {
        Some(fault) => with_effect(fault, response).await,
        None => Ok(response),
    }
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

/// Privileges first, parameters second, as on the server.
fn check(state: &State, found: &Found, parsed: &Parsed) -> Result<(), Refusal> {
    let (method, template) = (found.route.method(), found.route.template());
    if let Some(rule) = state
        .contract
        .permissions(&method, template)
        .and_then(|p| p.get("check"))
    {
        found.caller.check_rule(rule, &parsed.params)?;
    }
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

struct Received {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Reads a request within the limits that are fixed in the server.
async fn read(request: Request<Incoming>) -> Result<Received, Refusal> {
    let (parts, body) = request.into_parts();
    let method = parts.method;
    if ![Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(&method) {
        return Err(Refusal::new(
            501,
            format!("method '{method}' not available"),
        ));
    }
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::new(501, "chunked transfer encoding not supported"));
    }
    let length = header_text(&parts.headers, header::CONTENT_LENGTH);
    let length: u64 = length.parse().unwrap_or(0);
    if length > 0 && (method == Method::GET || method == Method::DELETE) {
        return Err(Refusal::new(
            501,
            format!("Unexpected content for method '{method}'"),
        ));
    }
    let content_type = header_text(&parts.headers, header::CONTENT_TYPE);
    let multipart = content_type.starts_with("multipart/form-data");
    if !multipart && length > 512 * 1024 {
        return Err(Refusal::new(501, "for data too large"));
    }
    let upload_path = parts.uri.path().ends_with("/upload");
    let form =
        content_type.is_empty() || content_type.starts_with("application/x-www-form-urlencoded");
    if length > 0 && !form && !(multipart && upload_path) {
        let text = format!("upload 'Content-Type '{content_type}' not implemented");
        return Err(Refusal::new(506, text));
    }
    let path = percent_decode_str(parts.uri.path())
        .decode_utf8_lossy()
        .into_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = body
        .collect()
        .await
        .map_err(|_| Refusal::died("upload failed"))?
        .to_bytes();
    Ok(Received {
        method,
        path,
        query,
        headers: parts.headers,
        body,
    })
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

impl Received {
    fn route(&self, shared: &Shared) -> Result<Found, Refusal> {
        let path = self
            .path
            .strip_prefix("/api2/json")
            .ok_or_else(|| Refusal::new(501, "no such uri"))?;
        let state = shared.state();
        let upload = path.ends_with("/upload");
        let anonymous = self.method == Method::POST && path == "/access/ticket";
        let caller = if anonymous {
            Caller {
                id: String::new(),
                acl: Acl::none(),
            }
        } else {
            state
                .accounts
                .authenticate(&self.method, &self.headers, upload)?
        };
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
        Ok(Found {
            route,
            caller,
            path_params,
        })
    }

    /// All parameters: path, body, query. The upload parser hangs up on what it does not expect.
    fn parse(&self, found: &Found) -> Result<Parsed, HangUp> {
        let mut params = found.path_params.clone();
        let mut upload = None;
        if found.route == Route::Upload {
            let content_type = header_text(&self.headers, header::CONTENT_TYPE);
            let boundary = multipart::boundary(content_type).ok_or(HangUp)?;
            let parsed = multipart::parse(&self.body, boundary).ok_or(HangUp)?;
            params.extend(parsed.fields.iter().cloned());
            params.push(("filename".to_owned(), parsed.file_name.clone()));
            upload = Some(parsed);
        } else {
            params.extend(form(&self.body));
        }
        params.extend(form(self.query.as_bytes()));
        // The server ignores this one everywhere.
        params.retain(|(name, _)| name != "_dc");
        Ok(Parsed { params, upload })
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
