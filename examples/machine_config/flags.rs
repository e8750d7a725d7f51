//! Flags that several commands share.

use clap::Args;
use talos_client::config::{ConfigPatch, TalosVersion, VersionContract};

use super::failure::Outcome;

/// The Talos release to work for.
#[derive(Debug, Args)]
pub(crate) struct ReleaseFlag {
    /// Talos release of the nodes, for example v1.10.7; the newest final release when not given.
    #[arg(long = "talos-version", default_value = "")]
    talos_version: String,
}

impl ReleaseFlag {
    pub(crate) fn release(&self) -> Outcome<TalosVersion> {
        if self.talos_version.is_empty() {
            return Ok(TalosVersion::latest());
        }
        Ok(TalosVersion::parse(&self.talos_version)?)
    }

    /// The text, empty when the flag was not given.
    pub(crate) fn text(&self) -> &str {
        &self.talos_version
    }
}

/// A patch given as text or as a file, checked to be one of the two kinds of patches.
pub(crate) fn config_patch(argument: &str, release: &TalosVersion) -> Outcome<ConfigPatch> {
    // From v1.12 on, what cannot be a document in one line is taken for a file name even without `@`.
    let is_name = release.contract() >= VersionContract::V1_12
        && !argument.is_empty()
        && !argument.contains(['\n', ' '])
        && !argument.starts_with(['@', '[', '{']);
    let patch = if is_name {
        ConfigPatch::from_file(argument)?
    } else {
        ConfigPatch::from_argument(argument)?
    };
    patch.check(release)?;
    Ok(patch)
}

/// Booleans as Go's flag library reads them: `--flag`, `--flag=false`, `--flag=0`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        )),
    }
}

/// The values of a flag that is repeatable and comma separated.
pub(crate) fn comma_separated(values: &[String]) -> impl Iterator<Item = &str> {
    values
        .iter()
        .flat_map(|value| value.split(','))
        .filter(|value| !value.is_empty())
}
