//! Makes the data again that this repository took from elsewhere. `tests/RECIPES.md` says when and from which source.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line"
)]

mod argocd;
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
#[path = "../contract/talos/calls.rs"]
mod calls;
mod catalogue;
#[allow(clippy::unwrap_used, clippy::panic, reason = "shared with the tests")]
#[path = "../golden/talos/digest.rs"]
mod digest;
mod factory_vectors;
mod files;
mod json;
mod openbao_requests;
mod protobuf;
mod proxmox;
mod proxmox_exchanges;
mod proxmox_options;
mod record;
#[path = "../golden/talos/secrets_input.rs"]
mod secrets_input;
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
#[path = "../contract/talos/support.rs"]
mod support;
mod talos;
mod talos_answers;
mod talos_definitions;
mod talos_golden;
mod talos_node;
mod talos_options;
mod talos_secrets;
mod talos_types;
#[allow(clippy::unwrap_used, reason = "shared with the tests")]
#[path = "../golden/talos/validate_input.rs"]
mod validate_input;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use factory_client::Client;
use files::{read, write};
use protobuf::Definitions;
use url::Url;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Makes excerpts and generated data again from their sources")]
struct Arguments {
    #[command(subcommand)]
    recipe: Recipe,
}

#[derive(clap::Args)]
struct ProxmoxOptions {
    /// Where the server is, such as https://pve-01.example.org:8006
    server: Url,
    /// The release, as the file names it
    release: String,
    /// A node of the server
    node: String,
    /// The id of a VM that exists: for its sake no VM is created
    taken: u32,
    /// A file with the header lines of a caller who may create VMs
    caller: PathBuf,
    /// The certificate of the authority of a server with HTTPS, as PEM
    #[arg(long)]
    ca: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Recipe {
    #[command(flatten)]
    Talos(talos::Recipe),
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
    /// The numbers and types of `argocd-client/proto`, from the `.proto` files of Argo CD and of Kubernetes
    ArgocdProto {
        /// Folders with the files of the reference: argo-cd, and api, apimachinery and apiextensions-apiserver of Kubernetes
        #[arg(required = true)]
        references: Vec<PathBuf>,
        /// A further message, field or method
        #[arg(long)]
        add: Vec<String>,
        /// The folder of the files to rewrite
        #[arg(long, default_value = "argocd-client/proto")]
        folder: PathBuf,
    },
    /// What an Image Factory makes of schematics
    FactoryVectors {
        /// The encoder of the factory's release, as `go-yaml-scalars.json` names it
        encoder: String,
        /// The factory
        #[arg(long, default_value = factory_client::COMMUNITY_FACTORY)]
        factory: Url,
        /// The folder of the two files to rewrite
        #[arg(long, default_value = "tests/data/factory")]
        folder: PathBuf,
    },
    /// The answers of a server to the requests of a recording
    Record(record::Arguments),
    /// What a Proxmox VE decides about the options of `proxmox-option-decisions.json`
    ProxmoxOptions(ProxmoxOptions),
    /// Compares the hand-written answers of `exchanges.json` with the recorded ones; writes nothing
    ProxmoxExchanges,
    /// `resourceOverrides` of a recorded answer of Argo CD
    ArgocdOverrides {
        /// The recording
        #[arg(default_value = "tests/data/argocd/recorded-3.5.1.json")]
        recording: PathBuf,
    },
    /// Compares the hand-written requests to OpenBao with the server's description of its API; writes nothing
    OpenbaoRequests {
        /// A server with a KV engine of version 2 at `secret`, such as one with `-dev`
        server: Url,
        /// A file with a token that may read the description
        token: PathBuf,
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
        Recipe::Talos(recipe) => talos::make(recipe).await,
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
        Recipe::ArgocdProto {
            references,
            add,
            folder,
        } => rewrite(&references, &add, &folder, protobuf::ARGO_CD),
        Recipe::FactoryVectors {
            encoder,
            factory,
            folder,
        } => {
            let (written, refused) = factory_vectors::vectors(&factory, &encoder, &folder).await?;
            note("refused by this release, and left as it is", &refused);
            Ok(written)
        }
        Recipe::Record(arguments) => record::run(&arguments),
        Recipe::ProxmoxOptions(arguments) => proxmox_options(&arguments),
        Recipe::ProxmoxExchanges => proxmox_exchanges(),
        Recipe::ArgocdOverrides { recording } => write(
            PathBuf::from("argocd-client/src/mock/data/resource-overrides.json"),
            &argocd::overrides(&read(&recording)?)?,
        ),
        Recipe::OpenbaoRequests { server, token } => openbao_requests(server, &token),
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

fn proxmox_options(from: &ProxmoxOptions) -> Result<Vec<PathBuf>> {
    let file = PathBuf::from("tests/data/proxmox/proxmox-option-decisions.json");
    let authority = from.ca.as_deref().map(read).transpose()?;
    let asked = proxmox_options::Asked {
        server: &record::Server::new(from.server.clone(), authority.as_deref())?,
        caller: &record::header_lines(&from.caller)?,
        node: &from.node,
        taken: from.taken,
        release: &from.release,
    };
    let text = proxmox_options::decisions(&read(&file)?, &asked)?;
    write(file, &text)
}

fn proxmox_exchanges() -> Result<Vec<PathBuf>> {
    let folder = Path::new("tests/data/proxmox");
    let recordings = ["9.2.11", "8.4.21"].map(|release| {
        let text = read(&folder.join(format!("proxmox-{release}.json")));
        text.map(|text| (release, text))
    });
    let recordings: Vec<_> = recordings.into_iter().collect::<Result<_>>()?;
    let exchanges = read(&folder.join("exchanges.json"))?;
    note(
        "recorded",
        &proxmox_exchanges::recorded(&exchanges, &recordings)?,
    );
    Ok(Vec::new())
}

fn openbao_requests(server: Url, token: &Path) -> Result<Vec<PathBuf>> {
    let folder = Path::new("tests/data/openbao");
    let server = record::Server::new(server, None)?;
    let description = openbao_requests::description(&server, &read(token)?)?;
    let (requests, answers) = ("requests.json", "answers.json");
    let checked = openbao_requests::check(
        &read(&folder.join(requests))?,
        &read(&folder.join(answers))?,
        &description,
    )?;
    println!("described: {} requests", checked.described);
    note("not described, and refused", &checked.refused);
    Ok(Vec::new())
}

/// Rewrites `.proto` files, and says what the reference has beside what they keep.
fn rewrite(
    references: &[PathBuf],
    add: &[String],
    folder: &Path,
    packages: protobuf::Packages,
) -> Result<Vec<PathBuf>> {
    let source = protobuf::Source {
        reference: &Definitions::read(references)?,
        packages,
        add,
    };
    let made = protobuf::rewrite_folder(folder, &source)?;
    note("left out", &made.left_out);
    Ok(made.written)
}

fn note(what: &str, names: &[String]) {
    for name in names {
        println!("{what}: {name}");
    }
}
