//! The example `machine_config`: the answers of the reference, through its command line.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;
use talos_client::config::MachineConfig;
use talos_client::yaml::first_difference;

use super::validate::{Answer, cases};

pub(super) const CLUSTER: &str = "lungmen.akn";
pub(super) const ENDPOINT: &str = "https://kubernetes.lungmen.akn.chezmoi.sh:6443";

pub(super) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data/talos")
        .join(name)
}

/// The program. `cargo test` builds it beside the tests; a test does not run cargo itself.
pub(super) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/machine_config");
    assert!(
        program.exists(),
        "{} is not built: run `cargo test`, or `cargo build --example machine_config` first",
        program.display()
    );
    program
}

pub(super) fn run<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(arguments: I) -> Output {
    Command::new(program()).args(arguments).output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The output of a run that must work.
pub(super) fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// The error text of a run that must not work.
pub(super) fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    text(&output.stderr)
}

#[derive(Deserialize)]
struct Generated {
    talos: String,
    #[serde(rename = "type")]
    kind: String,
    args: Vec<String>,
    file: String,
}

impl Generated {
    fn arguments(&self) -> Vec<String> {
        let secrets = data("secrets.yaml");
        let mut arguments = vec![
            "gen-config".to_owned(),
            CLUSTER.to_owned(),
            ENDPOINT.to_owned(),
            format!("--with-secrets={}", secrets.display()),
            "--with-docs=false".to_owned(),
            "--with-examples=false".to_owned(),
            format!("--talos-version={}", self.talos),
            format!("--output-types={}", self.kind),
            "--output=-".to_owned(),
        ];
        if !self
            .args
            .iter()
            .any(|argument| argument.starts_with("--image="))
        {
            // The answers were made by the library, whose default is the plain installer in every release.
            arguments.push(format!(
                "--install-image=ghcr.io/siderolabs/installer:{}",
                self.talos
            ));
        }
        arguments.extend(self.args.iter().map(|argument| {
            let (option, value) = argument.split_once('=').unwrap();
            match option {
                "--image" => format!("--install-image={value}"),
                "--disk" => format!("--install-disk={value}"),
                "--dns" => format!("--dns-domain={value}"),
                "--sans" => format!("--additional-sans={value}"),
                "--discovery" => format!("--with-cluster-discovery={value}"),
                "--patch" => {
                    let (_, name) = value.rsplit_once("lungmen-akn-01.").unwrap();
                    let name = format!("generate/patch-{}", name.trim_start_matches("patch-"));
                    format!("--config-patch=@{}", data(&name).display())
                }
                other => panic!("unknown option {other}"),
            }
        }));
        arguments
    }
}

fn difference(ours: &str, reference: &str) -> Option<String> {
    let (ours, reference) = (
        MachineConfig::parse(ours).unwrap(),
        MachineConfig::parse(reference).unwrap(),
    );
    if ours.documents().len() != reference.documents().len() {
        return Some("another number of documents".to_owned());
    }
    let mut pairs = ours.documents().iter().zip(reference.documents());
    pairs.find_map(|(ours, reference)| first_difference(ours.node(), reference.node()))
}

