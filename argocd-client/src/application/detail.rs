//! What an application has deployed: its tree, differences, manifests, events and logs.

use futures_util::Stream;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::status::Health;
use super::{AppRef, Applications, addressed};
use crate::call::Call;
use crate::error::Result;
use crate::kubernetes::Event;
use crate::stream::follow;
use crate::wire::{List, nullable};

const TREE: &str = "/api/v1/applications/{}/resource-tree";

/// Everything that an application owns, as far as Argo CD watches it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceTree {
    /// Managed resources and what they own, in no order.
    #[serde(default, deserialize_with = "nullable")]
    pub nodes: Vec<ResourceNode>,
    /// Resources of the project's namespaces that belong to no application.
    #[serde(default, deserialize_with = "nullable")]
    pub orphaned_nodes: Vec<ResourceNode>,
}

/// One resource of a tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceNode {
    /// API group; empty for the core group.
    #[serde(default, deserialize_with = "nullable")]
    pub group: String,
    /// API version.
    #[serde(default, deserialize_with = "nullable")]
    pub version: String,
    /// Kind.
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    /// Namespace; empty for cluster-wide resources.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Identity; empty for a resource that is missing in the cluster.
    #[serde(default, deserialize_with = "nullable")]
    pub uid: String,
    /// The resources that own it.
    #[serde(default, deserialize_with = "nullable")]
    pub parent_refs: Vec<ParentRef>,
    /// Images of its containers.
    #[serde(default, deserialize_with = "nullable")]
    pub images: Vec<String>,
    /// Health; absent for kinds without a notion of it.
    #[serde(default)]
    pub health: Option<Health>,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Fields that this crate does not name.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The owner of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParentRef {
    /// API group.
    #[serde(default, deserialize_with = "nullable")]
    pub group: String,
    /// Kind.
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    /// Namespace.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// Identity.
    #[serde(default, deserialize_with = "nullable")]
    pub uid: String,
}

/// What the source wants of a resource and what the cluster has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ManagedResource {
    /// API group; empty for the core group.
    #[serde(default, deserialize_with = "nullable")]
    pub group: String,
    /// Kind.
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    /// Namespace; empty for cluster-wide resources.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// The manifest of the source, as JSON text. Values of Secrets are masked.
    #[serde(default, deserialize_with = "nullable")]
    pub target_state: String,
    /// The object of the cluster, as JSON text; `null` when it is missing.
    #[serde(default, deserialize_with = "nullable")]
    pub live_state: String,
    /// The object of the cluster without the fields that the comparison ignores.
    #[serde(default, deserialize_with = "nullable")]
    pub normalized_live_state: String,
    /// What the object will be after a synchronisation.
    #[serde(default, deserialize_with = "nullable")]
    pub predicted_live_state: String,
    /// Whether it is a hook, which is not compared.
    #[serde(default, deserialize_with = "nullable")]
    pub hook: bool,
}

impl ManagedResource {
    /// Whether a synchronisation would change the object, as `argocd app diff` decides it.
    #[must_use]
    pub fn differs(&self) -> bool {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        !self.hook && json(&self.normalized_live_state) != json(&self.predicted_live_state)
    }
}

/// The commit behind a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RevisionMetadata {
    /// Who wrote it.
    #[serde(default, deserialize_with = "nullable")]
    pub author: String,
    /// When.
    #[serde(default)]
    pub date: Option<Timestamp>,
    /// Its tags.
    #[serde(default, deserialize_with = "nullable")]
    pub tags: Vec<String>,
    /// Its message.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
}

/// Whether the sync windows of the project allow a synchronisation now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SyncWindows {
    /// Whether a manual synchronisation is allowed now.
    #[serde(default, deserialize_with = "nullable")]
    pub can_sync: bool,
    /// The windows that are active, in the words of the server.
    #[serde(default, deserialize_with = "nullable")]
    pub active_windows: Vec<Value>,
    /// The windows that apply to the application.
    #[serde(default, deserialize_with = "nullable")]
    pub assigned_windows: Vec<Value>,
}

/// A link to another system about an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Link {
    /// Title.
    #[serde(default, deserialize_with = "nullable")]
    pub title: String,
    /// Address.
    #[serde(default, deserialize_with = "nullable")]
    pub url: String,
    /// Description.
    #[serde(default, deserialize_with = "nullable")]
    pub description: String,
}

#[derive(Deserialize)]
struct Manifests {
    #[serde(default, deserialize_with = "nullable")]
    manifests: Vec<String>,
}

impl Applications {
    /// Reads the tree of resources. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden), or
    /// [`NotFound`](crate::ErrorKind::NotFound) when the reference names the project.
    pub async fn resource_tree(&self, application: &AppRef) -> Result<ResourceTree> {
        let call = Call::get("read resource tree", TREE, &[&application.name]);
        self.transport.send(&addressed(call, application)).await
    }

