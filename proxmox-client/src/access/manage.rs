//! Users, tokens, roles and access control entries.

use secrecy::SecretString;

use crate::client::Client;
use crate::docs::{read_errors, write_errors};
use crate::error::{ErrorKind, Result};
use crate::params::{joined, request};
use crate::request::Request;
use crate::rule;
use crate::wire::{field, response};

response!(
    /// A realm in which users log in.
    RealmInfo {
        /// The name.
        realm: String = "realm",
        /// `pam`, `pve`, `ldap`, `ad`, `openid`.
        kind: Option<String> = "type",
        /// The comment.
        comment: Option<String> = "comment",
        /// The kind of second factor that the realm requires.
        second_factor: Option<String> = "tfa",
    }

    /// A user.
    UserInfo {
        /// `name@realm`.
        id: String = "userid",
        /// Whether the user may log in.
        enabled: bool = "enable",
        /// The end of the account in seconds since 1970; 0 for never.
        expires_at: Option<u64> = "expire",
        /// The comment.
        comment: Option<String> = "comment",
        /// The address for mail.
        email: Option<String> = "email",
    }

    /// An API token.
    TokenInfo {
        /// The name, the part after the exclamation mark.
        name: Option<String> = "tokenid",
        /// Whether the token has only the rights of its own entries that the user has as well.
        separated: Option<bool> = "privsep",
        /// The end of the token in seconds since 1970; 0 for never.
        expires_at: Option<u64> = "expire",
        /// The comment.
        comment: Option<String> = "comment",
    }

    /// A role: a named set of privileges.
    RoleInfo {
        /// The name.
        id: String = "roleid",
        /// The privileges.
        privileges: Vec<String> = "privs",
        /// Whether the role is built in.
        built_in: bool = "special",
    }

    /// An access control entry.
    AclEntry {
        /// The path.
        path: String = "path",
        /// `user`, `group` or `token`.
        kind: String = "type",
        /// The user, group or token.
        subject: String = "ugid",
        /// The role.
        role: String = "roleid",
        /// Whether the entry counts for the paths below.
        propagate: bool = "propagate",
    }
);

/// A new API token. The secret is shown by the server only once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewToken {
    /// `user@realm!name`.
    pub id: String,
    /// The secret.
    pub secret: SecretString,
}

impl<'de> serde::Deserialize<'de> for NewToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        let secret: String = field(&mut fields, "value")?;
        Ok(Self {
            id: field(&mut fields, "full-tokenid")?,
            secret: secret.into(),
        })
    }
}

request!(
    /// A user to create, or changes to one.
    UserRequest() {
        /// The comment.
        comment: String = "comment" is TEXT_2048,
        /// The address for mail.
        email: String = "email" is TEXT_254,
        /// The end of the account in seconds since 1970.
        expires_at: u64 = "expire",
        /// The groups, separated by commas.
        groups: String = "groups" is GROUPS,
        ; flags {
            /// Lets the user log in.
            enable = "enable" "1",
            /// Keeps the user and its tokens from logging in.
            disable = "enable" "0",
        }
    }

    /// A token to create, or changes to one. A token is privilege-separated unless it is said otherwise: it then has
    /// the rights that both its own entries and those of the user have.
    TokenRequest() {
        /// The comment.
        comment: String = "comment",
        /// The end of the token in seconds since 1970.
        expires_at: u64 = "expire",
        ; flags {
            /// Gives the token all rights of the user.
            unseparated = "privsep" "0",
            /// Gives the token the rights of its own entries only.
            separated = "privsep" "1",
        }
    }

    /// Roles to grant on a path, or to take away. `roles` is a list separated by commas.
    AclUpdate(path: String = "path" is ACCESS_PATH, roles: String = "roles" is ROLES) {
        /// The users, separated by commas.
        users: String = "users" is USERS,
        /// The tokens, separated by commas.
        tokens: String = "tokens" is TOKENS,
        /// The groups, separated by commas.
        groups: String = "groups" is GROUPS,
        ; flags {
            /// Removes the entries instead of adding them.
            delete = "delete" "1",
            /// Grants the roles on the path alone, not below it.
            without_propagation = "propagate" "0",
        }
    }
);

/// A handle for users, tokens, roles and access control entries, made by [`Client::access`].
#[derive(Debug, Clone)]
pub struct Access {
    client: Client,
}

impl Client {
    /// Users, tokens, roles and access control entries.
    #[must_use]
    pub fn access(&self) -> Access {
        Access {
            client: self.clone(),
        }
    }
}

