//! From a request to a response: authentication, readiness, rights, then the verb.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Response};
use serde_json::{Value, json};

use super::Route;
use super::access::{Attributes, User, allowed, authenticate};
use super::cluster_state::ClusterState;
use super::resource::{Resource, Target};
use super::selector::Selector;
use super::status::{ApiResult, Rejection};
use super::store::{Key, list_document};
use super::watch::{self, WatchSpec};
use super::{review, write};
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
        let target = Target::of(request.uri.path());
        (Route::of(&target), call(request))
    }

    fn rejection(&self, status: u16, text: &str) -> Response<Body> {
        Rejection::of_status(status, text).response()
    }

    fn handle(&self, request: &IncomingRequest) -> Response<Body> {
        let result = self.respond(request, &Target::of(request.uri.path()));
        result.unwrap_or_else(|rejection| rejection.response())
    }
}

impl ClusterState {
    fn respond(&self, request: &IncomingRequest, target: &Target) -> ApiResult {
        let user = authenticate(request, &self.authority, (&self.tokens, &self.store))
            .ok_or_else(Rejection::unauthorized)?;
        if *target == Target::Health {
            return self.health(request);
        }
        if !self.is_ready() {
            return Err(Rejection::unavailable());
        }
        authorize(self, request, target, &user)?;
        match target {
            Target::Version => Ok(serve::json(200, &self.version())),
            Target::AccessReview => review::access(self, request, &user),
            Target::TokenRequest { namespace, name } => {
                review::token(self, request, (namespace, name))
            }
            Target::Collection {
                resource,
                namespace,
            } => match request.method {
                Method::GET => self.list(request, resource, namespace.as_deref()),
                Method::POST => write::create(self, request, (resource, namespace.as_deref())),
                _ => Err(unmodelled(request)),
            },
            Target::Object {
                resource,
                namespace,
                name,
            } => {
                let key = Key::new(resource, namespace, name);
                match request.method {
                    Method::GET => self.get(request, (resource, &key)),
                    Method::PATCH => write::apply(self, request, (resource, &key)),
                    Method::PUT => write::replace(self, request, (resource, &key)),
                    Method::DELETE => write::delete(self, (resource, &key)),
                    _ => Err(unmodelled(request)),
                }
            }
            Target::Health | Target::Unknown => Err(unmodelled(request)),
        }
    }

