//! `machineconfig patch`

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::config::MachineConfig;

use super::failure::Outcome;
use super::files;
use super::flags::{ReleaseFlag, config_patch};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Configuration to patch.
    file: String,
    /// Patch as text or @FILE; repeatable, never split on commas.
    #[arg(short, long)]
    patch: Vec<String>,
    /// File to write; standard output when not given.
    #[arg(short, long)]
    output: Option<String>,
    #[command(flatten)]
    release: ReleaseFlag,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let text = files::read(&arguments.file)?;
    let release = arguments.release.release()?;
    let patches = arguments
        .patch
        .iter()
        .map(|argument| config_patch(argument, &release))
        .collect::<Outcome<Vec<_>>>()?;
    let patched = if patches.is_empty() {
        // Without a patch the bytes stay as they are, whatever they mean.
        text
    } else {
        MachineConfig::parse(text.expose_secret())?
            .patched(&patches, &release)?
            .to_yaml()
    };
    match &arguments.output {
        Some(path) => files::write(path, &patched, files::Durability::Cached),
        None => files::write(
            files::STDOUT,
            &SecretString::from(format!("{}\n", patched.expose_secret())),
            files::Durability::Cached,
        ),
    }
}
