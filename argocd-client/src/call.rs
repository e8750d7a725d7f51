//! One request of an operation: what is sent, how long it may take, whether it may be repeated.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::retry::Idempotency;

/// Everything but the unreserved characters and `*`: an unescaped `:` in the last segment is a 404, and
/// `+` would arrive as a space.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn fill(template: &str, segments: &[&str]) -> String {
    let mut path = String::with_capacity(template.len() + 32);
    let mut segments = segments.iter();
    for (index, part) in template.split("{}").enumerate() {
        if index > 0 {
            path.push_str(
                &segments
                    .next()
                    .map(|segment| encode(segment))
                    .unwrap_or_default(),
            );
        }
        path.push_str(part);
    }
    path
}

/// The server routes these paths while they are still encoded, so that a URL is one segment.
fn takes_urls(template: &str) -> bool {
    [
        "/api/v1/clusters/",
        "/api/v1/repositories/",
        "/api/v1/repocreds/",
    ]
    .iter()
    .any(|prefix| template.starts_with(prefix))
}

/// Everywhere else the router decodes first: a slash starts another segment, and a colon in the last
/// one is a custom verb (404 `Not Found`, measured on Argo CD 3.5.1).
fn is_name(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.contains(['/', ':'])
}

fn encode(segment: &str) -> String {
    utf8_percent_encode(segment, SEGMENT).to_string()
}

/// How long one attempt may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AttemptTimeout {
    Request,
    Cluster,
    Exactly(Duration),
    Endless,
}

/// One request of an operation.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    target: String,
    pub(crate) method: Method,
    pub(crate) template: &'static str,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Option<Bytes>,
    pub(crate) idempotency: Idempotency,
    pub(crate) attempt_timeout: AttemptTimeout,
    /// Whether servers exist that do not offer the call.
    pub(crate) since_later_version: bool,
    /// A path segment that the router of the server cannot take.
    bad_segment: Option<String>,
}

impl Call {
    /// `template` is the path below the root with `{}` for every segment that is filled in.
    pub(crate) fn new(
        operation: &'static str,
        method: Method,
        template: &'static str,
        segments: &[&str],
    ) -> Self {
        let path = fill(template, segments);
        let bad_segment = (!takes_urls(template))
            .then(|| segments.iter().find(|segment| !is_name(segment)))
            .flatten()
            .map(|segment| (*segment).to_owned());
        // Reads, and the writes that replace or remove, may be repeated; a POST says so itself.
        let idempotency = if method == Method::POST {
            Idempotency::Unsafe
        } else {
            Idempotency::Safe
        };
        Self {
            operation,
            target: String::new(),
            method,
            template,
            path,
            query: String::new(),
            body: None,
            idempotency,
            attempt_timeout: AttemptTimeout::Request,
            since_later_version: false,
            bad_segment,
        }
    }

    pub(crate) fn get(operation: &'static str, template: &'static str, segments: &[&str]) -> Self {
        Self::new(operation, Method::GET, template, segments)
    }

    /// A read whose number of path segments depends on the arguments.
    pub(crate) fn path(operation: &'static str, prefix: &'static str, segments: &[&str]) -> Self {
        let mut call = Self::new(operation, Method::GET, prefix, &[]);
        for segment in segments {
            call.path.push('/');
            call.path.push_str(&encode(segment));
        }
        call
    }

    /// A path chosen by the caller of [`Client::raw`](crate::Client::raw), already encoded.
    pub(crate) fn raw(method: Method, path: &str) -> Self {
        let idempotency = if method == Method::GET {
            Idempotency::Safe
        } else {
            Idempotency::Unsafe
        };
        Self {
            target: path.to_owned(),
            path: path.to_owned(),
            idempotency,
            since_later_version: true,
            ..Self::new("raw request", method, "(raw)", &[])
        }
    }

    pub(crate) fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// Adds a query parameter. `+` stands for a space only in forms, so it is never used.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        let separator = if self.query.is_empty() { '?' } else { '&' };
        // Writing to a String cannot fail.
        let _ = write!(self.query, "{separator}{}={}", encode(name), encode(value));
        self
    }

    pub(crate) fn query_opt(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, self.operation)
                .with_target(&self.target)
                .with_message("the request body cannot be written as JSON")
        })?;
        self.body = Some(body.into());
        Ok(self)
    }

    pub(crate) fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    pub(crate) fn talks_to_cluster(mut self) -> Self {
        self.attempt_timeout = AttemptTimeout::Cluster;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = AttemptTimeout::Exactly(timeout);
        self
    }

    /// Marks a call that old servers do not offer: their 404 means that, and not a wrong address.
    pub(crate) fn since_later_version(mut self) -> Self {
        self.since_later_version = true;
        self
    }

    /// Refuses names that would reach another endpoint or none.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.bad_segment {
            None => Ok(()),
            Some(segment) => Err(self.error(ErrorKind::InvalidInput).with_message(format!(
                "name {segment:?}: must not be empty, \".\" or \"..\", or contain / or :"
            ))),
        }
    }

    pub(crate) fn endless(mut self) -> Self {
        self.attempt_timeout = AttemptTimeout::Endless;
        self
    }

    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.operation).with_target(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_url_is_escaped_completely() {
        let call = Call::get("x", "/api/v1/clusters/{}", &["https://10.0.0.1:6443"]);

        assert_eq!(call.path, "/api/v1/clusters/https%3A%2F%2F10.0.0.1%3A6443");
        assert_eq!(encode("a+b c%d_e-f.g~h"), "a%2Bb%20c%25d_e-f.g~h");
    }

    #[test]
    fn names_that_the_router_would_split_are_refused() {
        for name in ["", ".", "..", "a/b", "a:b"] {
            let error = Call::get("x", "/api/v1/applications/{}", &[name])
                .check()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?}");
        }
        assert!(
            Call::get("x", "/api/v1/applications/{}", &["a.b-c"])
                .check()
                .is_ok()
        );
        assert!(
            Call::get("x", "/api/v1/clusters/{}", &["https://h:1"])
                .check()
                .is_ok()
        );
    }

    #[test]
    fn query_parameters_repeat_and_are_escaped() {
        let call = Call::get("x", "/p", &[])
            .query("updatedFields", "config")
            .query("updatedFields", "labels")
            .query("id.type", "a b");

        assert_eq!(
            call.query,
            "?updatedFields=config&updatedFields=labels&id.type=a%20b"
        );
    }
}
