//! `validate`

use clap::{ArgAction, Args};
use secrecy::ExposeSecret as _;
use talos_client::config::{MachineConfig, Mode, ValidationOptions};

use super::failure::Outcome;
use super::files;
use super::flags::{ReleaseFlag, parse_bool};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Configuration to validate.
    #[arg(short, long)]
    config: String,
    /// Where the machine runs: metal, cloud or container.
    #[arg(short, long)]
    mode: String,
    /// Makes warnings about the v1alpha1 document errors.
    #[arg(long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    strict: bool,
    #[command(flatten)]
    release: ReleaseFlag,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let text = files::read(&arguments.config)?;
    let release = arguments.release.release()?;
    let config = MachineConfig::load(text.expose_secret(), &release)?;
    let mode: Mode = arguments.mode.parse()?;
    let mut options = ValidationOptions::new(mode, &release);
    if arguments.strict {
        options = options.strict();
    }
    let validation = config.validate(&options);
    for warning in validation.warnings() {
        eprintln!("WARNING: {warning}");
    }
    validation.into_result()?;
    println!("{} is valid for {mode} mode", arguments.config);
    Ok(())
}
