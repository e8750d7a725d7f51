//! `gen secrets`

use std::path::Path;

use clap::{ArgAction, Args};
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::config::{MachineConfig, TalosVersion, VersionContract};
use talos_client::secrets::SecretsBundle;

use super::failure::{Failure, Outcome};
use super::files;
use super::flags::{ReleaseFlag, parse_bool};

const CREATE: &str = "failed to create secrets bundle";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// File to write, or - for standard output.
    #[arg(short, long, visible_alias = "output", default_value = "secrets.yaml")]
    output_file: String,
    #[command(flatten)]
    release: ReleaseFlag,
    /// Control plane configuration to extract the bundle from.
    #[arg(long)]
    from_controlplane_config: Option<String>,
    /// Directory of a kubeadm-style PKI to take over.
    #[arg(short = 'p', long)]
    from_kubernetes_pki: Option<String>,
    /// Bootstrap token to use with --from-kubernetes-pki.
    #[arg(short = 't', long, default_value = "")]
    kubernetes_bootstrap_token: String,
    /// Overwrites an existing file.
    #[arg(short, long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    force: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let contract = match arguments.release.text() {
        "" => VersionContract::CURRENT,
        version => VersionContract::parse(version)?,
    };
    files::check_free(&arguments.output_file, arguments.force)?;
    let bundle = bundle(arguments, contract)?;
    files::write(
        &arguments.output_file,
        &bundle.to_yaml(),
        files::Durability::Synced,
    )
}

fn bundle(arguments: &Arguments, contract: VersionContract) -> Outcome<SecretsBundle> {
    let created = if let Some(directory) = &arguments.from_kubernetes_pki {
        let token = SecretString::from(arguments.kubernetes_bootstrap_token.as_str());
        SecretsBundle::from_kubernetes_pki(Path::new(directory), token, contract)
    } else if let Some(path) = &arguments.from_controlplane_config {
        let config = load(path, &arguments.release.release()?)
            .map_err(|failure| failure.context("failed to load controlplane config"))?;
        SecretsBundle::from_controlplane_config(&config)
    } else {
        SecretsBundle::generate_blocking(contract)
    };
    created.map_err(|error| Failure::from(error).context(CREATE))
}

fn load(path: &str, release: &TalosVersion) -> Outcome<MachineConfig> {
    Ok(MachineConfig::load(
        files::read(path)?.expose_secret(),
        release,
    )?)
}
