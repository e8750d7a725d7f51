//! A request as the handlers see it.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::response::Rejection;

/// The decoded query of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Where the path of a request comes from. Of one that a client sent, empty segments are cleaned, and a `:` in the last segment
/// begins a verb; one that stands for a call by gRPC is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Path,
    Call,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) origin: Origin,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn new(parts: Parts, body: Bytes) -> Self {
        Self {
            origin: Origin::Path,
            path: parts.uri.path().to_owned(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            method: parts.method,
            headers: parts.headers,
            body,
        }
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The JSON body; none without any. Text that is no JSON gets the error of Go's decoder.
    pub(super) fn body(&self) -> Result<Option<Value>, Rejection> {
        if self.body.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&self.body).map(Some).map_err(|_| {
            let first = String::from_utf8_lossy(&self.body)
                .chars()
                .next()
                .unwrap_or_default();
            Rejection::invalid(format!(
                "invalid character '{first}' looking for beginning of value"
            ))
        })
    }

    /// The deadline that a client gives the server, in the form of gRPC.
    pub(super) fn grpc_timeout(&self) -> Option<Duration> {
        let text = self.header("grpc-timeout")?;
        let unit = text.chars().last()?;
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(match unit {
            'H' => Duration::from_secs(number.saturating_mul(3600)),
            'M' => Duration::from_secs(number.saturating_mul(60)),
            'S' => Duration::from_secs(number),
            'm' => Duration::from_millis(number),
            'u' => Duration::from_micros(number),
            'n' => Duration::from_nanos(number),
            _ => return None,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_repeat() {
        let query =
            Query::parse("server=https%3A%2F%2Fh&updatedFields=a&updatedFields=b+c&refresh");

        assert_eq!(query.first("server"), Some("https://h"));
        assert_eq!(query.all("updatedFields").collect::<Vec<_>>(), ["a", "b c"]);
        assert_eq!(query.first("refresh"), Some(""));
    }
}
