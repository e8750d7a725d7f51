//! The rights of the account.

use serde::Deserialize;

use crate::call::Call;
use crate::error::{ErrorKind, Result};
use crate::transport::Transport;
use crate::wire::nullable;

#[derive(Deserialize)]
struct CanI {
    #[serde(default, deserialize_with = "nullable")]
    value: String,
}

/// Whether RBAC allows the account `action` on `object` of `resource`.
///
/// The object is the rest of the path: its slashes separate segments, so empty segments and a `:` in
/// the last one cannot be sent.
pub(crate) async fn allowed(
    transport: &Transport,
    resource: &str,
    action: &str,
    object: &str,
) -> Result<bool> {
    let segments: Vec<&str> = [resource, action]
        .into_iter()
        .chain(object.split('/'))
        .collect();
    let call = Call::path("check right", "/api/v1/account/can-i", &segments)
        .target(format!("{resource}, {action}, {object}"));
    if segments.iter().any(|segment| segment.is_empty()) || object.contains(':') {
        return Err(call.error(ErrorKind::InvalidInput).with_message(
            "an object with an empty part or a colon, such as a URL, cannot be checked; use *",
        ));
    }
    let response: CanI = transport.send(&call).await?;
    Ok(response.value == "yes")
}
