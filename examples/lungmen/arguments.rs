//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use lungmen_bootstrap::StepId;

use crate::environment;
use crate::shell::quoted;

/// The specification that is used when no other is given.
const DEFAULT_SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lungmen.yaml");

/// Builds a Talos Kubernetes cluster on Proxmox VE and hands it to Argo CD.
///
/// Exit codes: 0 done, or nothing to do; 1 failure, or `doctor` found an error; 2 `plan` found something to do, the
/// gravest finding of `doctor` is a warning, or `status` found something that is not healthy; 3 a run ended where only a
/// person allows to go on; 129, 130 or 143 interrupted by SIGHUP, SIGINT or SIGTERM.
#[derive(Debug, Parser)]
#[command(name = "lungmen", version, after_long_help = environment::help())]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The specification of the cluster.
    #[arg(global = true, long, value_name = "FILE", default_value = DEFAULT_SPEC)]
    pub(crate) config: PathBuf,

    /// Talk to the real servers; the end of this help says where their addresses, tokens and trust come from.
    #[arg(global = true, long)]
    pub(crate) live: bool,

    #[command(flatten)]
    pub(crate) servers: Servers,

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

    /// The folder of a storage for snippets, mounted here: machines with `configDelivery: userData` get their configuration
    /// through it. Repeatable, once for each storage.
    #[arg(global = true, long, value_name = "STORAGE=DIR", value_parser = folder_of_storage)]
    pub(crate) snippets: Vec<(String, PathBuf)>,

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

    /// Print events and results as JSON lines; `lungmen schema` prints the JSON Schema of a line.
    #[arg(global = true, long)]
    pub(crate) json: bool,

    /// Also write the whole run as one HTML page: the timeline of all steps and machines, checks and versions. For `run` and
    /// `scale`.
    #[arg(global = true, long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Without a terminal: repeat every so many seconds what is waited for.
    #[arg(global = true, long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) heartbeat: Duration,

    /// Run the Lab without demo delays.
    #[arg(global = true, long, conflicts_with = "live")]
    pub(crate) fast: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number of seconds from 1 on".to_owned()),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

fn folder_of_storage(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((storage, folder)) if !storage.is_empty() && !folder.is_empty() => {
            Ok((storage.to_owned(), folder.into()))
        }
        _ => Err("must be STORAGE=DIR".to_owned()),
    }
}

/// The servers of `--live`, each by its name: proxmox, factory, openbao, argocd.
#[derive(Debug, Clone, Args)]
pub(crate) struct Servers {
    /// The address of a server. Repeatable, like the flags with SERVER that follow.
    #[arg(global = true, long, value_name = "SERVER=URL", value_parser = of_server)]
    pub(crate) address: Vec<OfServer>,

    /// A file with the token for a server.
    #[arg(global = true, long, value_name = "SERVER=FILE", value_parser = of_server)]
    pub(crate) token_file: Vec<OfServer>,

    /// A file with the certificate authority of a server.
    #[arg(global = true, long, value_name = "SERVER=FILE", value_parser = of_server)]
    pub(crate) ca_file: Vec<OfServer>,

    /// The SHA-256 fingerprint of the certificate of a server.
    #[arg(global = true, long, value_name = "SERVER=SHA256", value_parser = of_server)]
    pub(crate) fingerprint: Vec<OfServer>,

    /// Reach a server without TLS.
    #[arg(global = true, long, value_name = "SERVER", value_parser = PossibleValuesParser::new(environment::servers()))]
    pub(crate) without_tls: Vec<String>,
}

/// A value for the server of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfServer {
    server: String,
    value: String,
}

