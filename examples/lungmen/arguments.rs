//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use lungmen_bootstrap::StepId;

/// The specification that is used when no other is given.
const DEFAULT_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lungmen.yaml");

/// Builds a Talos Kubernetes cluster on Proxmox VE and hands it to Argo CD.
///
/// Exit codes: 0 done, or nothing to do; 1 failure; 2 `plan` found something to do; 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "lungmen", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The specification of the cluster.
    #[arg(global = true, long, value_name = "FILE", default_value = DEFAULT_SPEC)]
    pub(crate) config: PathBuf,

    /// Talk to the real servers. Reads PROXMOX_VE_ENDPOINT, PROXMOX_VE_API_TOKEN, ARGOCD_SERVER,
    /// ARGOCD_AUTH_TOKEN, BAO_ADDR or VAULT_ADDR, BAO_TOKEN or VAULT_TOKEN.
    #[arg(global = true, long)]
    pub(crate) live: bool,

    /// The same as the command `plan`.
    #[arg(long)]
    plan: bool,

    /// The folder of the files; they hold secrets and are written with mode 0600. Unless set: `generated`, and
    /// `generated/lab` for the Lab.
    #[arg(global = true, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Run or plan up to this step.
    #[arg(global = true, long, value_name = "STEP")]
    pub(crate) until: Option<StepId>,

    /// Also merge the context of the cluster into this talosconfig.
    #[arg(global = true, long, value_name = "FILE")]
    pub(crate) merge_talosconfig: Option<PathBuf>,

    /// Allow a changed machine configuration to reboot its node, one node at a time.
    #[arg(global = true, long)]
    pub(crate) allow_reboots: bool,

    /// Take over the secrets bundle of an existing cluster from this secrets.yaml. Only for a cluster without a record.
    #[arg(global = true, long, value_name = "FILE")]
    pub(crate) import_secrets: Option<PathBuf>,

    /// Bootstrap etcd although the state of some control plane nodes is unknown. Only when they were never members.
    #[arg(global = true, long, conflicts_with = "recover_lost_etcd")]
    pub(crate) ignore_unknown_etcd: bool,

    /// Bootstrap an empty etcd for a cluster that has lost its etcd data on every node.
    #[arg(global = true, long)]
    pub(crate) recover_lost_etcd: bool,

    /// Print events and results as JSON lines.
    #[arg(global = true, long)]
    pub(crate) json: bool,

    /// Run the Lab without demo delays.
    #[arg(global = true, long, conflicts_with = "live")]
    pub(crate) fast: bool,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Build the cluster, or finish building it. This is the default.
    Run,
    /// Ask every server what a run has left to do; changes nothing. Exit code 0: nothing, 2: something, 1: a run would fail,
    /// or something is unknown and nothing else is left to do.
    Plan,
    /// Destroy the cluster, or one machine of it. Secrets are kept: the cluster record and the files.
    Destroy {
        /// The name of the cluster, as a confirmation.
        #[arg(long, value_name = "CLUSTER")]
        yes: String,

        /// Destroy only this machine: a worker, or one that left the specification.
        #[arg(long, value_name = "NAME")]
        machine: Option<String>,

        /// Remove the entry in Argo CD although applications target the cluster.
        #[arg(long)]
        despite_applications: bool,
    },
}

impl Arguments {
    pub(crate) fn command(&self) -> Command {
        match &self.command {
            _ if self.plan => Command::Plan,
            Some(command) => command.clone(),
            None => Command::Run,
        }
    }

    /// Simulated clusters never share a folder with real ones, unless somebody asks for it.
    pub(crate) fn output(&self) -> PathBuf {
        let default = if self.live {
            "generated"
        } else {
            "generated/lab"
        };
        self.output.clone().unwrap_or_else(|| default.into())
    }

    /// The flags with which another command finds the same cluster.
    pub(crate) fn repeated(&self) -> String {
        let mut flags = String::new();
        if self.config != *DEFAULT_SPEC {
            flags.push_str(&format!(" --config '{}'", self.config.display()));
        }
        if let Some(folder) = &self.output {
            flags.push_str(&format!(" --output '{}'", folder.display()));
        }
        flags
    }
}
