//! Ways to prove who we are, and the login request of each.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::path::encode;
use crate::services::Result;

/// How to authenticate. Each login method takes the mount path of its auth method, by default its type's name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// A token that exists already. It is never renewed and never revoked.
    Token(SecretString),
    /// A role and its secret, the way machines log in.
    AppRole {
        /// Mount path, usually `approle`.
        mount: String,
        /// Identifier of the role.
        role_id: String,
        /// Its secret; absent for roles with `bind_secret_id=false`.
        secret_id: Option<SecretString>,
    },
    /// A user of the server's own user list.
    UserPass {
        /// Mount path, usually `userpass`.
        mount: String,
        /// Name of the user.
        username: String,
        /// Password of the user.
        password: SecretString,
    },
    /// A signed token of an identity provider.
    Jwt {
        /// Mount path, usually `jwt`.
        mount: String,
        /// Name of the role.
        role: String,
        /// The token.
        jwt: SecretString,
    },
    /// A ServiceAccount token, which the server has reviewed by its cluster.
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
    pub fn user_pass(username: impl Into<String>, password: SecretString) -> Self {
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
            Credentials::user_pass("alice", "hunter2".into()),
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
