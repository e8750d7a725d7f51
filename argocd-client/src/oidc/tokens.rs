//! The tokens of a login.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::OPERATION;
use super::provider::Provider;
use crate::credentials::expiry_of;
use crate::error::{Error, ErrorKind, Result};

/// The tokens of a login by single sign-on. Clones share the refresh token.
#[derive(Debug, Clone)]
pub struct OidcTokens {
    provider: Provider,
    id_token: SecretString,
    refresh_token: Arc<Mutex<Option<SecretString>>>,
    can_refresh: bool,
}

impl OidcTokens {
    pub(super) fn new(
        provider: Provider,
        id_token: SecretString,
        refresh_token: Option<SecretString>,
    ) -> Self {
        Self {
            provider,
            id_token,
            can_refresh: refresh_token.is_some(),
            refresh_token: Arc::new(Mutex::new(refresh_token)),
        }
    }

    /// The id token, which Argo CD takes as bearer token.
    #[must_use]
    pub fn id_token(&self) -> &SecretString {
        &self.id_token
    }

    /// The refresh token in use; providers may replace it at every refresh.
    pub async fn refresh_token(&self) -> Option<SecretString> {
        self.refresh_token.lock().await.clone()
    }

    /// When the id token expires, if it says so.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        expiry_of(&self.id_token)
    }

    /// Whether the login can be renewed without the user.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        self.can_refresh
    }

    /// Gets a new id token, once: a refused refresh needs a new login.
    pub(crate) async fn refresh(&self) -> Result<SecretString> {
        let mut slot = self.refresh_token.lock().await;
        let Some(current) = slot.as_ref() else {
            return Err(Error::new(ErrorKind::Unauthenticated, OPERATION)
                .with_message("the login has expired and has no refresh token; log in again"));
        };
        let response = self.provider.refresh(current).await?;
        // A provider that gives no new one goes on taking the old one.
        if let Some(next) = response.refresh_token {
            *slot = Some(next);
        }
        Ok(response.id_token)
    }
}
