//! A store in a Kubernetes cluster, for example the one that manages others.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{Document, Entries, Revision, SecretStore, Versioned};
use crate::services::kubernetes::Client;
use crate::services::{Error, ErrorKind, Result};
use crate::state::lease::LEASE_ENTRY;

/// The annotation of the Lease object with the whole lease.
const LEASE_ANNOTATION: &str = "lungmen-bootstrap/lease";
const READ: &str = "read document";

/// Keeps the record in the data of one Secret, and the lease in a Lease object of the same name, which `kubectl get leases`
/// shows with its holder. Other keys of the Secret stay untouched.
///
/// The credentials need `get`, `create` and `update` on `secrets` and on `leases.coordination.k8s.io` in the namespace,
/// which must exist.
#[derive(Debug, Clone)]
pub struct KubernetesStore {
    client: Client,
    namespace: String,
    name: String,
}

impl KubernetesStore {
    /// A store for one cluster: the objects `name` in `namespace`. Nothing is sent.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn collection(&self, document: Document) -> String {
        let namespace = &self.namespace;
        match document {
            Document::Record => format!("/api/v1/namespaces/{namespace}/secrets"),
            Document::Lease => {
                format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
            }
        }
    }

    fn path(&self, document: Document) -> String {
        format!("{}/{}", self.collection(document), self.name)
    }

    fn object(&self, document: Document, entries: &Entries) -> Result<Value> {
        let metadata = json!({
            "name": self.name,
            "namespace": self.namespace,
            "labels": {"app.kubernetes.io/managed-by": "lungmen-bootstrap"},
        });
        let mut object = match document {
            Document::Record => json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata,
            }),
            Document::Lease => json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
            }),
        };
        self.fill(document, &mut object, entries)?;
        Ok(object)
    }

    /// Writes the entries into an object and leaves the rest of it.
    fn fill(&self, document: Document, object: &mut Value, entries: &Entries) -> Result<()> {
        match document {
            Document::Record => {
                let data = object["data"].take();
                let mut data = data.as_object().cloned().unwrap_or_default();
                for (name, text) in entries {
                    data.insert(name.clone(), STANDARD.encode(text.expose_secret()).into());
                }
                object["data"] = data.into();
            }
            Document::Lease => {
                let Some(text) = entries.get(LEASE_ENTRY) else {
                    return Err(Error::new(ErrorKind::InvalidInput, "write lease")
                        .with_target(self.path(document))
                        .with_message(format!("there is no entry {LEASE_ENTRY}")));
                };
                let text = text.expose_secret();
                if object["metadata"]["annotations"].is_null() {
                    object["metadata"]["annotations"] = json!({});
                }
                object["metadata"]["annotations"][LEASE_ANNOTATION] = text.into();
                object["spec"] = lease_spec(text);
            }
        }
        Ok(())
    }

    fn versioned(&self, document: Document, object: &Value) -> Result<Versioned> {
        let entries = match document {
            Document::Record => self.decode_data(&object["data"])?,
            Document::Lease => object["metadata"]["annotations"][LEASE_ANNOTATION]
                .as_str()
                .map(|text| (LEASE_ENTRY.to_owned(), SecretString::from(text)))
                .into_iter()
                .collect(),
        };
        Ok(Versioned {
            entries,
            revision: self.revision(document, object)?,
        })
    }

    fn decode_data(&self, data: &Value) -> Result<Entries> {
        let empty = Map::new();
        data.as_object()
            .unwrap_or(&empty)
            .iter()
            .map(|(name, value)| {
                let bytes = value
                    .as_str()
                    .and_then(|text| STANDARD.decode(text).ok())
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                let text = bytes.ok_or_else(|| {
                    self.undecodable(
                        Document::Record,
                        format!("data[{name:?}] is not a UTF-8 text"),
                    )
                })?;
                Ok((name.clone(), SecretString::from(text)))
            })
            .collect()
    }

    fn revision(&self, document: Document, object: &Value) -> Result<Revision> {
        object["metadata"]["resourceVersion"]
            .as_str()
            .map(Revision::new)
            .ok_or_else(|| {
                self.undecodable(document, "metadata.resourceVersion is missing".to_owned())
            })
    }

    fn undecodable(&self, document: Document, message: String) -> Error {
        Error::new(ErrorKind::Decode, READ)
            .with_target(self.path(document))
            .with_message(message)
    }
}

