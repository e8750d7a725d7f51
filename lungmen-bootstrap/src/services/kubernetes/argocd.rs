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
use super::token_secret::token_of;
use crate::services::{Error, ErrorKind, Result};

pub use super::manager_object::ManagerObject;

/// The ServiceAccount of Argo CD on this cluster, with its rights and its token. Creating the handle sends nothing.
#[derive(Debug, Clone)]
pub struct ArgoCdManager {
    client: Client,
    namespace: String,
    deadline: Duration,
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

    /// Reads which objects exist. Changes nothing.
    ///
    /// # Errors
    ///
    /// `Forbidden` when the kubeconfig does not permit reading the objects; `Unauthenticated`, `Connect`, `Certificate`,
    /// `NotReady`, `Timeout`, `Interrupted`.
    pub async fn observe(&self) -> Result<ManagerState> {
        let mut state = ManagerState {
            missing: BTreeSet::new(),
            outdated: BTreeSet::new(),
            has_token: false,
        };
        for object in ManagerObject::ALL {
            match self.read_object(object).await? {
                None => {
                    state.missing.insert(object);
                }
                Some(found) => {
                    if !covers(&found, &object.desired(&self.namespace)) {
                        state.outdated.insert(object);
                    }
                    if object == ManagerObject::TokenSecret {
                        state.has_token = token_of(&found)?.is_some();
                    }
                }
            }
        }
        Ok(state)
    }

    /// The credentials, when every object exists as desired; `None` otherwise. Changes nothing.
    ///
    /// # Errors
    ///
    /// `Configuration` when the kubeconfig has no certificate authority; `Forbidden`, `Unauthenticated`, `Connect`,
    /// `Certificate`, `NotReady`, `Timeout`, `Interrupted`.
    pub async fn find(&self) -> Result<Option<ArgoCdAccess>> {
        if !self.observe().await?.is_complete() {
            return Ok(None);
        }
        let secret = self.read_object(ManagerObject::TokenSecret).await?;
        match secret.as_ref().map(token_of).transpose()?.flatten() {
            Some(token) => self.access(token, BTreeSet::new()).map(Some),
            None => Ok(None),
        }
    }

    /// Creates the ServiceAccount: applies the objects, waits for the token, and checks that the token permits every
    /// action. May be repeated: existing objects are kept or corrected, and the token stays the same.
    ///
    /// # Errors
    ///
    /// `Configuration` when the kubeconfig has no certificate authority, `Forbidden` when it does not permit creating the
    /// objects or the new token lacks rights, `Deadline` when the token does not appear in time; `Unauthenticated`,
    /// `Connect`, `Certificate`, `NotReady`, `Timeout`, `Interrupted`.
    pub async fn install(&self) -> Result<ArgoCdAccess> {
        let before = self.observe().await?;
        for object in ManagerObject::ALL {
            self.apply(object).await?;
        }
        let bearer_token = self.wait_token().await?;
        self.confirm(&bearer_token).await?;
        self.access(bearer_token, before.missing)
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

    async fn apply(&self, object: ManagerObject) -> Result<()> {
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
                self.client.send_repeatable(request).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    async fn wait_token(&self) -> Result<SecretString> {
        let path = ManagerObject::TokenSecret.path(&self.namespace);
        self.client.wait_token(&path, self.deadline).await
    }

    /// Waits until the token is accepted: the API server caches accounts and rights, and can reject a new token at first.
    async fn confirm(&self, token: &SecretString) -> Result<()> {
        let ask = || async {
            if self.permits_everything(token).await? {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Forbidden, "review access")
                .with_target("argocd-manager")
                .with_message("the new token does not permit every action"))
        };
        let schedule = ConstantBuilder::new()
            .with_delay(Duration::from_millis(250))
            .with_max_times(40);
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

fn optional(answer: Result<Value>) -> Result<Option<Value>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