fn of_server(text: &str) -> Result<OfServer, String> {
    let servers: Vec<&str> = environment::servers().collect();
    match text.split_once('=') {
        Some((server, value)) if servers.contains(&server) && !value.is_empty() => Ok(OfServer {
            server: server.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err(format!(
            "must be SERVER=VALUE, SERVER one of {}",
            servers.join(", ")
        )),
    }
}

impl Servers {
    /// The last value for a server.
    pub(crate) fn of(values: &[OfServer], server: &str) -> Option<String> {
        let mut values = values.iter().rev();
        let found = values.find(|given| given.server == server);
        found.map(|given| given.value.clone())
    }

    /// The same flags once more.
    fn repeated(&self) -> String {
        let mut flags = String::new();
        for (flag, values) in [
            ("address", &self.address),
            ("token-file", &self.token_file),
            ("ca-file", &self.ca_file),
            ("fingerprint", &self.fingerprint),
        ] {
            for OfServer { server, value } in values {
                flags.push_str(&format!(
                    " --{flag} {}",
                    quoted(format!("{server}={value}"))
                ));
            }
        }
        for server in &self.without_tls {
            flags.push_str(&format!(" --without-tls {server}"));
        }
        flags
    }
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Build the cluster, or finish building it. This is the default.
    Run,
    /// Ask every server what a run has left to do; changes nothing. Exit code 0: nothing, 2: something, 1: a run would fail,
    /// or something is unknown and nothing else is left to do.
    Plan,
    /// Check every server and the specification against each other, all at once; changes nothing. Exit code 0: nothing, or
    /// notes only, 2: warnings, 1: errors.
    Doctor,
    /// What exists, its versions and health, when certificates expire, and what differs from the specification; changes
    /// nothing. Exit code 0: healthy and as the specification says, 2: not so, or unknown.
    Status,
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
    /// Remove the machines that left the specification (nodes are drained and leave etcd first), then run.
    Scale {
        /// The name of the cluster, as a confirmation.
        #[arg(long, value_name = "CLUSTER")]
        yes: String,

        /// Also remove machines whose nodes do not answer.
        #[arg(long)]
        including_lost: bool,
    },
    /// Renew the admin certificates in talosconfig and kubeconfig that end within 30 days, in the files and in the store.
    Renew {
        /// Renew them whenever they end.
        #[arg(long)]
        everything: bool,

        /// Also replace the token with which Argo CD reaches the cluster.
        #[arg(long)]
        argocd_token: bool,
    },
    /// Print the log of a node: what its kernel says, or one of its services.
    Logs {
        /// The machine; unless set, the first control plane.
        #[arg(long, value_name = "NAME")]
        machine: Option<String>,

        /// The service, such as etcd or kubelet; unless set, the kernel.
        #[arg(long, value_name = "SERVICE")]
        service: Option<String>,

        /// Stay connected and print new lines too, until interrupted.
        #[arg(long)]
        follow: bool,
    },
    /// Write a file for somebody who helps: states, events of the last run, and logs of the nodes, without secrets.
    Support {
        /// The file, a .tar.gz with mode 0600. Unless set: `support.tar.gz` in the output folder.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the lines that --json prints.
    Schema,
}

impl Command {
    /// Whether the command changes anything; one that only reads makes no folder and no journal.
    pub(crate) fn acts(&self) -> bool {
        self.runs() || matches!(self, Self::Destroy { .. } | Self::Renew { .. })
    }

    /// Whether the command builds the cluster, or finishes building it.
    pub(crate) fn runs(&self) -> bool {
        matches!(self, Self::Run | Self::Scale { .. })
    }
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
        if self.live {
            flags.push_str(" --live");
        }
        flags.push_str(&self.servers.repeated());
        if self.config != *DEFAULT_SPEC {
            flags.push_str(&format!(" --config {}", quoted(self.config.display())));
        }
        if let Some(folder) = &self.output {
            flags.push_str(&format!(" --output {}", quoted(folder.display())));
        }
        for (storage, folder) in &self.snippets {
            let value = format!("{storage}={}", folder.display());
            flags.push_str(&format!(" --snippets {}", quoted(value)));
        }
        flags
    }
}