#[async_trait]
impl SecretStore for KubernetesStore {
    fn describe(&self) -> String {
        format!(
            "Secret {}/{} at {}",
            self.namespace,
            self.name,
            self.client.kubeconfig().server()
        )
    }

    fn server(&self) -> Option<String> {
        Some(self.client.kubeconfig().server().to_string())
    }

    async fn preflight(&self) -> Result<()> {
        for resource in [("", "secrets"), ("coordination.k8s.io", "leases")] {
            for verb in ["get", "create", "update"] {
                if !self.client.permits(verb, resource, &self.namespace).await? {
                    let (namespace, resource) = (&self.namespace, resource.1);
                    return Err(Error::new(ErrorKind::Forbidden, "check store")
                        .with_target(self.describe())
                        .with_message(format!(
                            "the credentials may not {verb} {resource} in namespace {namespace}"
                        )));
                }
            }
        }
        let namespace = format!("/api/v1/namespaces/{}", self.namespace);
        match self.client.find_object("check store", &namespace).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::new(ErrorKind::NotFound, "check store")
                .with_target(self.describe())
                .with_message(format!("there is no namespace {}", self.namespace))),
            // Namespaces cannot be read with the rights on its content.
            Err(error) if error.kind() == ErrorKind::Forbidden => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, document: Document) -> Result<Option<Versioned>> {
        let found = self.client.find_object(READ, &self.path(document)).await?;
        found
            .map(|object| self.versioned(document, &object))
            .transpose()
    }

    async fn create(&self, document: Document, entries: &Entries) -> Result<Revision> {
        let object = self.object(document, entries)?;
        let created = self
            .client
            .create_object("create document", &self.collection(document), object)
            .await?;
        self.revision(document, &created)
    }

    async fn replace(
        &self,
        document: Document,
        entries: &Entries,
        revision: &Revision,
    ) -> Result<Revision> {
        const OPERATION: &str = "replace document";
        let path = self.path(document);
        let conflict = || {
            Error::new(ErrorKind::Conflict, OPERATION)
                .with_target(&path)
                .with_message("another revision is the newest")
        };
        let found = self.client.find_object(OPERATION, &path).await?;
        let mut object = found.ok_or_else(conflict)?;
        if self.revision(document, &object)? != *revision {
            return Err(conflict());
        }
        self.fill(document, &mut object, entries)?;
        match self.client.replace_object(OPERATION, &path, object).await {
            Ok(replaced) => self.revision(document, &replaced),
            Err(error) if error.is_not_found() => Err(conflict()),
            Err(error) => Err(error),
        }
    }
}

/// What people and other controllers see: the holder, the duration and the heartbeat. Kubernetes takes times with exactly
/// six digits of fraction only (400 otherwise, 1.36.3).
fn lease_spec(text: &str) -> Value {
    let lease: Value = serde_json::from_str(text).unwrap_or_default();
    let time = |value: &Value| {
        let time: Option<Timestamp> = value.as_str().and_then(|text| text.parse().ok());
        time.map(|time| format!("{time:.6}"))
    };
    let seconds = lease["durationMs"]
        .as_u64()
        .unwrap_or_default()
        .div_ceil(1000);
    let identity = if lease["released"] == true {
        String::new()
    } else {
        let text = |key: &str| lease["holder"][key].as_str().unwrap_or_default();
        format!("{}@{}", text("run"), text("host"))
    };
    json!({
        "holderIdentity": identity,
        "leaseDurationSeconds": seconds.max(1),
        "acquireTime": time(&lease["holder"]["since"]),
        "renewTime": time(&lease["heartbeat"]),
        "leaseTransitions": lease["token"].as_u64().unwrap_or_default().saturating_sub(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_of_the_lease_object_has_times_with_microseconds() {
        let spec = lease_spec(
            r#"{"holder": {"run": "ab12", "host": "h", "since": "2026-01-01T00:00:00Z"}, "token": 3,
                "durationMs": 30000, "released": false, "heartbeat": "2026-01-01T00:00:08Z"}"#,
        );

        assert_eq!(
            spec,
            json!({"holderIdentity": "ab12@h", "leaseDurationSeconds": 30, "leaseTransitions": 2,
                "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:08.000000Z"})
        );
    }
}
