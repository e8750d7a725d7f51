//! From a request to a response: authentication, readiness, rights, then the verb.

use axum::body::Body;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};

use super::Route;
use super::access::{Attributes, User, allowed, authenticate};
use super::cluster_state::ClusterState;
use super::representation::Representation;
use super::resource::{Resource, with_group};
use super::status::{ApiResult, Rejection, details};
use super::store::Key;
use super::target::Target;
use super::write::Part;
use super::{access, delete, discovery, forward, list, review, scale, write};
use crate::mock::serve::{self, Call, CallLog, FaultQueue, IncomingRequest, Service};

/// The checks of `/readyz` (kube-apiserver 1.36.3).
const CHECKS: [&str; 36] = [
    "ping",
    "log",
    "etcd",
    "etcd-readiness",
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
    "shutdown",
];
/// The check that fails while the server starts.
const LAST_CHECK: &str = "poststarthook/rbac/bootstrap-roles";

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

    /// `/readyz`, `/livez`, `/healthz`. While the server starts, the RBAC roles are the last thing that is missing.
    fn health(&self, request: &IncomingRequest, one: Option<&str>) -> ApiResult {
        let query = parameters(request, &["verbose", "exclude"])?;
        let path = request.uri.path().trim_start_matches('/');
        let name = path.split('/').next().unwrap_or(path);
        let excluded = |check: &str| {
            query
                .iter()
                .any(|(key, value)| key == "exclude" && value == check)
        };
        let failing = |check: &str| name == "readyz" && !self.is_ready() && check == LAST_CHECK;
        if let Some(check) = one {
            return match CHECKS.contains(&check) {
                true if failing(check) => {
                    Ok(serve::text(500, "internal server error: not finished\n"))
                }
                true => Ok(serve::text(200, "ok")),
                false => Err(Rejection::page_not_found()),
            };
        }
        let failed = CHECKS
            .iter()
            .any(|check| failing(check) && !excluded(check));
        let verbose = query.iter().any(|(key, _)| key == "verbose");
        if !failed && !verbose {
            return Ok(serve::text(200, "ok"));
        }
        let lines = CHECKS
            .iter()
            .map(|check| match (excluded(check), failing(check)) {
                (true, _) => format!("[+]{check} excluded: ok\n"),
                (false, true) => format!("[-]{check} failed: reason withheld\n"),
                (false, false) => format!("[+]{check} ok\n"),
            });
        let verdict = if failed { "failed" } else { "passed" };
        let text = format!("{}{name} check {verdict}\n", lines.collect::<String>());
        Ok(serve::text(if failed { 500 } else { 200 }, text))
    }

    fn version(&self) -> Value {
        let version = &self.settings.kubernetes_version;
        let mut numbers = version.split('.');
        let (major, minor) = (numbers.next(), numbers.next());
        let number: u32 = minor
            .and_then(|minor| minor.parse().ok())
            .unwrap_or_default();
        let mut document = json!({
            "major": major,
            "minor": minor,
        });
        // Measured on 1.36.3; earlier versions of the mock's servers leave them out.
        if number >= 34 {
            document["emulationMajor"] = json!(major);
            document["emulationMinor"] = json!(minor);
            document["minCompatibilityMajor"] = json!(major);
            document["minCompatibilityMinor"] = (number - 1).to_string().into();
        }
        let build = json!({
            "gitVersion": format!("v{version}"),
            "gitCommit": "0000000000000000000000000000000000000000",
            "gitTreeState": "clean",
            "buildDate": "2025-01-01T00:00:00Z",
            "goVersion": "go1.24.5",
            "compiler": "gc",
            "platform": "linux/amd64",
        });
        if let (Value::Object(document), Value::Object(build)) = (&mut document, build) {
            document.extend(build);
        }
        document
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

/// # Errors
///
/// 403 in the words of the API server.
fn authorize(
    cluster: &ClusterState,
    request: &IncomingRequest,
    target: &Target,
    user: &User,
) -> Result<(), Rejection> {
    let asked = Asked::of(request, target);
    if allowed(user, &asked.attributes, &cluster.store) {
        return Ok(());
    }
    let Attributes {
        verb,
        group,
        resource,
        path,
    } = asked.attributes;
    if let Some(path) = path {
        let message = format!(
            "forbidden: User \"{}\" cannot {verb} path \"{path}\"",
            user.name
        );
        return Err(Rejection::new(403, "Forbidden", message).with_details(json!({})));
    }
    let scope = match asked.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let plural = resource.split('/').next().unwrap_or(resource);
    let subject = match asked.name {
        "" => with_group(plural, group),
        name => format!("{} \"{name}\"", with_group(plural, group)),
    };
    let message = format!(
        "{subject} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {scope}",
        user.name
    );
    let details = details(asked.name, group, plural);
    Err(Rejection::new(403, "Forbidden", message).with_details(details))
}

/// What a request asks for, as the authorizer sees it.
struct Asked<'a> {
    attributes: Attributes<'a>,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Asked<'a> {
    fn of(request: &'a IncomingRequest, target: &'a Target) -> Self {
        let (group, resource, namespace, name) = match target {
            Target::Collection {
                resource,
                namespace,
            } => (
                resource.group,
                resource.plural,
                namespace.as_deref().unwrap_or_default(),
                "",
            ),
            Target::Object {
                resource,
                namespace,
                name,
            }
            | Target::Status {
                resource,
                namespace,
                name,
            } => (
                resource.group,
                resource.plural,
                namespace.as_str(),
                name.as_str(),
            ),
            Target::TokenRequest { namespace, name } => (
                "",
                "serviceaccounts/token",
                namespace.as_str(),
                name.as_str(),
            ),
            Target::AccessReview => ("authorization.k8s.io", "selfsubjectaccessreviews", "", ""),
            Target::RulesReview => ("authorization.k8s.io", "selfsubjectrulesreviews", "", ""),
            Target::Scale {
                resource,
                namespace,
                name,
            } => (
                resource.group,
                resource.plural,
                namespace.as_str(),
                name.as_str(),
            ),
            Target::PortForward { namespace, name } => {
                ("", "pods/portforward", namespace.as_str(), name.as_str())
            }
            Target::NoSubresource { resource, name } => {
                (resource.group, resource.plural, "", name.as_str())
            }
            Target::SelfReview => ("authentication.k8s.io", "selfsubjectreviews", "", ""),
            Target::TokenReview => ("authentication.k8s.io", "tokenreviews", "", ""),
            _ => ("", "", "", ""),
        };
        let path = resource.is_empty().then(|| request.uri.path());
        let watching = request
            .query()
            .iter()
            .any(|(key, value)| key == "watch" && value == "true");
        let verb = match (&request.method, name.is_empty()) {
            (&Method::GET, _) if path.is_some() => "get",
            (&Method::GET, false) => "get",
            (&Method::GET, true) if watching => "watch",
            (&Method::GET, true) => "list",
            (&Method::POST, _) => "create",
            (&Method::PATCH, _) => "patch",
            (&Method::PUT, _) => "update",
            (&Method::DELETE, false) => "delete",
            _ => "deletecollection",
        };
        Self {
            attributes: Attributes {
                verb,
                group,
                resource,
                path,
            },
            namespace,
            name,
        }
    }
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
