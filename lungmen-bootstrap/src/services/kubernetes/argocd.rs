//! The ServiceAccount of Argo CD on a cluster: the objects of `argocd cluster add`, under the same names.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use http::StatusCode;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::client::Client;
use super::manager_object::covers;
use super::request::ApiRequest;
use super::token_secret::{is_of_other_account, token_for};
use crate::services::{Error, ErrorKind, Result};

pub use super::manager_object::ManagerObject;

/// Between two uses of a token that is not accepted yet.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often a token that was just issued is used: the caches of the API server may lag behind it.
const USES_OF_NEW_TOKEN: usize = 40;
/// The same for a token that was there before.
const USES_OF_OLD_TOKEN: usize = 8;

const TOKEN_SECRET_TYPE: &str = "kubernetes.io/service-account-token";

/// The ServiceAccount of Argo CD on this cluster, with its rights and its token. Creating the handle sends nothing.
#[derive(Debug, Clone)]
pub struct ArgoCdManager {
    client: Client,
    namespace: String,
    deadline: Duration,
    interval: Duration,
}

/// Which objects of the ServiceAccount exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManagerState {
    /// Objects that do not exist.
    pub missing: BTreeSet<ManagerObject>,
    /// Objects that exist with other content.
    pub outdated: BTreeSet<ManagerObject>,
    /// Whether the Secret has a token.
    pub has_token: bool,
}

impl ManagerState {
    /// Whether every object exists as desired and there is a token.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.outdated.is_empty() && self.has_token
    }
}

/// The credentials for Argo CD: address, trust, and a token that does not expire. Never the admin certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ArgoCdAccess {
    /// Address of the API server in the kubeconfig, whatever address was dialled.
    pub server: Url,
    /// The name to verify the certificate against, when the kubeconfig sets one.
    pub server_name: Option<String>,
    /// The certificate authorities of the cluster, PEM.
    pub certificate_authority: String,
    /// Token of the ServiceAccount.
    pub bearer_token: SecretString,
    /// The objects that [`ArgoCdManager::install`] created; empty on a repeated run.
    pub created: BTreeSet<ManagerObject>,
}

