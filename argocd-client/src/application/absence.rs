//! What `permission denied` for an application means: missing, or hidden.

use super::{AppRef, Applications};
use crate::account;
use crate::error::{Error, ErrorKind};

/// Replaces a `NotFoundOrForbidden` by what it means, as far as the account's rights prove it.
pub(super) async fn explain(
    applications: &Applications,
    application: &AppRef,
    error: Error,
) -> Error {
    match applications.find(application).await {
        Ok(Some(_)) => return error.with_kind(ErrorKind::Forbidden),
        Ok(None) => {}
        Err(cause) => return error.with_source(cause),
    }
    let object = object(application);
    match account::allowed(&applications.transport, "applications", "get", &object).await {
        Ok(true) => error
            .with_kind(ErrorKind::NotFound)
            .with_message("the application does not exist"),
        Ok(false) => {
            let message = format!(
                "{}; it does not exist, or the account may not get applications {object}",
                error.message()
            );
            error.with_message(message)
        }
        Err(cause) => error.with_source(cause),
    }
}

/// The object of RBAC: `project/name`, with the namespace between them outside Argo CD's own.
/// Every project is `*`, which only a pattern for every project matches.
fn object(application: &AppRef) -> String {
    let project = application.project.as_deref().unwrap_or("*");
    match &application.namespace {
        Some(namespace) => format!("{project}/{namespace}/{}", application.name),
        None => format!("{project}/{}", application.name),
    }
}
