//! The installer as a stream of its output: the LifecycleService of v1.13 and later.

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::image_service::instance;
use super::{ImageNamespace, Machine};
use crate::api::channel::{MAX_MESSAGE_SIZE, Service};
use crate::api::pb::machine as pb;
use crate::api::pb::machine::lifecycle_service_client::LifecycleServiceClient;
use crate::api::pb::machine::lifecycle_service_install_progress::Response;
use crate::{Error, ErrorKind, ResponseStream, Result};

const INSTALL: &str = "install";
const UPGRADE: &str = "write upgrade";

/// What an installer says. A stream that ends without [`InstallerOutput::Completed`] was cut off, and says nothing about the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InstallerOutput {
    /// A line of its output.
    Line(String),
    /// It has written the disk.
    Completed,
}

impl Machine {
    /// Installs Talos from an installer image to a disk, on a machine that has none. v1.13 and later; needs `os:admin`, in
    /// maintenance mode too. The machine does not reboot by itself ([`Machine::reboot`]). It must have the image already, in
    /// [`ImageNamespace::InMemory`] ([`Machine::pull_image_observed`]).
    ///
    /// The stream ends with [`ErrorKind::AlreadyExists`] when the machine is installed already, [`ErrorKind::Rejected`] without
    /// image or disk, [`ErrorKind::Unsupported`] before v1.13, [`ErrorKind::OperationFailed`] when the installer fails.
    pub fn install(
        &self,
        image: impl Into<String>,
        disk: impl Into<String>,
    ) -> ResponseStream<InstallerOutput> {
        let request = pb::LifecycleServiceInstallRequest {
            containerd: instance(ImageNamespace::InMemory),
            source: source(image.into()),
            destination: Some(pb::InstallDestination { disk: disk.into() }),
        };
        self.transport.stream(
            INSTALL,
            |service| async move { lifecycle(service).install(request).await },
            |message: pb::LifecycleServiceInstallResponse| output(INSTALL, message.progress),
        )
    }

    /// Writes another release to the disk, beside the one that runs. v1.13 and later; needs `os:admin`. `talosctl upgrade` of those
    /// releases. The machine does not reboot by itself: the new release runs after [`Machine::reboot`]. It must have the image
    /// already, in [`ImageNamespace::System`] ([`Machine::pull_image_observed`]).
    ///
    /// [`crate::Client::plan_upgrade`] is the whole operation, for every release.
    ///
    /// The stream ends with [`ErrorKind::NotReady`] when the machine is not installed or another installation runs,
    /// [`ErrorKind::Server`] without the image, [`ErrorKind::Unsupported`] before v1.13, [`ErrorKind::OperationFailed`] when the installer fails.
    pub fn write_upgrade(&self, image: impl Into<String>) -> ResponseStream<InstallerOutput> {
        let request = pb::LifecycleServiceUpgradeRequest {
            containerd: instance(ImageNamespace::System),
            source: source(image.into()),
        };
        self.transport.stream(
            UPGRADE,
            |service| async move { lifecycle(service).upgrade(request).await },
            |message: pb::LifecycleServiceUpgradeResponse| output(UPGRADE, message.progress),
        )
    }

    /// As [`Machine::write_upgrade`], to its end: the lines of the installer.
    ///
    /// # Errors
    /// As the stream, and [`ErrorKind::Interrupted`] when it ends before the installer has.
    pub async fn write_upgrade_and_wait(&self, image: impl Into<String>) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut stream = self.write_upgrade(image);
        while let Some(output) = stream.try_next().await? {
            match output {
                InstallerOutput::Line(line) => lines.push(line),
                InstallerOutput::Completed => return Ok(lines),
            }
        }
        Err(Error::new(ErrorKind::Interrupted, UPGRADE)
            .with_target(self.target())
            .with_message("the stream ended before the installer did"))
    }
}

fn source(image_name: String) -> Option<pb::InstallArtifactsSource> {
    Some(pb::InstallArtifactsSource { image_name })
}

fn lifecycle(service: Service) -> LifecycleServiceClient<Service> {
    LifecycleServiceClient::new(service).max_decoding_message_size(MAX_MESSAGE_SIZE)
}

fn output(
    operation: &'static str,
    progress: Option<pb::LifecycleServiceInstallProgress>,
) -> Result<Option<InstallerOutput>> {
    match progress.and_then(|progress| progress.response) {
        None => Ok(None),
        Some(Response::Message(line)) => Ok(Some(InstallerOutput::Line(line))),
        Some(Response::ExitCode(0)) => Ok(Some(InstallerOutput::Completed)),
        Some(Response::ExitCode(code)) => Err(Error::new(ErrorKind::OperationFailed, operation)
            .with_message(format!("the installer ended with code {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_zero_is_a_success() {
        let progress = |response| {
            let progress = pb::LifecycleServiceInstallProgress {
                response: Some(response),
            };
            output(UPGRADE, Some(progress))
        };

        assert_eq!(
            progress(Response::ExitCode(0)).unwrap(),
            Some(InstallerOutput::Completed)
        );
        let error = progress(Response::ExitCode(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OperationFailed);
        assert_eq!(output(UPGRADE, None).unwrap(), None);
    }
}
