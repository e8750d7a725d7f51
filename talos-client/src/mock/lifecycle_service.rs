//! The installer of a mock node by the LifecycleService of v1.13 and later.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tonic::{Request, Response, Status};

use super::event::MockEvent;
use super::images;
use super::life;
use super::machine::Stream;
use super::node::{Installed, Node};
use crate::api::pb::common::ContainerdInstance;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::lifecycle_service_install_progress::Response as Progress;
use crate::api::pb::machine::lifecycle_service_server::{LifecycleService, LifecycleServiceServer};

pub(super) struct Service {
    node: Arc<Node>,
}

pub(super) fn server(node: &Arc<Node>) -> LifecycleServiceServer<Service> {
    LifecycleServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

type Reply<T> = Result<Response<Stream<T>>, Status>;

/// The checks and texts of machined v1.14.0-rc.1 (`internal/app/lifecycle`).
#[tonic::async_trait]
impl LifecycleService for Service {
    async fn install(
        &self,
        request: Request<pb::LifecycleServiceInstallRequest>,
    ) -> Reply<pb::LifecycleServiceInstallResponse> {
        let asked = request.into_inner();
        if self.node.state().installed.is_some() {
            return Err(Status::already_exists("machine is already installed"));
        }
        let image = named(asked.source)?;
        let disk = asked.destination.unwrap_or_default().disk;
        if disk.is_empty() {
            return Err(Status::invalid_argument("destination disk is required"));
        }
        let disks = &self.node.setup.disks;
        if !disks.iter().any(|known| known.device == disk) {
            return Err(Status::invalid_argument(format!(
                "invalid disk path: lstat {disk}: no such file or directory"
            )));
        }
        pulled(&self.node, asked.containerd, &image, "installation")?;
        let node = Arc::clone(&self.node);
        let line = Progress::Message(format!("installing Talos to disk {disk}"));
        let end = async move {
            tokio::time::sleep(node.setup.delays.install).await;
            let installed = Installed {
                disk: disk.clone(),
                image: node.setup.installed_image(&image),
                is_signed: image.contains("-secureboot"),
            };
            node.update(|state| state.installed = Some(installed));
            node.events.push(MockEvent::Installed { disk, image });
            Progress::ExitCode(0)
        };
        let steps = stream::iter([line]).chain(stream::once(end));
        let answers = steps.map(|step| {
            Ok(pb::LifecycleServiceInstallResponse {
                progress: progress(step),
            })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn upgrade(
        &self,
        request: Request<pb::LifecycleServiceUpgradeRequest>,
    ) -> Reply<pb::LifecycleServiceUpgradeResponse> {
        if self.node.state().installed.is_none() {
            return Err(Status::failed_precondition("machine is not installed"));
        }
        let asked = request.into_inner();
        let image = named(asked.source)?;
        pulled(&self.node, asked.containerd, &image, "upgrade")?;
        let node = Arc::clone(&self.node);
        let line = Progress::Message(format!("running Talos installer {image}"));
        let end = async move {
            match life::write_upgrade(&node, image).await {
                Ok(()) => vec![Progress::ExitCode(0)],
                Err(reason) => vec![
                    Progress::Message(format!("error running installer: {reason}")),
                    Progress::ExitCode(1),
                ],
            }
        };
        let end = stream::once(end).flat_map(stream::iter);
        let answers = stream::iter([line]).chain(end).map(|step| {
            Ok(pb::LifecycleServiceUpgradeResponse {
                progress: progress(step),
            })
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn named(source: Option<pb::InstallArtifactsSource>) -> Result<String, Status> {
    let image = source.unwrap_or_default().image_name;
    if image.is_empty() {
        return Err(Status::invalid_argument("installer image name is required"));
    }
    Ok(image)
}

/// The installer runs from an image that the node has: it is not pulled.
fn pulled(
    node: &Node,
    instance: Option<ContainerdInstance>,
    image: &str,
    what: &str,
) -> Result<(), Status> {
    let failed = |reason: &str| Status::internal(format!("{what} failed: {reason}"));
    let place = images::of_instance(instance).map_err(|status| {
        failed(&format!(
            "rpc error: code = InvalidArgument desc = {}",
            status.message()
        ))
    })?;
    if images::has(node, place, image) {
        return Ok(());
    }
    Err(failed(&format!(
        "installer image {image:?} not found in containerd store: image {image:?}: not found"
    )))
}

fn progress(step: Progress) -> Option<pb::LifecycleServiceInstallProgress> {
    Some(pb::LifecycleServiceInstallProgress {
        response: Some(step),
    })
}
