//! The HTTP side: connections, the order of the checks, faults, responses.

use http::{Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::body::{self, Body, HangUp};
use super::call::Call;
use super::fault::Fault;
use super::handler::{Context, handle};
use super::redirect;
use super::reply::{Refusal, Reply, into_extjs, into_response, response};
use super::request::{Found, Parsed, Received, head};
use super::route::Route;
use super::shared::Shared;
use super::state::State;

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
    let found = head.route(&shared);
    let allowed = found.and_then(|found| check_upload_right(&shared, &found).map(|()| found));
    let route = match allowed {
        Ok(route) => route,
        // The body is not read: the response to a large one is lost with the connection.
        Err(_) if head.length > UNREAD_BODY => return Err(HangUp),
        Err(refusal) => return Ok(respond(&shared, Err(refusal))),
    };
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
