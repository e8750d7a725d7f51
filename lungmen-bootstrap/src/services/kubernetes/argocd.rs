//! The account Argo CD uses on a cluster: the objects `argocd cluster add` makes, under its names.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{ConstantBuilder, ExponentialBuilder, Retryable};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::client::Client;
use super::manager_object::covers;
use super::request::Call;
use super::token_secret::token_of;
use crate::services::{Error, ErrorKind, Result};

pub use super::manager_object::ManagerObject;

/// The account of Argo CD on this cluster. A handle: making one sends nothing.
#[derive(Debug, Clone)]
pub struct ArgoCdManager {
    client: Client,
    namespace: String,
    deadline: Duration,
}

/// What of the account exists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerState {
    /// Objects that do not exist.
    pub missing: BTreeSet<ManagerObject>,
    /// Objects that exist with other content.
    pub outdated: BTreeSet<ManagerObject>,
    /// Whether the token Secret holds a token.
    pub has_token: bool,
}

impl ManagerState {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.outdated.is_empty() && self.has_token
    }
}

/// What Argo CD needs to know: address, trust, and a token that does not expire. Never the admin certificate.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ArgoCdAccess {
    /// Address of the API server as the kubeconfig has it, whatever address we dialled.
    pub server: Url,
    /// The name to verify, where the kubeconfig overrides it.
    pub server_name: Option<String>,
    /// The certificate authorities of the cluster, PEM.
    pub certificate_authority: String,
    /// Token of the ServiceAccount.
    pub bearer_token: SecretString,
    /// What [`ArgoCdManager::install`] had to create; empty on a repeated run.
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

    /// Puts the ServiceAccount and its Secret into an existing namespace other than `kube-system`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long to wait for the token; 3 minutes unless set. It is filled in by kube-controller-manager, which may
    /// still be starting.
    #[must_use]
    pub fn token_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Looks at what exists. Changes nothing.
    ///
    /// # Errors
    ///
    /// Every kind of [`Client::version`], and `Forbidden` when the kubeconfig may not read the objects.
    pub async fn observe(&self) -> Result<ManagerState> {
        let mut state = ManagerState {
            missing: BTreeSet::new(),
            outdated: BTreeSet::new(),
            has_token: false,
        };
        for object in ManagerObject::ALL {
            match self.find(object).await? {
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

    /// The account as it is, when nothing of it is missing. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`ArgoCdManager::observe`], and `Configuration` when the kubeconfig names no authority.
    pub async fn existing(&self) -> Result<Option<ArgoCdAccess>> {
        if !self.observe().await?.is_complete() {
            return Ok(None);
        }
        let secret = self.find(ManagerObject::TokenSecret).await?;
        match secret.as_ref().map(token_of).transpose()?.flatten() {
            Some(token) => self.access(token, BTreeSet::new()).map(Some),
            None => Ok(None),
        }
    }

    /// Makes the account: applies the objects, waits for the token, and checks with the token that it may do
    /// everything. May be repeated: what exists is left alone or corrected, the token stays.
    ///
    /// # Errors
    ///
    /// `Configuration` when the kubeconfig names no authority, `Forbidden` when it may not create the objects or the new
    /// token is not allowed everything, `Deadline` when the token does not appear in time.
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
                .with_message("the kubeconfig names no certificate authority")
        })?;
        Ok(ArgoCdAccess {
            server: kubeconfig.server().clone(),
            server_name: kubeconfig.server_name().map(str::to_owned),
            certificate_authority: certificate_authority.to_owned(),
            bearer_token,
            created,
        })
    }

    /// Asks the API server, as the owner of `token`, whether it may do everything (`kubectl auth can-i '*' '*'`).
    ///
    /// # Errors
    ///
    /// `Unauthenticated` when the token is not known (yet), else as [`Client::version`].
    pub async fn may_do_everything(&self, token: &SecretString) -> Result<bool> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let call = Call::create("review access", path, review);
        let answer = self.client.with_token(token.clone())?.send(call).await?;
        answer["status"]["allowed"].as_bool().ok_or_else(|| {
            Error::new(ErrorKind::Decode, "review access").with_message("status.allowed is missing")
        })
    }

    /// Removes the account with everything [`ArgoCdManager::install`] made; Argo CD loses the cluster at once. Says what
    /// was there. May be repeated.
    ///
    /// # Errors
    ///
    /// As [`Client::version`]; objects removed before the failure stay removed.
    pub async fn remove(&self) -> Result<BTreeSet<ManagerObject>> {
        let mut removed = BTreeSet::new();
        for object in ManagerObject::ALL.into_iter().rev() {
            if self.delete(object).await? {
                removed.insert(object);
            }
        }
        Ok(removed)
    }

    async fn find(&self, object: ManagerObject) -> Result<Option<Value>> {
        let call = Call::get("read argocd-manager", object.path(&self.namespace));
        optional(self.send(call).await)
    }

    async fn delete(&self, object: ManagerObject) -> Result<bool> {
        let call = Call::delete("remove argocd-manager", object.path(&self.namespace));
        Ok(optional(self.send(call).await)?.is_some())
    }

    async fn apply(&self, object: ManagerObject) -> Result<()> {
        let path = object.path(&self.namespace);
        let desired = object.desired(&self.namespace);
        let call = Call::apply("install argocd-manager", &path, desired);
        match self.send(call.clone()).await {
            // A binding to another role: roleRef cannot be changed, only replaced.
            Err(error)
                if error.status() == Some(422) && object == ManagerObject::ClusterRoleBinding =>
            {
                self.delete(object).await?;
                self.send(call).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Sends a call that may be repeated; all of ours may, applies and deletes included.
    async fn send(&self, call: Call) -> Result<Value> {
        let schedule = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_total_delay(Some(Duration::from_secs(30)))
            .without_max_times()
            .with_jitter();
        (|| self.client.send(call.clone()))
            .retry(schedule)
            .when(Error::is_retryable)
            .await
    }

    async fn wait_token(&self) -> Result<SecretString> {
        let path = ManagerObject::TokenSecret.path(&self.namespace);
        self.client.wait_token(&path, self.deadline).await
    }

    /// The API server caches who exists and who may what: right after creation it may still refuse.
    async fn confirm(&self, token: &SecretString) -> Result<()> {
        let ask = || async {
            if self.may_do_everything(token).await? {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Forbidden, "review access")
                .with_target("argocd-manager")
                .with_message("the new token is not allowed everything"))
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
