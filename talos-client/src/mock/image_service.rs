//! The images of a mock node by the ImageService of v1.13 and later.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tonic::{Request, Response, Status};

use super::machine_service::Stream;
use super::node::Node;
use super::statistics;
use crate::api::pb::common;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::image_service_pull_layer_progress::Status as Layer;
use crate::api::pb::machine::image_service_pull_response::Response as Progress;
use crate::api::pb::machine::image_service_server::{ImageService, ImageServiceServer};

pub(super) struct Service {
    node: Arc<Node>,
}

pub(super) fn server(node: &Arc<Node>) -> ImageServiceServer<Service> {
    ImageServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

const SIZE: i64 = 1024;

#[tonic::async_trait]
impl ImageService for Service {
    async fn list(
        &self,
        request: Request<pb::ImageServiceListRequest>,
    ) -> Result<Response<Stream<pb::ImageServiceListResponse>>, Status> {
        let namespace = namespace(request.into_inner().containerd)?;
        let images = self.node.state().images.clone().into_iter();
        let images = images
            .filter(move |(of, _)| *of == namespace)
            .map(|(_, name)| {
                Ok(pb::ImageServiceListResponse {
                    digest: digest(&name),
                    name,
                    size: SIZE,
                    ..Default::default()
                })
            });
        Ok(Response::new(stream::iter(images).boxed()))
    }

    async fn pull(
        &self,
        request: Request<pb::ImageServicePullRequest>,
    ) -> Result<Response<Stream<pb::ImageServicePullResponse>>, Status> {
        let asked = request.into_inner();
        let image = (namespace(asked.containerd)?, asked.image_ref.clone());
        let layer = |status: Layer, offset: i64| {
            Progress::PullProgress(pb::ImageServicePullProgress {
                layer_id: digest(&asked.image_ref),
                progress: Some(pb::ImageServicePullLayerProgress {
                    status: status.into(),
                    elapsed: None,
                    offset,
                    total: SIZE,
                }),
            })
        };
        let is_there = self.node.update(|state| {
            let is_there = state.images.contains(&image);
            if !is_there {
                state.images.push(image);
            }
            is_there
        });
        let mut steps = if is_there {
            vec![layer(Layer::AlreadyExists, SIZE)]
        } else {
            vec![
                layer(Layer::Downloading, 0),
                layer(Layer::DownloadComplete, SIZE),
                layer(Layer::ExtractComplete, SIZE),
            ]
        };
        steps.push(Progress::Name(with_digest(&asked.image_ref)));
        let answers = steps.into_iter().map(|step| {
            Ok(pb::ImageServicePullResponse {
                response: Some(step),
            })
        });
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn remove(
        &self,
        request: Request<pb::ImageServiceRemoveRequest>,
    ) -> Result<Response<()>, Status> {
        let asked = request.into_inner();
        let image = (namespace(asked.containerd)?, asked.image_ref);
        let was_there = self.node.update(|state| {
            let before = state.images.len();
            state.images.retain(|known| *known != image);
            state.images.len() < before
        });
        if was_there {
            Ok(Response::new(()))
        } else {
            Err(Status::not_found(format!("image {:?}: not found", image.1)))
        }
    }

    async fn verify(
        &self,
        request: Request<pb::ImageServiceVerifyRequest>,
    ) -> Result<Response<pb::ImageServiceVerifyResponse>, Status> {
        let reference = request.into_inner().image_ref;
        Ok(Response::new(pb::ImageServiceVerifyResponse {
            verified: false,
            message: "no matching rule".to_owned(),
            digested_image_ref: with_digest(&reference),
        }))
    }
}

fn namespace(instance: Option<common::ContainerdInstance>) -> Result<i32, Status> {
    match instance.unwrap_or_default().namespace {
        0 => Err(Status::invalid_argument("invalid namespace NS_UNKNOWN")),
        namespace => Ok(namespace),
    }
}

fn digest(name: &str) -> String {
    format!("sha256:{}", statistics::hex_digest(name))
}

fn with_digest(reference: &str) -> String {
    format!("{reference}@{}", digest(reference))
}
