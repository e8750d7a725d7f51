//! Container images by the ImageService of v1.13 and later.

use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::{Image, ImageNamespace, Machine, upload};
use crate::api::channel::{Call, MAX_MESSAGE_SIZE, Service};
use crate::api::pb::common;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::image_service_client::ImageServiceClient;
use crate::api::pb::machine::image_service_import_request::Request as Import;
use crate::api::pb::machine::image_service_pull_layer_progress::Status as Layer;
use crate::api::pb::machine::image_service_pull_response::Response;
use crate::api::wire::timestamp;
use crate::{ResponseStream, Result};

/// Where a layer of an image that is being pulled is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the words of the machine API")]
pub enum LayerStatus {
    Downloading,
    DownloadComplete,
    Extracting,
    ExtractComplete,
    AlreadyExists,
    Unknown,
}

/// A step of pulling an image. A stream that ends without [`PullProgress::Pulled`] was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PullProgress {
    /// A layer got further.
    Layer {
        /// Its digest.
        id: String,
        /// Where it is.
        status: LayerStatus,
        /// Bytes that are there.
        offset: i64,
        /// Bytes of the whole layer; 0 while it is not known.
        total: i64,
    },
    /// The image is there.
    Pulled {
        /// Its name, with its digest.
        name: String,
    },
}

/// Whether the signature of an image satisfies the node's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageVerification {
    /// Whether a rule applied and its signature is right.
    pub is_verified: bool,
    /// In words.
    pub message: String,
    /// The reference with the digest that was verified.
    pub reference: String,
}

impl Machine {
    /// The container images of a namespace, with their labels. `talosctl image list` of v1.13 and later; before,
    /// [`Machine::images`]. Needs `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] before v1.13, [`crate::ErrorKind::Interrupted`] while the container runtime is down.
    pub async fn runtime_images(&self, namespace: ImageNamespace) -> Result<Vec<Image>> {
        let request = pb::ImageServiceListRequest {
            containerd: instance(namespace),
        };
        self.transport
            .stream(
                "list images",
                move |service| async move { images(service).list(request).await },
                |image: pb::ImageServiceListResponse| {
                    Ok(Some(Image {
                        name: image.name,
                        digest: image.digest,
                        size: image.size,
                        created: timestamp(image.created_at),
                        labels: image.labels.into_iter().collect(),
                    }))
                },
            )
            .try_collect()
            .await
    }

    /// Uploads a container image from a local archive of `docker save` or of the OCI layout, and returns its name. `talosctl image
    /// import`; v1.13 and later, needs `os:admin`. May be repeated. Sends an archive of any size in small pieces.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when the archive cannot be read, [`crate::ErrorKind::Server`] or [`crate::ErrorKind::Rejected`] when
    /// the node finds no image in it, [`crate::ErrorKind::Unsupported`] before v1.13.
    pub async fn import_image(
        &self,
        namespace: ImageNamespace,
        archive: impl AsRef<Path>,
    ) -> Result<String> {
        let first = Import::Containerd(containerd(namespace));
        let piece = |bytes| {
            let data = common::Data {
                metadata: None,
                bytes,
            };
            pb::ImageServiceImportRequest {
                request: Some(Import::ImageChunk(data)),
            }
        };
        let answer = upload::file(
            &self.transport,
            Call::change("import image").at_least(Duration::from_hours(1)),
            archive.as_ref(),
            Some(pb::ImageServiceImportRequest {
                request: Some(first),
            }),
            piece,
            |service, pieces| Box::pin(async move { images(service).import(pieces).await }),
        )
        .await?;
        Ok(answer.name)
    }

    /// Pulls an image, with the progress of its layers. v1.13 and later, before them [`Machine::pull_image`]; needs `os:operator`.
    /// May be repeated.
    pub fn pull_image_observed(
        &self,
        namespace: ImageNamespace,
        reference: impl Into<String>,
    ) -> ResponseStream<PullProgress> {
        let request = pb::ImageServicePullRequest {
            containerd: instance(namespace),
            image_ref: reference.into(),
        };
        self.transport.stream(
            "pull image",
            |service| async move { images(service).pull(request).await },
            |message: pb::ImageServicePullResponse| Ok(message.response.map(progress)),
        )
    }

    /// Removes an image. `talosctl image remove`; v1.13 and later, needs `os:admin`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] when the node does not have it, [`crate::ErrorKind::Unsupported`] before v1.13.
    pub async fn remove_image(&self, namespace: ImageNamespace, reference: &str) -> Result<()> {
        let request = pb::ImageServiceRemoveRequest {
            containerd: instance(namespace),
            image_ref: reference.to_owned(),
        };
        self.transport
            .call(Call::set("remove image"), |service| {
                let request = request.clone();
                async move { images(service).remove(request).await }
            })
            .await
    }

    /// Checks the signature of an image by the rules in the node's configuration. `talosctl image verify`; v1.13 and later, needs
    /// `os:reader`. May be repeated.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] before v1.13, [`crate::ErrorKind::Server`] when the registry does not answer.
    pub async fn verify_image(&self, reference: &str) -> Result<ImageVerification> {
        let call = Call::read("verify image").at_least(Duration::from_mins(2));
        let request = pb::ImageServiceVerifyRequest {
            image_ref: reference.to_owned(),
            credentials: None,
        };
        let answer = self
            .transport
            .call(call, |service| {
                let request = request.clone();
                async move { images(service).verify(request).await }
            })
            .await?;
        Ok(ImageVerification {
            is_verified: answer.verified,
            message: answer.message,
            reference: answer.digested_image_ref,
        })
    }
}

fn images(service: Service) -> ImageServiceClient<Service> {
    ImageServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

pub(super) fn instance(namespace: ImageNamespace) -> Option<common::ContainerdInstance> {
    Some(containerd(namespace))
}

/// The runtime of Kubernetes holds Talos' own images too; the other one, which Talos starts first, has one namespace.
fn containerd(namespace: ImageNamespace) -> common::ContainerdInstance {
    let driver = match namespace {
        ImageNamespace::System | ImageNamespace::Cri => common::ContainerDriver::Cri,
        ImageNamespace::InMemory => common::ContainerDriver::Containerd,
    };
    common::ContainerdInstance {
        driver: driver.into(),
        namespace: namespace.to_wire(),
    }
}

fn progress(response: Response) -> PullProgress {
    match response {
        Response::Name(name) => PullProgress::Pulled { name },
        Response::PullProgress(step) => {
            let layer = step.progress.unwrap_or_default();
            PullProgress::Layer {
                id: step.layer_id,
                status: match Layer::try_from(layer.status) {
                    Ok(Layer::Downloading) => LayerStatus::Downloading,
                    Ok(Layer::DownloadComplete) => LayerStatus::DownloadComplete,
                    Ok(Layer::Extracting) => LayerStatus::Extracting,
                    Ok(Layer::ExtractComplete) => LayerStatus::ExtractComplete,
                    Ok(Layer::AlreadyExists) => LayerStatus::AlreadyExists,
                    Err(_) => LayerStatus::Unknown,
                },
                offset: layer.offset,
                total: layer.total,
            }
        }
    }
}
