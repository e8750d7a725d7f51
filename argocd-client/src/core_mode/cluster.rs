//! Clusters by the Secrets that declare them.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::CoreClient;
use super::kubernetes::Kubernetes;
use super::object::{self, SECRET};
use super::secret;
use crate::call::Call;
use crate::cluster::{
    Cluster, ClusterSpec, OnExisting, Registration, RegistrationOutcome, ServerUrl,
};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::found;

const OPERATION: &str = "register cluster";

/// The clusters of one Argo CD, by the Secrets that declare them.
///
/// The cluster that Argo CD runs in needs no Secret, so it is not listed unless it has one. Nothing here tells whether a
/// cluster can be reached: the controller finds out once an application targets it.
#[derive(Debug, Clone)]
pub struct CoreClusters {
    kubernetes: Arc<Kubernetes>,
}

impl CoreClusters {
    pub(super) fn new(kubernetes: Arc<Kubernetes>) -> Self {
        Self { kubernetes }
    }

    /// Lists the declared clusters. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right to list the Secrets of the namespace;
    /// [`Decode`](ErrorKind::Decode) for a Secret that describes no cluster.
    pub async fn list(&self) -> Result<Vec<Cluster>> {
        self.secrets().await?.iter().map(secret::cluster).collect()
    }

    /// Looks for the cluster with this address. May be repeated.
    ///
    /// # Errors
    /// Those of [`list`](Self::list).
    pub async fn find(&self, server: &ServerUrl) -> Result<Option<Cluster>> {
        let clusters = self.list().await?;
        Ok(clusters.into_iter().find(|cluster| cluster.is_at(server)))
    }