impl ArgoCdManager {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            namespace: "kube-system".to_owned(),
            deadline: Duration::from_secs(180),
            interval: INTERVAL,
        }
    }

    /// Sets the namespace of the ServiceAccount and its Secret; it must exist. The default is `kube-system`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets how long to wait for the token; 3 minutes by default. kube-controller-manager creates it, and may still be
    /// starting.
    #[must_use]
    pub fn token_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the time between two uses of a token that the API server rejects, because its caches lag; 250 ms by default. A
    /// token that was there before is given up after 8 of them, a new one after 40.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Reads which objects exist. Changes nothing.
    ///
    /// # Errors
    ///
    /// `Conflict` when another Secret has the name; `Forbidden` when the kubeconfig does not permit reading the objects; `Unauthenticated`, `Connect`, `Certificate`,
    /// `NotReady`, `Timeout`, `Interrupted`.
    pub async fn observe(&self) -> Result<ManagerState> {
        Ok(self.read().await?.state)
    }

    /// The credentials, when every object exists as desired; `None` otherwise. Changes nothing.
    ///
    /// # Errors
    ///
    /// `Configuration` when the kubeconfig has no certificate authority; `Conflict` when another Secret has the name;
    /// `Forbidden`, `Unauthenticated`, `Connect`, `Certificate`, `NotReady`, `Timeout`, `Interrupted`.
    pub async fn find(&self) -> Result<Option<ArgoCdAccess>> {
        let found = self.read().await?;
        match found.token {
            Some(token) if found.state.is_complete() => {
                self.access(token, BTreeSet::new()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Creates the ServiceAccount: applies the objects, waits for the token, and checks that the token permits every
    /// action. May be repeated: existing objects are kept or corrected, and the token stays the same. A token Secret of an
    /// account that was deleted is replaced, and so is one whose token the API server no longer accepts.
    ///
    /// # Errors
    ///
    /// `Configuration` when the kubeconfig has no certificate authority, `Conflict` when another Secret has the name (it is
    /// not changed), `Forbidden` when the kubeconfig does not permit creating the objects or the new token lacks rights,
    /// `Deadline` when the token does not appear in time; `Unauthenticated`, `Connect`, `Certificate`, `NotReady`,
    /// `Timeout`, `Interrupted`.
    pub async fn install(&self) -> Result<ArgoCdAccess> {
        let before = self.read().await?;
        if before.has_stale_secret {
            self.delete_object(ManagerObject::TokenSecret).await?;
        }
        let mut bearer_token = self.apply_all().await?;
        if before.state.has_token && self.is_dead(&bearer_token).await {
            // Nobody signs an existing token again. A good one comes back the same, because it has no time in it
            // (measured on 1.36.3).
            self.delete_object(ManagerObject::TokenSecret).await?;
            bearer_token = self.apply_all().await?;
        }
        self.confirm(&bearer_token, USES_OF_NEW_TOKEN).await?;
        self.access(bearer_token, before.state.missing)
    }

    /// Whether the API server rejects a token that was there before: the keys that sign tokens were replaced.
    async fn is_dead(&self, token: &SecretString) -> bool {
        let confirmed = self.confirm(token, USES_OF_OLD_TOKEN).await;
        confirmed.is_err_and(|error| error.kind() == ErrorKind::Unauthenticated)
    }

    /// Applies every object, and waits for the token.
    async fn apply_all(&self) -> Result<SecretString> {
        let mut account = Value::Null;
        for object in ManagerObject::ALL {
            let applied = self.apply(object).await?;
            if object == ManagerObject::ServiceAccount {
                account = applied;
            }
        }
        self.wait_token(uid(&account)).await
    }

    /// Reads the objects, and the token when it belongs to the present ServiceAccount.
    async fn read(&self) -> Result<Found> {
        let mut found = Found {
            state: ManagerState {
                missing: BTreeSet::new(),
                outdated: BTreeSet::new(),
                has_token: false,
            },
            token: None,
            has_stale_secret: false,
        };
        let mut account = Value::Null;
        for object in ManagerObject::ALL {
            let Some(value) = self.read_object(object).await? else {
                found.state.missing.insert(object);
                continue;
            };
            if object == ManagerObject::TokenSecret {
                self.reject_foreign_secret(&value)?;
                found.has_stale_secret = is_of_other_account(&value, uid(&account));
                found.token = token_for(&value, uid(&account))?;
                found.state.has_token = found.token.is_some();
            }
            if found.has_stale_secret || !covers(&value, &object.desired(&self.namespace)) {
                found.state.outdated.insert(object);
            }
            if object == ManagerObject::ServiceAccount {
                account = value;
            }
        }
        Ok(found)
    }

    /// A Secret of this name that is not a token Secret of this ServiceAccount belongs to somebody else.
    fn reject_foreign_secret(&self, secret: &Value) -> Result<()> {
        let (kind, owner) = (
            secret["type"].as_str().unwrap_or_default(),
            secret["metadata"]["annotations"]["kubernetes.io/service-account.name"].as_str(),
        );
        let problem = if kind != TOKEN_SECRET_TYPE {
            format!("the Secret has the type {kind}, not {TOKEN_SECRET_TYPE}")
        } else if owner != Some(ManagerObject::ServiceAccount.name()) {
            let owner = owner.unwrap_or_default();
            format!("the Secret belongs to the ServiceAccount {owner:?}")
        } else {
            return Ok(());
        };
        let name = ManagerObject::TokenSecret.name();
        Err(Error::new(ErrorKind::Conflict, "read argocd-manager")
            .with_target(format!("{}/{name}", self.namespace))
            .with_message(format!(
                "{problem}; it was not changed. Delete it, or choose another namespace"
            )))
    }

    fn access(
        &self,
        bearer_token: SecretString,
        created: BTreeSet<ManagerObject>,
    ) -> Result<ArgoCdAccess> {
        let kubeconfig = self.client.kubeconfig();
        let certificate_authority = kubeconfig.certificate_authority().ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "install argocd-manager")
                .with_message("the kubeconfig has no certificate authority")
        })?;
        Ok(ArgoCdAccess {
            server: kubeconfig.server().clone(),
            server_name: kubeconfig.server_name().map(str::to_owned),
            certificate_authority: certificate_authority.to_owned(),
            bearer_token,
            created,
        })
    }

    /// Whether `token` permits every action on the cluster (`kubectl auth can-i '*' '*'`).
    ///
    /// # Errors
    ///
    /// `Unauthenticated` when the server does not know the token (yet); `Connect`, `Certificate`, `NotReady`, `Timeout`,
    /// `Interrupted`, `Decode`.
    pub async fn permits_everything(&self, token: &SecretString) -> Result<bool> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = ApiRequest::create("review access", path, review);
        let response = self.client.with_token(token.clone())?.send(request).await?;
        response["status"]["allowed"].as_bool().ok_or_else(|| {
            Error::new(ErrorKind::Decode, "review access").with_message("status.allowed is missing")
        })
    }

    /// Deletes everything that [`ArgoCdManager::install`] created; Argo CD loses access at once. Returns the objects that
    /// existed. May be repeated.
    ///
    /// # Errors
    ///
    /// `Forbidden`, `Unauthenticated`, `Connect`, `Certificate`, `NotReady`, `Timeout`, `Interrupted`; objects that were
    /// deleted before the failure stay deleted.
    pub async fn delete(&self) -> Result<BTreeSet<ManagerObject>> {
        let mut deleted = BTreeSet::new();
        for object in ManagerObject::ALL.into_iter().rev() {
            if self.delete_object(object).await? {
                deleted.insert(object);
            }
        }
        Ok(deleted)
    }

    async fn read_object(&self, object: ManagerObject) -> Result<Option<Value>> {
        let request = ApiRequest::get("read argocd-manager", object.path(&self.namespace));
        optional(self.client.send_repeatable(request).await)
    }

    async fn delete_object(&self, object: ManagerObject) -> Result<bool> {
        let request = ApiRequest::delete("delete argocd-manager", object.path(&self.namespace));
        Ok(optional(self.client.send_repeatable(request).await)?.is_some())
    }

    async fn apply(&self, object: ManagerObject) -> Result<Value> {
        let path = object.path(&self.namespace);
        let desired = object.desired(&self.namespace);
        let request = ApiRequest::apply("install argocd-manager", &path, desired);
        match self.client.send_repeatable(request.clone()).await {
            // A binding to another role: roleRef is immutable, so the binding is replaced.
            Err(error)
                if error.status() == Some(StatusCode::UNPROCESSABLE_ENTITY)
                    && object == ManagerObject::ClusterRoleBinding =>
            {
                self.delete_object(object).await?;
                self.client.send_repeatable(request).await
            }
            other => other,
        }
    }

    async fn wait_token(&self, account: &str) -> Result<SecretString> {
        let path = ManagerObject::TokenSecret.path(&self.namespace);
        self.client.wait_token(&path, account, self.deadline).await
    }

    /// Waits until the token is accepted: the API server caches accounts and rights, and can reject a new token at first.
    async fn confirm(&self, token: &SecretString, uses: usize) -> Result<()> {
        let ask = || async {
            if self.permits_everything(token).await? {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Forbidden, "review access")
                .with_target("argocd-manager")
                .with_message("the new token does not permit every action"))
        };
        let schedule = ConstantBuilder::new()
            .with_delay(self.interval)
            .with_max_times(uses);
        ask.retry(schedule)
            .when(|error: &Error| {
                let unknown = matches!(
                    error.kind(),
                    ErrorKind::Unauthenticated | ErrorKind::Forbidden
                );
                unknown || error.is_retryable()
            })
            .await
    }
}

/// What a read of the objects found.
struct Found {
    state: ManagerState,
    token: Option<SecretString>,
    /// Whether the Secret was filled for an account that no longer exists.
    has_stale_secret: bool,
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

fn optional(answer: Result<Value>) -> Result<Option<Value>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
