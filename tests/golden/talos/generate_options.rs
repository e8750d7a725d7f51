//! Generated option sets: what `gen config` of each release writes or refuses, with the contract that the set names.
//!
//! A record of `tests/data/talos/generate-options.json` has the digests of both configurations, or the error.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use talos_client::config::{ConfigPatch, GenerateInput, TalosVersion, VersionContract};
use talos_client::secrets::SecretsBundle;

use super::digest::digest;

const BUNDLE: &str = include_str!("../../data/talos/secrets.yaml");
const CASES: &str = include_str!("../../data/talos/generate-options.json");

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Case {
    name: String,
    endpoint: String,
    contract: String,
    kubernetes: String,
    disk: String,
    image: String,
    dns: String,
    sans: Vec<String>,
    mirrors: Vec<String>,
    flags: Vec<String>,
    #[serde(default)]
    patches: Vec<String>,
    #[serde(default)]
    control_plane_patches: Vec<String>,
    #[serde(default)]
    worker_patches: Vec<String>,
    results: BTreeMap<String, Answer>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Answer {
    Written {
        controlplane: String,
        worker: String,
    },
    Refused {
        error: String,
    },
}

impl Case {
    fn input(&self, release: &str) -> Result<GenerateInput, talos_client::Error> {
        let version = TalosVersion::parse(release)?;
        let secrets = SecretsBundle::load(BUNDLE, &version)?;
        let mut input = GenerateInput::new(&self.name, &self.endpoint, &secrets)?
            .talos_version(version)
            .version_contract(VersionContract::parse(&self.contract)?)
            .kubernetes_version(&self.kubernetes)
            .install_disk(&self.disk)
            .install_image(&self.image)
            .dns_domain(&self.dns)
            .additional_sans(&self.sans);
        for mirror in &self.mirrors {
            input = input.registry_mirror_spec(mirror)?;
        }
        for flag in &self.flags {
            input = match flag.as_str() {
                "without-cluster-discovery" => input.without_cluster_discovery(),
                "without-kubernetes" => input.without_kubernetes(),
                "without-persistence" => input.without_persistence(),
                "kubespan" => input.kubespan(),
                unknown => panic!("{unknown}"),
            };
        }
        let patch = |text: &String| ConfigPatch::new(text.as_str());
        input = self
            .patches
            .iter()
            .map(patch)
            .fold(input, GenerateInput::config_patch);
        input = self
            .control_plane_patches
            .iter()
            .map(patch)
            .fold(input, GenerateInput::config_patch_control_plane);
        Ok(self
            .worker_patches
            .iter()
            .map(patch)
            .fold(input, GenerateInput::config_patch_worker))
    }

    fn answer(&self, release: &str) -> Answer {
        match self.input(release).and_then(|input| input.generate_all()) {
            Ok(configs) => Answer::Written {
                controlplane: digest(configs.controlplane.to_yaml().expose_secret()),
                worker: digest(configs.worker.to_yaml().expose_secret()),
            },
            Err(error) => Answer::Refused {
                error: error.message().trim_end().to_owned(),
            },
        }
    }
}

#[test]
fn any_options_give_what_the_reference_writes_or_its_refusal() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    let mut differences = Vec::new();
    let mut compared = 0;

    for case in &cases {
        for (release, expected) in &case.results {
            compared += 1;
            let answer = case.answer(release);
            if answer != *expected {
                differences.push(format!(
                    "{release} {case:?}\n  expected {expected:?}\n  answered {answer:?}"
                ));
            }
        }
    }

    assert!(compared > 300, "{compared}");
    assert!(
        differences.is_empty(),
        "{} of {compared} differ\n{}",
        differences.len(),
        differences.join("\n")
    );
}