#[test]
fn generated_configurations_are_those_of_the_reference() {
    let index = std::fs::read_to_string(data("generate/index.json")).unwrap();
    let cases: Vec<Generated> = serde_json::from_str(&index).unwrap();
    let mut failures = Vec::new();

    for case in &cases {
        let output = run(case.arguments());
        let reference = std::fs::read_to_string(data("generate").join(&case.file)).unwrap();
        let failure = if output.status.success() {
            difference(&text(&output.stdout), &reference)
        } else {
            Some(text(&output.stderr))
        };
        failures.extend(failure.map(|failure| format!("{}: {failure}", case.file)));
    }

    assert!(cases.len() >= 60);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn verdicts_and_exit_codes_are_those_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let mut failures = Vec::new();

    for case in cases() {
        std::fs::write(&config, case.input.text()).unwrap();
        let (version, expected) = case.results.last_key_value().unwrap();
        let mut command = Command::new(program());
        command.arg("validate").arg("--config").arg(&config);
        command.args(["--mode", &case.mode, "--talos-version", version]);
        if case.strict {
            command.arg("--strict");
        }
        let output = command.output().unwrap();
        let (warnings, errors): (Vec<String>, Vec<String>) = text(&output.stderr)
            .lines()
            .map(str::to_owned)
            .partition(|line| line.starts_with("WARNING: "));
        let errors = errors.join("\n").trim().to_owned();
        let answer = Answer {
            warnings: warnings
                .iter()
                .map(|line| line["WARNING: ".len()..].to_owned())
                .collect(),
            error: (!errors.is_empty()).then_some(errors),
        };
        if answer != *expected || output.status.success() != expected.error.is_none() {
            failures.push(format!("{}: {answer:?} instead of {expected:?}", case.name));
        }
    }

    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn files_with_keys_are_private_and_never_overwritten_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.yaml");
    let secrets = path.to_str().unwrap();

    stdout(&["gen-secrets", "-o", secrets, "--talos-version", "v1.10"]);

    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(
        refusal(&["gen-secrets", "-o", secrets]).trim(),
        format!("file {secrets:?} already exists, use --force to overwrite")
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    stdout(&[
        "gen-secrets",
        "-o",
        secrets,
        "--force",
        "--talos-version=v1.10",
    ]);
    assert_ne!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_directory_gets_one_file_per_output_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let secrets = data("secrets.yaml");
    let secrets = format!("--with-secrets={}", secrets.display());

    stdout(&["gen-config", CLUSTER, ENDPOINT, &secrets, "--output", path]);

    for name in ["controlplane.yaml", "worker.yaml", "talosconfig"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
    let again = refusal(&["gen-config", CLUSTER, ENDPOINT, &secrets, "--output", path]);
    assert!(again.contains("already exists"), "{again}");
}

#[test]
fn patches_apply_in_order_and_none_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let path = config.to_str().unwrap();
    std::fs::write(&config, "# kept\nmachine: {type: worker}\n").unwrap();

    assert_eq!(
        stdout(&["patch", path]),
        "# kept\nmachine: {type: worker}\n\n"
    );
    let patched = stdout(&[
        "patch",
        path,
        "--patch",
        "machine: {network: {hostname: a}}",
        "--patch",
        "[{op: replace, path: /machine/network/hostname, value: b}]",
    ]);
    assert!(patched.contains("hostname: b"), "{patched}");
    let refused = refusal(&["patch", path, "--patch", "@missing.yaml"]);
    assert!(refused.contains("no such file or directory"), "{refused}");
}

#[test]
fn a_talosconfig_is_made_changed_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talosconfig");
    let flag = format!("--talosconfig={}", path.display());
    let secrets = format!("--with-secrets={}", data("secrets.yaml").display());
    let output = path.to_str().unwrap();

    stdout(&[
        "gen-config",
        CLUSTER,
        ENDPOINT,
        &secrets,
        "--output-types=talosconfig",
        "--output",
        output,
    ]);
    stdout(&["talosconfig", "endpoints", "10.0.2.10", "10.0.2.11", &flag]);
    stdout(&["talosconfig", "nodes", "10.0.2.12", &flag]);

    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let contexts = stdout(&["talosconfig", "contexts", &flag]);
    assert!(contexts.contains("10.0.2.10,10.0.2.11"), "{contexts}");
    assert!(contexts.contains("10.0.2.12"), "{contexts}");
}

#[test]
fn what_is_not_understood_is_refused() {
    assert!(refusal(&["gen-config", CLUSTER]).contains("ENDPOINT"));
    assert!(refusal(&["patch", "missing.yaml"]).contains("no such file or directory"));
    assert!(refusal(&["gen-secrets", "--talos-version", "latest"]).contains("latest"));
    let config = data("validate/worker.yaml");
    let config = config.to_str().unwrap();
    let refused = refusal(&["validate", "--config", config, "--mode", "moon"]);
    assert!(
        refused.contains("unknown runtime mode: \"moon\""),
        "{refused}"
    );
}
