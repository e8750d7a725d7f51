//! The node's state as COSI resources: what it is, what it waits for, what is wrong.
//!
//! Resources are read, listed and watched; nodes deny every write. They are answered in maintenance mode too, with
//! the exception of those that hold secrets.

mod any;
mod config;
mod definition;
mod kubernetes;
mod node;
mod query;
mod resource;
mod runtime;
mod system;
mod watch;

use crate::api::channel::{Call, MAX_MESSAGE_SIZE, Service, Transport};
use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::state_client::StateClient;
use crate::{Error, ErrorKind, ResponseStream, Result};

use futures_util::TryStreamExt as _;
use secrecy::SecretString;

pub use self::any::{AnySpec, ResourceType};
pub use self::config::MachineConfigStatus;
pub use self::definition::{NamespaceDefinition, PrintColumn, ResourceDefinition};
pub use self::kubernetes::{LocalEtcdMember, NodeStatus, StaticPodStatus};
pub use self::node::{ClusterMember, HostnameStatus, MachineType, NodeAddresses};
pub use self::query::ResourceQuery;
pub use self::resource::{Change, Resource, ResourceMetadata, ResourceSpec, SingletonSpec};
pub use self::runtime::{
    MachineStatus, NodeDiagnostic, RunningService, Stage, TimeStatus, UnmetCondition, VersionStatus,
};
pub use self::system::{
    BlockDevice, ExtensionStatus, SecurityState, SystemDisk, SystemInformation,
};
pub use self::watch::{Bookmark, WatchEvent, WatchRequest};

use self::any::any;
use self::resource::{change, resource};
use self::watch::with_bookmark;

/// Name of the virtual extension by which Image Factory marks its images.
const SCHEMATIC: &str = "schematic";

/// Reads and watches resources of one node. A cheap handle.
#[derive(Debug, Clone)]
pub struct Resources {
    transport: Transport,
}

impl Resources {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport }
    }

    /// The resource of a type of which a node has only one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the node has not created it (yet), [`ErrorKind::Forbidden`] when its release
    /// does not know the type or the role is not sufficient.
    pub async fn singleton<T: SingletonSpec>(&self) -> Result<Resource<T>> {
        self.resource(T::ID).await
    }

    /// As [`Resources::singleton`], with `None` when it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] as [`Resources::singleton`].
    pub async fn find_singleton<T: SingletonSpec>(&self) -> Result<Option<Resource<T>>> {
        self.find(T::ID).await
    }

    /// One resource of a type that has many.
    ///
    /// # Errors
    /// As [`Resources::singleton`].
    pub async fn resource<T: ResourceSpec>(&self, id: &str) -> Result<Resource<T>> {
        resource(self.fetch(T::NAMESPACE, T::TYPE, id).await?)
    }

    /// As [`Resources::resource`], with `None` when it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] as [`Resources::singleton`].
    pub async fn find<T: ResourceSpec>(&self, id: &str) -> Result<Option<Resource<T>>> {
        match self.resource(id).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The specification of any resource as YAML, for types that this crate does not model.
    ///
    /// For `MachineConfigs` these are the documents in every release, although v1.12 and later write one text around them.
    ///
    /// # Errors
    /// As [`Resources::singleton`]; types that hold secrets need `os:admin`.
    pub async fn yaml(
        &self,
        namespace: &str,
        resource_type: &str,
        id: &str,
    ) -> Result<SecretString> {
        if resource_type == MachineConfigStatus::TYPE && namespace == MachineConfigStatus::NAMESPACE
        {
            return Ok(self.machine_config(id).await?.text);
        }
        let found = self.fetch(namespace, resource_type, id).await?;
        Ok(found.spec.unwrap_or_default().yaml_spec.into())
    }

    /// All resources of a type.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] as [`Resources::singleton`].
    pub async fn list<T: ResourceSpec>(&self) -> Result<Vec<Resource<T>>> {
        self.list_matching(&ResourceQuery::all()).await
    }

    /// The resources of a type that a query selects.
    ///
    /// # Errors
    /// As [`Resources::list`]; [`ErrorKind::Server`] for a regular expression that the node cannot read.
    pub async fn list_matching<T: ResourceSpec>(
        &self,
        query: &ResourceQuery,
    ) -> Result<Vec<Resource<T>>> {
        let found = self.fetch_all(&ResourceType::of::<T>(), query).await?;
        found.into_iter().map(resource).collect()
    }

    /// Streams the changes of one resource, beginning with its present state.
    ///
    /// A resource that does not exist yet begins with [`Change::Destroyed`]: waiting for one needs no polling.
    pub fn watch<T: ResourceSpec>(&self, id: &str) -> ResponseStream<Change<T>> {
        self.changes(&WatchRequest::of(id))
    }

    /// Streams the changes of all resources of a type: the present ones, [`Change::Bootstrapped`], then what changes.
    pub fn watch_all<T: ResourceSpec>(&self) -> ResponseStream<Change<T>> {
        self.changes(&WatchRequest::all())
    }

    /// Streams changes with their places, from which a later watch can go on after the connection broke.
    pub fn watch_from<T: ResourceSpec>(
        &self,
        request: &WatchRequest,
    ) -> ResponseStream<WatchEvent<T>> {
        self.events(&ResourceType::of::<T>(), request, resource, with_bookmark)
    }
}

/// Types that this crate does not model, and those that a node has.
impl Resources {
    /// The resource types of the node, as its release registers them.
    ///
    /// # Errors
    /// As every read.
    pub async fn definitions(&self) -> Result<Vec<ResourceDefinition>> {
        let found = self.list::<ResourceDefinition>().await?;
        Ok(found.into_iter().map(|found| found.spec).collect())
    }

