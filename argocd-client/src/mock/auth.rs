//! Sessions and rights.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::response::Rejection;
use super::state::{MockServer, ServerState, now};

/// After so many wrong passwords the right one is refused too.
const MAX_FAILURES: u32 = 5;
/// Sessions with less than this left are renewed by the way.
const RENEWAL_WINDOW: Duration = Duration::from_secs(300);

/// Accounts, tokens and failed logins.
pub(super) struct Accounts {
    pub(super) passwords: HashMap<String, String>,
    pub(super) session_duration: Duration,
    tokens: HashMap<String, Token>,
    failures: HashMap<String, u32>,
    issued: u64,
}

#[derive(Clone)]
struct Token {
    account: String,
    /// API tokens have no end.
    expires: Option<Instant>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            passwords: HashMap::new(),
            session_duration: Duration::from_secs(24 * 3600),
            tokens: HashMap::new(),
            failures: HashMap::new(),
            issued: 0,
        }
    }
}

impl Accounts {
    /// Makes an API token.
    pub(super) fn api_token(&mut self, account: &str) -> String {
        self.issue(account, "apiKey", None)
    }

    fn session_token(&mut self, account: &str) -> String {
        let end = Instant::now() + self.session_duration;
        self.issue(account, "login", Some(end))
    }

    fn issue(&mut self, account: &str, capability: &str, expires: Option<Instant>) -> String {
        self.issued += 1;
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{}",
            part(json!({"alg": "HS256", "typ": "JWT"})),
            part(
                json!({"iss": "argocd", "sub": format!("{account}:{capability}"), "jti": self.issued.to_string()})
            ),
            URL_SAFE_NO_PAD.encode(format!("mock signature {}", self.issued)),
        );
        let account = account.to_owned();
        self.tokens
            .insert(token.clone(), Token { account, expires });
        token
    }

    /// Ends all sessions; API tokens stay.
    pub(super) fn expire_sessions(&mut self) {
        for token in self
            .tokens
            .values_mut()
            .filter(|token| token.expires.is_some())
        {
            token.expires = Some(Instant::now());
        }
    }

    /// Revokes every token there is.
    pub(super) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    fn account_of(&self, token: &str) -> Result<&Token, Rejection> {
        let Some(found) = self.tokens.get(token) else {
            return Err(Rejection::new(
                16,
                "invalid session: failed to verify the token",
            ));
        };
        if found.expires.is_some_and(|end| end <= Instant::now()) {
            return Err(Rejection::new(
                16,
                "invalid session: token has invalid claims: token is expired",
            ));
        }
        Ok(found)
    }

    pub(super) fn log_in(&mut self, body: &Value) -> Result<String, Rejection> {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let (username, password) = (text("username"), text("password"));
        if !text("token").is_empty() {
            return Err(Rejection::new(
                16,
                "token-based session creation no longer supported. please upgrade argocd cli to v0.7+",
            ));
        }
        if username.is_empty() || password.is_empty() {
            return Err(Rejection::new(16, "no credentials supplied"));
        }
        if username.len() > 32 {
            return Err(Rejection::invalid("Username is too long (32 bytes max)"));
        }
        let failures = self.failures.entry(username.clone()).or_default();
        if *failures >= MAX_FAILURES || self.passwords.get(&username) != Some(&password) {
            *failures += 1;
            return Err(Rejection::new(16, "Invalid username or password"));
        }
        *failures = 0;
        Ok(self.session_token(&username))
    }
}

/// Who asks.
#[derive(Clone)]
pub(super) struct Caller {
    /// None for anonymous.
    pub(super) account: Option<String>,
    /// A fresh token for a session that is about to end.
    pub(super) renewed: Option<String>,
}

/// The token of a request, in the order in which the server looks. One that does not have three
/// parts is ignored.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    header("grpc-metadata-token")
        .into_iter()
        .chain(bearer)
        .find(|token| token.split('.').count() == 3)
        .map(str::to_owned)
}

/// Finds out who asks; with anonymous access a bad token is nobody's.
pub(super) fn authenticate(world: &MockServer, token: Option<&str>) -> Result<Caller, Rejection> {
    let anonymous = Caller {
        account: None,
        renewed: None,
    };
    let mut state = world.state();
    let found = match token {
        None => Err(Rejection::new(16, "no session information")),
        Some(token) => state.accounts.account_of(token).cloned(),
    };
    match found {
        Ok(Token { account, expires }) => {
            let ending =
                expires.is_some_and(|end| end.duration_since(Instant::now()) < RENEWAL_WINDOW);
            let renewed = ending.then(|| state.accounts.session_token(&account));
            Ok(Caller {
                account: Some(account),
                renewed,
            })
        }
        Err(_) if world.settings.anonymous => Ok(anonymous),
        Err(refused) => Err(refused),
    }
}

impl ServerState {
    /// Whether the caller may do `action` on a resource.
    pub(super) fn allows(&self, caller: &Caller, resource: &str, action: &str) -> bool {
        let denied = |action: &str| {
            self.denied
                .contains(&(resource.to_owned(), action.to_owned()))
        };
        caller.account.is_some() && !denied(action) && !denied("*")
    }

    /// Refuses with the text of the server.
    pub(super) fn enforce(
        &self,
        caller: &Caller,
        resource: &str,
        action: &str,
        object: &str,
    ) -> Result<(), Rejection> {
        if self.allows(caller, resource, action) {
            return Ok(());
        }
        let who = caller.account.as_deref().unwrap_or_default();
        Err(Rejection::new(
            7,
            format!(
                "permission denied: {resource}, {action}, {object}, sub: {who}, iat: {}",
                now()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_passwords_lock_the_account() {
        let mut accounts = Accounts::default();
        accounts.passwords.insert("admin".into(), "right".into());
        let mut log_in =
            |password: &str| accounts.log_in(&json!({"username": "admin", "password": password}));

        assert!(log_in("right").is_ok());
        for _ in 0..5 {
            assert_eq!(
                log_in("wrong").unwrap_err().message,
                "Invalid username or password"
            );
        }
        assert!(log_in("right").is_err());
    }

    #[test]
    fn a_token_without_three_parts_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, http::HeaderValue::from_static("Bearer a.b"));
        assert_eq!(token(&headers), None);

        headers.insert(
            "grpc-metadata-token",
            http::HeaderValue::from_static("a.b.c"),
        );
        assert_eq!(token(&headers).as_deref(), Some("a.b.c"));
    }
}
