//! Processor time and peak memory of whole processes: what `gen config`, `validate` and `gen secrets` of `talosctl` do.
//!
//! Started without an argument it starts itself for every command, so that what a process costs is part of it: starting,
//! reading files, making keys for the first time, writing files. Processor time does not depend on what else the machine does.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod inputs;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use inputs::PATCHES;
use secrecy::ExposeSecret as _;
use talos_client::config::{
    ConfigPatch, GenerateInput, MachineConfig, Mode, TalosVersion, ValidationOptions,
    VersionContract,
};
use talos_client::secrets::SecretsBundle;

const COMMANDS: [(&str, usize); 4] = [
    ("generate v1.12.11", 101),
    ("generate v1.14.0-rc.1", 101),
    ("validate v1.12.11", 101),
    ("secrets v1.12.11", 15),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (
        arguments.next().as_deref(),
        arguments.next(),
        arguments.next(),
    ) {
        (Some("run"), Some(command), Some(folder)) => {
            run(&command, Path::new(&folder));
            println!("{}", Usage::of_this_process().encoded());
        }
        _ => measure(),
    }
}

fn run(command: &str, folder: &Path) {
    let (command, version) = command.split_once(' ').unwrap();
    let version = TalosVersion::parse(version).unwrap();
    match command {
        "generate" => generate(&version, folder),
        "validate" => validate(&version, folder),
        _ => {
            let bundle = SecretsBundle::generate_blocking(VersionContract::V1_12).unwrap();
            write(folder, "made.yaml", bundle.to_yaml().expose_secret());
        }
    }
}

fn generate(version: &TalosVersion, folder: &Path) {
    let text = std::fs::read_to_string(folder.join("secrets.yaml")).unwrap();
    let secrets = SecretsBundle::load(&text, version).unwrap();
    let input = GenerateInput::new("lungmen.akn", "https://10.0.2.10:6443", &secrets)
        .unwrap()
        .talos_version(version.clone());
    let input = PATCHES.iter().fold(input, |input, patch| {
        input.config_patch(ConfigPatch::new(*patch))
    });
    let configs = input.generate_all().unwrap();
    let talosconfig = input.talosconfig().unwrap().to_yaml();
    for (name, text) in [
        ("controlplane.yaml", configs.controlplane.to_yaml()),
        ("worker.yaml", configs.worker.to_yaml()),
        ("talosconfig", talosconfig),
    ] {
        write(folder, name, text.expose_secret());
    }
}

fn validate(version: &TalosVersion, folder: &Path) {
    let text = std::fs::read_to_string(folder.join("valid.yaml")).unwrap();
    let config = MachineConfig::load(&text, version).unwrap();
    let findings = config.validate(&ValidationOptions::new(Mode::Metal, version));
    assert!(findings.is_valid(), "{findings:?}");
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// What a process took.
#[derive(Clone, Copy)]
struct Usage {
    processor: Duration,
    peak_kib: u64,
}

impl Usage {
    /// Linux counts processor time by thread, and the peak of resident memory by process.
    fn of_this_process() -> Self {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        let nanoseconds = threads
            .map(|thread| {
                std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap()
            })
            .map(|text| text.split(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.split_whitespace().next());
        Self {
            processor: Duration::from_nanos(nanoseconds),
            peak_kib: peak.unwrap().parse().unwrap(),
        }
    }

    fn encoded(self) -> String {
        format!("{} {}", self.processor.as_nanos(), self.peak_kib)
    }

    fn decoded(text: &str) -> Self {
        let (nanoseconds, peak) = text.trim().split_once(' ').unwrap();
        Self {
            processor: Duration::from_nanos(nanoseconds.parse().unwrap()),
            peak_kib: peak.parse().unwrap(),
        }
    }
}

fn measure() {
    let folder = Folder::new();
    println!(
        "{:<24}{:>16}{:>16}{:>14}",
        "process", "median", "worst", "peak memory"
    );
    for (command, runs) in COMMANDS {
        let mut usages: Vec<Usage> = (0..runs).map(|_| child(command, &folder.0)).collect();
        usages.sort_by_key(|usage| usage.processor);
        let (median, worst) = (usages[runs / 2], usages[runs - 1]);
        let peak = usages.iter().map(|usage| usage.peak_kib).max().unwrap();
        println!(
            "{command:<24}{:>13.2} ms{:>13.2} ms{:>10} KiB",
            median.processor.as_secs_f64() * 1e3,
            worst.processor.as_secs_f64() * 1e3,
            peak
        );
    }
}

fn child(command: &str, folder: &Path) -> Usage {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["run", command])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    Usage::decoded(std::str::from_utf8(&output.stdout).unwrap())
}

/// A folder with what the commands read.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("process-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let bundle = SecretsBundle::generate_blocking(VersionContract::V1_12).unwrap();
        write(&path, "secrets.yaml", bundle.to_yaml().expose_secret());
        let version = TalosVersion::parse("v1.12.11").unwrap();
        generate(&version, &path);
        std::fs::copy(path.join("controlplane.yaml"), path.join("valid.yaml")).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
