//! From a request to its response.

use std::sync::Arc;

use axum::body::Body;
use http::header::LOCATION;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::accounts::{authenticate, token};
use super::asked::Asked;
use super::call::{Call, mask};
use super::faults::afflicted;
use super::policy::Caller;
use super::request::Request;
use super::response::{
    MockResponse, Rejection, json as json_response, page, rejection, respond, stream_rejection,
    text, with_cookie,
};
use super::route::{Route, Routed, route};
use super::sets::{self, Trigger};
use super::state::MockServer;
use super::{
    accounts_routes as accounts, application_routes as applications, application_writes as writes,
    cluster, details, grpc, local_manifests, operation, pod_logs, projects, repositories,
    resource_routes, role_tokens, server_side_diff, trust, watch,
};

/// Answers one request.
pub(super) async fn handle(server: &Arc<MockServer>, mut request: Request) -> MockResponse {
    let Some(path) = request
        .path
        .strip_prefix(&server.settings.root_path)
        .map(str::to_owned)
    else {
        return Ok(outside(&request));
    };
    request.path = path;
    if grpc::is_call(&request) {
        return match grpc::translate(&request) {
            Ok((called, request)) => grpc::respond(called, rest(server, request).await?).await,
            Err(response) => Ok(*response),
        };
    }
    rest(server, request).await
}

/// Answers a request of the gateway.
async fn rest(server: &Arc<MockServer>, request: Request) -> MockResponse {
    let routed = route(&request.method, &request.path, request.origin);
    record(server, &request, &routed);
    let (known, parameters) = match routed {
        Routed::Known(route, _) if !server.is_at_least(route.since()) => {
            return Ok(text(404, "Not Found"));
        }
        Routed::Known(route, parameters) => (route, parameters),
        Routed::Page => return Ok(outside(&request)),
        Routed::Health => return Ok(text(200, "ok")),
        Routed::NotFound => return Ok(text(404, "Not Found")),
        Routed::MethodNotAllowed => return Ok(text(405, "Method Not Allowed")),
        Routed::Cleaned(path) => return Ok(moved(&path)),
    };
    if request.method != Method::GET
        && !request
            .header("content-type")
            .is_some_and(|value| value.eq_ignore_ascii_case("application/json"))
    {
        return Ok(text(415, "Invalid content type"));
    }
    let usual = respond_to(server, known, &parameters, &request);
    match server.faults.take(known) {
        None => usual.await,
        Some(fault) => afflicted(fault, usual).await,
    }
}

/// Outside the API, and below a wrong root path, the user interface answers those that accept HTML.
fn outside(request: &Request) -> Response<Body> {
    let accepts_json = request
        .header("accept")
        .is_some_and(|accept| accept.contains("application/json"));
    if accepts_json {
        text(404, "404 page not found")
    } else {
        page()
    }
}