    /// Follows the tree of resources: first as it is, then after every change. A lost connection is
    /// the last item.
    pub fn watch_tree(
        &self,
        application: &AppRef,
    ) -> impl Stream<Item = Result<ResourceTree>> + Send + use<> {
        let template = "/api/v1/stream/applications/{}/resource-tree";
        let call = Call::get("watch resource tree", template, &[&application.name]);
        let changes = follow(
            self.transport.clone(),
            addressed(call, application).endless(),
        );
        let (applications, application) = (self.clone(), application.clone());
        stream::once(async move { applications.resource_tree(&application).await }).chain(changes)
    }

    /// Compares the source with the cluster, resource by resource. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden), or
    /// [`NotFound`](crate::ErrorKind::NotFound) when the reference names the project.
    pub async fn managed_resources(&self, application: &AppRef) -> Result<Vec<ManagedResource>> {
        let template = "/api/v1/applications/{}/managed-resources";
        let call = Call::get("read managed resources", template, &[&application.name]);
        let list: List<ManagedResource> =
            self.transport.send(&addressed(call, application)).await?;
        Ok(list.items)
    }

    /// The resources that a synchronisation would change, as `argocd app diff` shows them. May be
    /// repeated.
    ///
    /// # Errors
    /// The kinds of [`managed_resources`](Self::managed_resources).
    pub async fn differences(&self, application: &AppRef) -> Result<Vec<ManagedResource>> {
        let mut resources = self.managed_resources(application).await?;
        resources.retain(ManagedResource::differs);
        Ok(resources)
    }

    /// Renders the manifests of the application's own revision, or of another one. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden);
    /// [`Server`](crate::ErrorKind::Server) when the source cannot be rendered.
    pub async fn manifests(
        &self,
        application: &AppRef,
        revision: Option<&str>,
    ) -> Result<Vec<Value>> {
        let template = "/api/v1/applications/{}/manifests";
        let call = Call::get("read manifests", template, &[&application.name])
            .query_opt("revision", revision);
        let response: Manifests = self.transport.send(&addressed(call, application)).await?;
        let parsed = response
            .manifests
            .iter()
            .map(|text| serde_json::from_str(text));
        parsed
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| {
                crate::Error::new(crate::ErrorKind::Decode, "read manifests")
                    .with_target(application.to_string())
                    .with_message(format!(
                        "a manifest is not JSON: {:?} error",
                        error.classify()
                    ))
            })
    }

    /// The events of Kubernetes about the application object. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden), or
    /// [`NotFound`](crate::ErrorKind::NotFound) when the reference names the project.
    pub async fn events(&self, application: &AppRef) -> Result<Vec<Event>> {
        let template = "/api/v1/applications/{}/events";
        let call = Call::get("list application events", template, &[&application.name]);
        let list: List<Event> = self.transport.send(&addressed(call, application)).await?;
        Ok(list.items)
    }

    /// Whether sync windows allow a synchronisation now. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden), or
    /// [`NotFound`](crate::ErrorKind::NotFound) when the reference names the project.
    pub async fn sync_windows(&self, application: &AppRef) -> Result<SyncWindows> {
        let template = "/api/v1/applications/{}/syncwindows";
        let call = Call::get("read sync windows", template, &[&application.name]);
        self.transport.send(&addressed(call, application)).await
    }

    /// The links to other systems that are configured for applications. May be repeated.
    ///
    /// # Errors
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden), or
    /// [`NotFound`](crate::ErrorKind::NotFound) when the reference names the project.
    pub async fn links(&self, application: &AppRef) -> Result<Vec<Link>> {
        let template = "/api/v1/applications/{}/links";
        let call = Call::get("list links", template, &[&application.name])
            .target(application.to_string())
            // This endpoint spells the namespace of the object differently.
            .query_opt("namespace", application.namespace.as_deref())
            .query_opt("project", application.project.as_deref());
        Ok(self.transport.send::<List<Link>>(&call).await?.items)
    }

    /// Author, date and message of a commit of the source. May be repeated.
    ///
    /// # Errors
    /// [`Rejected`](crate::ErrorKind::Rejected) for a branch or tag: the commit itself is needed;
    /// [`NotFoundOrForbidden`](crate::ErrorKind::NotFoundOrForbidden).
    pub async fn revision(&self, application: &AppRef, commit: &str) -> Result<RevisionMetadata> {
        let template = "/api/v1/applications/{}/revisions/{}/metadata";
        let call = Call::get("read revision", template, &[&application.name, commit]);
        self.transport.send(&addressed(call, application)).await
    }
}
