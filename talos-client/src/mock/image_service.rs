//! The images of a mock node by the ImageService of v1.13 and later.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tonic::{Request, Response, Status, Streaming};

use super::images::{self, Images, SIZE};
use super::machine::Stream;
use super::node::Node;
use crate::api::channel::MAX_MESSAGE_SIZE;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::image_service_import_request::Request as Import;
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
    .max_decoding_message_size(MAX_MESSAGE_SIZE)
}

/// The checks and texts of machined v1.14.0-rc.1 (`internal/app/images`).
#[tonic::async_trait]
impl ImageService for Service {
    async fn list(
        &self,
        request: Request<pb::ImageServiceListRequest>,
    ) -> Result<Response<Stream<pb::ImageServiceListResponse>>, Status> {
        let place = images::of_instance(request.into_inner().containerd)?;
        let found: Vec<_> = Images::of(&self.node)
            .names(place)
            .map(|name| {
                Ok(pb::ImageServiceListResponse {
                    digest: images::digest(&name),
                    name,
                    size: SIZE,
                    ..Default::default()
                })
            })
            .collect();
        Ok(Response::new(stream::iter(found).boxed()))
    }

    async fn pull(
        &self,
        request: Request<pb::ImageServicePullRequest>,
    ) -> Result<Response<Stream<pb::ImageServicePullResponse>>, Status> {
        let asked = request.into_inner();
        let reference = asked.image_ref;
        let place = images::of_instance(asked.containerd)?;
        let layer = |status: Layer, offset: i64| {
            Progress::PullProgress(pb::ImageServicePullProgress {
                layer_id: images::digest(&reference),
                progress: Some(pb::ImageServicePullLayerProgress {
                    status: status.into(),
                    elapsed: None,
                    offset,
                    total: SIZE,
                }),
            })
        };
        let mut steps = if images::add(&self.node, place, &reference) {
            vec![layer(Layer::AlreadyExists, SIZE)]
        } else {
            vec![
                layer(Layer::Downloading, 0),
                layer(Layer::DownloadComplete, SIZE),
                layer(Layer::ExtractComplete, SIZE),
            ]
        };
        steps.push(Progress::Name(images::with_digest(&reference)));
        let answers = steps.into_iter().map(|step| {
            Ok(pb::ImageServicePullResponse {
                response: Some(step),
            })
        });
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn import(
        &self,
        request: Request<Streaming<pb::ImageServiceImportRequest>>,
    ) -> Result<Response<pb::ImageServiceImportResponse>, Status> {
        let mut pieces = request.into_inner();
        let first = pieces.message().await?.and_then(|first| first.request);
        let Some(Import::Containerd(instance)) = first else {
            return Err(Status::invalid_argument("containerd instance is required"));
        };
        let place = images::of_instance(Some(instance))?;
        let mut archive = Vec::new();
        while let Some(piece) = pieces.message().await? {
            let Some(Import::ImageChunk(chunk)) = piece.request else {
                return Err(Status::internal("failed to import image: no image chunk"));
            };
            archive.extend_from_slice(&chunk.bytes);
        }
        let names = images::names_in(&archive)?;
        for name in &names {
            images::add(&self.node, place, name);
        }
        Ok(Response::new(pb::ImageServiceImportResponse {
            name: names.into_iter().next().unwrap_or_default(),
        }))
    }

    async fn remove(
        &self,
        request: Request<pb::ImageServiceRemoveRequest>,
    ) -> Result<Response<()>, Status> {
        let asked = request.into_inner();
        let place = images::of_instance(asked.containerd)?;
        let reference = asked.image_ref;
        if images::remove(&self.node, place, &reference) {
            Ok(Response::new(()))
        } else {
            Err(Status::not_found(format!("image {reference} not found")))
        }
    }

    /// No rule about signatures applies on a mock node.
    async fn verify(
        &self,
        _: Request<pb::ImageServiceVerifyRequest>,
    ) -> Result<Response<pb::ImageServiceVerifyResponse>, Status> {
        Ok(Response::new(pb::ImageServiceVerifyResponse {
            verified: false,
            message: "no matched rule".to_owned(),
            digested_image_ref: String::new(),
        }))
    }
}