fn moved(path: &str) -> Response<Body> {
    let mut response = respond(
        StatusCode::TEMPORARY_REDIRECT,
        "text/html; charset=utf-8",
        String::new(),
    );
    if let Ok(location) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn record(server: &MockServer, request: &Request, routed: &Routed) {
    let mut body = request.json();
    if let Some(body) = &mut body {
        mask(body);
    }
    let route = match routed {
        Routed::Known(route, _) => Some(*route),
        _ => None,
    };
    server.state().calls.push(Call {
        route,
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.0.clone(),
        body,
    });
}

async fn respond_to(
    server: &Arc<MockServer>,
    known: Route,
    parameters: &[String],
    request: &Request,
) -> MockResponse {
    let token = token(&request.headers);
    if let Some(response) = without_session(server, known, request, token.as_deref()) {
        return Ok(response);
    }
    let rejected = |rejected: &Rejection| {
        if known.is_stream() {
            stream_rejection(rejected)
        } else {
            rejection(rejected)
        }
    };
    let caller = match authenticate(server, token.as_deref()) {
        Ok(caller) => caller,
        Err(error) => return Ok(rejected(&error)),
    };
    let id = parameters.first().map(String::as_str).unwrap_or_default();
    let asked = Asked {
        server,
        caller: &caller,
        name: id,
        query: &request.query,
    };
    let result = match known {
        Route::ApplicationWatch => watch::applications(server, &caller, request).await,
        Route::SetWatch => watch::sets(server, &caller, request).await,
        Route::TreeWatch => watch::tree(server, &caller, id, request).await,
        Route::ApplicationLogs => pod_logs::logs(&asked, request),
        _ => dispatch(server, &caller, known, parameters, request)
            .await
            .map(|value| json_response(&value)),
    };
    if result.is_ok() {
        wake_sets(server, known, request);
    }
    let response = result.unwrap_or_else(|error| rejected(&error));
    Ok(renewed(response, &caller))
}

/// Clusters have changed; a creation can be met too early.
fn wake_sets(server: &Arc<MockServer>, known: Route, request: &Request) {
    match known {
        Route::ClusterCreate => sets::clusters_changed(server, Trigger::ClusterCreated),
        // An unchanged registration does not wake the sets up.
        Route::ClusterUpdate
            if request
                .query
                .all("updatedFields")
                .any(|field| field == "labels" || field == "annotations") =>
        {
            sets::clusters_changed(server, Trigger::ClusterChanged);
        }
        Route::ClusterDelete => sets::clusters_changed(server, Trigger::ClusterChanged),
        _ => {}
    }
}

/// The endpoints that anybody may call.
fn without_session(
    server: &MockServer,
    known: Route,
    request: &Request,
    token: Option<&str>,
) -> Option<Response<Body>> {
    let value = match known {
        Route::Version => accounts::version(server, token),
        Route::UserInfo => accounts::user_info(server, token),
        Route::Settings => accounts::settings(server, token),
        Route::Logout => json!({}),
        Route::Login => {
            return Some(match accounts::log_in(server, request) {
                Ok(token) => with_cookie(json_response(&json!({"token": token})), &token),
                Err(error) => rejection(&error),
            });
        }
        _ => return None,
    };
    Some(json_response(&value))
}

fn renewed(mut response: Response<Body>, caller: &Caller) -> Response<Body> {
    if let Some(token) = caller
        .renewed
        .as_deref()
        .and_then(|token| HeaderValue::from_str(token).ok())
    {
        response
            .headers_mut()
            .insert("grpc-metadata-renew-token", token);
    }
    response
}

fn parameter(parameters: &[String], index: usize) -> &str {
    let found = parameters.get(index);
    found.map(String::as_str).unwrap_or_default()
}

async fn dispatch(
    server: &Arc<MockServer>,
    caller: &Caller,
    known: Route,
    parameters: &[String],
    request: &Request,
) -> Result<Value, Rejection> {
    let query = &request.query;
    let parameter = |index: usize| parameter(parameters, index);
    let id = parameter(0);
    let sent = if request.method == Method::GET {
        None
    } else {
        request.body()?
    };
    let body = sent.clone().unwrap_or_else(|| json!({}));
    let asked = Asked {
        server,
        caller,
        name: id,
        query,
    };
    match known {
        Route::CanI => accounts::can_i(server, caller, parameters),
        Route::AccountList => accounts::list(server, caller),
        Route::AccountGet => accounts::get(server, caller, id),
        Route::AccountPassword => accounts::set_password(server, caller, &body),
        Route::TokenCreate => accounts::create_token(server, caller, id, &body),
        Route::TokenDelete => accounts::delete_token(server, caller, id, parameter(1)),
        Route::ClusterList => Ok(cluster::list(server, caller, query)),
        Route::ClusterCreate => cluster::create(server, caller, query, sent.as_ref()).await,
        Route::ClusterGet => cluster::get(server, caller, id, query),
        Route::ClusterUpdate => cluster::update(server, caller, id, query, &body).await,
        Route::ClusterDelete => cluster::delete(server, caller, id, query),
        Route::ClusterRotate => cluster::rotate(server, caller, id, query).await,
        Route::ClusterInvalidate => cluster::invalidate(server, caller, id, query),
        Route::ApplicationList => applications::list(server, caller, query),
        Route::ApplicationGet => applications::get(server, caller, id, request).await,
        Route::ApplicationCreate => writes::create(server, caller, query, sent.as_ref()),
        Route::ApplicationUpdate => writes::update(server, caller, id, query, &body),
        Route::ApplicationSpec => writes::update_spec(server, caller, id, query, &body),
        Route::ApplicationPatch => writes::patch(server, caller, id, &body),
        Route::ApplicationDelete => writes::delete(server, caller, id, query),
        Route::ApplicationSync => operation::sync(server, caller, id, &body),
        Route::ApplicationRollback => operation::rollback(server, caller, id, &body),
        Route::ApplicationTerminate => operation::terminate(server, caller, id, query),
        Route::ApplicationTree => details::tree(&asked),
        Route::ApplicationResources => details::managed_resources(&asked),
        Route::ApplicationManifests => details::manifests(&asked),
        Route::ApplicationManifestsWithFiles => local_manifests::generate(server, caller, &body),
        Route::ApplicationServerSideDiff => server_side_diff::diff(&asked),
        Route::ApplicationEvents => details::events(&asked),
        Route::ApplicationLinks => details::links(&asked),
        Route::ApplicationSyncWindows => details::sync_windows(&asked),
        Route::ApplicationRevision => details::revision_metadata(&asked, parameter(1)),
        Route::ResourceGet => resource_routes::resource(&asked),
        Route::ResourcePatch => resource_routes::patch_resource(&asked, request),
        Route::ResourceDelete => resource_routes::delete_resource(&asked),
        Route::ActionList => resource_routes::actions(&asked),
        Route::ActionRun | Route::ActionRunWithParameters => {
            resource_routes::run_action(&asked, request)
        }
        other => dispatch_rest(server, caller, other, parameters, query, sent.as_ref()),
    }
}

/// Application sets, projects, repositories and what they trust.
fn dispatch_rest(
    server: &Arc<MockServer>,
    caller: &Caller,
    known: Route,
    parameters: &[String],
    query: &super::request::Query,
    sent: Option<&Value>,
) -> Result<Value, Rejection> {
    let parameter = |index: usize| parameter(parameters, index);
    let id = parameter(0);
    let nothing = json!({});
    let body = sent.unwrap_or(&nothing);
    match known {
        Route::SetList => sets::list(server, caller, query),
        Route::SetCreate => sets::create(server, caller, query, sent),
        Route::SetGenerate => sets::preview(server, caller, body),
        Route::SetGet => sets::get(server, caller, id, query),
        Route::SetDelete => sets::delete(server, caller, id, query),
        Route::SetTree => sets::tree(server, caller, id, query),
        Route::SetEvents => sets::events(server, caller, id, query),
        Route::ProjectList => Ok(projects::list(server, caller, query)),
        Route::ProjectCreate => projects::create(server, caller, body),
        Route::ProjectGet => projects::get(server, caller, id),
        Route::ProjectUpdate => projects::update(server, caller, id, body),
        Route::ProjectDelete => projects::delete(server, caller, id),
        Route::ProjectDetailed => projects::detailed(server, caller, id),
        Route::ProjectEvents => projects::events(server, caller, id),
        Route::ProjectGlobal | Route::ProjectSyncWindows | Route::ProjectLinks => {
            projects::nothing(server, caller, id)
        }
        Route::RoleTokenCreate => role_tokens::create(server, caller, (id, parameter(1)), body),
        Route::RoleTokenDelete => {
            let issued_at = parameter(2).parse().unwrap_or_default();
            role_tokens::delete(server, caller, (id, parameter(1)), issued_at, query)
        }
        Route::RepositoryList => Ok(repositories::list(server, caller, query)),
        Route::RepositoryCreate => repositories::create(server, caller, query, body),
        Route::RepositoryGet => repositories::get(server, caller, id),
        Route::RepositoryUpdate => repositories::update(server, caller, id, body),
        Route::RepositoryDelete => repositories::delete(server, caller, id),
        Route::RepositoryValidate => repositories::validate(server, caller, id, query),
        Route::RepositoryRefs => repositories::refs(server, caller, id),
        Route::RepositoryApps => repositories::apps(server, caller, id),
        Route::CredentialsList => Ok(repositories::list_templates(server, caller, query)),
        Route::CredentialsCreate => repositories::create_template(server, caller, query, body),
        Route::CredentialsUpdate => repositories::update_template(server, caller, id, body),
        Route::CredentialsDelete => repositories::delete_template(server, caller, id),
        Route::WriteRepositories => Err(Rejection::new(12, "hydrator is disabled")),
        Route::CertificateList => trust::certificates(server, caller, query),
        Route::CertificateCreate => trust::add_certificates(server, caller, query, body),
        Route::CertificateDelete => trust::delete_certificates(server, caller, query),
        Route::KeyList => trust::keys(server, caller),
        Route::KeyGet => trust::key(server, caller, id),
        Route::KeyCreate => trust::add_key(server, caller, body),
        Route::KeyDelete => trust::delete_key(server, caller, query),
        // Lists that are empty without any configuration, and the routes answered elsewhere.
        _ => Ok(json!({})),
    }
}
