//! Application sets, as far as their generated applications are of interest.

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::application::{Application, Metadata};
use crate::call::Call;
use crate::error::Result;
use crate::retry::Idempotency;
use crate::transport::Transport;
use crate::wire::{List, nullable};

const SETS: &str = "/api/v1/applicationsets";

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

impl ApplicationSets {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self { transport }
    }

    /// Lists the application sets that we may see. May be repeated.
    ///
    /// # Errors
    /// [`Unauthenticated`](crate::ErrorKind::Unauthenticated), the kinds of the connection.
    pub async fn list(&self) -> Result<Vec<ApplicationSet>> {
        Ok(self
            .transport
            .send::<List<_>>(&Call::get("list application sets", SETS, &[]))
            .await?
            .items)
    }

    /// Reads one application set; `namespace` is that of the object, Argo CD's own by default.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Forbidden`](crate::ErrorKind::Forbidden).
    pub async fn application_set(
        &self,
        name: &str,
        namespace: Option<&str>,
    ) -> Result<ApplicationSet> {
        let call = Call::get("get application set", "/api/v1/applicationsets/{}", &[name])
            .target(name)
            .query_opt("appsetNamespace", namespace);
        self.transport.send(&call).await
    }

    /// Creates an application set from its manifest. May be repeated: an identical one is accepted.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) when one exists and differs;
    /// [`Rejected`](crate::ErrorKind::Rejected), among others for a templated project.
    pub async fn create(&self, manifest: &Value) -> Result<ApplicationSet> {
        let call = Call::new("create application set", Method::POST, SETS, &[])
            .target(manifest["metadata"]["name"].as_str().unwrap_or_default())
            .idempotency(Idempotency::Safe)
            .body(manifest)?;
        self.transport.send(&call).await
    }

    /// The applications that an application set would make. Creates nothing; may be repeated.
    ///
    /// # Errors
    /// [`Rejected`](crate::ErrorKind::Rejected) for a manifest that generates nothing usable.
    pub async fn generate(&self, manifest: &Value) -> Result<Vec<Application>> {
        let call = Call::new(
            "generate applications",
            Method::POST,
            "/api/v1/applicationsets/generate",
            &[],
        )
        .target(manifest["metadata"]["name"].as_str().unwrap_or_default())
        .idempotency(Idempotency::Safe)
        .body(&json!({"applicationSet": manifest}))?;
        Ok(self.transport.send::<Generated>(&call).await?.applications)
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
