//! From a request to its answer.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use super::application::generate;
use super::auth::{Caller, authenticate, token};
use super::call::{Call, mask};
use super::faults::afflicted;
use super::request::Request;
use super::response::{MockResponse, Rejection, json as json_answer, page, rejection, text};
use super::route::{Route, Routed, route};
use super::state::MockServer;
use super::{application_routes as applications, cluster, document, watch};

/// Answers one request.
pub(super) async fn handle(world: &Arc<MockServer>, mut request: Request) -> MockResponse {
    let Some(path) = request
        .path
        .strip_prefix(&world.settings.root_path)
        .map(str::to_owned)
    else {
        return Ok(page());
    };
    request.path = path;
    let routed = route(&request.method, &request.path);
    record(world, &request, &routed);
    let (known, parameters) = match routed {
        Routed::Known(route, parameters) => (route, parameters),
        Routed::Page => return Ok(page()),
        Routed::NotFound => return Ok(text(404, "Not Found")),
        Routed::Unknown => {
            return Ok(text(
                501,
                format!(
                    "the Argo CD mock does not know {} {}",
                    request.method, request.path
                ),
            ));
        }
    };
    if request.method != Method::GET
        && !request
            .header("content-type")
            .is_some_and(|value| value.eq_ignore_ascii_case("application/json"))
    {
        return Ok(text(415, "Invalid content type"));
    }
    let usual = answer(world, known, &parameters, &request);
    match world.faults.take(known) {
        None => usual.await,
        Some(fault) => afflicted(fault, usual).await,
    }
}

fn record(world: &MockServer, request: &Request, routed: &Routed) {
    let mut body = request.json();
    if let Some(body) = &mut body {
        mask(body);
    }
    let route = match routed {
        Routed::Known(route, _) => Some(*route),
        Routed::NotFound | Routed::Page | Routed::Unknown => None,
    };
    world.state().calls.push(Call {
        route,
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.0.clone(),
        body,
    });
}

async fn answer(
    world: &Arc<MockServer>,
    known: Route,
    parameters: &[String],
    request: &Request,
) -> MockResponse {
    let token = token(&request.headers);
    let anonymous_route = match known {
        Route::Version => Some(Ok(version(world, token.as_deref()))),
        Route::Login => Some(log_in(world, request)),
        Route::UserInfo => Some(Ok(user_info(world, token.as_deref()))),
        Route::Settings => Some(Ok(
            json!({"url": "https://argocd.example.com", "appsInAnyNamespaceEnabled": true, "trackingMethod": "annotation"}),
        )),
        _ => None,
    };
    if let Some(result) = anonymous_route {
        return Ok(result.map_or_else(|rejected| rejection(&rejected), |value| json_answer(&value)));
    }
    let caller = match authenticate(world, token.as_deref()) {
        Ok(caller) => caller,
        Err(rejected) => return Ok(rejection(&rejected)),
    };
    let result = match known {
        Route::ApplicationWatch => watch::watch(world, &caller, request).await,
        _ => dispatch(world, &caller, known, parameters, request)
            .await
            .map(|value| json_answer(&value)),
    };
    if matches!(
        known,
        Route::ClusterCreate | Route::ClusterUpdate | Route::ClusterDelete
    ) && result.is_ok()
    {
        generate(world);
    }
    Ok(renewed(
        result.unwrap_or_else(|rejected| rejection(&rejected)),
        &caller,
    ))
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

async fn dispatch(
    world: &Arc<MockServer>,
    caller: &Caller,
    known: Route,
    parameters: &[String],
    request: &Request,
) -> Result<Value, Rejection> {
    let query = &request.query;
    let id = parameters.first().map(String::as_str).unwrap_or_default();
    let body = || {
        request
            .json()
            .filter(Value::is_object)
            .ok_or_else(|| Rejection::invalid("unexpected end of JSON input"))
    };
    match known {
        Route::CanI => Ok(can_i(world, caller, parameters)),
        Route::ClusterList => Ok(cluster::list(world, caller, query)),
        Route::ClusterCreate => cluster::create(world, caller, query, &body()?).await,
        Route::ClusterGet => cluster::get(world, caller, id, query),
        Route::ClusterUpdate => cluster::update(world, caller, id, query, &body()?).await,
        Route::ClusterDelete => cluster::delete(world, caller, id, query),
        Route::ClusterRotate => cluster::rotate(world, caller, id, query).await,
        Route::ClusterInvalidate => cluster::invalidate(world, caller, id, query),
        Route::ApplicationList => applications::list(world, caller, query),
        Route::ApplicationCreate => applications::create(world, caller, query, &body()?),
        Route::ApplicationGet => applications::get(world, caller, id, query),
        Route::ApplicationDelete => applications::delete(world, caller, id, query),
        Route::ApplicationSync => applications::sync(world, caller, id, &body()?),
        Route::SetList => Ok(document::list(world, caller, document::SET)),
        Route::SetCreate => document::create(world, caller, document::SET, &body()?),
        Route::SetGet => document::get(world, caller, document::SET, id),
        Route::SetGenerate => document::generate(world, caller, &body()?["applicationSet"]),
        Route::ProjectList => Ok(document::list(world, caller, document::PROJECT)),
        Route::ProjectCreate => {
            document::create(world, caller, document::PROJECT, &body()?["project"])
        }
        Route::ProjectGet => document::get(world, caller, document::PROJECT, id),
        Route::RepositoryList => Ok(document::list(world, caller, document::REPOSITORY)),
        Route::RepositoryCreate => document::create(world, caller, document::REPOSITORY, &body()?),
        Route::Version
        | Route::Login
        | Route::UserInfo
        | Route::Settings
        | Route::ApplicationWatch => Ok(json!({})),
    }
}

fn version(world: &MockServer, token: Option<&str>) -> Value {
    let version = &world.settings.version;
    match authenticate(world, token) {
        Ok(Caller {
            account: Some(_), ..
        }) => json!({
            "Version": version, "BuildDate": "2025-06-09T21:58:20Z", "GitTreeState": "clean",
            "GitCommit": "db93798d6643a565c056c6fda453e696719dbe12", "Platform": "linux/amd64",
        }),
        _ => json!({"Version": version}),
    }
}

fn log_in(world: &MockServer, request: &Request) -> Result<Value, Rejection> {
    let body = request.json().unwrap_or_default();
    let token = world.state().accounts.log_in(&body)?;
    Ok(json!({"token": token}))
}

fn user_info(world: &MockServer, token: Option<&str>) -> Value {
    match authenticate(world, token) {
        Ok(Caller {
            account: Some(account),
            ..
        }) => json!({"loggedIn": true, "username": account, "iss": "argocd"}),
        _ => json!({}),
    }
}

fn can_i(world: &MockServer, caller: &Caller, parameters: &[String]) -> Value {
    let allowed = match parameters {
        [resource, action, _] => world.state().allows(caller, resource, action),
        _ => false,
    };
    json!({"value": if allowed { "yes" } else { "no" }})
}
