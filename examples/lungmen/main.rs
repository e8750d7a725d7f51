//! From an empty Proxmox VE to synced applications.
//!
//! Without `--live` everything runs against the Lab: all servers of the chain in this process. With it the same code talks
//! to the real ones; credentials come from the environment.

mod arguments;
mod environment;
mod failure;
mod live;
mod output;
mod progress;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;
use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::guard::BootstrapPermission;
use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::mock::{Lab, Pace};
use lungmen_bootstrap::{
    ClusterBootstrap, ClusterBootstrapBuilder, DestroyOptions, ScaleOptions, Severity, Spec,
    StepId, Verdict,
};

use arguments::{Arguments, Command};
use failure::Failure;
use output::Output;
use progress::{Progress, Style};

/// `plan` found something to do, `doctor` nothing worse than a warning, `status` something that is not healthy.
const CHANGES: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let output = Output::of(&arguments);
    output.begin();
    let code = match run(&arguments, &output).await {
        Ok(code) => code,
        Err(error) => {
            output.failure(&error);
            ExitCode::FAILURE
        }
    };
    output.end();
    code
}

/// Help and version are a success; a wrong command line fails like everything else, with 1.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe changes nothing about the outcome.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let spec = needed(arguments, Spec::load(&arguments.config)?);
    // The Lab lives as long as the command; dropping it stops its servers.
    let (builder, _lab) = if arguments.live {
        (live::bootstrap(spec, &arguments.without_tls)?, None)
    } else {
        let lab = start_lab(arguments, &spec).await?;
        (lab.bootstrap(spec), Some(lab))
    };
    let progress = Progress::new(Style::of_this_process(arguments.json));
    let bootstrap = configured(arguments, builder)?
        .observer(progress.clone())
        .build()?;
    let result = until_interrupted(arguments, &bootstrap, output).await;
    progress.close();
    result
}

/// The specification without what the asked steps do not need: nobody has to have a token of Argo CD for a kubeconfig.
fn needed(arguments: &Arguments, mut spec: Spec) -> Spec {
    let is_part = matches!(arguments.command(), Command::Run | Command::Plan);
    if is_part && arguments.until.is_some_and(|last| last < StepId::Register) {
        spec.argocd = None;
    }
    spec
}

async fn start_lab(arguments: &Arguments, spec: &Spec) -> Result<Lab, Failure> {
    let pace = if arguments.fast {
        Pace::Fast
    } else {
        Pace::Demo
    };
    // A second command finds the servers as the first one left them.
    Ok(Lab::builder()
        .pace(pace)
        .spec(spec)
        .state(arguments.output().join("lab.json"))
        .start()
        .await?)
}

/// The files of the command line and what it allows beyond the specification.
fn configured(
    arguments: &Arguments,
    builder: ClusterBootstrapBuilder,
) -> Result<ClusterBootstrapBuilder, Failure> {
    let folder = arguments.output();
    let journal = folder.join("lungmen.journal");
    let mut builder = builder.output(&folder);
    // A command that only reads makes no folder and no journal.
    if arguments.command().acts() || journal.exists() {
        builder = builder.journal(FileJournal::open(journal)?);
    }
    if let Some(path) = &arguments.merge_talosconfig {
        builder = builder.merge_talosconfig(path);
    }
    if arguments.allow_reboots {
        builder = builder.allow_reboots();
    }
    if let Some(file) = &arguments.import_secrets {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::message(format!("{}: {error}", file.display())))?;
        builder = builder.import_secrets(Import::SecretsYaml(text.into()));
    }
    if arguments.ignore_unknown_etcd {
        builder = builder.bootstrap_permission(BootstrapPermission::IgnoreUnknown);
    }
    if arguments.recover_lost_etcd {
        builder = builder.bootstrap_permission(BootstrapPermission::RecoverLostData);
    }
    Ok(builder)
}

/// A signal drops the command where it is; the next one resumes.
async fn until_interrupted(
    arguments: &Arguments,
    bootstrap: &ClusterBootstrap,
    output: &Output,
) -> Result<ExitCode, Failure> {
    tokio::select! {
        result = perform(arguments, bootstrap, output) => result,
        signal = signals::received() => {
            output.interrupted(signal);
            Ok(ExitCode::from(signal.exit_code()))
        }
    }
}

async fn perform(
    arguments: &Arguments,
    bootstrap: &ClusterBootstrap,
    output: &Output,
) -> Result<ExitCode, Failure> {
    match arguments.command() {
        Command::Run => complete(arguments, bootstrap, output).await,
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
            output.destroyed(&bootstrap.destroy(&options).await?);
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
            output.destroyed(&bootstrap.scale(&options).await?);
            complete(arguments, bootstrap, output).await
        }
        Command::Doctor => {
            let diagnosis = bootstrap.doctor().await;
            output.result(&diagnosis);
            Ok(match diagnosis.severity() {
                None | Some(Severity::Note) => ExitCode::SUCCESS,
                Some(Severity::Warning) => ExitCode::from(CHANGES),
                _ => ExitCode::FAILURE,
            })
        }
        Command::Status => {
            let status = bootstrap.status().await;
            output.result(&status);
            Ok(match status.is_healthy() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(CHANGES),
            })
        }
        Command::Plan => {
            let last = arguments.until.unwrap_or(StepId::Applications);
            let plan = bootstrap.plan_until(last).await;
            output.result(&plan);
            Ok(match plan.verdict() {
                Verdict::Nothing => ExitCode::SUCCESS,
                Verdict::Changes => ExitCode::from(CHANGES),
                _ => ExitCode::FAILURE,
            })
        }
    }
}

async fn complete(
    arguments: &Arguments,
    bootstrap: &ClusterBootstrap,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if let Some(last) = arguments.until {
        output.reached(&bootstrap.run_until(last).await?);
    } else {
        output.success(&bootstrap.run().await?);
    }
    Ok(ExitCode::SUCCESS)
}
