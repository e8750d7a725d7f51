//! Container images on the node.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reply::check;
use super::{Machine, machine_service};
use crate::api::channel::Call;
use crate::api::pb::{common, machine as pb};
use crate::api::wire::timestamp;
use crate::{Error, ErrorKind, Result};

/// Whose container images are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageNamespace {
    /// Talos' own.
    System,
    /// Those of Kubernetes.
    Cri,
    /// Those of the runtime that Talos keeps in memory, from which installers and debug containers run. Only the calls of v1.13 and
    /// later know it.
    InMemory,
}

impl ImageNamespace {
    pub(super) fn to_wire(self) -> i32 {
        match self {
            Self::System | Self::InMemory => common::ContainerdNamespace::NsSystem.into(),
            Self::Cri => common::ContainerdNamespace::NsCri.into(),
        }
    }

    /// For the calls of the machine service, which know one runtime only.
    fn of_machine_service(self, operation: &'static str) -> Result<i32> {
        if self == Self::InMemory {
            return Err(Error::new(ErrorKind::InvalidInput, operation).with_message(
                "namespace: only the calls of v1.13 and later know the images in memory",
            ));
        }
        Ok(self.to_wire())
    }
}

/// A container image on the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Its reference.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// Size in bytes.
    pub size: i64,
    /// When it was pulled.
    pub created: Option<Timestamp>,
    /// Its labels; only [`Machine::runtime_images`] tells them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Machine {
    /// The container images of a namespace. `talosctl image list`; needs `os:reader`. May be repeated. v1.13 and later have
    /// [`Machine::runtime_images`] too.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for [`ImageNamespace::InMemory`], [`crate::ErrorKind::Interrupted`] while the container runtime is down, [`crate::ErrorKind::Unsupported`] in
    /// maintenance mode before v1.13.
    pub async fn images(&self, namespace: ImageNamespace) -> Result<Vec<Image>> {
        const OPERATION: &str = "list images";
        let namespace = namespace.of_machine_service(OPERATION)?;
        self.transport
            .stream(
                OPERATION,
                move |service| async move {
                    let request = pb::ImageListRequest { namespace };
                    machine_service(service).image_list(request).await
                },
                |image: pb::ImageListResponse| {
                    check(OPERATION, image.metadata.as_ref())?;
                    Ok(Some(Image {
                        name: image.name,
                        digest: image.digest,
                        size: image.size,
                        created: timestamp(image.created_at),
                        labels: BTreeMap::new(),
                    }))
                },
            )
            .try_collect()
            .await
    }

    /// Pulls an image, and waits until it is there. `talosctl image pull`; needs `os:operator`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for [`ImageNamespace::InMemory`], [`crate::ErrorKind::NotFound`] when the registry does not have it, [`crate::ErrorKind::Server`] when it cannot be
    /// pulled.
    pub async fn pull_image(&self, namespace: ImageNamespace, reference: &str) -> Result<()> {
        let call = Call::set("pull image").at_least(Duration::from_mins(15));
        let request = pb::ImagePullRequest {
            namespace: namespace.of_machine_service(call.operation)?,
            reference: reference.to_owned(),
        };
        self.unary(call, |mut machine| {
            let request = request.clone();
            async move { machine.image_pull(request).await }
        })
        .await
        .map(drop)
    }
}
