//! The node's state as COSI resources: what it is, what it waits for, what is wrong.
//!
//! Resources are read, listed and watched; nodes deny every write. They are answered in maintenance mode too, with
//! the exception of those that hold secrets.

mod kubernetes;
mod node;
mod resource;
mod runtime;
mod system;

use crate::api::channel::{Call, MAX_MESSAGE_SIZE, Service, Transport};
use crate::api::pb::cosi::resource as pb;
use crate::api::pb::cosi::resource::state_client::StateClient;
use crate::{Error, ErrorKind, ResponseStream, Result};

use futures_util::TryStreamExt as _;
use secrecy::SecretString;

pub use self::kubernetes::{LocalEtcdMember, NodeStatus, StaticPodStatus};
pub use self::node::{ClusterMember, HostnameStatus, MachineType, NodeAddresses};
pub use self::resource::{Change, Resource, ResourceMetadata, ResourceSpec, SingletonSpec};
pub use self::runtime::{
    MachineStatus, NodeDiagnostic, RunningService, Stage, TimeStatus, UnmetCondition, VersionStatus,
};
pub use self::system::{
    BlockDevice, ExtensionStatus, SecurityState, SystemDisk, SystemInformation,
};

use self::resource::{change, resource};

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
    /// # Errors
    /// As [`Resources::singleton`]; types that hold secrets need `os:admin`.
    pub async fn yaml(
        &self,
        namespace: &str,
        resource_type: &str,
        id: &str,
    ) -> Result<SecretString> {
        let found = self.fetch(namespace, resource_type, id).await?;
        Ok(found.spec.unwrap_or_default().yaml_spec.into())
    }

    /// All resources of a type.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] as [`Resources::singleton`].
    pub async fn list<T: ResourceSpec>(&self) -> Result<Vec<Resource<T>>> {
        const OPERATION: &str = "list resources";
        let call = Call::read(OPERATION);
        let found = self
            .transport
            .call(call, |service| async move {
                let request = pb::ListRequest {
                    namespace: T::NAMESPACE.to_owned(),
                    r#type: T::TYPE.to_owned(),
                    options: Some(pb::ListOptions::default()),
                };
                let response = state(service).list(request).await?;
                let items: Vec<_> = response.into_inner().try_collect().await?;
                Ok(tonic::Response::new(items))
            })
            .await
            .map_err(|error| self.about::<T>(error))?;
        found
            .into_iter()
            .filter_map(|item| item.resource)
            .map(resource)
            .collect()
    }

    /// Streams the changes of one resource, beginning with its present state.
    ///
    /// A resource that does not exist yet begins with [`Change::Destroyed`]: waiting for one needs no polling.
    pub fn watch<T: ResourceSpec>(&self, id: &str) -> ResponseStream<Change<T>> {
        self.watch_with(pb::WatchRequest {
            namespace: T::NAMESPACE.to_owned(),
            r#type: T::TYPE.to_owned(),
            id: Some(id.to_owned()),
            // v1.10 answers Internal when the options are missing.
            options: Some(pb::WatchOptions::default()),
            api_version: 1,
        })
    }

    /// Streams the changes of all resources of a type: the present ones, [`Change::Bootstrapped`], then what changes.
    pub fn watch_all<T: ResourceSpec>(&self) -> ResponseStream<Change<T>> {
        self.watch_with(pb::WatchRequest {
            namespace: T::NAMESPACE.to_owned(),
            r#type: T::TYPE.to_owned(),
            id: None,
            options: Some(pb::WatchOptions {
                bootstrap_contents: true,
                ..Default::default()
            }),
            api_version: 1,
        })
    }

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

    fn watch_with<T: ResourceSpec>(&self, request: pb::WatchRequest) -> ResponseStream<Change<T>> {
        self.transport.stream(
            "watch resources",
            |service| async move { state(service).watch(request).await },
            |response: pb::WatchResponse| {
                let changes: Result<Vec<Option<Change<T>>>> =
                    response.event.into_iter().map(change).collect();
                Ok(changes?.into_iter().flatten())
            },
        )
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

    fn about<T: ResourceSpec>(&self, error: Error) -> Error {
        error.with_target(format!("{}, {}", self.transport.target(), T::TYPE))
    }
}

fn state(service: Service) -> StateClient<Service> {
    StateClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}
