//! The `Status` documents of error responses.

use axum::body::Body;
use http::Response;
use http::header::RETRY_AFTER;
use serde_json::{Map, Value, json};

use super::resource::{Resource, with_group};
use crate::mock::serve;

pub(super) type ApiResult = Result<Response<Body>, Rejection>;

/// An error response: code, reason, message, details.
#[derive(Debug)]
pub(super) struct Rejection {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Box<Value>>,
    continue_token: Option<String>,
    is_page: bool,
}

/// One field that is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Cause {
    pub(super) fn new(
        reason: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            message: message.into(),
            field: field.into(),
        }
    }

    pub(super) fn invalid(field: &str, value: &Value, problem: &str) -> Self {
        let message = format!("Invalid value: {value}: {problem}");
        Self::new("FieldValueInvalid", field, message)
    }

    pub(super) fn required(field: &str, problem: &str) -> Self {
        let message = match problem {
            "" => "Required value".to_owned(),
            problem => format!("Required value: {problem}"),
        };
        Self::new("FieldValueRequired", field, message)
    }

    pub(super) fn forbidden(field: &str, problem: &str) -> Self {
        Self::new(
            "FieldValueForbidden",
            field,
            format!("Forbidden: {problem}"),
        )
    }

    fn document(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

impl Rejection {
    pub(super) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
            is_page: false,
        }
    }

    pub(super) fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub(super) fn with_continue(mut self, token: String) -> Self {
        self.continue_token = Some(token);
        self
    }

    fn about(self, resource: &Resource, name: &str) -> Self {
        self.with_details(details(name, resource.group, resource.plural))
    }

    /// The error that the API server sends with this code.
    pub(super) fn of_status(code: u16, message: &str) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            409 => "Conflict",
            410 => "Expired",
            413 => "RequestEntityTooLarge",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "",
        };
        Self::new(code, reason, message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// Go's page for a path that no handler has.
    pub(super) fn page_not_found() -> Self {
        Self {
            is_page: true,
            ..Self::new(404, "NotFound", "404 page not found\n")
        }
    }

    pub(super) fn resource_not_found() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message).with_details(json!({}))
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).with_details(json!({}))
    }

    pub(super) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    pub(super) fn already_exists(resource: &Resource, name: &str, is_deleted: bool) -> Self {
        let prefix = if is_deleted {
            "object is being deleted: "
        } else {
            ""
        };
        let message = format!("{prefix}{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// The object has another version than the one in the request.
    pub(super) fn modified(resource: &Resource, name: &str) -> Self {
        let problem = "the object has been modified; please apply your changes to the latest version and try again";
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {problem}",
            resource.qualified()
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// A precondition of a deletion does not hold.
    pub(super) fn precondition(resource: &Resource, name: &str, problem: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {problem}. The object might have been modified",
            resource.qualified_kind()
        );
        Self::new(409, "Conflict", message).with_details(details(
            name,
            resource.group,
            resource.kind,
        ))
    }

    pub(super) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind((resource.kind, resource.group), name, causes)
    }

    /// 422 for an object or for the options of a request.
    pub(super) fn invalid_kind((kind, group): (&str, &str), name: &str, causes: &[Cause]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.message);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let problem = match texts.as_slice() {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let message = format!(
            "{} \"{name}\" is invalid: {problem}",
            with_group(kind, group)
        );
        let mut found = details(name, group, kind);
        found["causes"] = causes.iter().map(Cause::document).collect();
        Self::new(422, "Invalid", message).with_details(found)
    }

    pub(super) fn forbidden(resource: &Resource, name: &str, problem: &str) -> Self {
        let message = format!(
            "{} \"{name}\" is forbidden: {problem}",
            resource.qualified()
        );
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(super) fn unavailable() -> Self {
        Self::new(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        )
    }

    /// A request that the mock does not model. No real server responds like this.
    pub(super) fn not_modelled(what: impl std::fmt::Display) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("KubernetesMock does not model {what}"),
        )
    }

    pub(super) fn document(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".to_owned(), token.as_str().into());
        }
        let mut document = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            document["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            document["details"] = (**details).clone();
        }
        document["code"] = self.code.into();
        document
    }

    pub(super) fn response(&self) -> Response<Body> {
        if self.is_page {
            return serve::text(self.code, self.message.clone());
        }
        let mut response = serve::json(self.code, &self.document());
        let details = self.details.as_ref();
        if let Some(seconds) = details.and_then(|details| details["retryAfterSeconds"].as_u64()) {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The details of a `Status`, without what is empty.
pub(super) fn details(name: &str, group: &str, kind: &str) -> Value {
    let mut details = Map::new();
    for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(key.to_owned(), value.into());
        }
    }
    details.into()
}
