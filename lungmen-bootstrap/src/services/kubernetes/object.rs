//! Single objects by path, for the store of the cluster record.

use serde_json::{Value, json};

use super::client::Client;
use super::request::ApiRequest;
use crate::services::{Error, ErrorKind, Result};

impl Client {
    /// Reads an object; `None` when it does not exist.
    pub(crate) async fn find_object(
        &self,
        operation: &'static str,
        path: &str,
    ) -> Result<Option<Value>> {
        match self.send_repeatable(ApiRequest::get(operation, path)).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an object in its collection. Sent once: after a lost response the caller reads and compares.
    pub(crate) async fn create_object(
        &self,
        operation: &'static str,
        collection: &str,
        object: Value,
    ) -> Result<Value> {
        self.send(ApiRequest::create(operation, collection, object))
            .await
    }

    /// Replaces an object in the version that its `metadata.resourceVersion` names. Sent once.
    pub(crate) async fn replace_object(
        &self,
        operation: &'static str,
        path: &str,
        object: Value,
    ) -> Result<Value> {
        self.send(ApiRequest::replace(operation, path, object))
            .await
    }

    /// Whether the credentials permit `verb` on a resource of a namespace.
    pub(crate) async fn permits(
        &self,
        verb: &str,
        (group, resource): (&str, &str),
        namespace: &str,
    ) -> Result<bool> {
        let attributes = json!({
            "verb": verb, "group": group, "resource": resource, "namespace": namespace,
        });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": attributes},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = ApiRequest::create("review access", path, review);
        let response = self.send_repeatable(request).await?;
        response["status"]["allowed"].as_bool().ok_or_else(|| {
            Error::new(ErrorKind::Decode, "review access").with_message("status.allowed is missing")
        })
    }
}
