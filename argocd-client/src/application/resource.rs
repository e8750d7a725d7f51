//! Single resources of an application, and the actions they offer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AppRef, Applications, addressed};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Result};
use crate::retry::Idempotency;
use crate::wire::nullable;
use http::Method;

const RESOURCE: &str = "/api/v1/applications/{}/resource";
const ACTIONS: &str = "/api/v1/applications/{}/resource/actions";

/// Which resource of an application is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResourceRef {
    group: String,
    version: String,
    kind: String,
    namespace: String,
    name: String,
}

impl ResourceRef {
    /// A resource; `api_version` is that of its manifest, such as `apps/v1` or `v1`.
    #[must_use]
    pub fn new(
        api_version: impl AsRef<str>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let api_version = api_version.as_ref();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    fn query(&self, call: Call) -> Call {
        call.query("namespace", &self.namespace)
            .query("resourceName", &self.name)
            .query("version", &self.version)
            .query("kind", &self.kind)
            .query("group", &self.group)
    }
}

impl std::fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Something that can be done to a resource, such as `restart`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResourceAction {
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Whether the state of the resource does not allow it now.
    #[serde(default, deserialize_with = "nullable")]
    pub disabled: bool,
    /// The parameters that it takes.
    #[serde(default, rename = "params", deserialize_with = "nullable")]
    pub parameters: Vec<ActionParameter>,
}

/// A parameter of an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActionParameter {
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
}

/// What the deletion of a resource does to its dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ResourceDeletion {
    /// Removes them too.
    #[default]
    Cascade,
    /// Removes the resource at once, without grace period.
    Force,
    /// Leaves them.
    Orphan,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default, deserialize_with = "nullable")]
    manifest: String,
}

#[derive(Deserialize)]
struct Actions {
    #[serde(default, deserialize_with = "nullable")]
    actions: Vec<ResourceAction>,
}

impl Applications {
    /// Reads the object of the cluster. Values of Secrets are masked. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when the resource is not part of the application;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) for the application.
    pub async fn resource(&self, application: &AppRef, resource: &ResourceRef) -> Result<Value> {
        let call = Call::get("read resource", RESOURCE, &[&application.name]);
        let call = resource.query(addressed(call, application));
        manifest(application, &self.transport.send(&call).await?)
    }

    /// Changes the object of the cluster by a merge patch. Self-healing applications undo it. May be
    /// repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when the resource is not part of the application;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, update`.
    pub async fn patch_resource(
        &self,
        application: &AppRef,
        resource: &ResourceRef,
        patch: &Value,
    ) -> Result<Value> {
        let call = Call::new(
            "patch resource",
            Method::POST,
            RESOURCE,
            &[&application.name],
        )
        .query("patchType", "application/merge-patch+json")
        .idempotency(Idempotency::Safe);
        let call = resource.query(addressed(call, application));
        // The server takes a JSON string that holds the patch.
        manifest(
            application,
            &self.transport.send(&call.body(&patch.to_string())?).await?,
        )
    }

    /// Deletes the object of the cluster. Self-healing applications create it again. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when the resource is not part of the application;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, delete`.
    pub async fn delete_resource(
        &self,
        application: &AppRef,
        resource: &ResourceRef,
        deletion: ResourceDeletion,
    ) -> Result<()> {
        let call = Call::new(
            "delete resource",
            Method::DELETE,
            RESOURCE,
            &[&application.name],
        );
        let call = resource.query(addressed(call, application));
        let call = match deletion {
            ResourceDeletion::Cascade => call,
            ResourceDeletion::Force => call.query("force", "true"),
            ResourceDeletion::Orphan => call.query("orphan", "true"),
        };
        self.transport.send::<Value>(&call).await.map(drop)
    }

    /// The actions that a resource offers. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](ErrorKind::Rejected) when the resource is not part of the application;
    /// [`NotFoundOrForbidden`](ErrorKind::NotFoundOrForbidden) for the application.
    pub async fn actions(
        &self,
        application: &AppRef,
        resource: &ResourceRef,
    ) -> Result<Vec<ResourceAction>> {
        let call = Call::get("list resource actions", ACTIONS, &[&application.name]);
        let call = resource.query(addressed(call, application));
        Ok(self.transport.send::<Actions>(&call).await?.actions)
    }

    /// Runs an action such as `restart`. Not repeated after a lost response.
    ///
    /// # Errors
    /// [`Server`](ErrorKind::Server) for an unknown action;
    /// [`Forbidden`](ErrorKind::Forbidden) without the right `applications, action/<group>/<kind>/<action>`.
    pub async fn run_action(
        &self,
        application: &AppRef,
        resource: &ResourceRef,
        action: &str,
    ) -> Result<()> {
        let call = Call::new(
            "run resource action",
            Method::POST,
            ACTIONS,
            &[&application.name],
        );
        let call = resource.query(addressed(call, application));
        // The server takes a JSON string that holds the name.
        self.transport
            .send::<Value>(&call.body(&action)?)
            .await
            .map(drop)
    }

    /// Runs an action with parameters, such as `scale` with `replicas`. Needs Argo CD 3.1. Not
    /// repeated after a lost response.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) before 3.1; the kinds of
    /// [`run_action`](Self::run_action).
    pub async fn run_action_with(
        &self,
        application: &AppRef,
        resource: &ResourceRef,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<()> {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let mut body = json!({
            "name": application.name, "namespace": resource.namespace, "resourceName": resource.name,
            "version": resource.version, "group": resource.group, "kind": resource.kind, "action": action,
            "resourceActionParameters": parameters,
        });
        if let Some(namespace) = &application.namespace {
            body["appNamespace"] = json!(namespace);
        }
        if let Some(project) = &application.project {
            body["project"] = json!(project);
        }
        let template = "/api/v1/applications/{}/resource/actions/v2";
        let call = Call::new(
            "run resource action",
            Method::POST,
            template,
            &[&application.name],
        )
        .target(application.to_string())
        .since_later_version()
        .body(&body)?;
        self.transport.send::<Value>(&call).await.map(drop)
    }
}

fn manifest(application: &AppRef, response: &Manifest) -> Result<Value> {
    serde_json::from_str(&response.manifest).map_err(|error| {
        Error::new(ErrorKind::Decode, "read resource")
            .with_target(application.to_string())
            .with_message(format!(
                "the manifest is not JSON: {:?} error",
                error.classify()
            ))
    })
}
