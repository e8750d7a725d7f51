//! Application sets: generators of applications.

use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::StreamExt;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::application::{Application, Metadata, ResourceTree};
use crate::call::Call;
use crate::error::{ErrorKind, Result};
use crate::kubernetes::Event;
use crate::retry::Idempotency;
use crate::stream::follow;
use crate::transport::{Transport, found};
use crate::wire::{List, contains, nullable};

const SETS: &str = "/api/v1/applicationsets";
const SET: &str = "/api/v1/applicationsets/{}";

/// The application sets of one server.
#[derive(Debug, Clone)]
pub struct ApplicationSets {
    transport: Arc<Transport>,
}

/// An application set; its specification in the words of the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApplicationSet {
    /// Name, namespace, labels.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Generators and template.
    #[serde(default)]
    pub spec: Value,
    /// What the controller last did.
    #[serde(default, deserialize_with = "nullable")]
    pub status: ApplicationSetStatus,
}

/// What the controller of application sets last did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApplicationSetStatus {
    /// Results by type: `ErrorOccurred`, `ParametersGenerated`, `ResourcesUpToDate`, `RolloutProgressing`.
    #[serde(default, deserialize_with = "nullable")]
    pub conditions: Vec<ApplicationSetCondition>,
}

/// One result of the controller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ApplicationSetCondition {
    /// What it is about.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    /// The text.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
    /// The reason in one word.
    #[serde(default, deserialize_with = "nullable")]
    pub reason: String,
}

impl ApplicationSet {
    /// The manifest of the set, for [`ApplicationSets::generate`].
    #[must_use]
    pub fn manifest(&self) -> Value {
        let metadata = &self.metadata;
        json!({
            "metadata": {
                "name": metadata.name, "namespace": metadata.namespace, "labels": metadata.labels,
                "annotations": metadata.annotations,
            },
            "spec": self.spec,
        })
    }

    /// Whether all generated applications are as the template wants them.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.status
            .conditions
            .iter()
            .any(|condition| condition.kind == "ResourcesUpToDate" && condition.status == "True")
    }

    /// Why the controller could not do its work, if it could not.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        let condition = self
            .status
            .conditions
            .iter()
            .find(|condition| condition.kind == "ErrorOccurred")?;
        (condition.status == "True").then_some(condition.message.as_str())
    }
}

#[derive(Deserialize)]
struct Generated {
    #[serde(default, deserialize_with = "nullable")]
    applications: Vec<Application>,
}

/// What happened to application sets.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ApplicationSetEvent {
    /// A set appeared or changed.
    Applied(Box<ApplicationSet>),
    /// A set is gone; its last state.
    Deleted(Box<ApplicationSet>),
}

#[derive(Deserialize)]
struct WatchEvent {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, rename = "applicationSet", deserialize_with = "nullable")]
    set: ApplicationSet,
}

