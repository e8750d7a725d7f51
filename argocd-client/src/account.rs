//! Accounts, their tokens and their rights.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::{ErrorKind, Result};
use crate::transport::{Transport, found};
use crate::wire::{List, nullable};

const ACCOUNTS: &str = "/api/v1/account";

/// The local accounts of one server.
#[derive(Debug, Clone)]
pub struct Accounts {
    transport: Arc<Transport>,
}

/// A local account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Whether it may be used.
    #[serde(default, deserialize_with = "nullable")]
    pub enabled: bool,
    /// `login` for passwords, `apiKey` for tokens.
    #[serde(default, deserialize_with = "nullable")]
    pub capabilities: Vec<String>,
    /// Its API tokens, without their text.
    #[serde(default, deserialize_with = "nullable")]
    pub tokens: Vec<AccountToken>,
}

/// An API token of an account, without its text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AccountToken {
    /// Identity.
    #[serde(default, deserialize_with = "nullable")]
    pub id: String,
    #[serde(default, deserialize_with = "nullable")]
    issued_at: i64,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: i64,
}

impl AccountToken {
    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.issued_at).ok()
    }

    /// When it expires; none for a token that does not.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        if self.expires_at == 0 {
            return None;
        }
        Timestamp::from_second(self.expires_at).ok()
    }
}

/// A token to issue; by default one with a new identity that does not expire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a request does nothing until it is sent"]
pub struct NewToken {
    pub(crate) id: Option<String>,
    pub(crate) expires_in: Option<Duration>,
}

impl NewToken {
    /// A token that does not expire.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the identity. A second token with it is rejected, so that a lost response can be distinguished
    /// from a request that did not arrive.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the life time, in whole seconds.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(time);
        self
    }
}

#[derive(Deserialize)]
pub(crate) struct TokenResponse {
    #[serde(default)]
    pub(crate) token: SecretString,
}

impl Accounts {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the accounts that the account may see; always itself. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session.
    pub async fn list(&self) -> Result<Vec<Account>> {
        let call = Call::get("list accounts", ACCOUNTS, &[]);
        Ok(self.transport.send::<List<Account>>(&call).await?.items)
    }

    /// Reads one account. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it does not exist;
    /// [`Forbidden`](ErrorKind::Forbidden) for another account without the right `accounts, get`.
    pub async fn account(&self, name: &str) -> Result<Account> {
        let call = Call::get("read account", "/api/v1/account/{}", &[name]).target(name);
        self.transport.send(&call).await
    }

    /// Looks for an account. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) for another account without the right `accounts, get`.
    pub async fn find(&self, name: &str) -> Result<Option<Account>> {
        found(self.account(name).await)
    }

    /// Issues an API token. Every call issues another one: not repeated after a lost response.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when the identity is in use, or the account may have no
    /// tokens; [`NotFound`](ErrorKind::NotFound) for the account;
    /// [`Forbidden`](ErrorKind::Forbidden) for another account without the right `accounts, update`.
    pub async fn create_token(&self, account: &str, token: &NewToken) -> Result<SecretString> {
        let mut body = json!({"name": account});
        if let Some(id) = &token.id {
            body["id"] = json!(id);
        }
        if let Some(time) = token.expires_in {
            body["expiresIn"] = json!(time.as_secs());
        }
        let template = "/api/v1/account/{}/token";
        let call = Call::new("create token", Method::POST, template, &[account])
            .target(account)
            .body(&body)?;
        Ok(self.transport.send::<TokenResponse>(&call).await?.token)
    }

    /// Revokes an API token. Returns `false` when there is none with this identity. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) for another account without the right `accounts, update`.
    pub async fn delete_token(&self, account: &str, id: &str) -> Result<bool> {
        let template = "/api/v1/account/{}/token/{}";
        let call = Call::new("delete token", Method::DELETE, template, &[account, id])
            .target(format!("{account}/{id}"));
        Ok(found(self.transport.send::<Value>(&call).await)?.is_some())
    }

    /// Sets the password of an account. `current` is the password of the account that asks. Sessions
    /// of the account end. Not repeated after a lost response.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a wrong current password or a new one that does not match
    /// the pattern of the server (8 to 32 characters by default);
    /// [`Forbidden`](ErrorKind::Forbidden) for another account without the right `accounts, update`.
    pub async fn set_password(
        &self,
        account: &str,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<()> {
        let body = json!({
            "name": account, "currentPassword": current.expose_secret(), "newPassword": new.expose_secret(),
        });
        let call = Call::new("set password", Method::PUT, "/api/v1/account/password", &[])
            .target(account)
            .idempotency(crate::retry::Idempotency::Unsafe)
            .body(&body)?;
        self.transport.send::<Value>(&call).await.map(drop)
    }
}

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
