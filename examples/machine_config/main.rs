//! `talosctl gen secrets`, `gen config`, `machineconfig patch`, `validate` and `config` without `talosctl`.
//!
//! ```text
//! machine_config gen-secrets -o secrets.yaml --talos-version v1.10.7
//! machine_config gen-config lungmen https://10.0.2.10:6443 --with-secrets secrets.yaml --output out --talos-version v1.10.7
//! machine_config patch out/controlplane.yaml --patch @node.yaml -o node1.yaml --talos-version v1.10.7
//! machine_config validate --config node1.yaml --mode metal --talos-version v1.10.7
//! machine_config talosconfig endpoints 10.0.2.10 --talosconfig out/talosconfig
//! ```
//!
//! Flags are named as those of `talosctl`, and error texts are its own. `--talos-version` names the Talos release the nodes
//! run: besides the version contract it decides the default Kubernetes version and the tag of the installer image.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod failure;
mod files;
mod flags;
mod gen_config;
mod gen_secrets;
mod patch;
mod talosconfig;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "machine_config",
    about = "Talos machine configuration without talosctl",
    args_override_self = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generates a secrets bundle, or extracts one from an existing cluster.
    GenSecrets(gen_secrets::Arguments),
    /// Generates machine configuration and a talosconfig.
    GenConfig(Box<gen_config::Arguments>),
    /// Applies patches to a machine configuration.
    Patch(patch::Arguments),
    /// Validates a machine configuration.
    Validate(validate::Arguments),
    /// Shows and changes a talosconfig.
    Talosconfig(talosconfig::Arguments),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let failed = error.use_stderr();
            // Nobody is left to tell when the message cannot be printed.
            let _ = error.print();
            return if failed {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let outcome = match cli.command {
        Command::GenSecrets(arguments) => gen_secrets::run(&arguments),
        Command::GenConfig(arguments) => gen_config::run(&arguments),
        Command::Patch(arguments) => patch::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Talosconfig(arguments) => talosconfig::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