impl Access {
    /// The realms. Needs no credentials.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn realms(&self) -> Result<Vec<RealmInfo>> {
        self.client
            .call(Request::get("list realms", "/access/domains", &[]))
            .await
    }

    /// The users that the caller may see.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn users(&self) -> Result<Vec<UserInfo>> {
        self.client
            .call(Request::get("list users", "/access/users", &[]))
            .await
    }

    /// Creates a user `name@realm`, without a password. Needs `User.Modify` and `Realm.AllocateUser`.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when there is such a user")]
    pub async fn create_user(&self, id: &str, user: &UserRequest) -> Result<()> {
        let request = Request::post("create user", "/access/users", &[])
            .target(format!("user {id}"))
            .fitting("userid", id, rule::USER)
            .with(&user.params);
        self.client.run(request).await
    }

    /// Changes a user. Needs `User.Modify`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such user")]
    pub async fn update_user(&self, id: &str, update: &UserRequest) -> Result<()> {
        let request = Request::put("change user", "/access/users/{userid}", &[id])
            .check("userid", id, rule::USER)
            .target(format!("user {id}"))
            .with(&update.params);
        self.client.run(request).await
    }

    /// Deletes a user with all tokens and entries. Returns whether there was one. Needs `User.Modify`.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn delete_user(&self, id: &str) -> Result<bool> {
        let request = Request::delete("delete user", "/access/users/{userid}", &[id])
            .check("userid", id, rule::USER)
            .target(format!("user {id}"));
        self.delete(request).await
    }

    async fn delete(&self, request: Request) -> Result<bool> {
        match self.client.run(request).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The tokens of a user.
    ///
    /// # Errors
    #[doc = read_errors!("`NotFound` when there is no such user")]
    pub async fn tokens(&self, user: &str) -> Result<Vec<TokenInfo>> {
        let request = Request::get("list tokens", "/access/users/{userid}/token", &[user])
            .check("userid", user, rule::USER)
            .target(format!("user {user}"));
        self.client.call(request).await
    }

    /// Creates a token and returns its secret, which the server shows only now.
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when there is such a token; `NotFound` when there is no such user")]
    pub async fn create_token(
        &self,
        user: &str,
        name: &str,
        token: &TokenRequest,
    ) -> Result<NewToken> {
        let route = "/access/users/{userid}/token/{tokenid}";
        let request = Request::post("create token", route, &[user, name])
            .check("userid", user, rule::USER)
            .check("tokenid", name, rule::TOKEN_NAME)
            .target(format!("token {user}!{name}"))
            .with(&token.params);
        self.client.call(request).await
    }

    /// Changes a token. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such token")]
    pub async fn update_token(&self, user: &str, name: &str, update: &TokenRequest) -> Result<()> {
        let route = "/access/users/{userid}/token/{tokenid}";
        let request = Request::put("change token", route, &[user, name])
            .check("userid", user, rule::USER)
            .check("tokenid", name, rule::TOKEN_NAME)
            .target(format!("token {user}!{name}"))
            .with(&update.params);
        self.client.run(request).await
    }

    /// Deletes a token and its entries. Returns whether there was one.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn delete_token(&self, user: &str, name: &str) -> Result<bool> {
        let route = "/access/users/{userid}/token/{tokenid}";
        let request = Request::delete("delete token", route, &[user, name])
            .check("userid", user, rule::USER)
            .check("tokenid", name, rule::TOKEN_NAME)
            .target(format!("token {user}!{name}"));
        self.delete(request).await
    }

    /// The roles.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn roles(&self) -> Result<Vec<RoleInfo>> {
        self.client
            .call(Request::get("list roles", "/access/roles", &[]))
            .await
    }

    /// Creates a role. Needs `Sys.Modify` on `/access`.
    ///
    /// The names of privileges differ between versions: `VM.Monitor` exists before PVE 9, `VM.GuestAgent.Audit` from PVE 9
    /// on; see [`Version::guest_agent_privilege`](crate::version::Version::guest_agent_privilege).
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use proxmox_client::mock::PveMock;
    ///
    /// let mock = PveMock::start().await;
    /// let access = mock.client().access();
    /// access.create_role("Bootstrap", &["VM.Allocate", "VM.Audit"]).await?;
    /// assert!(access.roles().await?.iter().any(|role| role.id == "Bootstrap"));
    /// # Ok::<(), proxmox_client::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    #[doc = write_errors!("`AlreadyExists` when there is such a role")]
    pub async fn create_role(&self, id: &str, privileges: &[&str]) -> Result<()> {
        let request = Request::post("create role", "/access/roles", &[])
            .target(format!("role {id}"))
            .fitting("roleid", id, rule::ROLE)
            .param("privs", joined(privileges));
        self.client.run(request).await
    }

    /// Replaces the privileges of a role. Needs `Sys.Modify` on `/access`. May be repeated.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when there is no such role")]
    pub async fn update_role(&self, id: &str, privileges: &[&str]) -> Result<()> {
        let request = Request::put("change role", "/access/roles/{roleid}", &[id])
            .check("roleid", id, rule::ROLE)
            .target(format!("role {id}"))
            .param("privs", joined(privileges));
        self.client.run(request).await
    }

    /// Deletes a role. Returns whether there was one. Needs `Sys.Modify` on `/access`.
    ///
    /// # Errors
    #[doc = write_errors!()]
    pub async fn delete_role(&self, id: &str) -> Result<bool> {
        let request = Request::delete("delete role", "/access/roles/{roleid}", &[id])
            .check("roleid", id, rule::ROLE)
            .target(format!("role {id}"));
        self.delete(request).await
    }

    /// The access control entries that the caller may see.
    ///
    /// # Errors
    #[doc = read_errors!()]
    pub async fn acl(&self) -> Result<Vec<AclEntry>> {
        self.client
            .call(Request::get("list ACL", "/access/acl", &[]))
            .await
    }

    /// Grants roles, or takes them away. Needs `Permissions.Modify` on the path. May be repeated.
    ///
    /// Give a privilege-separated token and its user the same entries: the server applies what both have.
    ///
    /// # Errors
    #[doc = write_errors!("`NotFound` when a role, user or token does not exist")]
    pub async fn update_acl(&self, update: &AclUpdate) -> Result<()> {
        let request = Request::put("change ACL", "/access/acl", &[]).with(&update.params);
        self.client.run(request).await
    }
}
