//! One request before it is sent: a path template, its arguments, and form parameters.

use std::time::Duration;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::diagnostic::Diagnostic;
use crate::error::{Error, ErrorKind, Result};
use crate::params::Params;
use crate::retry::Idempotency;
use crate::rule::Rule;

/// Everything but unreserved characters is encoded in a path segment: task ids contain `@` and
/// `!`, and the server refuses a URL with an `@` before its first slash.
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// The path with placeholders: what logs show.
    pub(crate) route: &'static str,
    pub(crate) path: String,
    /// The node that answers, where the path names one.
    pub(crate) node: Option<String>,
    pub(crate) storage: Option<String>,
    pub(crate) target: String,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) idempotency: Idempotency,
    pub(crate) timeout: Option<Duration>,
    /// Why it must not be sent.
    problems: Vec<Diagnostic>,
}

impl Request {
    pub(crate) fn get(operation: &'static str, route: &'static str, args: &[&str]) -> Self {
        Self::new(operation, Method::GET, route, args)
    }

    pub(crate) fn post(operation: &'static str, route: &'static str, args: &[&str]) -> Self {
        Self::new(operation, Method::POST, route, args)
    }

    pub(crate) fn put(operation: &'static str, route: &'static str, args: &[&str]) -> Self {
        Self::new(operation, Method::PUT, route, args)
    }

    pub(crate) fn delete(operation: &'static str, route: &'static str, args: &[&str]) -> Self {
        Self::new(operation, Method::DELETE, route, args)
    }

    pub(crate) fn new(
        operation: &'static str,
        method: Method,
        route: &'static str,
        args: &[&str],
    ) -> Self {
        let idempotency = idempotency_of(&method);
        Self {
            operation,
            method,
            route,
            path: fill(route, args),
            node: argument(route, args, "{node}"),
            storage: argument(route, args, "{storage}"),
            target: String::new(),
            params: Vec::new(),
            idempotency,
            timeout: None,
            problems: Vec::new(),
        }
    }

    /// A request to a path that this crate has no template for.
    pub(crate) fn raw(method: Method, path: &str) -> Self {
        let encoded: Vec<String> = path
            .split('/')
            .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
            .collect();
        Self {
            operation: "raw request",
            idempotency: idempotency_of(&method),
            target: format!("{method} {path}"),
            method,
            route: "raw",
            path: encoded.join("/"),
            node: node_of_path(path),
            storage: None,
            params: Vec::new(),
            timeout: None,
            problems: Vec::new(),
        }
    }

    pub(crate) fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    pub(crate) fn param(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn params(mut self, params: impl IntoIterator<Item = (String, String)>) -> Self {
        self.params.extend(params);
        self
    }

    /// The parameters of a request value, with what is wrong with them.
    pub(crate) fn with(mut self, params: &Params) -> Self {
        self.params.extend(params.iter());
        self.problems.extend(params.problems());
        self
    }

    /// A parameter that must fit a rule.
    pub(crate) fn fitting(self, name: &str, value: impl Into<String>, rule: Rule) -> Self {
        let value = value.into();
        self.check(name, &value, rule).param(name, value)
    }

    /// Checks a value that is sent otherwise, such as a part of the path.
    pub(crate) fn check(mut self, name: &str, value: &str, rule: Rule) -> Self {
        self.problems.extend(rule.problem(name, value));
        self
    }

    /// Refuses a request whose values the server would refuse.
    pub(crate) fn refuse_problems(&self) -> Result<()> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, self.operation)
            .with_target(self.target.clone())
            .with_diagnostics(self.problems.iter().cloned().collect()))
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// Reading may be repeated. No other method may: a second `DELETE` can hit a successor.
fn idempotency_of(method: &Method) -> Idempotency {
    if method == Method::GET {
        Idempotency::Safe
    } else {
        Idempotency::Unsafe
    }
}

/// The value of a placeholder.
fn argument(route: &str, args: &[&str], name: &str) -> Option<String> {
    let placeholders = route.split('/').filter(|segment| segment.starts_with('{'));
    let mut values = placeholders.zip(args);
    let (_, value) = values.find(|(segment, _)| *segment == name)?;
    Some((*value).to_owned())
}

fn node_of_path(path: &str) -> Option<String> {
    let mut segments = path.trim_start_matches('/').split('/');
    let names_a_node = segments.next() == Some("nodes");
    let node = segments.next().filter(|node| !node.is_empty())?;
    names_a_node.then(|| node.to_owned())
}

fn fill(route: &str, args: &[&str]) -> String {
    let mut args = args.iter();
    let segments = route.split('/').map(|segment| {
        if segment.starts_with('{') {
            let value = args.next().copied().unwrap_or_default();
            utf8_percent_encode(value, SEGMENT).to_string()
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_encoded_into_the_template() {
        let request = Request::get(
            "read task status",
            "/nodes/{node}/tasks/{upid}/status",
            &["pve-01", "UPID:pve-01:0:ci@pve!boot:"],
        );

        assert_eq!(
            request.path,
            "/nodes/pve-01/tasks/UPID%3Apve-01%3A0%3Aci%40pve%21boot%3A/status"
        );
    }

    #[test]
    fn a_request_knows_the_node_and_the_storage_that_do_the_work() {
        let route = "/nodes/{node}/storage/{storage}/upload";
        let upload = Request::post("upload", route, &["pve-02", "local"]);
        let raw = Request::raw(Method::GET, "/nodes/pve-03/status");

        assert_eq!(upload.node.as_deref(), Some("pve-02"));
        assert_eq!(upload.storage.as_deref(), Some("local"));
        assert_eq!(raw.node.as_deref(), Some("pve-03"));
        for path in ["/nodes", "/nodes/", "/version", "/cluster/nodes/x"] {
            assert_eq!(Request::raw(Method::GET, path).node, None, "{path}");
        }
        // A storage of the cluster is a configuration.
        assert_eq!(
            Request::get("read", "/storage/{storage}", &["a"]).node,
            None
        );
    }

    #[test]
    fn raw_paths_are_encoded_by_segment() {
        let request = Request::raw(Method::GET, "/nodes/pve-01/storage/a b/status");

        assert_eq!(request.path, "/nodes/pve-01/storage/a%20b/status");
    }
}
