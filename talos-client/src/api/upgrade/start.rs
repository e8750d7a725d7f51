//! Starting an upgrade, in the way of the release that runs.

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use super::{OPERATION, UpgradeOperation, UpgradePlan};
use crate::config::TalosVersion;
use crate::machine::{ImageNamespace, InstallerOutput, Machine, PullProgress, UpgradeRequest};
use crate::{Error, ErrorKind, Result};

/// What happens between the start of an upgrade and the reboot of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UpgradeStep {
    /// The installer image is pulled.
    Pull(PullProgress),
    /// The installer writes the disk.
    Write(InstallerOutput),
    /// The node was asked to reboot, or to do everything itself.
    Requested,
}

impl UpgradePlan {
    /// Starts the upgrade. Needs `os:admin`. Returns when the node goes down by itself, which takes minutes.
    ///
    /// Up to v1.12 the node does everything after one request. From v1.13 on it is led through the steps as by `talosctl upgrade`:
    /// it pulls the image, writes the disk while it still runs, and reboots. It does not drain itself there: who wants that drains it
    /// before. What only the one request can do, a staged or a forced upgrade, is asked for in the old way.
    ///
    /// Not to be repeated after an error that may have taken effect: [`crate::Client::resume_upgrade`] with the record of the plan
    /// finds out what became of it.
    ///
    /// # Errors
    /// As [`crate::Machine::upgrade`], [`crate::Machine::pull_image`] and [`crate::Machine::write_upgrade`]; the message of
    /// [`ErrorKind::OperationFailed`] ends with the last line of the installer.
    pub async fn start(self) -> Result<UpgradeOperation> {
        self.start_observed(|_| {}).await
    }

    /// As [`UpgradePlan::start`]; `observer` sees every step.
    ///
    /// # Errors
    /// As [`UpgradePlan::start`].
    pub async fn start_observed(
        self,
        mut observer: impl FnMut(UpgradeStep),
    ) -> Result<UpgradeOperation> {
        let is_done = self.is_done();
        let Self {
            client,
            request,
            mut record,
            prewarm,
        } = self;
        if is_done {
            return Ok(UpgradeOperation::new(client, record));
        }
        let machine = client.machine();
        let actor = if is_led(&record.from_version, &request)? {
            pull(&machine, &request, &mut observer).await?;
            write(&machine, &request, &mut observer).await?;
            machine.reboot(request.reboot_mode()).await?
        } else {
            if prewarm {
                let image = request.image();
                machine.pull_image(ImageNamespace::System, image).await?;
            }
            machine.upgrade(&request).await?.actor
        };
        observer(UpgradeStep::Requested);
        record.actor = Some(actor);
        Ok(UpgradeOperation::new(client, record))
    }
}

/// Whether the release is upgraded step by step. What talosctl v1.14 decides: later than v1.13.0-alpha.2.
fn is_led(from_version: &str, request: &UpgradeRequest) -> Result<bool> {
    let release = TalosVersion::parse(from_version)?.release();
    let is_new = (release.major, release.minor) >= (1, 13);
    Ok(is_new && !request.is_staged() && !request.is_forced())
}

async fn pull(
    machine: &Machine,
    request: &UpgradeRequest,
    observer: &mut impl FnMut(UpgradeStep),
) -> Result<()> {
    let mut steps = machine.pull_image_observed(ImageNamespace::System, request.image());
    while let Some(step) = steps.try_next().await? {
        let is_done = matches!(step, PullProgress::Pulled { .. });
        observer(UpgradeStep::Pull(step));
        if is_done {
            return Ok(());
        }
    }
    Err(cut_off(
        machine,
        "the stream ended before the image was pulled",
    ))
}

async fn write(
    machine: &Machine,
    request: &UpgradeRequest,
    observer: &mut impl FnMut(UpgradeStep),
) -> Result<()> {
    let mut outputs = machine.write_upgrade(request.image());
    let mut last = String::new();
    loop {
        match outputs.try_next().await {
            Ok(Some(output)) => {
                observer(UpgradeStep::Write(output.clone()));
                match output {
                    InstallerOutput::Line(line) => last = line,
                    InstallerOutput::Completed => return Ok(()),
                }
            }
            Ok(None) => {
                return Err(cut_off(
                    machine,
                    "the stream ended before the installer did",
                ));
            }
            // Only its code is an error of its own; the reason is what it said before.
            Err(error) if error.kind() == ErrorKind::OperationFailed && !last.is_empty() => {
                let message = format!("{}: {last}", error.message());
                return Err(error.with_message(message));
            }
            Err(error) => return Err(error),
        }
    }
}

fn cut_off(machine: &Machine, message: &str) -> Error {
    Error::new(ErrorKind::Interrupted, OPERATION)
        .with_target(machine.target())
        .with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_upgrades_of_new_releases_are_led() {
        let plain = || UpgradeRequest::to("ghcr.io/siderolabs/installer:v1.14.0");

        for (version, request, expected) in [
            ("v1.12.11", plain(), false),
            ("v1.13.0", plain(), true),
            ("v1.14.0-rc.1", plain().power_cycle(), true),
            ("v1.14.0", plain().staged(), false),
            ("v1.14.0", plain().force(), false),
        ] {
            assert_eq!(is_led(version, &request).unwrap(), expected, "{version}");
        }
    }
}