    /// The type that `name` means to `talosctl get`: a registered name in any case, or an alias such as `mc`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the node has no such type, [`ErrorKind::InvalidInput`] when several are meant; the
    /// message names them.
    pub async fn definition(&self, name: &str) -> Result<ResourceDefinition> {
        const OPERATION: &str = "find resource type";
        let mut meant: Vec<_> = self.definitions().await?;
        meant.retain(|definition| definition.is_called(name));
        let is_registered =
            |found: &&ResourceDefinition| found.resource_type.eq_ignore_ascii_case(name);
        if let Some(exact) = meant.iter().find(is_registered) {
            return Ok(exact.clone());
        }
        let (kind, message) = match meant.as_slice() {
            [one] => return Ok(one.clone()),
            [] => (
                ErrorKind::NotFound,
                format!("resource {name:?} is not registered"),
            ),
            several => {
                let names = several
                    .iter()
                    .map(|found| found.resource_type.to_lowercase());
                let names: Vec<String> = names.collect();
                (
                    ErrorKind::InvalidInput,
                    format!("resource type {name:?} is ambiguous: [{}]", names.join(" ")),
                )
            }
        };
        Err(Error::new(kind, OPERATION)
            .with_target(self.transport.target())
            .with_message(message))
    }

    /// A resource of any type.
    ///
    /// # Errors
    /// As [`Resources::singleton`]; types that hold secrets need `os:admin`.
    pub async fn any(&self, of: &ResourceType, id: &str) -> Result<Resource<AnySpec>> {
        any(self.fetch(&of.namespace, &of.name, id).await?)
    }

    /// The resources of any type that a query selects.
    ///
    /// # Errors
    /// As [`Resources::any`].
    pub async fn list_any(
        &self,
        of: &ResourceType,
        query: &ResourceQuery,
    ) -> Result<Vec<Resource<AnySpec>>> {
        let found = self.fetch_all(of, query).await?;
        found.into_iter().map(any).collect()
    }

    /// Streams the changes of resources of any type.
    pub fn watch_any(
        &self,
        of: &ResourceType,
        request: &WatchRequest,
    ) -> ResponseStream<WatchEvent<AnySpec>> {
        self.events(of, request, any, with_bookmark)
    }

    /// A configuration that the node has; `id` is one of [`MachineConfigStatus`]. Needs `os:admin`.
    ///
    /// # Errors
    /// As [`Resources::singleton`].
    pub async fn machine_config(&self, id: &str) -> Result<MachineConfigStatus> {
        Ok(self.resource::<MachineConfigStatus>(id).await?.spec)
    }
}

impl Resources {
    /// The ID of the Image Factory schematic that the node booted from; `None` for another image.
    ///
    /// # Errors
    /// As every read.
    pub async fn schematic_id(&self) -> Result<Option<String>> {
        let extensions = self.list::<ExtensionStatus>().await?;
        Ok(extensions
            .into_iter()
            .find(|extension| extension.spec.name == SCHEMATIC)
            .map(|extension| extension.spec.version))
    }

    fn changes<T: ResourceSpec>(&self, request: &WatchRequest) -> ResponseStream<Change<T>> {
        self.events(&ResourceType::of::<T>(), request, resource, |change, _| {
            change
        })
    }

    fn events<T, U>(
        &self,
        of: &ResourceType,
        request: &WatchRequest,
        decode: fn(pb::Resource) -> Result<Resource<T>>,
        item: fn(Change<T>, Option<Vec<u8>>) -> U,
    ) -> ResponseStream<U>
    where
        T: 'static,
        U: Send + 'static,
    {
        let request = request.to_wire(&of.name, &of.namespace);
        let kind = of.name.clone();
        self.transport.stream(
            "watch resources",
            |service| async move { state(service).watch(request).await },
            move |response: pb::WatchResponse| {
                let items: Result<Vec<Option<U>>> = response
                    .event
                    .into_iter()
                    .map(|mut event| {
                        let bookmark = event.bookmark.take();
                        let change = change(event, &kind, decode)?;
                        Ok(change.map(|change| item(change, bookmark)))
                    })
                    .collect();
                Ok(items?.into_iter().flatten())
            },
        )
    }

    async fn fetch_all(
        &self,
        of: &ResourceType,
        query: &ResourceQuery,
    ) -> Result<Vec<pb::Resource>> {
        const OPERATION: &str = "list resources";
        let found = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                let request = pb::ListRequest {
                    namespace: of.namespace.clone(),
                    r#type: of.name.clone(),
                    options: Some(query.list_options()),
                };
                let response = state(service).list(request).await?;
                let items: Vec<_> = response.into_inner().try_collect().await?;
                Ok(tonic::Response::new(items))
            })
            .await
            .map_err(|error| {
                error.with_target(format!("{}, {}", self.transport.target(), of.name))
            })?;
        Ok(found.into_iter().filter_map(|item| item.resource).collect())
    }

    async fn fetch(&self, namespace: &str, kind: &str, id: &str) -> Result<pb::Resource> {
        const OPERATION: &str = "read resource";
        let found = self
            .transport
            .call(Call::read(OPERATION), |service| async move {
                let request = pb::GetRequest {
                    namespace: namespace.to_owned(),
                    r#type: kind.to_owned(),
                    id: id.to_owned(),
                    options: Some(pb::GetOptions::default()),
                };
                state(service).get(request).await
            })
            .await
            .map_err(|error| {
                error.with_target(format!("{}, {kind} {id}", self.transport.target()))
            })?;
        found.resource.ok_or_else(|| {
            Error::new(ErrorKind::Decode, OPERATION)
                .with_target(self.transport.target())
                .with_message("the reply holds no resource")
        })
    }
}

fn state(service: Service) -> StateClient<Service> {
    StateClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}
