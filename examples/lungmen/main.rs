//! From an empty Proxmox VE to synced applications.
//!
//! Without arguments everything runs against the Lab: all servers of the chain in this process. With `--live` the
//! same code talks to the real ones; credentials come from the environment.

mod failure;
mod live;
mod output;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lungmen_bootstrap::claim::Import;
use lungmen_bootstrap::guard::BootstrapPermission;
use lungmen_bootstrap::journal::FileJournal;
use lungmen_bootstrap::mock::{Lab, Pace};
use lungmen_bootstrap::{ClusterBootstrap, ClusterBootstrapBuilder, Spec, StepId};

use failure::Failure;

use progress::Style;

/// The specification that is used when no other is given.
const DEFAULT_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lungmen.yaml");

/// Builds a Talos Kubernetes cluster on Proxmox VE and hands it to Argo CD.
#[derive(Debug, Parser)]
#[command(name = "lungmen", version)]
struct Arguments {
    /// The specification of the cluster.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_SPEC)]
    config: PathBuf,

    /// Talk to the real servers. Reads PROXMOX_VE_ENDPOINT, PROXMOX_VE_API_TOKEN, ARGOCD_SERVER,
    /// ARGOCD_AUTH_TOKEN, BAO_ADDR or VAULT_ADDR, BAO_TOKEN or VAULT_TOKEN.
    #[arg(long, requires = "config")]
    live: bool,

    /// Print the plan and exit.
    #[arg(long)]
    plan: bool,

    /// The folder of the files; they hold secrets and are written with mode 0600.
    #[arg(long, value_name = "DIR", default_value = "generated")]
    output: PathBuf,

    /// Stop after this step.
    #[arg(long, value_name = "STEP")]
    until: Option<StepId>,

    /// Also merge the context of the cluster into this talosconfig.
    #[arg(long, value_name = "FILE")]
    merge_talosconfig: Option<PathBuf>,

    /// Allow a changed machine configuration to reboot its node, one node at a time.
    #[arg(long)]
    allow_reboots: bool,

    /// Take over the secrets bundle of an existing cluster from this secrets.yaml. Only for a cluster without a record.
    #[arg(long, value_name = "FILE")]
    import_secrets: Option<PathBuf>,

    /// Bootstrap etcd although the state of some control plane nodes is unknown. Only when they were never members.
    #[arg(long, conflicts_with = "recover_lost_etcd")]
    ignore_unknown_etcd: bool,

    /// Bootstrap an empty etcd for a cluster that has lost its etcd data on every node.
    #[arg(long)]
    recover_lost_etcd: bool,

    /// Print events as JSON lines.
    #[arg(long)]
    json: bool,

    /// Run the Lab without demo delays.
    #[arg(long, conflicts_with = "live")]
    fast: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error, arguments.json);
            ExitCode::FAILURE
        }
    }
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

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let spec = Spec::load(&arguments.config)?;
    if arguments.plan {
        output::plan(&spec.bootstrap().plan()?, arguments.json);
        return Ok(());
    }
    // The Lab lives as long as the run; dropping it stops its servers.
    let (builder, _lab) = if arguments.live {
        (live::bootstrap(spec)?, None)
    } else {
        let lab = start_lab(arguments, &spec).await?;
        (lab.bootstrap(spec), Some(lab))
    };
    bootstrap(arguments, builder).await
}

async fn start_lab(arguments: &Arguments, spec: &Spec) -> Result<Lab, Failure> {
    let pace = if arguments.fast {
        Pace::Fast
    } else {
        Pace::Demo
    };
    // A second run finds the servers as the first one left them.
    Ok(Lab::builder()
        .pace(pace)
        .spec(spec)
        .state(arguments.output.join("lab.json"))
        .start()
        .await?)
}

async fn bootstrap(arguments: &Arguments, builder: ClusterBootstrapBuilder) -> Result<(), Failure> {
    let style = Style::of_this_process(arguments.json);
    let progress = progress::Progress::new(style);
    let mut builder = builder
        .output(&arguments.output)
        .journal(FileJournal::open(arguments.output.join("lungmen.journal"))?)
        .observer(progress.clone());
    if let Some(path) = &arguments.merge_talosconfig {
        builder = builder.merge_talosconfig(path);
    }
    let bootstrap = with_permissions(arguments, builder)?.build()?;
    let result = until_interrupted(arguments, &bootstrap).await;
    progress.close();
    result
}

/// What the command line allows beyond the specification.
fn with_permissions(
    arguments: &Arguments,
    mut builder: ClusterBootstrapBuilder,
) -> Result<ClusterBootstrapBuilder, Failure> {
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

/// Ctrl-C drops the run where it is; the next one resumes.
async fn until_interrupted(
    arguments: &Arguments,
    bootstrap: &ClusterBootstrap,
) -> Result<(), Failure> {
    tokio::select! {
        result = complete(arguments, bootstrap) => result,
        _ = tokio::signal::ctrl_c() => {
            output::interrupted();
            std::process::exit(130);
        }
    }
}

async fn complete(arguments: &Arguments, bootstrap: &ClusterBootstrap) -> Result<(), Failure> {
    if let Some(last) = arguments.until {
        let progress = bootstrap.run_until(last).await?;
        output::reached(&progress, arguments.json);
    } else {
        let cluster = bootstrap.run().await?;
        output::success(&cluster, arguments.json);
    }
    Ok(())
}
