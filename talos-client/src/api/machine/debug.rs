//! Debug containers: the DebugService of v1.13 and later.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::image_service::instance;
use super::{ImageNamespace, Machine};
use crate::api::channel::{MAX_MESSAGE_SIZE, Service};
use crate::api::pb::machine as pb;
use crate::api::pb::machine::debug_container_run_request::Request;
use crate::api::pb::machine::debug_container_run_request_spec::Profile;
use crate::api::pb::machine::debug_container_run_response::Resp;
use crate::api::pb::machine::debug_service_client::DebugServiceClient;
use crate::{Error, ErrorKind, ResponseStream, Result};

const OPERATION: &str = "run debug container";

/// Inputs that wait to be sent.
const INPUTS: usize = 64;

/// How a debug container is separated from the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DebugProfile {
    /// A container with all capabilities and devices, in the namespaces of the host for processes and network; the node's files are
    /// below `/host`.
    #[default]
    Privileged,
    /// A program on the node's own file system, with the tools of the image at `/nix`; v1.14 and later.
    HostNamespaces,
}

/// Which debug container to run.
///
/// ```
/// use talos_client::machine::DebugContainerRequest;
///
/// let request = DebugContainerRequest::of("docker.io/library/alpine@sha256:…").arguments(["/bin/sh", "-c", "ip route"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct DebugContainerRequest {
    image: String,
    namespace: ImageNamespace,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    profile: DebugProfile,
    has_terminal: bool,
}

impl DebugContainerRequest {
    /// A container of an image that the node has in [`ImageNamespace::InMemory`], by the name that
    /// [`Machine::pull_image_observed`] or [`Machine::import_image`] gave.
    pub fn of(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            namespace: ImageNamespace::InMemory,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            profile: DebugProfile::default(),
            has_terminal: false,
        }
    }

    /// Takes the image from another namespace.
    pub fn in_namespace(mut self, namespace: ImageNamespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Runs this program with its arguments instead of that of the image.
    pub fn arguments<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Sets a variable of its environment.
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets how it is separated from the node.
    pub fn profile(mut self, profile: DebugProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Gives it a terminal; [`DebugInput::resize`] tells its size.
    pub fn terminal(mut self) -> Self {
        self.has_terminal = true;
        self
    }

    fn to_wire(&self) -> pb::DebugContainerRunRequestSpec {
        let profile = match self.profile {
            DebugProfile::Privileged => Profile::Privileged,
            DebugProfile::HostNamespaces => Profile::HostNs,
        };
        pb::DebugContainerRunRequestSpec {
            containerd: instance(self.namespace),
            image_name: self.image.clone(),
            args: self.arguments.clone(),
            env: self.environment.clone().into_iter().collect(),
            profile: profile.into(),
            tty: self.has_terminal,
        }
    }
}

/// What comes out of a debug container. A stream that ends without [`DebugOutput::Exited`] was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DebugOutput {
    /// A piece of its standard output and standard error, not a line.
    Data(Vec<u8>),
    /// It has ended with this code; 128 and the number of the signal after one.
    Exited(i32),
}

/// The input of a debug container. Clones are the same input; its standard input ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct DebugInput {
    sender: mpsc::Sender<pb::DebugContainerRunRequest>,
    target: String,
}

impl DebugInput {
    /// Writes to its standard input. Waits while earlier inputs are not sent yet, which they are while its output is read.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] when the container has ended, or its output was dropped.
    pub async fn write(&self, data: impl Into<Vec<u8>>) -> Result<()> {
        self.send(Request::StdinData(data.into())).await
    }

    /// Sends a signal to its program, by the number that Linux gives it.
    ///
    /// # Errors
    /// As [`DebugInput::write`].
    pub async fn signal(&self, number: i32) -> Result<()> {
        self.send(Request::Signal(number)).await
    }

    /// Sets the size of its terminal in characters.
    ///
    /// # Errors
    /// As [`DebugInput::write`].
    pub async fn resize(&self, width: u16, height: u16) -> Result<()> {
        let size = pb::DebugContainerTerminalResize {
            width: width.into(),
            height: height.into(),
        };
        self.send(Request::TermResize(size)).await
    }

    async fn send(&self, request: Request) -> Result<()> {
        self.sender.send(message(request)).await.map_err(|_| {
            Error::new(ErrorKind::Interrupted, OPERATION)
                .with_target(self.target.clone())
                .with_message("the container takes no input any more")
        })
    }
}

impl Machine {
    /// Runs a debug container on the node, and attaches to it. `talosctl debug`; v1.13 and later, needs `os:admin`. It is removed
    /// when it ends, and when its output is dropped.
    ///
    /// A repetition runs another one. The stream fails with [`ErrorKind::NotFound`] when the node does not have the image,
    /// [`ErrorKind::Rejected`] for a profile that the release does not have, [`ErrorKind::Unsupported`] before v1.13.
    pub fn run_debug_container(
        &self,
        request: &DebugContainerRequest,
    ) -> (DebugInput, ResponseStream<DebugOutput>) {
        let (sender, receiver) = mpsc::channel(INPUTS);
        let input = DebugInput {
            sender,
            target: self.target(),
        };
        let first = message(Request::Spec(request.to_wire()));
        let inputs = stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        let requests = stream::iter([first]).chain(inputs);
        let output = self.transport.stream(
            OPERATION,
            |service| async move { debug(service).container_run(requests).await },
            |answer: pb::DebugContainerRunResponse| {
                Ok(answer.resp.map(|output| match output {
                    Resp::StdoutData(data) => DebugOutput::Data(data),
                    Resp::ExitCode(code) => DebugOutput::Exited(code),
                }))
            },
        );
        (input, output)
    }
}

fn debug(service: Service) -> DebugServiceClient<Service> {
    DebugServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

fn message(request: Request) -> pb::DebugContainerRunRequest {
    pb::DebugContainerRunRequest {
        request: Some(request),
    }
}
