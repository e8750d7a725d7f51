//! Machine configuration: what the reference generator writes, for five releases.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use talos_client::config::{ConfigPatch, GenerateInput, MachineConfig, MachineType, TalosVersion};
use talos_client::secrets::SecretsBundle;
use talos_client::yaml::first_difference;

const SECRETS: &str = include_str!("../../data/talos/secrets.yaml");
const INDEX: &str = include_str!("../../data/talos/generate/index.json");

pub(super) const CLUSTER: &str = "lungmen.akn";
pub(super) const ENDPOINT: &str = "https://kubernetes.lungmen.akn.chezmoi.sh:6443";

#[derive(Deserialize)]
struct Case {
    talos: String,
    contract: String,
    #[serde(rename = "type")]
    kind: String,
    args: Vec<String>,
    file: String,
}

pub(super) fn bundle() -> SecretsBundle {
    SecretsBundle::parse(SECRETS).unwrap()
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/talos/generate")
}

impl Case {
    fn input(&self) -> GenerateInput {
        let input = GenerateInput::new(CLUSTER, ENDPOINT, &bundle())
            .unwrap()
            .talos_version(TalosVersion::parse(&self.talos).unwrap())
            .version_contract(self.contract.parse().unwrap())
            // The answers were made by the library, whose default is the plain installer in every release.
            .install_image(format!("ghcr.io/siderolabs/installer:{}", self.talos));
        self.args.iter().fold(input, |input, argument| {
            let (option, value) = argument.split_once('=').unwrap();
            match option {
                "--image" => input.install_image(value),
                "--disk" => input.install_disk(value),
                "--dns" => input.dns_domain(value),
                "--sans" => input.additional_sans(value.split(',')),
                "--discovery" if value == "false" => input.without_cluster_discovery(),
                "--discovery" => input,
                "--patch" => input.config_patch(patch(value)),
                other => panic!("unknown option {other}"),
            }
        })
    }
}

fn patch(argument: &str) -> ConfigPatch {
    let (_, name) = argument.rsplit_once("lungmen-akn-01.").unwrap();
    ConfigPatch::from_file(directory().join(format!("patch-{}", name.trim_start_matches("patch-"))))
        .unwrap()
}

fn difference(ours: &MachineConfig, reference: &MachineConfig) -> Option<String> {
    let identity = |config: &MachineConfig| -> Vec<(String, String)> {
        let documents = config.documents().iter();
        documents
            .map(|document| (document.kind().to_owned(), document.name().to_owned()))
            .collect()
    };
    let (found, wanted) = (identity(ours), identity(reference));
    if found != wanted {
        return Some(format!("documents {found:?} instead of {wanted:?}"));
    }
    let pairs = ours.documents().iter().zip(reference.documents());
    pairs
        .filter_map(|(ours, reference)| {
            let difference = first_difference(ours.node(), reference.node())?;
            Some(format!("{} {}: {difference}", ours.kind(), ours.name()))
        })
        .next()
}

#[test]
fn every_generated_configuration_equals_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(INDEX).unwrap();
    let mut failures = Vec::new();

    for case in &cases {
        let reference = std::fs::read_to_string(directory().join(&case.file)).unwrap();
        let reference = MachineConfig::parse(&reference).unwrap();
        let kind: MachineType = case.kind.parse().unwrap();
        match case.input().generate(kind) {
            Ok(ours) => failures
                .extend(difference(&ours, &reference).map(|text| format!("{}: {text}", case.file))),
            Err(error) => failures.push(format!("{}: {error}", case.file)),
        }
    }

    assert_eq!(cases.len(), 60);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn without_patches_even_the_text_is_that_of_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(INDEX).unwrap();

    for case in cases.iter().filter(|case| {
        !case
            .args
            .iter()
            .any(|argument| argument.starts_with("--patch"))
    }) {
        let reference = std::fs::read_to_string(directory().join(&case.file)).unwrap();
        let ours = case.input().generate(case.kind.parse().unwrap()).unwrap();
        let ours = ours.to_yaml();
        let mut lines = ours.expose_secret().lines().zip(reference.lines());
        assert_eq!(
            lines.find(|(ours, reference)| ours != reference),
            None,
            "{}",
            case.file
        );
        assert_eq!(ours.expose_secret().len(), reference.len(), "{}", case.file);
    }
}

#[test]
fn generating_all_three_gives_what_generating_one_gives() {
    let input = GenerateInput::new(CLUSTER, ENDPOINT, &bundle()).unwrap();

    let all = input.generate_all().unwrap();

    for kind in [
        MachineType::Init,
        MachineType::ControlPlane,
        MachineType::Worker,
    ] {
        let one = input.generate(kind).unwrap();
        assert_eq!(difference(all.of(kind), &one), None, "{kind}");
        let machine = one.v1alpha1().unwrap().get("machine").unwrap();
        assert_eq!(machine.get("type").unwrap().as_str(), Some(kind.as_str()));
    }
}
