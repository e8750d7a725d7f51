//! Waiting for the token that kube-controller-manager writes into a token Secret.

use std::pin::pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use kube::core::WatchEvent;
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::client::Client;
use super::request::{ApiRequest, from_kube};
use crate::services::{DurationText, Error, ErrorKind, Result};

const OPERATION: &str = "wait for token";
/// Between two reads of the Secret when a watch ends without a change; `argocd` polls at this interval.
const INTERVAL: Duration = Duration::from_millis(500);

impl Client {
    /// Waits for the token of the Secret at `path` that belongs to the ServiceAccount with uid `account`.
    ///
    /// # Errors
    ///
    /// `Deadline` when it does not appear in time; `NotFound` when the Secret is gone.
    pub(super) async fn wait_token(
        &self,
        path: &str,
        account: &str,
        limit: Duration,
    ) -> Result<SecretString> {
        let deadline = Instant::now() + limit;
        let overdue = |cause: Option<Error>| {
            let time = DurationText(limit);
            let status = cause.as_ref().map_or_else(
                || "kube-controller-manager has not set data.token".to_owned(),
                ToString::to_string,
            );
            let error = Error::new(ErrorKind::Deadline, OPERATION)
                .with_target(path)
                .with_message(format!(
                    "timed out after {time} waiting for the token of the Secret; last status: {status}"
                ));
            match cause {
                Some(cause) => error.with_source(cause),
                None => error,
            }
        };
        let mut last = None;
        loop {
            match timeout_at(deadline, self.read_and_watch(path, account)).await {
                Ok(Ok(Some(token))) => return Ok(token),
                Ok(Ok(None)) => {}
                Ok(Err(error)) if error.is_retryable() => last = Some(error),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(overdue(last)),
            }
            if Instant::now() + INTERVAL >= deadline {
                return Err(overdue(last));
            }
            sleep(INTERVAL).await;
        }
    }

    /// Reads the Secret, and watches it when it has no token. `None` when the watch ends without one.
    async fn read_and_watch(&self, path: &str, account: &str) -> Result<Option<SecretString>> {
        let secret = self.send(ApiRequest::get(OPERATION, path)).await?;
        if let Some(token) = token_for(&secret, account)? {
            return Ok(Some(token));
        }
        let (Some((collection, name)), Some(version)) = (
            path.rsplit_once('/'),
            secret["metadata"]["resourceVersion"].as_str(),
        ) else {
            return Ok(None);
        };
        let watch = format!(
            "{collection}?watch=true&fieldSelector=metadata.name%3D{name}&resourceVersion={version}&timeoutSeconds=290"
        );
        let request = ApiRequest::get(OPERATION, watch).to_http()?;
        let failed = |error| from_kube(OPERATION, error).with_target(path);
        let events = self
            .kube()
            .request_events::<Value>(request)
            .await
            .map_err(failed)?;
        let mut events = pin!(events);
        while let Some(event) = events.next().await {
            match event.map_err(failed)? {
                WatchEvent::Added(secret) | WatchEvent::Modified(secret) => {
                    if let Some(token) = token_for(&secret, account)? {
                        return Ok(Some(token));
                    }
                }
                WatchEvent::Error(status) => return Err(failed(kube::Error::Api(status))),
                WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
            }
        }
        Ok(None)
    }
}

/// The token of a Secret, when it was issued for the ServiceAccount with this uid. A token of an account that was deleted
/// and created again under the same name is not accepted by the API server.
///
/// # Errors
///
/// `Decode` when it is not base64 text; the text is not quoted.
pub(super) fn token_for(secret: &Value, account: &str) -> Result<Option<SecretString>> {
    if is_of_other_account(secret, account) {
        return Ok(None);
    }
    token_of(secret)
}

/// Whether the token controller has filled the Secret for another ServiceAccount than the one with this uid.
pub(super) fn is_of_other_account(secret: &Value, account: &str) -> bool {
    let owner = &secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"];
    owner.as_str().is_some_and(|owner| owner != account)
}

/// The decoded `data.token` of a Secret, when it has one.
///
/// # Errors
///
/// `Decode` when it is not base64 text; the text is not quoted.
fn token_of(secret: &Value) -> Result<Option<SecretString>> {
    let Some(encoded) = secret["data"]["token"]
        .as_str()
        .filter(|text| !text.is_empty())
    else {
        return Ok(None);
    };
    let broken =
        || Error::new(ErrorKind::Decode, OPERATION).with_message("data.token is not base64 text");
    let bytes = STANDARD.decode(encoded).map_err(|_| broken())?;
    let token = String::from_utf8(bytes).map_err(|_| broken())?;
    Ok(Some(SecretString::from(token)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    #[test]
    fn the_token_is_decoded() {
        let token = token_of(&json!({"data": {"token": "aGk="}}))
            .unwrap()
            .unwrap();

        assert_eq!(token.expose_secret(), "hi");
        assert!(token_of(&json!({"data": {"token": ""}})).unwrap().is_none());
        assert!(token_of(&json!({})).unwrap().is_none());
    }

    #[test]
    fn a_token_of_an_earlier_account_is_no_token() {
        let annotations = json!({"kubernetes.io/service-account.uid": "old"});
        let secret = json!({"metadata": {"annotations": annotations}, "data": {"token": "aGk="}});

        assert!(token_for(&secret, "old").unwrap().is_some());
        assert!(token_for(&secret, "new").unwrap().is_none());
    }

    #[test]
    fn a_broken_token_is_not_quoted() {
        let error = token_of(&json!({"data": {"token": "hunter2!"}})).unwrap_err();

        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
