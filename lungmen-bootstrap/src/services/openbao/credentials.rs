//! Login methods and the request of each.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::path::encode;
use crate::services::Result;

/// How a client authenticates. The constructors use the default mount path of the login method.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// An existing token. The client neither renews nor revokes it.
    Token(SecretString),
    /// AppRole: a role and its secret.
    AppRole {
        /// Mount path, usually `approle`.
        mount: String,
        /// Identifier of the role.
        role_id: String,
        /// Its secret; absent for roles with `bind_secret_id=false`.
        secret_id: Option<SecretString>,
    },
    /// Userpass: a user of the server.
    UserPass {
        /// Mount path, usually `userpass`.
        mount: String,
        /// Name of the user.
        username: String,
        /// Password of the user.
        password: SecretString,
    },
    /// JWT: a signed token of an identity provider.
    Jwt {
        /// Mount path, usually `jwt`.
        mount: String,
        /// Name of the role.
        role: String,
        /// The token.
        jwt: SecretString,
    },
    /// Kubernetes: a ServiceAccount token that the server lets the cluster review.
    Kubernetes {
        /// Mount path, usually `kubernetes`.
        mount: String,
        /// Name of the role.
        role: String,
        /// The ServiceAccount token.
        jwt: SecretString,
    },
}

impl Credentials {
    /// An existing token.
    #[must_use]
    pub const fn token(token: SecretString) -> Self {
        Self::Token(token)
    }

    /// AppRole at its default mount path.
    #[must_use]
    pub fn app_role(role_id: impl Into<String>, secret_id: SecretString) -> Self {
        Self::AppRole {
            mount: "approle".to_owned(),
            role_id: role_id.into(),
            secret_id: Some(secret_id),
        }
    }

    /// Userpass at its default mount path.
    #[must_use]
    pub fn password(username: impl Into<String>, password: SecretString) -> Self {
        Self::UserPass {
            mount: "userpass".to_owned(),
            username: username.into(),
            password,
        }
    }

    /// JWT at its default mount path.
    #[must_use]
    pub fn jwt(role: impl Into<String>, jwt: SecretString) -> Self {
        Self::Jwt {
            mount: "jwt".to_owned(),
            role: role.into(),
            jwt,
        }
    }

    /// Kubernetes at its default mount path.
    #[must_use]
    pub fn kubernetes(role: impl Into<String>, jwt: SecretString) -> Self {
        Self::Kubernetes {
            mount: "kubernetes".to_owned(),
            role: role.into(),
            jwt,
        }
    }

    /// Path and body of the login request; `None` for a token.
    pub(super) fn login(&self) -> Result<Option<(String, Value)>> {
        let login = match self {
            Self::Token(_) => return Ok(None),
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let mut body = json!({"role_id": role_id});
                if let Some(secret_id) = secret_id {
                    body["secret_id"] = secret_id.expose_secret().into();
                }
                (format!("auth/{}/login", encode(mount)?), body)
            }
            Self::UserPass {
                mount,
                username,
                password,
            } => (
                format!("auth/{}/login/{}", encode(mount)?, encode(username)?),
                json!({"password": password.expose_secret()}),
            ),
            Self::Jwt { mount, role, jwt } | Self::Kubernetes { mount, role, jwt } => (
                format!("auth/{}/login", encode(mount)?),
                json!({"role": role, "jwt": jwt.expose_secret()}),
            ),
        };
        Ok(Some(login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let all = [
            Credentials::Token("hunter2".into()),
            Credentials::app_role("role", "hunter2".into()),
            Credentials::password("alice", "hunter2".into()),
            Credentials::jwt("boot", "hunter2".into()),
            Credentials::kubernetes("boot", "hunter2".into()),
        ];

        assert!(!format!("{all:?}").contains("hunter2"));
    }

    #[test]
    fn a_role_without_secret_sends_none() {
        let credentials = Credentials::AppRole {
            mount: "machines/approle".to_owned(),
            role_id: "r".to_owned(),
            secret_id: None,
        };

        let (path, body) = credentials.login().unwrap().unwrap();

        assert_eq!(path, "auth/machines/approle/login");
        assert_eq!(body, json!({"role_id": "r"}));
    }
}
