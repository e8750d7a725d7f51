//! From a request to a response: authentication, readiness, rights, then the verb.

use axum::body::Body;
use http::{HeaderValue, Method, Response};
use serde_json::Value;

use super::Route;
use super::access::authenticate;
use super::authorize::authorize;
use super::cluster_state::ClusterState;
use super::representation::Representation;
use super::resource::Resource;
use super::status::{ApiResult, Rejection};
use super::store::Key;
use super::target::Target;
use super::write::Part;
use super::{access, delete, discovery, forward, list, review, scale, write};
use crate::mock::serve::{self, Call, CallLog, FaultQueue, IncomingRequest, Service};

impl Service for ClusterState {
    type Route = Route;

    fn faults(&self) -> &FaultQueue<Route> {
        &self.faults
    }

    fn calls(&self) -> &CallLog<Route> {
        &self.calls
    }

    fn classify(&self, request: &IncomingRequest) -> (Route, Call) {
        (Route::of(&self.target(request)), call(request))
    }

    fn rejection(&self, status: u16, text: &str) -> Response<Body> {
        Rejection::of_status(status, text).response()
    }

    fn handle(&self, request: &IncomingRequest) -> Response<Body> {
        let result = self.respond(request, &self.target(request));
        result.unwrap_or_else(|rejection| rejection.response())
    }
}

impl ClusterState {
    fn respond(&self, request: &IncomingRequest, target: &Target) -> ApiResult {
        let user = authenticate(request, &self.authority, (&self.tokens, &self.store))
            .ok_or_else(Rejection::unauthorized)?;
        access::note_use(request, (&self.tokens, &self.store));
        if let Target::Health { check } = target {
            return self.health(request, check.as_deref());
        }
        if !self.is_ready() {
            return Err(Rejection::unavailable());
        }
        authorize(self, request, target, &user)?;
        let custom = self.custom_resources();
        match target {
            Target::Version => self.read_only(request, |cluster| cluster.version()),
            Target::Root => self.read_only(request, |_| discovery::root(&custom)),
            Target::Api if discovery::wants_aggregated(request) => {
                Ok(aggregated(&discovery::aggregated(true, &custom)))
            }
            Target::Apis if discovery::wants_aggregated(request) => {
                Ok(aggregated(&discovery::aggregated(false, &custom)))
            }
            Target::Api => self.read_only(request, |cluster| {
                discovery::core_versions(&cluster.public_address())
            }),
            Target::Apis => self.read_only(request, |_| discovery::group_list(&custom)),
            Target::Group(group) => self.read_only(request, |_| discovery::group(group, &custom)),
            Target::GroupVersion(group, version) => self.read_only(request, |_| {
                discovery::resource_list(group, version, &custom)
            }),
            Target::AccessReview => review::access(self, request, &user),
            Target::RulesReview => review::rules(self, request, &user),
            Target::SelfReview => review::own_user(self, request, &user),
            Target::TokenReview => review::review_token(self, request),
            Target::TokenRequest { namespace, name } => {
                review::token(self, request, (namespace, name))
            }
            Target::Collection {
                resource,
                namespace,
            } => self.collection(request, (resource, namespace.as_deref())),
            Target::Object {
                resource,
                namespace,
                name,
            } => self.object(request, (&Key::new(resource, namespace, name), Part::Main)),
            Target::Status {
                resource,
                namespace,
                name,
            } => self.object(
                request,
                (&Key::new(resource, namespace, name), Part::Status),
            ),
            Target::Scale {
                resource,
                namespace,
                name,
            } => scale::respond(self, request, &Key::new(resource, namespace, name)),
            Target::PortForward { namespace, name } => {
                forward::respond(self, request, (namespace, name))
            }
            Target::NoSubresource { resource, name } => Err(Rejection::not_found(resource, name)),
            Target::UnknownResource => Err(Rejection::resource_not_found()),
            Target::Health { .. } | Target::Unknown => Err(Rejection::page_not_found()),
        }
    }

    fn read_only(
        &self,
        request: &IncomingRequest,
        document: impl FnOnce(&Self) -> Value,
    ) -> ApiResult {
        if request.method != Method::GET {
            return Err(Rejection::method_not_allowed());
        }
        Ok(serve::json(200, &document(self)))
    }

    fn collection(
        &self,
        request: &IncomingRequest,
        target: (&'static Resource, Option<&str>),
    ) -> ApiResult {
        let _one_at_a_time = self.store.exclusive();
        match request.method {
            Method::GET => list::respond(self, request, target),
            Method::POST => write::create(self, request, target),
            Method::DELETE => delete::delete_collection(self, request, target),
            _ => Err(Rejection::method_not_allowed()),
        }
    }

    fn object(&self, request: &IncomingRequest, (key, part): (&Key, Part)) -> ApiResult {
        let _one_at_a_time = self.store.exclusive();
        match request.method {
            Method::GET => self.get(request, key),
            Method::PUT => write::update(self, request, (key, part)),
            Method::PATCH => write::patch(self, request, (key, part)),
            Method::DELETE if part == Part::Main => delete::delete(self, request, key),
            _ => Err(Rejection::method_not_allowed()),
        }
    }

    fn get(&self, request: &IncomingRequest, key: &Key) -> ApiResult {
        parameters(request, &["resourceVersion", "pretty"])?;
        let representation = Representation::of(request)?;
        let found = self.store.get(key);
        let found = found.ok_or_else(|| Rejection::not_found(key.resource, &key.name))?;
        Ok(serve::json(
            200,
            &representation.object(key.resource, &found),
        ))
    }
}

fn aggregated(document: &Value) -> Response<Body> {
    let mut response = serve::json(200, document);
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(discovery::aggregated_type());
    headers.insert(http::header::CONTENT_TYPE, content_type);
    headers.insert(http::header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("public"),
    );
    response
}

/// The query, when the mock models all of its parameters.
pub(super) fn parameters(
    request: &IncomingRequest,
    known: &[&str],
) -> Result<Vec<(String, String)>, Rejection> {
    let query = request.query();
    match query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        Some((key, _)) => Err(Rejection::not_modelled(format!(
            "the parameter {key:?} of {} {}",
            request.method,
            request.uri.path()
        ))),
        None => Ok(query),
    }
}

fn call(request: &IncomingRequest) -> Call {
    let body: Option<Value> = serde_json::from_slice(&request.body).ok();
    Call {
        method: request.method.to_string(),
        path: request.uri.path().to_owned(),
        query: request.uri.query().unwrap_or_default().to_owned(),
        body: body.map(masked),
    }
}

/// A body without the values of a Secret.
fn masked(mut body: Value) -> Value {
    for field in ["data", "stringData"] {
        if body["kind"] == "Secret" && body.get(field).is_some() {
            body[field] = "***".into();
        }
    }
    body
}
