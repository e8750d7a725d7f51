//! An upgrade under way.

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::{OPERATION, UpgradeRecord};
use crate::api::wait::{Waiting, WaitingFor, until_deadline};
use crate::cosi::{ExtensionStatus, MachineStatus, Stage};
use crate::machine::{EventPayload, EventTail, SequenceAction};
use crate::{Client, Error, ErrorKind, Poll, Result, WaitState};

/// After this time without an event the node is asked whether it is still the same boot.
const SILENCE: Duration = Duration::from_secs(10);

/// An upgrade that the node has accepted. Waiting only observes, so it may be dropped, repeated, and done by another process.
#[derive(Debug, Clone)]
#[must_use = "the node goes on without it, but nobody knows how it ended"]
pub struct UpgradeOperation {
    client: Client,
    record: UpgradeRecord,
}

/// What runs after an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UpgradeOutcome {
    /// The release.
    pub version: String,
    /// The schematic it was booted from.
    pub schematic: Option<String>,
    /// The names of its extensions.
    pub extensions: Vec<String>,
    /// The id of the boot.
    pub boot_id: String,
}

impl UpgradeOperation {
    pub(super) fn new(client: Client, record: UpgradeRecord) -> Self {
        Self { client, record }
    }

    /// What is to be kept to go on observing from another process.
    #[must_use]
    pub fn record(&self) -> &UpgradeRecord {
        &self.record
    }

    /// Waits until the node runs the new release, and verifies release, schematic and extensions. Changes nothing.
    ///
    /// A node whose new release does not come up boots the old one from the other partition without a word. That is recognized
    /// by the release that runs once the machine has left the boot of the request and runs.
    ///
    /// # Errors
    /// [`ErrorKind::OperationFailed`] when the node says that the upgrade failed, runs the old release again, or runs another
    /// schematic or lacks an extension; [`ErrorKind::Deadline`] with the last error as its source.
    pub async fn wait(&self, poll: Poll) -> Result<UpgradeOutcome> {
        self.wait_observed(poll, |_| {}).await
    }

    /// As [`UpgradeOperation::wait`]; `observer` sees every event of the upgrade and the state of the wait after every attempt.
    ///
    /// # Errors
    /// As [`UpgradeOperation::wait`].
    pub async fn wait_observed(
        &self,
        poll: Poll,
        observer: impl FnMut(&WaitState),
    ) -> Result<UpgradeOutcome> {
        let target = self.client.machine().target();
        let waiting = Waiting::new(OPERATION, target, WaitingFor::Upgrade, poll, observer);
        until_deadline(waiting, async |waiting| {
            loop {
                if let Some(outcome) = self.observe(waiting).await? {
                    return Ok(outcome);
                }
                waiting.sleep().await;
            }
        })
        .await
    }

    /// One look at the node: where the upgrade is.
    async fn observe<F: FnMut(&WaitState)>(
        &self,
        waiting: &mut Waiting<F>,
    ) -> Result<Option<UpgradeOutcome>> {
        match self.look().await {
            Ok(seen) if seen.outcome.boot_id == self.record.boot_id => {
                if self
                    .record
                    .is_reached(&seen.outcome.version, seen.outcome.schematic.as_deref())
                {
                    // Nothing was to be done.
                    return self.verified(seen.outcome, waiting).map(Some);
                }
                waiting.report(WaitingFor::Upgrade, format!("stage {}", seen.status.stage));
                self.follow_events(waiting).await?;
                Ok(None)
            }
            // A node that boots may still fall back to the other partition.
            Ok(seen) if seen.status.stage == Stage::Running => {
                self.verified(seen.outcome, waiting).map(Some)
            }
            Ok(seen) => {
                let cause = format!("{}, {}", seen.outcome.version, seen.status);
                waiting.report(WaitingFor::Stage, cause);
                Ok(None)
            }
            Err(error) if error.is_retryable() => {
                waiting.report_error(WaitingFor::Reboot, error);
                Ok(None)
            }
            // A boot that has just begun has no status yet.
            Err(error) if error.is_not_found() => {
                waiting.report_error(WaitingFor::Stage, error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn look(&self) -> Result<Seen> {
        let (machine, resources) = (self.client.machine(), self.client.resources());
        let boot_id = machine.boot_id().await?;
        let version = machine.version().await?.tag;
        let schematic = resources.schematic_id().await?;
        let extensions = resources.list::<ExtensionStatus>().await?;
        let extensions = extensions.into_iter().map(|found| found.spec.name);
        let status = resources.singleton::<MachineStatus>().await?.spec;
        Ok(Seen {
            status,
            outcome: UpgradeOutcome {
                version,
                schematic,
                extensions: extensions.filter(|name| name != "schematic").collect(),
                boot_id,
            },
        })
    }

    /// Reports the events of the upgrade until they end: with the connection, or because nothing happens.
    async fn follow_events<F: FnMut(&WaitState)>(&self, waiting: &mut Waiting<F>) -> Result<()> {
        let Some(actor) = &self.record.actor else {
            return Ok(());
        };
        let events = self.client.machine().events_of(actor, EventTail::All);
        let mut events = events.deadline(SILENCE.min(waiting.remaining()));
        while let Some(Ok(event)) = events.next().await {
            match event.payload {
                EventPayload::Sequence {
                    sequence,
                    error: Some(error),
                    ..
                } => {
                    let message =
                        format!("the node could not complete sequence {sequence}: {error}");
                    return Err(waiting.failed(ErrorKind::OperationFailed, message));
                }
                EventPayload::Sequence {
                    sequence,
                    action: SequenceAction::Start,
                    ..
                } => waiting.report(WaitingFor::Upgrade, format!("sequence {sequence}")),
                EventPayload::Phase {
                    phase,
                    action: SequenceAction::Start,
                } => waiting.report(WaitingFor::Upgrade, format!("phase {phase}")),
                EventPayload::Task {
                    task,
                    action: SequenceAction::Start,
                } => waiting.report(WaitingFor::Upgrade, format!("task {task}")),
                _ => {}
            }
        }
        Ok(())
    }

    fn verified<F: FnMut(&WaitState)>(
        &self,
        outcome: UpgradeOutcome,
        waiting: &Waiting<F>,
    ) -> Result<UpgradeOutcome> {
        let expected = &self.record;
        let failed = |message: String| -> Result<UpgradeOutcome, Error> {
            Err(waiting.failed(ErrorKind::OperationFailed, message))
        };
        if outcome.version != expected.version && outcome.version == expected.from_version {
            return failed(format!(
                "the node runs {} again: {} was not installed, or did not come up and was rolled back; see the console",
                outcome.version, expected.version
            ));
        }
        if outcome.version != expected.version {
            return failed(format!(
                "the node runs {} instead of {}",
                outcome.version, expected.version
            ));
        }
        if let Some(schematic) = &expected.schematic
            && outcome.schematic.as_ref() != Some(schematic)
        {
            let found = outcome.schematic.as_deref().unwrap_or("none");
            return failed(format!(
                "the node runs schematic {found} instead of {schematic}"
            ));
        }
        let missing: Vec<&str> = expected
            .extensions
            .iter()
            .filter(|name| !outcome.extensions.contains(name))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            Ok(outcome)
        } else {
            failed(format!(
                "the node lacks the extensions {}",
                missing.join(", ")
            ))
        }
    }
}

struct Seen {
    status: MachineStatus,
    outcome: UpgradeOutcome,
}
