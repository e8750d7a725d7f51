//! Accounts, sessions and API tokens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use serde_json::{Value, json};

use super::policy::Caller;
use super::response::Rejection;
use super::state::MockServer;

/// After so many wrong passwords the right one is rejected too.
const MAX_FAILURES: u32 = 5;
/// Sessions with less than this left are renewed by the way.
const RENEWAL_WINDOW: Duration = Duration::from_secs(300);

/// Accounts with their tokens, and failed logins.
pub(super) struct Accounts {
    pub(super) session_duration: Duration,
    accounts: BTreeMap<String, Account>,
    tokens: BTreeMap<String, Token>,
    failures: BTreeMap<String, u32>,
    issued: u64,
}

#[derive(Clone, Default)]
struct Account {
    password: Option<String>,
    has_api_key: bool,
}

#[derive(Clone)]
struct Token {
    account: String,
    /// Of API tokens only.
    id: Option<String>,
    number: u64,
    issued_at: i64,
    expires_at: Option<i64>,
    /// API tokens without an expiry have no end.
    ends: Option<Instant>,
}

impl Default for Accounts {
    fn default() -> Self {
        let admin = Account {
            password: None,
            has_api_key: false,
        };
        Self {
            session_duration: Duration::from_secs(24 * 3600),
            accounts: BTreeMap::from([("admin".to_owned(), admin)]),
            tokens: BTreeMap::new(),
            failures: BTreeMap::new(),
            issued: 0,
        }
    }
}

impl Accounts {
    /// Adds an account that may log in and have API tokens; `admin` has no API tokens.
    pub(super) fn add(&mut self, name: &str, password: Option<String>) {
        let account = self.accounts.entry(name.to_owned()).or_default();
        account.password = password.or(account.password.take());
        account.has_api_key = name != "admin";
    }

    /// The API token that a test uses for an account.
    pub(super) fn api_token(&mut self, account: &str) -> String {
        self.issued += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.issued);
        let token = self.issue(account, Some(id), None);
        // It is older than everything that a test does.
        if let Some(entry) = self.tokens.get_mut(&token) {
            entry.issued_at -= 3600;
        }
        token
    }

    fn session_token(&mut self, account: &str) -> String {
        self.issue(account, None, Some(self.session_duration))
    }

    fn issue(&mut self, account: &str, id: Option<String>, lasts: Option<Duration>) -> String {
        self.issued += 1;
        let capability = if id.is_some() { "apiKey" } else { "login" };
        let issued_at = jiff::Timestamp::now().as_second();
        let expires_at = lasts.map(|lasts| {
            issued_at.saturating_add(i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX))
        });
        let mut claims = json!({
            "iss": "argocd", "sub": format!("{account}:{capability}"), "iat": issued_at,
            "jti": id.clone().unwrap_or_else(|| self.issued.to_string()),
        });
        if let Some(expires_at) = expires_at {
            claims["exp"] = json!(expires_at);
        }
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{}",
            part(json!({"alg": "HS256", "typ": "JWT"})),
            part(claims),
            URL_SAFE_NO_PAD.encode(format!("mock signature {}", self.issued)),
        );
        let entry = Token {
            account: account.to_owned(),
            id,
            number: self.issued,
            issued_at,
            expires_at,
            ends: lasts.map(|lasts| Instant::now() + lasts),
        };
        self.tokens.insert(token.clone(), entry);
        token
    }

    /// Ends all sessions; API tokens stay.
    pub(super) fn expire_sessions(&mut self) {
        for token in self.tokens.values_mut().filter(|token| token.id.is_none()) {
            token.ends = Some(Instant::now());
        }
    }

    /// Revokes every token.
    pub(super) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    fn owner_of(&self, token: &str) -> Result<&Token, Rejection> {
        let Some(found) = self.tokens.get(token) else {
            return Err(Rejection::new(
                16,
                "invalid session: failed to verify the token",
            ));
        };
        if found.ends.is_some_and(|end| end <= Instant::now()) {
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
        let known = self
            .accounts
            .get(&username)
            .and_then(|account| account.password.as_ref());
        let right = known == Some(&password);
        let failures = self.failures.entry(username.clone()).or_default();
        if *failures >= MAX_FAILURES || !right {
            *failures += 1;
            return Err(Rejection::new(16, "Invalid username or password"));
        }
        *failures = 0;
        Ok(self.session_token(&username))
    }

    pub(super) fn set_password(&mut self, name: &str, password: &str) -> Result<(), Rejection> {
        if !(8..=32).contains(&password.chars().count()) {
            return Err(Rejection::invalid(
                "New password does not match the following expression: ^.{8,32}$.",
            ));
        }
        self.account(name)?.password = Some(password.to_owned());
        Ok(())
    }

    pub(super) fn password_is(&self, name: &str, password: &str) -> bool {
        self.accounts
            .get(name)
            .is_some_and(|account| account.password.as_deref() == Some(password))
    }

    fn account(&mut self, name: &str) -> Result<&mut Account, Rejection> {
        self.accounts.get_mut(name).ok_or_else(|| unknown(name))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.accounts.keys().cloned().collect()
    }

    pub(super) fn show(&self, name: &str) -> Result<Value, Rejection> {
        let account = self.accounts.get(name).ok_or_else(|| unknown(name))?;
        let mut tokens: Vec<&Token> = self
            .tokens
            .values()
            .filter(|token| token.account == name && token.id.is_some())
            .collect();
        // The server sorts by the second in which they were issued, newest first.
        tokens.sort_by_key(|token| (std::cmp::Reverse(token.issued_at), token.number));
        let mut shown =
            json!({"name": name, "enabled": true, "capabilities": account.capabilities()});
        if !tokens.is_empty() {
            shown["tokens"] = tokens.into_iter().map(Token::show).collect();
        }
        Ok(shown)
    }

    pub(super) fn create_token(&mut self, name: &str, body: &Value) -> Result<String, Rejection> {
        let has_api_key = self.account(name)?.has_api_key;
        let failed = |why: String| {
            Err(Rejection::new(
                2,
                format!("failed to update account with new token: {why}"),
            ))
        };
        if !has_api_key {
            return failed(format!("account '{name}' does not have apiKey capability"));
        }
        let id = match body["id"].as_str().filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => format!("00000000-0000-4000-8001-{:012}", self.issued + 1),
        };
        if self.has_token(name, &id) {
            return failed(format!("account already has token with id '{id}'"));
        }
        let lasts = body["expiresIn"].as_u64().filter(|seconds| *seconds > 0);
        Ok(self.issue(name, Some(id), lasts.map(Duration::from_secs)))
    }

    fn has_token(&self, name: &str, id: &str) -> bool {
        self.tokens
            .values()
            .any(|token| token.account == name && token.id.as_deref() == Some(id))
    }

    pub(super) fn delete_token(&mut self, name: &str, id: &str) -> Result<(), Rejection> {
        self.account(name)?;
        if !self.has_token(name, id) {
            return Err(Rejection::new(
                5,
                format!("token with id '{id}' does not exist"),
            ));
        }
        self.tokens
            .retain(|_, token| token.account != name || token.id.as_deref() != Some(id));
        Ok(())
    }
}

