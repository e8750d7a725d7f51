//! Debug containers of a mock node, v1.13 and later.
//!
//! The mock cannot run programs. Whatever the image and its arguments, its container does what `cat` does: it copies its standard
//! input to its standard output until that ends, or until a signal ends it.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::images;
use super::machine::Stream;
use super::node::Node;
use crate::api::pb::machine as pb;
use crate::api::pb::machine::debug_container_run_request::Request as Input;
use crate::api::pb::machine::debug_container_run_request_spec::Profile;
use crate::api::pb::machine::debug_container_run_response::Resp as Output;
use crate::api::pb::machine::debug_service_server::{DebugService, DebugServiceServer};

pub(super) struct Service {
    node: Arc<Node>,
}

pub(super) fn server(node: &Arc<Node>) -> DebugServiceServer<Service> {
    DebugServiceServer::new(Service {
        node: Arc::clone(node),
    })
}

/// The checks and texts of machined v1.13.9 and v1.14.0-rc.1 (`internal/app/debug`).
#[tonic::async_trait]
impl DebugService for Service {
    async fn container_run(
        &self,
        request: Request<Streaming<pb::DebugContainerRunRequest>>,
    ) -> Result<Response<Stream<pb::DebugContainerRunResponse>>, Status> {
        let mut inputs = request.into_inner();
        let first = inputs.message().await?.and_then(|first| first.request);
        let Some(Input::Spec(spec)) = first else {
            return Err(Status::invalid_argument("expected debug container spec"));
        };
        check(&self.node, spec)?;
        let outputs = stream::unfold(Some(inputs), |inputs| async move {
            let mut inputs = inputs?;
            let output = output(&mut inputs).await;
            let goes_on = matches!(output, Ok(Output::StdoutData(_)));
            let response =
                output.map(|output| pb::DebugContainerRunResponse { resp: Some(output) });
            Some((response, goes_on.then_some(inputs)))
        });
        Ok(Response::new(outputs.boxed()))
    }
}

fn check(node: &Node, spec: pb::DebugContainerRunRequestSpec) -> Result<(), Status> {
    let has_profile = match spec.profile() {
        Profile::Unspecified => false,
        Profile::Privileged => true,
        Profile::HostNs => node.minor() >= 14,
    };
    if !has_profile {
        return Err(Status::invalid_argument(format!(
            "unsupported debug container profile: {}",
            spec.profile().as_str_name()
        )));
    }
    let image = &spec.image_name;
    if images::has(node, images::of_instance(spec.containerd)?, image) {
        return Ok(());
    }
    Err(Status::not_found(format!(
        "image {image} not found: image {image:?}: not found"
    )))
}

/// What comes out next.
async fn output(inputs: &mut Streaming<pb::DebugContainerRunRequest>) -> Result<Output, Status> {
    loop {
        match inputs.message().await?.map(|input| input.request) {
            None => return Ok(Output::ExitCode(0)),
            Some(Some(Input::StdinData(data))) => return Ok(Output::StdoutData(data)),
            Some(Some(Input::Signal(number))) => {
                return Ok(Output::ExitCode(number.saturating_add(128)));
            }
            // It has no use for the size of its terminal.
            Some(Some(Input::TermResize(_))) => {}
            Some(Some(Input::Spec(_)) | None) => {
                return Err(Status::unknown(
                    "debug container: receive loop error: error processing input message: unknown request type",
                ));
            }
        }
    }
}
