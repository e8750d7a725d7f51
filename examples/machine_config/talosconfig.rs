//! `config`: contexts of a talosconfig.

use std::path::Path;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::secrets::ClientCertificate;
use talos_client::talosconfig::{Context, Talosconfig};

use super::failure::{Failure, Outcome};
use super::files;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// File to show or change.
    #[arg(long, global = true, default_value = "talosconfig")]
    talosconfig: String,
    /// Context to use instead of the current one.
    #[arg(long, global = true)]
    context: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the contexts.
    #[command(visible_alias = "get-contexts")]
    Contexts,
    /// Adds a context from PEM files.
    Add {
        name: String,
        #[arg(long)]
        ca: Option<String>,
        #[arg(long)]
        crt: Option<String>,
        #[arg(long)]
        key: Option<String>,
    },
    /// Makes a context the current one.
    #[command(visible_alias = "context", alias = "use-context")]
    Use { name: String },
    /// Adds the contexts of another file.
    Merge { from: String },
    /// Removes all contexts that match a pattern, except the current one.
    Remove { pattern: String },
    /// Replaces the endpoints of a context.
    #[command(visible_alias = "endpoint")]
    Endpoints { endpoints: Vec<String> },
    /// Replaces the nodes of a context; none clears them.
    #[command(visible_alias = "node")]
    Nodes { nodes: Vec<String> },
    /// Shows the current context.
    Info,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.talosconfig.as_str();
    let mut config = open(path)?;
    let context = arguments.context.as_deref();
    match &arguments.command {
        Command::Contexts => {
            list(&config);
            return Ok(());
        }
        Command::Info => return info(&config, context),
        Command::Add { name, ca, crt, key } => {
            let added = match (ca, crt, key) {
                (Some(ca), Some(crt), Some(key)) => from_files(ca, crt, key)?,
                (None, None, None) => Context::new(),
                _ => {
                    return Err(Failure::new(
                        "if any of --ca, --crt and --key is given, all of them must be",
                    ));
                }
            };
            config.add(name, added);
        }
        Command::Use { name } => config.use_context(name)?,
        Command::Merge { from } => {
            let other = Talosconfig::parse(files::read(from)?.expose_secret())?;
            for rename in config.merge(&other) {
                println!(
                    "renamed talosconfig context {:?} -> {:?}",
                    rename.from, rename.to
                );
            }
        }
        Command::Remove { pattern } => remove(&mut config, pattern)?,
        Command::Endpoints { endpoints } => config.set_endpoints(context, endpoints)?,
        Command::Nodes { nodes } => config.set_nodes(context, nodes)?,
    }
    files::write(path, &config.to_yaml(), files::Durability::Cached)
}

/// A missing file is an empty configuration.
fn open(path: &str) -> Outcome<Talosconfig> {
    if !Path::new(path).exists() {
        return Ok(Talosconfig::new());
    }
    Ok(Talosconfig::parse(files::read(path)?.expose_secret())?)
}

fn from_files(ca: &str, crt: &str, key: &str) -> Outcome<Context> {
    let [ca, crt] = [ca, crt].map(files::read);
    let key: SecretString = files::read(key)?;
    let certificate = ClientCertificate::from_pem(ca?.expose_secret(), crt?.expose_secret(), key)?;
    Ok(Context::from_certificate(&certificate))
}

fn remove(config: &mut Talosconfig, pattern: &str) -> Outcome {
    let outcome = config.remove(pattern)?;
    if outcome.removed.is_empty() && !outcome.kept_current {
        return Err(Failure::new(format!("no contexts matched {pattern:?}")));
    }
    if outcome.kept_current {
        eprintln!(
            "skipping removal of current context {:?}, please change it to another before removing",
            config.current()
        );
    }
    for name in outcome.removed {
        println!("removed context {name:?}");
    }
    Ok(())
}

fn list(config: &Talosconfig) {
    let row = |current: &str, name: &str, endpoints: &str, nodes: &str| {
        println!("{current:<10}{name:<24}{endpoints:<32}{nodes}");
    };
    row("CURRENT", "NAME", "ENDPOINTS", "NODES");
    for (name, context) in config.contexts() {
        let current = if name == config.current() { "*" } else { "" };
        let (endpoints, nodes) = (context.endpoints().join(","), context.nodes().join(","));
        row(current, name, &endpoints, &nodes);
    }
}

fn info(config: &Talosconfig, context: Option<&str>) -> Outcome {
    let name = context.unwrap_or(config.current());
    let context = config
        .context(name)
        .ok_or_else(|| Failure::new(format!("context {name:?} is not defined")))?;
    let shown = |values: &[String]| match values {
        [] => "not defined".to_owned(),
        values => values.join(", "),
    };
    println!("Current context:     {name}");
    println!("Nodes:               {}", shown(context.nodes()));
    println!("Endpoints:           {}", shown(context.endpoints()));
    if let Some(certificate) = context.client_certificate()? {
        println!("Roles:               {}", certificate.roles().join(", "));
        println!("Certificate expires: {}", certificate.not_after());
    }
    Ok(())
}
