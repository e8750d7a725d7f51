//! The recipes of what comes from Talos.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::files::{read, write};
use super::protobuf::{self, Definitions};
use super::{
    Result, note, rewrite, talos_answers, talos_definitions, talos_golden, talos_node,
    talos_options, talos_secrets, talos_types,
};

/// A program of a Talos release, and the data that it makes.
#[derive(clap::Args)]
pub(crate) struct Reference {
    /// The talosctl of the release
    talosctl: PathBuf,
    /// The release, such as v1.15.0
    version: String,
    /// The folder of the data
    #[arg(long, default_value = "tests/data/talos")]
    data: PathBuf,
}

#[derive(Subcommand)]
#[allow(
    clippy::enum_variant_names,
    reason = "they are the names of the commands"
)]
pub(crate) enum Recipe {
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
    TalosGolden(Reference),
    /// What a Talos release answers to the cases of patches and of validation, from its talosctl
    TalosAnswers(Reference),
    /// What a Talos release generates from the option sets of `generate-options.json`, from its talosctl
    TalosOptions(Reference),
    /// What a Talos release says of the files of secrets of `secrets-cases.json`, from its talosctl
    TalosSecrets(Reference),
    /// The numbers and types of `talos-client/proto`, from the `.proto` files of a Talos release and of COSI
    TalosProto {
        /// Folders with the files of the reference: `api` of talos, `proto` of cosi-project/specification
        #[arg(required = true)]
        references: Vec<PathBuf>,
        /// A further message, field or method, such as "machine.Foo", "machine.Foo.bar" or "/machine.MachineService/Foo"
        #[arg(long)]
        add: Vec<String>,
        /// The folder of the files to rewrite
        #[arg(long, default_value = "talos-client/proto")]
        folder: PathBuf,
    },
    /// The resource types and namespaces of Talos, from what a node of each release answers
    TalosDefinitions {
        /// `MINOR=FILE`: what `talosctl get resourcedefinitions -o yaml` and `talosctl get namespaces -o yaml` print
        #[arg(required = true)]
        printed: Vec<String>,
        /// The table to replace
        #[arg(long, default_value = "talos-client/src/mock/definitions.txt")]
        table: PathBuf,
    },
    /// Every method of the machine API and the first minor that has it, from the `.proto` files of several releases
    TalosMethods {
        /// `MINOR=FOLDER`, oldest first; the same minor again for a further folder
        #[arg(required = true)]
        releases: Vec<String>,
        /// The list to replace
        #[arg(long, default_value = "tests/data/talos-api/methods.json")]
        list: PathBuf,
    },
    /// The answers of a node to the operations of `tests/data/talos-api/answers.json`
    TalosNode(talos_node::Arguments),
}

pub(crate) async fn make(recipe: Recipe) -> Result<Vec<PathBuf>> {
    match recipe {
        Recipe::TalosTypes {
            descriptions,
            table,
        } => {
            let named = |path: &PathBuf| Ok((version_of(path)?, read(path)?));
            let descriptions: Vec<_> = descriptions.iter().map(named).collect::<Result<_>>()?;
            write(table, &talos_types::table(&descriptions)?)
        }
        Recipe::TalosGolden(from) => {
            talos_golden::generate(&from.data, &from.talosctl, &from.version)
        }
        Recipe::TalosAnswers(from) => {
            talos_answers::answers(&from.data, &from.talosctl, &from.version)
        }
        Recipe::TalosOptions(from) => {
            talos_options::options(&from.data, &from.talosctl, &from.version)
        }
        Recipe::TalosSecrets(from) => {
            talos_secrets::secrets(&from.data, &from.talosctl, &from.version)
        }
        Recipe::TalosProto {
            references,
            add,
            folder,
        } => talos_proto(&references, &add, &folder),
        Recipe::TalosDefinitions { printed, table } => {
            let printed = talos_definitions::printed(&printed)?;
            write(table, &talos_definitions::table(&printed)?)
        }
        Recipe::TalosMethods { releases, list } => {
            write(list, &protobuf::methods(&protobuf::releases(&releases)?))
        }
        Recipe::TalosNode(asked) => {
            let file = PathBuf::from("tests/data/talos-api/answers.json");
            let (text, left) = talos_node::answers(&read(&file)?, &asked).await?;
            note("left as it is", &left);
            write(file, &text)
        }
    }
}

/// The `.proto` files of the machine API, and the facts about them as data.
fn talos_proto(references: &[PathBuf], add: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut written = rewrite(references, add, folder, &[])?;
    let reference = Definitions::read(references)?;
    let ours = Definitions::read(&[folder.to_owned()])?;
    let wire = protobuf::wire(&ours, &reference)?;
    written.extend(write(folder.join("wire.json"), &wire)?);
    Ok(written)
}

/// `v1.10.7` of `types-v1.10.7.json`.
fn version_of(path: &Path) -> Result<String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let version = name.strip_prefix("types-");
    let version = version.ok_or("a description is called types-vX.Y.Z.json")?;
    Ok(version.to_owned())
}
