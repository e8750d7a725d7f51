//! A configuration that a node has accepted, until it is in effect.

use std::fmt;
use std::ops::ControlFlow;

use secrecy::{ExposeSecret as _, SecretString};

use crate::api::cosi::{Change, MachineConfigStatus};
use crate::api::wait::{Waiting, WaitingFor, follow, until_deadline};
use crate::config::{Diff, MachineConfig, diff};
use crate::machine::ApplyMode;
use crate::{ApplyOptions, Client, Error, ErrorKind, Poll, Result, WaitState};

const OPERATION: &str = "wait for configuration";

/// A change that the node has accepted. It may take effect later, or, when it is tried, only for a time.
#[derive(Clone)]
#[must_use = "what was accepted is not in effect yet"]
pub struct AppliedEdit {
    client: Client,
    after: MachineConfig,
    text: SecretString,
    mode: ApplyMode,
    warnings: Vec<String>,
    /// The boot that the change was sent to; only known where it ends with the change.
    boot: Option<String>,
}

impl AppliedEdit {
    pub(super) async fn send(
        client: Client,
        after: MachineConfig,
        text: SecretString,
        options: ApplyOptions,
    ) -> Result<Self> {
        let machine = client.machine();
        // After the call it may be too late to ask.
        let boot = match options.requested() {
            ApplyMode::Auto | ApplyMode::Reboot => Some(machine.boot_id().await?),
            _ => None,
        };
        let answer = machine.apply_configuration(&text, options).await?;
        Ok(Self {
            client,
            after,
            text,
            mode: answer.mode.unwrap_or(options.requested()),
            warnings: answer.warnings,
            boot,
        })
    }

    /// How the change takes effect: never [`ApplyMode::Auto`], but what the node made of it.
    #[must_use]
    pub fn mode(&self) -> ApplyMode {
        self.mode
    }

    /// What the node finds unusual in the configuration.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Waits until the change is where its mode puts it. Changes nothing.
    ///
    /// | mode | waits until |
    /// |---|---|
    /// | no reboot, try | it is active |
    /// | staged | it is on the disk; it becomes active with the next reboot |
    /// | reboot | the node has booted again and it is active |
    ///
    /// # Errors
    /// [`ErrorKind::OperationFailed`] when the node has booted again with another configuration, [`ErrorKind::Deadline`] with the
    /// last error as its source.
    pub async fn wait(&self, poll: Poll) -> Result<()> {
        self.wait_observed(poll, |_| {}).await
    }

    /// As [`AppliedEdit::wait`]; `observer` sees the state of the wait after every attempt.
    ///
    /// # Errors
    /// As [`AppliedEdit::wait`].
    pub async fn wait_observed(&self, poll: Poll, observer: impl FnMut(&WaitState)) -> Result<()> {
        let target = self.client.machine().target();
        let first = match self.mode {
            ApplyMode::Reboot => WaitingFor::Reboot,
            _ => WaitingFor::Configuration,
        };
        let waiting = Waiting::new(OPERATION, target, first, poll, observer);
        until_deadline(waiting, async |waiting| match self.mode {
            ApplyMode::Reboot => self.after_reboot(waiting).await,
            ApplyMode::Staged => self.is_at(MachineConfigStatus::PERSISTENT, waiting).await,
            _ => self.is_at(MachineConfigStatus::ACTIVE, waiting).await,
        })
        .await
    }

    /// Makes a change that is being tried permanent, by applying it again without a reboot. Needs `os:admin`. It may be repeated.
    ///
    /// Comes too late when the node has already taken the change back: then it applies it again.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the change was not tried but applied in another mode; otherwise as
    /// [`crate::Machine::apply_configuration`].
    pub async fn confirm(self) -> Result<Self> {
        self.require_trial("confirm configuration")?;
        let options = ApplyOptions::default().mode(ApplyMode::NoReboot);
        Self::send(self.client, self.after, self.text, options).await
    }

    /// Waits until the node has taken back a change that is being tried. Changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the change was not tried, [`ErrorKind::Deadline`] when it is still active at the end, for
    /// example because it was confirmed.
    pub async fn wait_for_rollback(&self, poll: Poll) -> Result<()> {
        self.require_trial("wait for rollback")?;
        let target = self.client.machine().target();
        let what = WaitingFor::ConfigurationRollback;
        let waiting = Waiting::new("wait for rollback", target, what, poll, |_| {});
        until_deadline(waiting, async |waiting| {
            let judge = |change: &Change<MachineConfigStatus>| match self.distance(change) {
                Some(differences) if !differences.is_empty() => ControlFlow::Break(()),
                _ => ControlFlow::Continue((what, "the change is still active".to_owned())),
            };
            let resources = self.client.resources();
            follow(&resources, waiting, MachineConfigStatus::ACTIVE, judge).await
        })
        .await
    }

    fn require_trial(&self, operation: &'static str) -> Result<()> {
        if self.mode == ApplyMode::Try {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, operation)
            .with_target(self.client.machine().target())
            .with_message("the change was not applied in mode try"))
    }

    async fn is_at<F: FnMut(&WaitState)>(&self, id: &str, waiting: &mut Waiting<F>) -> Result<()> {
        let judge = |change: &Change<MachineConfigStatus>| match self.distance(change) {
            Some(differences) if differences.is_empty() => ControlFlow::Break(()),
            Some(differences) => {
                ControlFlow::Continue((WaitingFor::Configuration, missing(&differences)))
            }
            None => ControlFlow::Continue((
                WaitingFor::Configuration,
                "the node has no configuration".to_owned(),
            )),
        };
        follow(&self.client.resources(), waiting, id, judge).await
    }

    /// What the node lacks; `None` without a configuration that can be read.
    fn distance(&self, change: &Change<MachineConfigStatus>) -> Option<Vec<Diff>> {
        let text = &change.resource()?.spec.text;
        let present = MachineConfig::parse(text.expose_secret()).ok()?;
        Some(diff(&present, &self.after))
    }

    async fn after_reboot<F: FnMut(&WaitState)>(&self, waiting: &mut Waiting<F>) -> Result<()> {
        loop {
            match self.client.machine().boot_id().await {
                Ok(boot) if Some(&boot) != self.boot.as_ref() => break,
                Ok(_) => waiting.report(WaitingFor::Reboot, "the node has not gone down yet"),
                Err(error) if error.is_retryable() => {
                    waiting.report_error(WaitingFor::Reboot, error);
                }
                Err(error) => return Err(error),
            }
            waiting.sleep().await;
        }
        let judge = |change: &Change<MachineConfigStatus>| match self.distance(change) {
            // A boot reads its configuration from the disk before it serves the API.
            Some(differences) => ControlFlow::Break(differences),
            None => ControlFlow::Continue((
                WaitingFor::Configuration,
                "the node has no configuration yet".to_owned(),
            )),
        };
        let resources = self.client.resources();
        let differences = follow(&resources, waiting, MachineConfigStatus::ACTIVE, judge).await?;
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the node has booted with another configuration: {}",
            missing(&differences)
        );
        Err(waiting.failed(ErrorKind::OperationFailed, message))
    }
}

/// The first difference, and how many others there are.
fn missing(differences: &[Diff]) -> String {
    let first = differences
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    match differences.len() {
        0 | 1 => first,
        more => format!("{first} and {} more", more.saturating_sub(1)),
    }
}

impl fmt::Debug for AppliedEdit {
    /// Without the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppliedEdit")
            .field("target", &self.client.machine().target())
            .field("mode", &self.mode)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}
