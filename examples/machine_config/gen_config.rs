//! `gen config`

use std::path::{Component, Path, PathBuf};

use clap::{ArgAction, Args};
use secrecy::{ExposeSecret as _, SecretString};
use talos_client::config::{
    ConfigPatch, GenerateInput, GeneratedConfigs, OutputType, TalosVersion,
};
use talos_client::secrets::SecretsBundle;

use super::failure::{Failure, Outcome};
use super::files::{self, STDOUT};
use super::flags::{ReleaseFlag, comma_separated, config_patch, parse_bool};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the cluster.
    name: String,
    /// URL of the Kubernetes API: https://HOST:PORT.
    endpoint: String,
    /// Disk to install to; empty for none.
    #[arg(long, default_value = "/dev/sda")]
    install_disk: String,
    /// Installer image.
    #[arg(long)]
    install_image: Option<String>,
    /// More names and addresses for the API certificates; repeatable, comma separated.
    #[arg(long)]
    additional_sans: Vec<String>,
    /// DNS domain of the cluster.
    #[arg(long, default_value = "cluster.local")]
    dns_domain: String,
    /// Format of the configuration; v1alpha1 is the only one.
    #[arg(long, default_value = "v1alpha1")]
    version: String,
    #[command(flatten)]
    release: ReleaseFlag,
    /// Kubernetes version; the default of the Talos release when not given, no images when empty.
    #[arg(long)]
    kubernetes_version: Option<String>,
    /// Patch for all configurations, as text or @FILE; repeatable.
    #[arg(long)]
    config_patch: Vec<String>,
    /// Patch for control planes.
    #[arg(long)]
    config_patch_control_plane: Vec<String>,
    /// Patch for workers.
    #[arg(long)]
    config_patch_worker: Vec<String>,
    /// Registry mirror, host=url; repeatable, comma separated.
    #[arg(long)]
    registry_mirror: Vec<String>,
    /// Keeps the configuration over reboots.
    #[arg(short, long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true")]
    persist: bool,
    /// Shows what the commented output of the reference shows.
    #[arg(long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true")]
    with_docs: bool,
    /// Like --with-docs.
    #[arg(long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true")]
    with_examples: bool,
    /// Lets nodes find each other through the discovery service.
    #[arg(long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true")]
    with_cluster_discovery: bool,
    /// Connects nodes through WireGuard.
    #[arg(long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    with_kubespan: bool,
    /// Leaves Kubernetes and etcd out, from v1.14 on.
    #[arg(long, hide = true, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    skip_k8s_etcd: bool,
    /// Secrets bundle to use; a new one is generated and thrown away when not given.
    #[arg(long)]
    with_secrets: Option<String>,
    /// What to write; repeatable, comma separated.
    #[arg(short = 't', long, default_value = "controlplane,worker,talosconfig")]
    output_types: Vec<String>,
    /// Directory, or with one output type a file or - for standard output.
    #[arg(short, long, default_value = "")]
    output: String,
    /// Directory, also with one output type.
    #[arg(long, default_value = "", hide = true)]
    output_dir: String,
    /// Overwrites existing files.
    #[arg(short, long, action = ArgAction::Set, value_parser = parse_bool, num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    force: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    GenerateInput::check_endpoint(&arguments.endpoint)?;
    let release = arguments.release.release()?;
    let outputs = outputs(arguments)?;
    for (_, path) in &outputs {
        files::check_free(path, arguments.force)?;
    }
    if arguments.version != "v1alpha1" {
        return Err(Failure::new(format!(
            "unknown config version: {:?}",
            arguments.version
        )));
    }
    let input = input(arguments, &release)?;
    eprintln!("generating PKI and tokens");
    let configs = input.generate_all()?;
    for (output, path) in outputs {
        files::write(
            &path,
            &content(&input, &configs, output)?,
            files::Durability::Cached,
        )?;
        if path != STDOUT {
            eprintln!("Created {path}");
        }
    }
    Ok(())
}

