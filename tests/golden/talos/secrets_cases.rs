//! Files of secrets that something is wrong with: what each release says when it loads and validates them.
//!
//! A record of `tests/data/talos/secrets-cases.json` is a whole `text`, the bundle with something to `append`, or the bundle
//! with the `value` under a `path` replaced as it stands there, or removed. The reference quotes values in its texts, which
//! this crate does not, because they may be secrets.

use serde::Deserialize;
use talos_client::config::TalosVersion;
use talos_client::secrets::SecretsBundle;

const BUNDLE: &str = include_str!("../../data/talos/secrets.yaml");
const CASES: &str = include_str!("../../data/talos/secrets-cases.json");

#[derive(Deserialize)]
struct Case {
    text: Option<String>,
    append: Option<String>,
    #[serde(default)]
    path: String,
    value: Option<String>,
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
    fn input(&self) -> String {
        match (&self.text, &self.append) {
            (Some(text), _) => text.clone(),
            (None, Some(tail)) => format!("{BUNDLE}{tail}"),
            (None, None) => with(&self.path, self.value.as_deref()),
        }
    }

    fn answer(&self, release: &str) -> &Answer {
        let has = |answer: &&Answer| answer.releases.iter().any(|known| known == release);
        self.results.iter().find(has).unwrap()
    }
}

/// The bundle with the value under a path replaced, or without the path.
fn with(path: &str, value: Option<&str>) -> String {
    let mut text = String::new();
    let (mut parents, mut skipped): (Vec<&str>, Option<usize>) = (Vec::new(), None);
    for line in BUNDLE.lines() {
        let key = line.trim_start().split(':').next().unwrap();
        let depth = (line.len() - line.trim_start().len()) / 4;
        if skipped.is_some_and(|skipped| depth > skipped) {
            continue;
        }
        skipped = None;
        parents.truncate(depth);
        parents.push(key);
        if parents.join(".") != path {
            text.push_str(line);
        } else {
            skipped = Some(depth);
            let Some(value) = value else { continue };
            text.push_str(&format!("{}{key}: {value}", "    ".repeat(depth)));
        }
        text.push('\n');
    }
    text
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
            let ours = match SecretsBundle::load(&case.input(), &version) {
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
                    case.path, case.value, case.text, case.append, expected.stage, expected.text
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
            let text = with(path, Some(value));
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
