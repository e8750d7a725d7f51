//! Files of secrets that something is wrong with: what each release says when it loads and validates them.
//!
//! The reference quotes values in its texts, which this crate does not, because they may be secrets.

use serde::Deserialize;
use talos_client::config::TalosVersion;
use talos_client::secrets::SecretsBundle;

use super::secrets_input::{Input, with};

const BUNDLE: &str = include_str!("../../data/talos/secrets.yaml");
const CASES: &str = include_str!("../../data/talos/secrets-cases.json");

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    input: Input,
    results: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    releases: Vec<String>,
    /// Where it ended: `load`, `validate`, `panic`, or `ok`.
    stage: String,
    #[serde(default)]
    text: String,
}

impl Case {
    fn answer(&self, release: &str) -> &Answer {
        let has = |answer: &&Answer| answer.releases.iter().any(|known| known == release);
        self.results.iter().find(has).unwrap()
    }
}

/// The text of the reference without what it quotes.
fn without_values(text: &str) -> String {
    let parts = text.split(" `").enumerate();
    parts
        .map(|(index, part)| match (index, part.split_once('`')) {
            (0, _) | (_, None) => part,
            (_, Some((_, rest))) => rest,
        })
        .collect()
}

#[test]
fn every_release_loads_and_refuses_files_of_secrets_in_its_own_words() {
    let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
    let mut differences = Vec::new();
    let mut compared = 0;

    for case in &cases {
        for release in case.results.iter().flat_map(|answer| &answer.releases) {
            let version = TalosVersion::parse(release).unwrap();
            let mut expected = case.answer(release);
            if expected.stage == "ok" && release.starts_with("v1.10.") {
                // It does not validate, and crashes later.
                expected = case.answer("v1.11.6");
            }
            let ours = match SecretsBundle::load(&case.input.file(BUNDLE), &version) {
                Ok(_) => String::new(),
                Err(error) => error.message().to_owned(),
            };
            let agrees = match expected.stage.as_str() {
                "ok" => ours.is_empty(),
                "panic" => !ours.is_empty(),
                "load" => {
                    let text = without_values(&expected.text);
                    ours == format!("failed to load secrets bundle: {text}")
                }
                _ => ours == format!("failed to validate secrets bundle: {}", expected.text),
            };
            compared += 1;
            if !agrees {
                differences.push(format!(
                    "{release} {:?} {:?} {:?}{:?}\n  expected {} {:?}\n  answered {ours:?}",
                    case.input.path,
                    case.input.value,
                    case.input.text,
                    case.input.append,
                    expected.stage,
                    expected.text
                ));
            }
        }
    }

    assert!(compared > 1400, "{compared}");
    assert!(
        differences.is_empty(),
        "{} of {compared} differ\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn no_refusal_shows_a_value() {
    for value in ["canary", "!!int canary", "[canary]", "{a: canary}"] {
        for path in [
            "cluster",
            "secrets",
            "trustdinfo",
            "certs",
            "certs.os",
            "certs.os.key",
        ] {
            let text = with(BUNDLE, path, Some(value));
            for release in ["v1.10.7", "v1.12.11", "v1.13.9", "v1.14.0-rc.1"] {
                let version = TalosVersion::parse(release).unwrap();
                let error = SecretsBundle::load(&text, &version).unwrap_err();
                assert!(
                    !format!("{error:?}").contains("canary"),
                    "{path}: {error:?}"
                );
            }
        }
    }
}