impl ApplicationSets {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the application sets that the account may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) without a valid session. Missing rights are not
    /// an error: the list is shorter.
    pub async fn list(&self) -> Result<Vec<ApplicationSet>> {
        Ok(self
            .transport
            .send::<List<_>>(&Call::get("list application sets", SETS, &[]))
            .await?
            .items)
    }

    /// Reads one application set; `namespace` is that of the object, Argo CD's own by default. May be
    /// repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when it does not exist;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applicationsets, get`.
    pub async fn application_set(
        &self,
        name: &str,
        namespace: Option<&str>,
    ) -> Result<ApplicationSet> {
        let call = Call::get("read application set", SET, &[name])
            .target(name)
            .query_opt("appsetNamespace", namespace);
        self.transport.send(&call).await
    }

    /// Looks for an application set. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applicationsets, get`.
    pub async fn find(
        &self,
        name: &str,
        namespace: Option<&str>,
    ) -> Result<Option<ApplicationSet>> {
        found(self.application_set(name, namespace).await)
    }

    /// Creates an application set from its manifest. May be repeated: one that exists and says the
    /// same is returned, although the server rejects the identical manifest (measured on 3.5.1).
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) when one exists and differs;
    /// [`Rejected`](ErrorKind::Rejected) for a manifest that is not valid, among others one with a
    /// templated project; [`Forbidden`](ErrorKind::Forbidden) without the right
    /// `applicationsets, create`.
    pub async fn create(&self, manifest: &Value) -> Result<ApplicationSet> {
        match self.post(manifest, None).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let (name, namespace) = identity(manifest);
                match self.find(name, namespace).await? {
                    Some(existing) if existing.says(manifest) => Ok(existing),
                    _ => Err(error),
                }
            }
            result => result,
        }
    }

    /// Creates an application set, or replaces the specification of the one that exists; labels and
    /// annotations are merged. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a manifest that is not valid;
    /// [`Forbidden`](ErrorKind::Forbidden) without the rights `applicationsets, create` and `update`.
    pub async fn create_or_update(&self, manifest: &Value) -> Result<ApplicationSet> {
        let (name, namespace) = identity(manifest);
        match self.find(name, namespace).await? {
            Some(existing) if existing.says(manifest) => Ok(existing),
            _ => self.post(manifest, Some("true")).await,
        }
    }

    async fn post(&self, manifest: &Value, upsert: Option<&str>) -> Result<ApplicationSet> {
        let call = Call::new("create application set", Method::POST, SETS, &[])
            .target(identity(manifest).0)
            .query_opt("upsert", upsert)
            .idempotency(Idempotency::Safe)
            .body(manifest)?;
        self.transport.send(&call).await
    }

    /// Deletes an application set and with it the applications that it generated. Returns `false`
    /// when there is none. May be repeated.
    ///
    /// # Errors
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applicationsets, delete`.
    pub async fn delete(&self, name: &str, namespace: Option<&str>) -> Result<bool> {
        let call = Call::new("delete application set", Method::DELETE, SET, &[name])
            .target(name)
            .query_opt("appsetNamespace", namespace);
        Ok(found(self.transport.send::<Value>(&call).await)?.is_some())
    }

    /// The applications that an application set would create. Creates nothing; may be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) for a manifest that generates nothing usable;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applicationsets, create`.
    pub async fn generate(&self, manifest: &Value) -> Result<Vec<Application>> {
        let template = "/api/v1/applicationsets/generate";
        let call = Call::new("generate applications", Method::POST, template, &[])
            .target(identity(manifest).0)
            .idempotency(Idempotency::Safe)
            .body(&json!({"applicationSet": manifest}))?;
        Ok(self.transport.send::<Generated>(&call).await?.applications)
    }

    /// The generated applications as a tree. May be repeated.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`Forbidden`](ErrorKind::Forbidden) without the right
    /// `applicationsets, get`.
    pub async fn resource_tree(&self, name: &str, namespace: Option<&str>) -> Result<ResourceTree> {
        let template = "/api/v1/applicationsets/{}/resource-tree";
        let call = Call::get("read application set tree", template, &[name])
            .target(name)
            .query_opt("appsetNamespace", namespace);
        self.transport.send(&call).await
    }

    /// The events of Kubernetes about an application set. Needs Argo CD 3.4. May be repeated.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) before 3.4; [`NotFound`](ErrorKind::NotFound),
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applicationsets, get`.
    pub async fn events(&self, name: &str, namespace: Option<&str>) -> Result<Vec<Event>> {
        let template = "/api/v1/applicationsets/{}/events";
        let call = Call::get("list application set events", template, &[name])
            .target(name)
            .query_opt("appsetNamespace", namespace)
            .since_later_version();
        Ok(self.transport.send::<List<Event>>(&call).await?.items)
    }

    /// Follows the changes of all application sets. Needs Argo CD 3.4. The existing sets are not
    /// sent; a lost connection is the last item.
    pub fn watch(&self) -> impl Stream<Item = Result<ApplicationSetEvent>> + Send + use<> {
        let call = Call::get(
            "watch application sets",
            "/api/v1/stream/applicationsets",
            &[],
        )
        .since_later_version()
        .endless();
        follow::<WatchEvent>(self.transport.clone(), call).filter_map(|event| {
            std::future::ready(match event {
                Ok(event) if event.kind == "DELETED" => {
                    Some(Ok(ApplicationSetEvent::Deleted(Box::new(event.set))))
                }
                Ok(event) if matches!(event.kind.as_str(), "ADDED" | "MODIFIED") => {
                    Some(Ok(ApplicationSetEvent::Applied(Box::new(event.set))))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
        })
    }
}

/// Name and namespace of a manifest.
fn identity(manifest: &Value) -> (&str, Option<&str>) {
    let text = |field: &str| manifest["metadata"][field].as_str();
    (text("name").unwrap_or_default(), text("namespace"))
}

impl ApplicationSet {
    /// Whether the stored set has everything that a manifest says; the server adds defaults.
    fn says(&self, manifest: &Value) -> bool {
        let own = self.manifest();
        contains(&own["spec"], &manifest["spec"])
            && ["labels", "annotations"]
                .iter()
                .all(|field| contains(&own["metadata"][field], &manifest["metadata"][field]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_tell_whether_the_set_is_up_to_date() {
        let set: ApplicationSet = serde_json::from_value(json!({
            "metadata": {"name": "clusters"},
            "status": {"conditions": [
                {"type": "ErrorOccurred", "status": "False", "message": "", "reason": ""},
                {"type": "ResourcesUpToDate", "status": "True", "message": "", "reason": "ApplicationSetUpToDate"},
            ]},
        }))
        .unwrap();

        assert!(set.is_up_to_date());
        assert_eq!(set.problem(), None);
    }
}
