//! From a request to its answer.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::answer::{Closed, Refused, Reply, json as json_answer, page, refusal, text};
use super::application::generate;
use super::auth::{Caller, authenticate, token};
use super::call::{Call, mask};
use super::fault::Fault;
use super::request::Request;
use super::route::{Route, Routed, route};
use super::state::World;
use super::{application_routes as applications, cluster, document, watch};

/// Answers one request.
pub(super) async fn handle(world: &Arc<World>, mut request: Request) -> Reply {
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
    let fault = world.state().faults.take(known);
    match fault {
        None => answer(world, known, &parameters, &request).await,
        Some(fault) => afflicted(world, known, &parameters, &request, fault).await,
    }
}

fn record(world: &World, request: &Request, routed: &Routed) {
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

async fn afflicted(
    world: &Arc<World>,
    known: Route,
    parameters: &[String],
    request: &Request,
    fault: Fault,
) -> Reply {
    match fault {
        Fault::Status(status, body) => Ok(text(status, body)),
        Fault::Refuse(code, message) => Ok(refusal(&Refused::new(code, message))),
        Fault::Overloaded(seconds) => {
            let mut response = text(503, "overloaded");
            response
                .headers_mut()
                .insert("retry-after", HeaderValue::from(seconds));
            Ok(response)
        }
        Fault::Delay(delay) => {
            sleep(delay).await;
            answer(world, known, parameters, request).await
        }
        Fault::Disconnect => Err(Closed),
        Fault::LoseAnswer => {
            answer(world, known, parameters, request).await?;
            Err(Closed)
        }
        Fault::CutBody => {
            let mut response = json_answer(&json!({}));
            // More is promised than sent, and then the connection ends.
            let parts = [Ok(bytes::Bytes::from_static(b"{\"items\": [")), Err(Closed)];
            *response.body_mut() = Body::from_stream(futures_util::stream::iter(parts));
            Ok(response)
        }
        Fault::Garbage => Ok(json_answer(&json!(["garbage"]))),
    }
}

async fn answer(
    world: &Arc<World>,
    known: Route,
    parameters: &[String],
    request: &Request,
) -> Reply {
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
        return Ok(result.map_or_else(|refused| refusal(&refused), |value| json_answer(&value)));
    }
    let caller = match authenticate(world, token.as_deref()) {
        Ok(caller) => caller,
        Err(refused) => return Ok(refusal(&refused)),
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
        result.unwrap_or_else(|refused| refusal(&refused)),
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
    world: &Arc<World>,
    caller: &Caller,
    known: Route,
    parameters: &[String],
    request: &Request,
) -> Result<Value, Refused> {
    let query = &request.query;
    let id = parameters.first().map(String::as_str).unwrap_or_default();
    let body = || {
        request
            .json()
            .filter(Value::is_object)
            .ok_or_else(|| Refused::invalid("unexpected end of JSON input"))
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

fn version(world: &World, token: Option<&str>) -> Value {
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

fn log_in(world: &World, request: &Request) -> Result<Value, Refused> {
    let body = request.json().unwrap_or_default();
    let token = world.state().accounts.log_in(&body)?;
    Ok(json!({"token": token}))
}

fn user_info(world: &World, token: Option<&str>) -> Value {
    match authenticate(world, token) {
        Ok(Caller {
            account: Some(account),
            ..
        }) => json!({"loggedIn": true, "username": account, "iss": "argocd"}),
        _ => json!({}),
    }
}

fn can_i(world: &World, caller: &Caller, parameters: &[String]) -> Value {
    let allowed = match parameters {
        [resource, action, _] => world.state().allows(caller, resource, action),
        _ => false,
    };
    json!({"value": if allowed { "yes" } else { "no" }})
}
