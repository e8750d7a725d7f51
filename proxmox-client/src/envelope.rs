//! From an HTTP response to a value or an error.

use std::time::Duration;

use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::MissingPermission;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::error::{Error, ErrorKind, Result};
use crate::reason::{Reason, kind_of};
use crate::request::Request;
use crate::wire;

/// What every successful response is wrapped in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Envelope {
    /// The result; null for many calls that change something.
    pub data: Value,
    /// A remark of the server, where it makes one.
    pub message: Option<String>,
    /// The number of items before paging, where the call pages (task logs).
    pub total: Option<u64>,
}

/// A response as it was received.
pub(crate) struct ServerResponse {
    pub(crate) status: StatusCode,
    /// The text of the status line, when it is not the standard one.
    pub(crate) phrase: Option<String>,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the connection can be used again.
    pub(crate) keeps_connection: bool,
    pub(crate) body: bytes::Bytes,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    errors: Value,
    #[serde(default, deserialize_with = "wire::opt_string")]
    message: Option<String>,
    #[serde(default, deserialize_with = "wire::opt_u64")]
    total: Option<u64>,
}

/// The envelope of a successful response, read for its result alone.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

impl ServerResponse {
    /// The response, or the error that it reports.
    pub(crate) fn into_success(self, request: &Request) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let body = serde_json::from_slice(&self.body).ok();
        Err(self.into_error(request, body))
    }

    /// The result. A long list is read without a copy in between; the copy is made for what cannot be read that way,
    /// because it tells where the problem is.
    pub(crate) fn into_data<T: DeserializeOwned>(self, request: &Request) -> Result<T> {
        match serde_json::from_slice::<Data<T>>(&self.body) {
            Ok(Data { data }) => Ok(data),
            Err(_) => decode(request, self.into_envelope(request)?.data),
        }
    }

    pub(crate) fn into_envelope(self, request: &Request) -> Result<Envelope> {
        match serde_json::from_slice::<Body>(&self.body).ok() {
            Some(body) => Ok(Envelope {
                data: body.data.unwrap_or_default(),
                message: body.message,
                total: body.total,
            }),
            None => Err(decode_error(request, "the response is not a JSON envelope")
                .with_status(self.status)
                .with_message(format!(
                    "the response is not a JSON envelope (content type `{}`, {} bytes)",
                    self.content_type,
                    self.body.len()
                ))),
        }
    }

    /// The text is in the body since PVE 8.4 and only in the status line before; 401 and the early
    /// 403 of an upload have no body in any version.
    fn into_error(self, request: &Request, body: Option<Body>) -> Error {
        let (text, diagnostics) = match body {
            Some(body) => (body.message, diagnostics(&body.errors)),
            None => (None, Diagnostics::new()),
        };
        let text = text
            .or_else(|| self.phrase.filter(|phrase| !phrase.is_empty()))
            .or_else(|| self.status.canonical_reason().map(str::to_owned))
            .unwrap_or_default();
        let reason = Reason::of(&text)
            .or_else(|| {
                diagnostics
                    .iter()
                    .find_map(|known| Reason::of(&known.message))
            })
            .or_else(|| id_taken(request, &diagnostics))
            .or_else(|| (self.status.as_u16() == 595).then_some(Reason::NodeUnreachable));
        let mut kind = kind_of(self.status, reason);
        // A proxy in front of the server answers in its own words and in HTML.
        if kind == ErrorKind::Server && self.content_type.starts_with("text/html") {
            kind = kind_of(self.status, None);
        }
        Error::new(kind, request.operation)
            .with_target(request.target.clone())
            .with_status(self.status)
            .with_retry_after(self.retry_after)
            .with_missing_permissions(MissingPermission::in_text(&text).into_iter().collect())
            .with_message(text.trim_end())
            .with_reason(reason)
            .with_diagnostics(diagnostics)
    }
}

/// `GET /cluster/nextid?vmid=` says "VM 104 already exists" as a parameter problem.
fn id_taken(request: &Request, diagnostics: &Diagnostics) -> Option<Reason> {
    let taken = request.route == "/cluster/nextid"
        && diagnostics
            .message_of("vmid")
            .is_some_and(|text| text.contains("already exists"));
    taken.then_some(Reason::VmIdTaken)
}

fn diagnostics(errors: &Value) -> Diagnostics {
    let Value::Object(errors) = errors else {
        return Diagnostics::new();
    };
    errors
        .iter()
        .map(|(name, problem)| {
            let problem = wire::text(problem).unwrap_or_else(|| problem.to_string());
            Diagnostic::error(name, problem.trim_end())
        })
        .collect()
}

/// Reads a value; the error names the place in the answer and quotes nothing of it.
pub(crate) fn decode<T: DeserializeOwned>(request: &Request, data: Value) -> Result<T> {
    serde_path_to_error::deserialize(data).map_err(|error| {
        let mut place = match error.path().to_string() {
            path if path == "." => "data".to_owned(),
            path => format!("data.{path}"),
        };
        // Only the name of the field is taken from the text, never a value.
        let text = error.inner().to_string();
        if let Some(field) = text.strip_prefix(wire::FIELD) {
            place = format!("{place}.{field}");
        }
        decode_error(
            request,
            &format!("`{place}` of the response does not have the expected shape"),
        )
    })
}

pub(crate) fn decode_error(request: &Request, message: &str) -> Error {
    Error::new(ErrorKind::Decode, request.operation)
        .with_target(request.target.clone())
        .with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::get("test", "/cluster/nextid", &[])
    }

    fn answer(status: u16, phrase: Option<&str>, body: &str) -> Result<Envelope> {
        ServerResponse {
            status: StatusCode::from_u16(status).unwrap(),
            phrase: phrase.map(str::to_owned),
            content_type: "application/json".into(),
            retry_after: None,
            keeps_connection: true,
            body: body.to_owned().into(),
        }
        .into_success(&request())?
        .into_envelope(&request())
    }

    #[test]
    fn a_null_result_is_a_result() {
        assert_eq!(
            answer(200, None, r#"{"data":null}"#).unwrap().data,
            Value::Null
        );
    }

    #[test]
    fn the_body_message_wins_over_the_status_line() {
        let body = r#"{"data":null,"message":"first line\nsecond line\n"}"#;
        let error = answer(500, Some("first line"), body).unwrap_err();

        assert_eq!(error.message(), "first line\nsecond line");
    }

    #[test]
    fn without_a_body_the_status_line_is_the_message() {
        let error = answer(401, Some("Authentication failed!"), "").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.message(), "Authentication failed!");
    }

    #[test]
    fn a_taken_id_is_recognized_in_the_parameter_problem() {
        let body = r#"{"data":null,"errors":{"vmid":"VM 104 already exists"},"message":"Parameter verification failed.\n"}"#;
        let error = answer(400, Some("Parameter verification failed."), body).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(
            error.diagnostics().message_of("vmid"),
            Some("VM 104 already exists")
        );
    }

    #[test]
    fn a_missing_privilege_has_path_and_name() {
        let phrase = "Permission check failed (/vms/100, VM.Config.Disk|VM.Config.CDROM)";
        let error = answer(403, Some(phrase), "").unwrap_err();
        let missing = &error.missing_permissions()[0];

        assert_eq!(missing.path, "/vms/100");
        assert_eq!(missing.privileges, ["VM.Config.Disk", "VM.Config.CDROM"]);
    }

    #[test]
    fn a_page_of_html_is_described_but_not_quoted() {
        let error = answer(200, None, "<html>canary</html>").unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
