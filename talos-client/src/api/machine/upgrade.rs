//! Upgrades.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Machine, RebootMode};
use crate::api::channel::Call;
use crate::api::pb::machine as pb;
use crate::{Code, Error, ErrorKind, Result};

/// The node pulls the installer image and checks etcd before it answers.
const LONG: Duration = Duration::from_mins(15);

/// An upgrade to an installer image.
///
/// ```
/// use talos_client::machine::UpgradeRequest;
///
/// let request = UpgradeRequest::to("factory.talos.dev/nocloud-installer/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba:v1.11.6").staged();
/// assert_eq!(request.version(), Some("v1.11.6"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct UpgradeRequest {
    image: String,
    stage: bool,
    force: bool,
    reboot_mode: RebootMode,
}

impl UpgradeRequest {
    /// Upgrades to the installer image `image`. It must be of the platform and schematic of the node, or the node loses
    /// its extensions.
    pub fn to(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            stage: false,
            force: false,
            reboot_mode: RebootMode::Default,
        }
    }

    /// Reboots first and upgrades before anything else uses the disk.
    pub fn staged(mut self) -> Self {
        self.stage = true;
        self
    }

    /// Skips the checks of etcd's health and members.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Reboots through the firmware instead of directly into the new kernel.
    pub fn power_cycle(mut self) -> Self {
        self.reboot_mode = RebootMode::PowerCycle;
        self
    }

    /// Whether the upgrade is done in an early boot.
    pub(crate) fn is_staged(&self) -> bool {
        self.stage
    }

    /// How the node reboots into the new release.
    pub(crate) fn reboot_mode(&self) -> RebootMode {
        self.reboot_mode
    }

    /// Whether the checks of etcd are skipped.
    pub(crate) fn is_forced(&self) -> bool {
        self.force
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// The tag of the image, which is its release; `None` for an image without a tag.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let (_, tag) = self.image.split('@').next()?.rsplit_once(':')?;
        (!tag.contains('/')).then_some(tag)
    }

    /// The Image Factory schematic in the name of the image.
    #[must_use]
    pub fn schematic_id(&self) -> Option<&str> {
        let name = self.image.split('@').next()?;
        let (name, _) = name.rsplit_once(':').unwrap_or((name, ""));
        name.split('/')
            .find(|part| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    fn to_wire(&self) -> pb::UpgradeRequest {
        use pb::upgrade_request::RebootMode as Wire;
        let reboot_mode = match self.reboot_mode {
            RebootMode::PowerCycle => Wire::Powercycle,
            RebootMode::Default | RebootMode::Force => Wire::Default,
        };
        pb::UpgradeRequest {
            image: self.image.clone(),
            // Without effect since v1.8: data is always kept.
            preserve: false,
            stage: self.stage,
            force: self.force,
            reboot_mode: reboot_mode.into(),
        }
    }
}

/// What the node answered to an upgrade that it accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpgradeStarted {
    /// Its text.
    pub acknowledgement: String,
    /// The id under which the events of the upgrade run.
    pub actor: String,
}

impl Machine {
    /// Starts an upgrade. `talosctl upgrade`; needs `os:admin`.
    ///
    /// The node pulls the image and checks etcd before it answers, which takes minutes; then it drains itself, writes the
    /// disk and reboots. Not to be repeated blindly: compare [`Machine::version`]. v1.10 to v1.14, deprecated since v1.13, where
    /// `talosctl upgrade` makes [`Machine::write_upgrade`] instead. [`crate::Client::plan_upgrade`] is the whole operation.
    ///
    /// # Errors
    /// [`ErrorKind::NotReady`] when Talos is not installed, [`ErrorKind::Rejected`] when the image cannot be used,
    /// [`ErrorKind::Server`] when etcd does not allow the upgrade, [`ErrorKind::Forbidden`] without the role.
    pub async fn upgrade(&self, request: &UpgradeRequest) -> Result<UpgradeStarted> {
        let call = Call::change("upgrade").at_least(LONG);
        let message = self
            .unary(call, |mut machine| {
                let request = request.to_wire();
                async move { machine.upgrade(request).await }
            })
            .await
            .map_err(refine)?;
        Ok(UpgradeStarted {
            acknowledgement: message.ack,
            actor: message.actor_id,
        })
    }
}

/// An image that cannot be validated has no effect on the node.
fn refine(error: Error) -> Error {
    if error.code() == Some(Code::Unknown)
        && error
            .message()
            .starts_with("error validating installer image")
    {
        return error.with_kind(ErrorKind::Rejected);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_schematic_are_read_from_the_image() {
        let id = "3".repeat(64);
        let request = UpgradeRequest::to(format!(
            "factory.talos.dev/nocloud-installer-secureboot/{id}:v1.11.6"
        ));
        assert_eq!(request.version(), Some("v1.11.6"));
        assert_eq!(request.schematic_id(), Some(id.as_str()));

        let plain = UpgradeRequest::to("ghcr.io/siderolabs/installer:v1.10.7");
        assert_eq!(plain.version(), Some("v1.10.7"));
        assert_eq!(plain.schematic_id(), None);

        let untagged = UpgradeRequest::to("localhost:5000/installer");
        assert_eq!(untagged.version(), None);
    }
}
