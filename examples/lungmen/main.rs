//! From an empty Proxmox VE to synced applications.
//!
//! Without `--live` everything runs against the Lab: all servers of the chain in this process. With it the same code talks
//! to the real ones; credentials come from the environment.

mod arguments;
mod commands;
mod environment;
mod failure;
mod lines;
mod live;
mod output;
mod progress;
mod record;
mod report;
mod shell;
mod signals;
mod support;

use std::process::ExitCode;

use clap::Parser as _;
use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::guard::BootstrapPermission;
use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::mock::{Lab, Pace};
use lungmen_bootstrap::snippets::DirectorySnippets;
use lungmen_bootstrap::{ClusterBootstrapBuilder, Spec, StepId};

use arguments::{Arguments, Command};
use commands::Session;
use failure::Failure;
use output::Output;
use progress::{Progress, Style};
use record::EventFile;
use report::{Ending, Report};
use signals::Signals;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let output = Output::of(&arguments);
    if matches!(arguments.command(), Command::Schema) {
        output.schema();
        return ExitCode::SUCCESS;
    }
    let signals = Signals::listen();
    output.begin();
    let code = match run(&arguments, &output, signals).await {
        Ok(code) => code,
        Err(error) => {
            let error = error.explained().await;
            output.failure(&error);
            ExitCode::from(error.exit_code())
        }
    };
    output.end();
    code
}

/// Help and version are a success; a wrong command line fails like everything else, with 1, and for programs as an object.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args().any(|argument| argument == "--json") {
        Output::of_usage().failure(&Failure::message(error.to_string()));
        return ExitCode::FAILURE;
    }
    // A closed pipe changes nothing about the outcome.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

async fn run(
    arguments: &Arguments,
    output: &Output,
    signals: Signals,
) -> Result<ExitCode, Failure> {
    let spec = needed(arguments, Spec::load(&arguments.config)?)?;
    // The Lab lives as long as the command; dropping it stops its servers.
    let (builder, _lab) = if arguments.live {
        let asks_proxmox = asks_proxmox(arguments);
        let builder = live::bootstrap(spec, &arguments.servers, asks_proxmox)?;
        (builder, None)
    } else {
        let lab = start_lab(arguments, &spec).await?;
        (lab.bootstrap(spec), Some(lab))
    };
    let style = Style::of_this_process(arguments.json);
    let progress = Progress::new(style, arguments.heartbeat);
    let report = arguments
        .report
        .as_deref()
        .map(|path| Report::new(path, !arguments.live));
    let mut builder = configured(arguments, builder)?.observer(progress.clone());
    if let Some(report) = &report {
        builder = builder.observer(report.clone());
    }
    if arguments.command().runs() {
        builder = builder.observer(EventFile::create(&arguments.output())?);
    }
    let session = Session {
        arguments,
        output,
        report: report.as_ref(),
        bootstrap: &builder.build()?,
    };
    let result = until_interrupted(&session, signals).await;
    progress.close();
    result
}

/// The specification without what the asked steps do not need: nobody has to have a token of Argo CD for a kubeconfig. What is
/// left out is checked all the same.
fn needed(arguments: &Arguments, mut spec: Spec) -> Result<Spec, Failure> {
    let is_part = match arguments.command() {
        // A run or plan that ends with the checks was asked to check everything.
        Command::Run | Command::Plan => arguments
            .until
            .is_some_and(|last| last < StepId::Register && last != StepId::Preflight),
        Command::Logs { .. } => true,
        Command::Renew { argocd_token, .. } => !argocd_token,
        _ => false,
    };
    if is_part {
        spec.clone().bootstrap().outline()?;
        spec.argocd = None;
    }
    if !asks_servers(arguments) {
        spec.openbao = None;
    }
    Ok(spec)
}

/// The check of a specification asks no server.
fn asks_servers(arguments: &Arguments) -> bool {
    let runs = matches!(arguments.command(), Command::Run | Command::Plan);
    !(runs && arguments.until == Some(StepId::Spec))
}

/// Whether the command asks Proxmox VE anything.
fn asks_proxmox(arguments: &Arguments) -> bool {
    let command = arguments.command();
    asks_servers(arguments) && !matches!(command, Command::Logs { .. } | Command::Renew { .. })
}

async fn start_lab(arguments: &Arguments, spec: &Spec) -> Result<Lab, Failure> {
    let pace = if arguments.fast {
        Pace::Fast
    } else {
        Pace::Demo
    };
    let mut lab = Lab::builder();
    for (storage, folder) in &arguments.snippets {
        lab = lab.snippets(storage, folder);
    }
    // A second command finds the servers as the first one left them.
    Ok(lab
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
    for (storage, folder) in &arguments.snippets {
        builder = builder.snippets(storage, DirectorySnippets::new(folder));
    }
    if arguments.allow_reboots {
        builder = builder.allow_reboots();
    }
    if let Some(file) = &arguments.import_secrets {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::message(format!("'{}': {error}", file.display())))?;
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
    session: &Session<'_>,
    mut signals: Signals,
) -> Result<ExitCode, Failure> {
    tokio::select! {
        result = session.perform() => {
            if let Err(failure) = &result {
                session.write_report(&Ending::Failed(failure))?;
            }
            result
        }
        signal = signals.received() => {
            session.write_report(&Ending::Interrupted(signal))?;
            session.output.interrupted(signal);
            Ok(ExitCode::from(signal.exit_code()))
        }
    }
}