    /// `/readyz`, `/livez`, `/healthz`. While the server starts, the RBAC roles are the last thing that is missing.
    fn health(&self, request: &IncomingRequest) -> ApiResult {
        const CHECKS: [&str; 5] = [
            "ping",
            "log",
            "etcd",
            "poststarthook/start-kube-apiserver-admission-initializer",
            "poststarthook/rbac/bootstrap-roles",
        ];
        let query = parameters(request, &["verbose", "exclude"])?;
        let name = request.uri.path().trim_start_matches('/');
        let excluded = |check: &str| {
            query
                .iter()
                .any(|(key, value)| key == "exclude" && value == check)
        };
        let failing = |check: &str| {
            name == "readyz" && !self.is_ready() && check == "poststarthook/rbac/bootstrap-roles"
        };
        let failed = CHECKS
            .iter()
            .any(|check| failing(check) && !excluded(check));
        let verbose = query.iter().any(|(key, _)| key == "verbose");
        if !failed && !verbose {
            return Ok(serve::plain(200, "ok"));
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
        Ok(serve::plain(if failed { 500 } else { 200 }, text))
    }

    fn version(&self) -> Value {
        let version = &self.settings.kubernetes_version;
        let mut numbers = version.split('.');
        json!({
            "major": numbers.next(),
            "minor": numbers.next(),
            "gitVersion": format!("v{version}"),
            "gitCommit": "0000000000000000000000000000000000000000",
            "gitTreeState": "clean",
            "buildDate": "2025-01-01T00:00:00Z",
            "goVersion": "go1.24.5",
            "compiler": "gc",
            "platform": "linux/amd64",
        })
    }

    fn get(&self, request: &IncomingRequest, (resource, key): (&Resource, &Key)) -> ApiResult {
        parameters(request, &["resourceVersion", "pretty"])?;
        let found = self.store.get(key);
        let found = found.ok_or_else(|| Rejection::not_found(resource, &key.name))?;
        Ok(serve::json(200, &found))
    }

    fn list(
        &self,
        request: &IncomingRequest,
        resource: &'static Resource,
        namespace: Option<&str>,
    ) -> ApiResult {
        const KNOWN: [&str; 9] = [
            "limit",
            "fieldSelector",
            "labelSelector",
            "watch",
            "timeoutSeconds",
            "allowWatchBookmarks",
            "resourceVersion",
            "resourceVersionMatch",
            "pretty",
        ];
        let query = parameters(request, &KNOWN)?;
        let value = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty())
        };
        let mut selector = Selector::default();
        selector.labels(value("labelSelector").unwrap_or_default())?;
        selector.fields(value("fieldSelector").unwrap_or_default())?;
        if matches!(value("watch"), Some("true" | "1")) {
            let spec = WatchSpec {
                resource,
                namespace: namespace.map(str::to_owned),
                selector,
                from: version(value("resourceVersion"))?,
                timeout: Duration::from_secs(number(value("timeoutSeconds"), 1800)?),
                bookmarks: (value("allowWatchBookmarks") == Some("true"))
                    .then_some(self.settings.timings.bookmark),
            };
            return Ok(watch::response(&self.store, spec));
        }
        let (version, mut items) = self.store.list(resource, namespace);
        items.retain(|object| selector.matches(object));
        let limit = number(value("limit"), u64::MAX)?;
        if u64::try_from(items.len()).is_ok_and(|count| count > limit) {
            return Err(Rejection::not_modelled("lists in several pages"));
        }
        Ok(serve::json(200, &list_document(resource, version, items)))
    }
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
    let object = matches!(target, Target::Object { .. });
    let watching = request
        .query()
        .iter()
        .any(|(key, value)| key == "watch" && value == "true");
    let verb = match (&request.method, object) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) if watching => "watch",
        (&Method::GET, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PATCH, _) => "patch",
        (&Method::PUT, _) => "update",
        (&Method::DELETE, true) => "delete",
        _ => "deletecollection",
    };
    let (group, resource) = match target {
        Target::Collection { resource, .. } | Target::Object { resource, .. } => {
            (resource.group, resource.plural)
        }
        Target::TokenRequest { .. } => ("", "serviceaccounts/token"),
        Target::AccessReview => ("authorization.k8s.io", "selfsubjectaccessreviews"),
        Target::Version | Target::Health | Target::Unknown => ("", ""),
    };
    let path = resource.is_empty().then(|| request.uri.path());
    let verb = if path.is_some() { "get" } else { verb };
    let wanted = Attributes {
        verb,
        group,
        resource,
        path,
    };
    if allowed(user, &wanted, &cluster.store) {
        return Ok(());
    }
    let message = match (path, target) {
        (Some(path), _) => format!(
            "forbidden: User \"{}\" cannot {verb} path \"{path}\"",
            user.name
        ),
        (
            None,
            Target::Object {
                namespace, name, ..
            },
        ) if !namespace.is_empty() => format!(
            "{} \"{name}\" is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" in \
             the namespace \"{namespace}\"",
            qualified(group, resource),
            user.name
        ),
        _ => format!(
            "{} is forbidden: User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" at the cluster \
             scope",
            qualified(group, resource),
            user.name
        ),
    };
    Err(Rejection::new(403, "Forbidden", message))
}

fn qualified(group: &str, resource: &str) -> String {
    match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
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

fn number(text: Option<&str>, default: u64) -> Result<u64, Rejection> {
    let Some(text) = text else {
        return Ok(default);
    };
    text.parse().map_err(|_| {
        Rejection::bad_request(format!(
            "strconv.ParseInt: parsing {text:?}: invalid syntax"
        ))
    })
}

fn version(text: Option<&str>) -> Result<Option<u64>, Rejection> {
    match text {
        None | Some("0") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Rejection::bad_request(format!("invalid resource version {text:?}"))),
    }
}

fn unmodelled(request: &IncomingRequest) -> Rejection {
    Rejection::not_modelled(format!("{} {}", request.method, request.uri.path()))
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
