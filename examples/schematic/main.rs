//! Computes the ID of an Image Factory schematic without a network, and finds the extension list behind an ID.
//!
//! ```console
//! cargo run --example schematic -- -e iscsi-tools -e qemu-guest-agent -e util-linux-tools --secure-boot
//! cargo run --example schematic -- --file schematic.yaml --talos v1.11.6
//! cargo run --example schematic -- -e iscsi-tools -e qemu-guest-agent -e util-linux-tools \
//!     --compare 36cd6536eaec8ba802be2d38974108359069cedba8857302f69792b26b87c010
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod search;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use factory_client::{
    Arch, COMMUNITY_FACTORY, Image, ImageRequest, OfflineFactory, Platform, Schematic,
    SchematicBuilder, SchematicId, TalosVersion,
};
use indicatif::{ProgressBar, ProgressStyle};
use url::Url;

use crate::search::Search;

#[derive(Parser)]
#[command(about = "Schematic IDs, image addresses, and what is wrong with them; works offline")]
struct Arguments {
    /// A schematic as YAML or JSON, instead of the flags below
    #[arg(long, conflicts_with_all = ["extensions", "kernel_args", "meta"])]
    file: Option<PathBuf>,
    /// An official extension; `siderolabs/` may be left out
    #[arg(short, long = "extension", value_name = "NAME")]
    extensions: Vec<String>,
    /// An extra kernel argument
    #[arg(
        short,
        long = "kernel-arg",
        value_name = "ARG",
        allow_hyphen_values = true
    )]
    kernel_args: Vec<String>,
    /// An initial META value, as KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    meta: Vec<String>,
    #[arg(long, default_value = "v1.10.7")]
    talos: TalosVersion,
    #[arg(long, default_value = "nocloud")]
    platform: Platform,
    #[arg(long, default_value = "amd64")]
    arch: Arch,
    #[arg(long)]
    secure_boot: bool,
    #[arg(long, default_value = COMMUNITY_FACTORY)]
    factory: Url,
    /// An ID to compare with; when it differs, the list that it stands for is searched
    #[arg(long, value_name = "ID")]
    compare: Option<SchematicId>,
    /// Longest list that the search tries
    #[arg(long, default_value_t = 5)]
    at_most: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing is wrong.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let factory = OfflineFactory::new(arguments.factory.clone())?;
    let schematic = read_schematic(arguments)?;
    let id = factory.schematic_id(&schematic)?;
    let mut request = ImageRequest::iso(arguments.platform).arch(arguments.arch);
    if arguments.secure_boot {
        request = request.secure_boot();
    }
    let image = request.of(id.clone(), arguments.talos.clone());
    print_addresses(&factory, &image, &schematic);
    let is_valid = print_diagnostics(&factory, &schematic, &arguments.talos);
    let is_same = match &arguments.compare {
        Some(other) => compare(arguments, &factory, &schematic, other),
        None => true,
    };
    Ok(is_valid && is_same)
}

fn read_schematic(arguments: &Arguments) -> Result<Schematic, Box<dyn Error>> {
    if let Some(file) = &arguments.file {
        return Ok(Schematic::parse(&std::fs::read_to_string(file)?)?);
    }
    let extensions = arguments
        .extensions
        .iter()
        .map(|name| match name.contains('/') {
            true => name.clone(),
            false => format!("siderolabs/{name}"),
        });
    let builder = Schematic::builder()
        .extensions(extensions)
        .kernel_args(&arguments.kernel_args);
    let with_meta = |builder: SchematicBuilder, entry: &String| {
        let (key, value) = entry.split_once('=').ok_or("--meta takes KEY=VALUE")?;
        Ok::<_, Box<dyn Error>>(builder.meta(key.parse()?, value))
    };
    let builder = arguments.meta.iter().try_fold(builder, with_meta)?;
    Ok(builder.build()?)
}

fn print_addresses(factory: &OfflineFactory, image: &Image, schematic: &Schematic) {
    println!("{}", schematic.canonical());
    println!("ID         {}", image.schematic());
    println!("image      {}", factory.image_url(image));
    println!("stored as  {}", image.file_name());
    println!(
        "installer  {}",
        factory.installer_reference(&image.installer())
    );
    println!("iPXE       {}", factory.pxe_url(image));
}

fn print_diagnostics(
    factory: &OfflineFactory,
    schematic: &Schematic,
    talos: &TalosVersion,
) -> bool {
    if factory.official_extensions(talos).is_none() {
        println!("note       the extensions of {talos} are not embedded, so names are unchecked");
    }
    let diagnostics = factory.validate(schematic, talos);
    for diagnostic in diagnostics.errors() {
        println!("error      {diagnostic}");
    }
    for diagnostic in diagnostics.warnings() {
        println!("warning    {diagnostic}");
    }
    diagnostics.is_ok()
}

/// Says whether `other` is the ID of `schematic`, and if not, what it is.
fn compare(
    arguments: &Arguments,
    factory: &OfflineFactory,
    schematic: &Schematic,
    other: &SchematicId,
) -> bool {
    if schematic.local_id().as_ref() == Some(other) {
        println!("compare    {other} is this schematic");
        return true;
    }
    println!("compare    {other} is ANOTHER schematic");
    let Some(names) = factory.official_extensions(&arguments.talos) else {
        println!(
            "           the extensions of {} are not embedded, so it cannot be searched",
            arguments.talos
        );
        return false;
    };
    let search = Search::new(other.clone(), names)
        .base(schematic.clone())
        .at_most(arguments.at_most);
    match find(&search) {
        Some(found) => {
            println!("           it is {}", list(&found));
            for difference in schematic.diff(&found) {
                println!("           {difference}");
            }
        }
        None => println!(
            "           it is no list of up to {} official extensions of {} in alphabetical order",
            arguments.at_most, arguments.talos
        ),
    }
    false
}

fn list(schematic: &Schematic) -> String {
    match schematic.extensions() {
        [] => "a schematic without extensions".to_owned(),
        names => names.join(" + ").replace("siderolabs/", ""),
    }
}

fn find(search: &Search) -> Option<Schematic> {
    let started = Instant::now();
    let bar = ProgressBar::new(search.total());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} lists") {
        bar.set_style(style);
    }
    let found = search.run(|progress| bar.set_position(progress.tried));
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f32();
    eprintln!("searched up to {} lists in {seconds:.1} s", search.total());
    found
}
