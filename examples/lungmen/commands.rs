//! What each command does, and the exit code that tells its outcome.

use std::io::Write as _;
use std::process::ExitCode;

use futures_util::StreamExt as _;
use lungmen_bootstrap::{
    ClusterBootstrap, DestroyOptions, LogsOptions, RenewOptions, RunOutcome, ScaleOptions,
    Severity, StepId, Verdict,
};

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::output::Output;
use crate::report::{Ending, Report};
use crate::support;

/// `plan` found something to do, `doctor` nothing worse than a warning, `status` something that is not healthy.
const CHANGES: u8 = 2;

/// One command with everything that it works with.
pub(crate) struct Session<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) output: &'a Output,
    pub(crate) report: Option<&'a Report>,
    pub(crate) bootstrap: &'a ClusterBootstrap,
}

impl Session<'_> {
    pub(crate) async fn perform(&self) -> Result<ExitCode, Failure> {
        match self.arguments.command() {
            Command::Run => self.complete().await,
            Command::Plan => Ok(self.plan().await),
            Command::Doctor => Ok(self.doctor().await),
            Command::Status => Ok(self.status().await),
            Command::Destroy {
                yes,
                machine,
                despite_applications,
            } => {
                let mut options = DestroyOptions::confirmed(yes);
                if let Some(name) = machine {
                    options = options.only_machine(name);
                }
                if despite_applications {
                    options = options.despite_applications();
                }
                let destroyed = self.bootstrap.destroy(&options).await?;
                self.output.destroyed("destroyed", &destroyed);
                Ok(ExitCode::SUCCESS)
            }
            Command::Scale {
                yes,
                including_lost,
            } => {
                let mut options = ScaleOptions::confirmed(yes);
                if including_lost {
                    options = options.including_lost();
                }
                let scaled = self.bootstrap.scale(&options).await?;
                self.output.destroyed("scaled", &scaled);
                self.complete().await
            }
            Command::Renew {
                everything,
                argocd_token,
            } => {
                let mut options = RenewOptions::near_their_end();
                if everything {
                    options = options.everything();
                }
                if argocd_token {
                    options = options.argocd_token();
                }
                self.output.renewed(&self.bootstrap.renew(&options).await?);
                Ok(ExitCode::SUCCESS)
            }
            Command::Logs {
                machine,
                service,
                follow,
            } => self.logs(machine, service, follow).await,
            Command::Support { file } => {
                let written = support::write(self.arguments, self.bootstrap, file).await?;
                self.output.support(&written);
                Ok(ExitCode::SUCCESS)
            }
            // It needs no cluster, so it ended before.
            Command::Schema => Ok(ExitCode::SUCCESS),
        }
    }

    /// A run up to the asked step, and its page.
    async fn complete(&self) -> Result<ExitCode, Failure> {
        if let Some(last) = self.arguments.until {
            let reached = self.bootstrap.run_until(last).await?;
            self.write_report(&Ending::Reached(&reached))?;
            self.output.reached(&reached);
            return Ok(ExitCode::SUCCESS);
        }
        let cluster = self.bootstrap.run().await?;
        self.write_report(&Ending::Complete(&cluster))?;
        self.output.success(&cluster);
        Ok(ended(cluster.outcome()))
    }

    pub(crate) fn write_report(&self, ending: &Ending<'_>) -> Result<(), Failure> {
        match self.report {
            Some(report) if self.arguments.command().runs() => report.write(ending),
            _ => Ok(()),
        }
    }

    async fn plan(&self) -> ExitCode {
        let last = self.arguments.until.unwrap_or(StepId::Applications);
        let plan = self.bootstrap.plan_until(last).await;
        self.output.result("plan", &plan);
        match plan.verdict() {
            Verdict::Nothing => ExitCode::SUCCESS,
            Verdict::Changes => ExitCode::from(CHANGES),
            _ => ExitCode::FAILURE,
        }
    }

    async fn doctor(&self) -> ExitCode {
        let diagnosis = self.bootstrap.doctor().await;
        self.output.result("diagnosis", &diagnosis);
        match diagnosis.severity() {
            None | Some(Severity::Note) => ExitCode::SUCCESS,
            Some(Severity::Warning) => ExitCode::from(CHANGES),
            _ => ExitCode::FAILURE,
        }
    }

    async fn status(&self) -> ExitCode {
        let status = self.bootstrap.status().await;
        self.output.result("status", &status);
        match status.is_healthy() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(CHANGES),
        }
    }

    async fn logs(
        &self,
        machine: Option<String>,
        service: Option<String>,
        follow: bool,
    ) -> Result<ExitCode, Failure> {
        let mut options = match service {
            Some(service) => LogsOptions::service(service),
            None => LogsOptions::kernel(),
        };
        if let Some(name) = machine {
            options = options.machine(name);
        }
        if follow {
            options = options.follow();
        }
        let mut lines = self.bootstrap.logs(&options).await?;
        while let Some(piece) = lines.next().await {
            let piece = piece.map_err(lungmen_bootstrap::Error::from)?;
            if self.output.log(&piece).is_err() {
                // The reader has gone.
                return Ok(ExitCode::SUCCESS);
            }
        }
        let _ = std::io::stdout().flush();
        Ok(ExitCode::SUCCESS)
    }
}

/// A complete run is a success whether it changed something or not; what needs a permission is an exit code of its own.
pub(crate) fn ended(outcome: RunOutcome) -> ExitCode {
    match outcome {
        RunOutcome::AlreadyDone | RunOutcome::Changed => ExitCode::SUCCESS,
        other => ExitCode::from(other.exit_code()),
    }
}
