//! Makes the data again that this repository took from elsewhere. `tests/RECIPES.md` says when and from which source.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line"
)]

mod argocd;
mod catalogue;
#[allow(clippy::unwrap_used, clippy::panic, reason = "shared with the tests")]
#[path = "../golden/talos/digest.rs"]
mod digest;
mod json;
mod proxmox;
mod talos_answers;
mod talos_golden;
mod talos_types;
#[allow(clippy::unwrap_used, reason = "shared with the tests")]
#[path = "../golden/talos/validate_input.rs"]
mod validate_input;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use factory_client::Client;
use url::Url;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Makes excerpts and generated data again from their sources")]
struct Arguments {
    #[command(subcommand)]
    recipe: Recipe,
}

#[derive(Subcommand)]
enum Recipe {
    /// The operations of Argo CD that the client uses, from `assets/swagger.json` of a release
    ArgocdSwagger {
        /// `assets/swagger.json` of the release
        source: PathBuf,
        /// The excerpt to replace; it says which operations are kept
        excerpt: PathBuf,
        /// A further operation, such as "GET /api/v1/projects"
        #[arg(long)]
        add: Vec<String>,
    },
    /// The calls of Proxmox VE that the client makes, from `api-viewer/apidata.js` of pve-docs
    ProxmoxContract {
        /// `api-viewer/apidata.js` of the release
        source: PathBuf,
        /// The excerpt to replace; it says which calls and formats are kept
        excerpt: PathBuf,
        /// The version of pve-docs, for the excerpt's own description
        #[arg(long)]
        version: String,
        /// The revision of pve-docs, for the excerpt's own description
        #[arg(long)]
        revision: String,
        /// A further call, such as "GET /nodes/{node}/version"
        #[arg(long)]
        add: Vec<String>,
    },
    /// The types of the machine configuration, from one description a Talos minor
    TalosTypes {
        /// `types-vX.Y.Z.json`, oldest first
        #[arg(required = true)]
        descriptions: Vec<PathBuf>,
        /// The table to replace
        #[arg(long, default_value = "talos-client/src/config/schema/types.txt")]
        table: PathBuf,
    },
    /// The golden machine configurations of a Talos release, from its talosctl
    TalosGolden {
        /// The talosctl of the release
        talosctl: PathBuf,
        /// The release, such as v1.15.0
        version: String,
        /// The folder of the data
        #[arg(long, default_value = "tests/data/talos")]
        data: PathBuf,
    },
    /// What a Talos release answers to the cases of patches and of validation, from its talosctl
    TalosAnswers {
        /// The talosctl of the release
        talosctl: PathBuf,
        /// The release, such as v1.15.0
        version: String,
        /// The folder of the data
        #[arg(long, default_value = "tests/data/talos")]
        data: PathBuf,
    },
    /// The official extensions and overlays, from an Image Factory
    FactoryCatalogue {
        /// The factory
        #[arg(long, default_value = factory_client::COMMUNITY_FACTORY)]
        factory: Url,
        /// The Talos versions to ask for: the first and the newest patch of each minor
        #[arg(required = true)]
        versions: Vec<factory_client::TalosVersion>,
        /// The folder of the two files to replace
        #[arg(long, default_value = "factory-client/data")]
        folder: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match make(Arguments::parse().recipe).await {
        Ok(files) => {
            for file in files {
                println!("wrote {}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn make(recipe: Recipe) -> Result<Vec<PathBuf>> {
    match recipe {
        Recipe::ArgocdSwagger {
            source,
            excerpt,
            add,
        } => {
            let text = argocd::excerpt(&read(&source)?, &read(&excerpt)?, &add)?;
            write(excerpt, &text)
        }
        Recipe::ProxmoxContract {
            source,
            excerpt,
            version,
            revision,
            add,
        } => {
            let origin = proxmox::Origin { version, revision };
            let text = proxmox::excerpt(&read(&source)?, &read(&excerpt)?, &add, Some(&origin))?;
            write(excerpt, &text)
        }
        Recipe::TalosTypes {
            descriptions,
            table,
        } => {
            let named = |path: &PathBuf| Ok((version_of(path)?, read(path)?));
            let descriptions: Vec<_> = descriptions.iter().map(named).collect::<Result<_>>()?;
            write(table, &talos_types::table(&descriptions)?)
        }
        Recipe::TalosGolden {
            talosctl,
            version,
            data,
        } => talos_golden::generate(&data, &talosctl, &version),
        Recipe::TalosAnswers {
            talosctl,
            version,
            data,
        } => talos_answers::answers(&data, &talosctl, &version),
        Recipe::FactoryCatalogue {
            factory,
            versions,
            folder,
        } => {
            let client = Client::builder(factory).build()?;
            let (extensions, overlays) = catalogue::collect(&client, &versions).await?;
            let mut written = write(folder.join("extensions.txt"), &extensions)?;
            written.extend(write(folder.join("overlays.txt"), &overlays)?);
            Ok(written)
        }
    }
}

/// `v1.10.7` of `types-v1.10.7.json`.
fn version_of(path: &Path) -> Result<String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let version = name.strip_prefix("types-");
    let version = version.ok_or("a description is called types-vX.Y.Z.json")?;
    Ok(version.to_owned())
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn write(path: PathBuf, text: &str) -> Result<Vec<PathBuf>> {
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(vec![path])
}