/// What to write and where to.
fn outputs(arguments: &Arguments) -> Outcome<Vec<(OutputType, String)>> {
    let (output, directory) = (arguments.output.as_str(), arguments.output_dir.as_str());
    if !output.is_empty() && !directory.is_empty() {
        return Err(Failure::new("can't use both output-dir and output"));
    }
    let types = OutputType::parse_list(&arguments.output_types.join(","))?;
    if output == STDOUT && types.len() > 1 {
        return Err(Failure::new("can't use multiple output types with stdout"));
    }
    if let ([only], false) = (types.as_slice(), output.is_empty()) {
        return Ok(vec![(*only, output.to_owned())]);
    }
    let directory = Path::new(if directory.is_empty() {
        output
    } else {
        directory
    });
    let path = |output: OutputType| {
        // `.` is left out, as the reference prints it.
        let joined = directory.join(output.file_name());
        let parts = joined
            .components()
            .filter(|part| *part != Component::CurDir);
        parts.collect::<PathBuf>().display().to_string()
    };
    Ok(types.into_iter().map(|it| (it, path(it))).collect())
}

fn input(arguments: &Arguments, release: &TalosVersion) -> Outcome<GenerateInput> {
    let secrets = match &arguments.with_secrets {
        Some(path) => {
            let text = files::read(path)
                .map_err(|failure| failure.context("failed to load secrets bundle"))?;
            SecretsBundle::load(text.expose_secret(), release)?
        }
        None => SecretsBundle::generate_blocking(release.contract())?,
    };
    let mut input = GenerateInput::new(&arguments.name, &arguments.endpoint, &secrets)?
        .talos_version(release.clone())
        .install_disk(&arguments.install_disk)
        .additional_sans(comma_separated(&arguments.additional_sans))
        .dns_domain(&arguments.dns_domain);
    if !arguments.persist {
        input = input.without_persistence();
    }
    if !arguments.with_cluster_discovery {
        input = input.without_cluster_discovery();
    }
    if arguments.with_kubespan {
        input = input.kubespan();
    }
    if arguments.skip_k8s_etcd {
        input = input.without_kubernetes();
    }
    if arguments.with_docs {
        input = input.with_docs();
    }
    if arguments.with_examples {
        input = input.with_examples();
    }
    if let Some(image) = &arguments.install_image {
        input = input.install_image(image);
    }
    if let Some(version) = &arguments.kubernetes_version {
        input = input.kubernetes_version(version);
    }
    for mirror in comma_separated(&arguments.registry_mirror) {
        input = input.registry_mirror_spec(mirror)?;
    }
    with_patches(input, arguments, release)
}

fn with_patches(
    mut input: GenerateInput,
    arguments: &Arguments,
    release: &TalosVersion,
) -> Outcome<GenerateInput> {
    type Add = fn(GenerateInput, ConfigPatch) -> GenerateInput;
    let groups: [(&[String], Add); 3] = [
        (&arguments.config_patch, GenerateInput::config_patch),
        (
            &arguments.config_patch_control_plane,
            GenerateInput::config_patch_control_plane,
        ),
        (
            &arguments.config_patch_worker,
            GenerateInput::config_patch_worker,
        ),
    ];
    for (patches, add) in groups {
        for argument in patches {
            let patch = config_patch(argument, release)
                .map_err(|failure| failure.context("error parsing config JSON patch"))?;
            input = add(input, patch);
        }
    }
    Ok(input)
}

fn content(
    input: &GenerateInput,
    configs: &GeneratedConfigs,
    output: OutputType,
) -> Outcome<SecretString> {
    Ok(match output {
        OutputType::ControlPlane => configs.controlplane.to_yaml(),
        OutputType::Worker => configs.worker.to_yaml(),
        OutputType::Talosconfig => input.talosconfig()?.to_yaml(),
        other => {
            return Err(Failure::new(format!(
                "invalid output type: {:?}",
                other.as_str()
            )));
        }
    })
}
