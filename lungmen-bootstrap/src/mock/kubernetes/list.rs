//! Lists and watches: selectors, versions and pages.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::cluster_state::ClusterState;
use super::handler::parameters;
use super::representation::Representation;
use super::resource::Resource;
use super::selector::Selector;
use super::status::{ApiResult, Cause, Rejection};
use super::store::list_document;
use super::watch::{self, WatchSpec};
use crate::mock::serve::{self, IncomingRequest};

const KNOWN: [&str; 11] = [
    "limit",
    "continue",
    "fieldSelector",
    "labelSelector",
    "watch",
    "timeoutSeconds",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "resourceVersion",
    "resourceVersionMatch",
    "pretty",
];

/// The parameters of a list or a watch.
struct ListOptions {
    query: Vec<(String, String)>,
}

impl ListOptions {
    fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Rejection> {
        let Some(text) = self.value(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Rejection::bad_request(format!(
                "strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        })
    }

    fn selector(&self, resource: &Resource) -> Result<Selector, Rejection> {
        let mut selector = Selector::default();
        selector.labels(self.value("labelSelector").unwrap_or_default())?;
        selector.fields(self.value("fieldSelector").unwrap_or_default(), resource)?;
        Ok(selector)
    }
}

/// `GET` of a collection.
pub(super) fn respond(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, namespace): (&'static Resource, Option<&str>),
) -> ApiResult {
    let options = ListOptions {
        query: parameters(request, &KNOWN)?,
    };
    if matches!(options.value("watch"), Some("true" | "1")) {
        return watch(cluster, &options, (resource, namespace));
    }
    let representation = Representation::of(request)?;
    let (document, items) = list(cluster, &options, (resource, namespace))?;
    Ok(serve::json(
        200,
        &representation.list(resource, document, items),
    ))
}

/// The objects that a request for a collection selects.
pub(super) fn selected(
    cluster: &ClusterState,
    request: &IncomingRequest,
    (resource, namespace): (&'static Resource, Option<&str>),
) -> Result<Vec<Value>, Rejection> {
    let options = ListOptions {
        query: request.query(),
    };
    let selector = options.selector(resource)?;
    let (_, mut items) = cluster.store.list(resource, namespace);
    items.retain(|object| selector.matches(object));
    Ok(items)
}

fn list(
    cluster: &ClusterState,
    options: &ListOptions,
    (resource, namespace): (&'static Resource, Option<&str>),
) -> Result<(Value, Vec<Value>), Rejection> {
    let selector = options.selector(resource)?;
    // A list of any version comes from the cache, which does not know pages.
    let is_cached = options.value("resourceVersion") == Some("0");
    let limit = options
        .number("limit")?
        .filter(|limit| *limit > 0 && !is_cached);
    let (current, mut items) = cluster.store.list(resource, namespace);
    check_version(cluster, options, current)?;
    let start = match options.value("continue") {
        Some(token) => Some(Page::parse(token)?),
        None => None,
    };
    if let Some(page) = &start {
        if cluster.store.is_compacted(page.version) {
            return Err(page.expired(current));
        }
        items.retain(|object| key_of(object) > page.after);
    }
    items.retain(|object| selector.matches(object));
    let version = start.map_or(current, |page| page.version);
    let mut document = list_document(resource, version, &[]);
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else {
        return Ok((document, items));
    };
    let left = items.len().saturating_sub(limit);
    items.truncate(limit);
    if let Some(last) = items.last().filter(|_| left > 0) {
        document["metadata"]["continue"] = Page::token(version, &key_of(last)).into();
        // With a selector the server does not count the rest.
        if selector.is_empty() {
            document["metadata"]["remainingItemCount"] = left.into();
        }
    }
    Ok((document, items))
}

fn check_version(
    cluster: &ClusterState,
    options: &ListOptions,
    current: u64,
) -> Result<(), Rejection> {
    let Some(text) = options.value("resourceVersion") else {
        return Ok(());
    };
    let version: u64 = text.parse().map_err(|_| {
        Rejection::bad_request(format!("invalid resource version: {}", not_a_version(text)))
    })?;
    if version > current {
        let message = format!("Timeout: Too large resource version: {version}, current: {current}");
        return Err(Rejection::new(504, "Timeout", message).with_details(json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        })));
    }
    if options.value("resourceVersionMatch") != Some("Exact") || version == current {
        return Ok(());
    }
    if cluster.store.is_compacted(version) {
        let message = "The resourceVersion for the provided list is too old.";
        return Err(Rejection::new(410, "Expired", message));
    }
    Err(Rejection::not_modelled(
        "lists of an earlier resourceVersion",
    ))
}

fn not_a_version(text: &str) -> String {
    format!(
        "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: parsing \"{text}\": invalid syntax"
    )
}

/// Namespace and name: the order of lists.
fn key_of(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    match text("namespace") {
        "" => text("name").to_owned(),
        namespace => format!("{namespace}/{}", text("name")),
    }
}

/// Where the next page of a list begins.
struct Page {
    version: u64,
    after: String,
}

impl Page {
    fn token(version: u64, after: &str) -> String {
        URL_SAFE_NO_PAD
            .encode(json!({"v": "meta.k8s.io/v1", "rv": version, "start": after}).to_string())
    }

    fn parse(token: &str) -> Result<Self, Rejection> {
        let invalid = |problem: String| {
            Rejection::bad_request(format!(
                "invalid continue token: continue key is not valid: {problem}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|error| invalid(error.to_string()))?;
        let document: Value = serde_json::from_slice(&bytes).map_err(|_| {
            let letter = bytes.first().copied().map_or('\u{0}', char::from);
            invalid(format!(
                "invalid character '{}' looking for beginning of value",
                quoted(letter)
            ))
        })?;
        match (document["rv"].as_u64(), document["start"].as_str()) {
            (Some(version), Some(after)) => Ok(Self {
                version,
                after: after.to_owned(),
            }),
            _ => Err(invalid("incorrect format".to_owned())),
        }
    }

    fn expired(&self, current: u64) -> Rejection {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new \
            list without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
            results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, \
            or deleted between the time the first chunk was returned and now may show up in the list.";
        Rejection::new(410, "Expired", message).with_continue(Self::token(current, &self.after))
    }
}

/// A character as Go quotes it.
fn quoted(letter: char) -> String {
    if letter.is_ascii_graphic() || letter == ' ' {
        letter.to_string()
    } else {
        format!("\\u{:04x}", u32::from(letter))
    }
}

fn watch(
    cluster: &ClusterState,
    options: &ListOptions,
    (resource, namespace): (&'static Resource, Option<&str>),
) -> ApiResult {
    if options.value("sendInitialEvents").is_some() {
        if options.value("resourceVersionMatch") != Some("NotOlderThan") {
            let problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let cause = Cause::forbidden("resourceVersionMatch", problem);
            let kind = ("ListOptions", "meta.k8s.io");
            return Err(Rejection::invalid_kind(kind, "", &[cause]));
        }
        return Err(Rejection::not_modelled("sendInitialEvents"));
    }
    let from = match options.value("resourceVersion") {
        None | Some("0") => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| Rejection::new(500, "", not_a_version(text)))?,
        ),
    };
    let spec = WatchSpec {
        resource,
        namespace: namespace.map(str::to_owned),
        selector: options.selector(resource)?,
        from,
        timeout: Duration::from_secs(options.number("timeoutSeconds")?.unwrap_or(1800)),
        bookmarks: (options.value("allowWatchBookmarks") == Some("true"))
            .then_some(cluster.settings.timings.bookmark),
    };
    Ok(watch::response(&cluster.store, spec))
}
