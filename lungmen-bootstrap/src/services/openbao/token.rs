//! Tokens: the response of a login, and the metadata of a token.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::services::{Error, ErrorKind, Result};

/// Metadata of a token, without the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenInfo {
    /// Name of its owner, for example `approle`; `token` for tokens that were not created by a login.
    pub display_name: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// Time left; `None` for a token that does not expire.
    pub time_to_live: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// The time that it was created or last renewed for; `None` for a token that does not expire.
    pub lifetime: Option<Duration>,
}

impl TokenInfo {
    pub(super) fn decode(answer: &Value) -> Result<Self> {
        let data = &answer["data"];
        let Some(display_name) = data["display_name"].as_str() else {
            return Err(Error::new(ErrorKind::Decode, "look up token")
                .with_message("data.display_name is missing"));
        };
        let policies = data["policies"].as_array().cloned().unwrap_or_default();
        let seconds = |key: &str| {
            let seconds = data[key].as_u64().filter(|seconds| *seconds > 0);
            seconds.map(Duration::from_secs)
        };
        Ok(Self {
            display_name: display_name.to_owned(),
            policies: policies
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            time_to_live: seconds("ttl"),
            lifetime: seconds("creation_ttl"),
            renewable: data["renewable"].as_bool().unwrap_or(false),
        })
    }
}

/// The token in the response of a login.
///
/// # Errors
///
/// `Unsupported` when a second factor is required, `Decode` when there is no token.
pub(super) fn client_token(answer: &Value) -> Result<SecretString> {
    let auth = &answer["auth"];
    if !auth["mfa_requirement"].is_null() {
        return Err(Error::new(ErrorKind::Unsupported, "log in")
            .with_message("the server requires multi-factor authentication"));
    }
    auth["client_token"]
        .as_str()
        .filter(|token| !token.is_empty())
        .map(SecretString::from)
        .ok_or_else(|| {
            Error::new(ErrorKind::Decode, "log in").with_message("auth.client_token is missing")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_login_that_requires_a_second_factor_is_not_supported() {
        let answer =
            json!({"auth": {"client_token": "", "mfa_requirement": {"mfa_request_id": "1"}}});

        assert_eq!(
            client_token(&answer).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn a_root_token_does_not_expire() {
        let answer = json!({"data": {"display_name": "root", "policies": ["root"], "ttl": 0, "renewable": false}});

        let info = TokenInfo::decode(&answer).unwrap();

        assert_eq!((info.time_to_live, info.lifetime), (None, None));
        assert_eq!(info.policies, ["root"]);
    }

    #[test]
    fn a_token_has_the_time_that_is_left_and_the_time_that_it_was_made_for() {
        let answer = json!({"data": {"display_name": "token", "ttl": 100, "creation_ttl": 600, "renewable": true}});

        let info = TokenInfo::decode(&answer).unwrap();

        assert_eq!(info.time_to_live, Some(Duration::from_secs(100)));
        assert_eq!(info.lifetime, Some(Duration::from_secs(600)));
    }
}