impl Account {
    fn capabilities(&self) -> Vec<&'static str> {
        if self.has_api_key {
            vec!["apiKey", "login"]
        } else {
            vec!["login"]
        }
    }
}

impl Token {
    fn show(&self) -> Value {
        let mut shown = json!({"id": self.id, "issuedAt": self.issued_at});
        if let Some(expires_at) = self.expires_at {
            shown["expiresAt"] = json!(expires_at);
        }
        shown
    }
}

fn unknown(name: &str) -> Rejection {
    Rejection::new(5, format!("account '{name}' does not exist"))
}

/// The token of a request, in the order in which the server looks. One that does not have three
/// parts is ignored.
pub(super) fn token(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let cookie = header(COOKIE.as_str()).and_then(|cookies| {
        cookies
            .split(';')
            .find_map(|cookie| cookie.trim().strip_prefix("argocd.token="))
    });
    header("grpc-metadata-token")
        .into_iter()
        .chain(bearer)
        .chain(cookie)
        .find(|token| token.split('.').count() == 3)
        .map(str::to_owned)
}

/// Identifies the caller; with anonymous access an invalid token is the anonymous caller.
pub(super) fn authenticate(server: &MockServer, token: Option<&str>) -> Result<Caller, Rejection> {
    let mut state = server.state();
    let found = match token {
        None => Err(Rejection::new(16, "no session information")),
        Some(token) => state.accounts.owner_of(token).cloned(),
    };
    match found {
        Ok(Token {
            account, id, ends, ..
        }) => {
            let ending = id.is_none()
                && ends.is_some_and(|end| end.duration_since(Instant::now()) < RENEWAL_WINDOW);
            let renewed = ending.then(|| state.accounts.session_token(&account));
            Ok(Caller {
                account: Some(account),
                renewed,
            })
        }
        Err(_) if server.settings.anonymous => Ok(Caller {
            account: None,
            renewed: None,
        }),
        Err(rejected) => Err(rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_passwords_lock_the_account() {
        let mut accounts = Accounts::default();
        accounts.add("admin", Some("right".into()));
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
    fn a_token_without_three_parts_is_ignored_and_a_cookie_is_looked_at_last() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, http::HeaderValue::from_static("Bearer a.b"));
        assert_eq!(token(&headers), None);

        headers.insert(
            COOKIE,
            http::HeaderValue::from_static("x=y; argocd.token=c.d.e"),
        );
        assert_eq!(token(&headers).as_deref(), Some("c.d.e"));
        headers.insert(
            "grpc-metadata-token",
            http::HeaderValue::from_static("a.b.c"),
        );
        assert_eq!(token(&headers).as_deref(), Some("a.b.c"));
    }
}