    /// Reads the cluster with this address. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); those of [`list`](Self::list).
    pub async fn cluster(&self, server: &ServerUrl) -> Result<Cluster> {
        self.find(server).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "read cluster")
                .with_target(server.as_str())
                .with_message("no Secret declares the cluster")
        })
    }

    /// Declares a cluster in a Secret, under the name that the server would give it, or brings its Secret up to date. May
    /// be repeated. Labels and annotations of others stay; the credentials are compared with those that are stored.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) from [`ClusterSpec::check`]; [`Conflict`](ErrorKind::Conflict) when the
    /// name belongs to another cluster, the address has another name, or several Secrets declare it;
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) with [`OnExisting::Fail`]; [`Forbidden`](ErrorKind::Forbidden) without
    /// the rights to list, create and update the Secrets of the namespace.
    pub async fn register(&self, spec: &ClusterSpec) -> Result<Registration> {
        spec.check()?;
        match self.declared(spec).await? {
            Some(name) => self.update(spec, &name).await,
            None => self.create(spec).await,
        }
    }

    /// Removes a cluster: its Secret when Argo CD or [`register`](Self::register) made it, else only the label that makes
    /// it a cluster. May be repeated. Returns `false` when no Secret declares it.
    ///
    /// # Errors
    /// [`NotReady`](ErrorKind::NotReady) while applications target it: the controller would drop their finalizers and leave
    /// behind what they deployed. [`Forbidden`](ErrorKind::Forbidden) without the right to list the applications of every
    /// namespace, as none can be excluded then.
    pub async fn delete(&self, server: &ServerUrl) -> Result<bool> {
        let Some(cluster) = self.find(server).await? else {
            return Ok(false);
        };
        let client = CoreClient::new(Arc::clone(&self.kubernetes));
        let applications = client.applications().list_everywhere().await?;
        let targeting: Vec<String> = applications
            .iter()
            .filter(|application| cluster.is_target_of(&application.spec.destination))
            .map(|application| application.metadata.qualified_name())
            .collect();
        if targeting.is_empty() {
            return self.delete_with_applications(server).await;
        }
        let message = format!(
            "{} applications target the cluster: {}",
            targeting.len(),
            targeting.join(", ")
        );
        Err(Error::new(ErrorKind::NotReady, "delete cluster")
            .with_target(server.as_str())
            .with_message(message))
    }

    /// Removes a cluster even though applications target it; what they deployed stays there. Returns `false` when no Secret
    /// declares it. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights to list, update and delete the Secrets of the namespace.
    pub async fn delete_with_applications(&self, server: &ServerUrl) -> Result<bool> {
        let mut existed = false;
        for declared in self.secrets().await? {
            if !secret::cluster(&declared)?.is_at(server) {
                continue;
            }
            existed = true;
            let name = declared["metadata"]["name"].as_str().unwrap_or_default();
            let path = [self.kubernetes.namespace.as_str(), name];
            let call = if secret::is_managed(&declared) {
                Call::new("delete cluster", Method::DELETE, SECRET.one, &path)
            } else {
                let patch = json!({"metadata": {"labels": {secret::TYPE_LABEL: null}}});
                Call::new("delete cluster", Method::PATCH, SECRET.one, &path).body(&patch)?
            };
            found(
                self.kubernetes
                    .send::<Value>(&call.target(server.as_str()))
                    .await,
            )?;
        }
        Ok(existed)
    }

    async fn secrets(&self) -> Result<Vec<Value>> {
        let selector = format!("{}=cluster", secret::TYPE_LABEL);
        let page = object::list(&self.kubernetes, SECRET, Some(&selector)).await?;
        Ok(page.items)
    }

    /// The name of the Secret that declares the cluster, after the check that name and address belong together.
    async fn declared(&self, spec: &ClusterSpec) -> Result<Option<String>> {
        let mut names = Vec::new();
        for declared in self.secrets().await? {
            let cluster = secret::cluster(&declared)?;
            if cluster.is_at(spec.server()) {
                if cluster.name != spec.name() && !spec.rename {
                    let text = format!("the address is registered as {:?}", cluster.name);
                    return Err(conflict(spec, text));
                }
                names.push(
                    declared["metadata"]["name"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                );
            } else if cluster.name == spec.name() {
                let text = format!("the name {:?} belongs to {}", spec.name(), cluster.server);
                return Err(conflict(spec, text));
            }
        }
        match names.as_slice() {
            [] => Ok(None),
            [name] => Ok(Some(name.clone())),
            several => {
                let text = format!(
                    "several Secrets declare the address: {}",
                    several.join(", ")
                );
                Err(conflict(spec, text))
            }
        }
    }

    async fn create(&self, spec: &ClusterSpec) -> Result<Registration> {
        let wanted = secret::new(spec, &self.kubernetes.namespace)?;
        match object::post(&self.kubernetes, SECRET, &wanted).await {
            Ok(created) => Ok(Registration {
                cluster: secret::cluster(&created)?,
                outcome: RegistrationOutcome::Created,
            }),
            // Another client was faster, our own first attempt lost its answer, or the Secret is none of a cluster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.update(spec, &spec.server().secret_name()).await
            }
            Err(error) => Err(error),
        }
    }

    async fn update(&self, spec: &ClusterSpec, name: &str) -> Result<Registration> {
        let mut outcome = RegistrationOutcome::Unchanged;
        let place = (self.kubernetes.namespace.as_str(), name);
        let changed = object::change(&self.kubernetes, SECRET, place, |existing| {
            if !secret::is_cluster(existing) {
                let text = format!("the Secret {name} exists and declares no cluster");
                return Err(conflict(spec, text));
            }
            object::refuse_while_deleted(existing)?;
            if spec.on_existing == OnExisting::Fail {
                return Err(Error::new(ErrorKind::AlreadyExists, OPERATION)
                    .with_target(spec.server().as_str())
                    .with_message(format!("declared already by the Secret {name}")));
            }
            let update = secret::difference(existing, spec)?;
            if update.is_empty() {
                outcome = RegistrationOutcome::Unchanged;
                return Ok(false);
            }
            outcome = RegistrationOutcome::Updated(update.fields());
            secret::apply(existing, update);
            Ok(true)
        });
        let cluster = secret::cluster(&changed.await?)?;
        Ok(Registration { cluster, outcome })
    }
}

fn conflict(spec: &ClusterSpec, message: String) -> Error {
    Error::new(ErrorKind::Conflict, OPERATION)
        .with_target(spec.server().as_str())
        .with_message(message)
}
